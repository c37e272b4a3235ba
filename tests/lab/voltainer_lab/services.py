# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services that hosts use: two registries and an SFTP server."""

from __future__ import annotations

import time
from http import HTTPStatus
from pathlib import Path
from typing import Any

import requests

from .certificates import ssh_key
from .containers import Member, Place, ensure_member
from .files import PutFile, shipped
from .hosts import Credentials, ask, greets
from .names import LabError
from .recipes import services_recipe
from .report import say

REGISTRY = "registry.lab:5000"
AUTH_REGISTRY = "registry-auth.lab:5000"
SFTP_HOST = "sftp.lab"
SFTP_USER = "storage"
AUTH_USERNAME = "lab"
_REGISTRY_DATA = "/var/lib"  # the content is a folder named registry
_PATIENCE = 30.0


def registry_member(name: str, address: str, credentials: Credentials, content: Path, password: str = "") -> Member:
    """Describe a registry; with a password it is the one that asks for it."""
    pair = credentials.authority.server(name, [f"{name}.lab"], [address])
    files = shipped("services")
    files |= {"/etc/lab/cert.pem": PutFile(pair.certificate), "/etc/lab/key.pem": PutFile(pair.key, 0o600)}
    if password:
        files["/etc/lab/username"] = PutFile(AUTH_USERNAME.encode(), 0o600)
        files["/etc/lab/password"] = PutFile(password.encode(), 0o600)
    return Member(
        name=name,
        role="service",
        image=services_recipe().reference,
        address=address,
        aliases=(f"{name}.lab",),
        command=("/usr/local/sbin/lab-service", name),
        files=files,
        seed=(_REGISTRY_DATA, content),
    )


def sftp_member(address: str, credentials: Credentials) -> Member:
    """Describe the SFTP server; its user has a key of its own, which opens nothing else."""
    host_key = ssh_key(credentials.directory / "ssh" / "sftp_host_key")
    user = ssh_key(credentials.directory / "ssh" / "sftp_user_key")
    return Member(
        name="sftp",
        role="service",
        image=services_recipe().reference,
        address=address,
        aliases=(SFTP_HOST,),
        command=("/usr/local/sbin/lab-service", "sftp"),
        files=shipped("services")
        | {
            "/etc/ssh/lab/host_key": PutFile(host_key.private, 0o600),
            "/etc/ssh/lab/authorized_keys": PutFile(f"{user.public} {SFTP_USER}\n".encode()),
        },
    )


def ensure_service(client: Any, place: Place, member: Member, credentials: Credentials, password: str = "") -> None:
    """Bring a service up and wait until it does what it is for."""
    container, _made = ensure_member(client, place, member)
    deadline = time.monotonic() + _PATIENCE
    while not healthy(member.name, member.address, credentials, password):
        if time.monotonic() > deadline:
            tail = container.logs(tail=6).decode(errors="replace")
            raise LabError(f"{container.name} does not answer at {member.address}. Its log says:\n{tail}")
        time.sleep(0.1)


def healthy(name: str, address: str, credentials: Credentials, password: str) -> bool:
    """Tell whether a service answers as it should."""
    if name == "sftp":
        return greets(address, 22, b"SSH-")
    auth = (AUTH_USERNAME, password) if name == "registry-auth" else None
    try:
        answer = ask(f"https://{address}:5000/v2/", credentials, auth)
    except requests.RequestException:
        return False
    if answer.status_code == HTTPStatus.UNAUTHORIZED:
        say(f"{name}: refuses the lab's own password")
    return bool(answer.ok)
