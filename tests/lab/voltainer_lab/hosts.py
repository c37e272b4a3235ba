# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts: containers that run sshd and an engine of their own."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from .capabilities import grantable
from .certificates import Authority, SshKey, ssh_key
from .containers import Member, Place, current, ensure_member, ensure_volume, remove_volume
from .files import PutFile, shipped
from .names import Host, LabError, container_name
from .recipes import host_recipe
from .report import say

# What an engine inside a container needs, without --privileged: that fails where one capability is out of reach.
HOST_CONFIG: dict[str, Any] = {
    "cap_add": grantable(),
    "security_opt": ["seccomp=unconfined", "apparmor=unconfined"],
    # The empty lists are what the client's `systempaths=unconfined` stands for.
    "raw": {"MaskedPaths": [], "ReadonlyPaths": [], "DeviceCgroupRules": ["a *:* rwm"]},
    "tmpfs": {"/run": "mode=755,exec"},
}
_BINDS = ["/dev:/dev", "/sys/fs/cgroup:/sys/fs/cgroup:rw"]
_PATIENCE = 60.0
_START_TIME = 20.0
_RESTART_TIME = 5.0


@dataclass(frozen=True)
class Credentials:
    """What the lab's user proves to hosts, and where it is stored."""

    directory: Path
    login: SshKey
    authority: Authority


def host_member(place: Place, host: Host, address: str, credentials: Credentials) -> Member:
    """Describe the container of a host."""
    host_key = ssh_key(credentials.directory / "ssh" / f"{host.name}_host_key")
    server = credentials.authority.server(host.name, [host.name, "localhost"], [address, "127.0.0.1"])
    trust = PutFile(credentials.authority.certificate)
    return Member(
        name=host.name,
        role="host",
        suite=host.suite,
        image=host_recipe(host.suite).reference,
        address=address,
        aliases=(host.name,),
        command=("/usr/local/sbin/lab-init",),
        files=shipped("host")
        | {
            "/etc/ssh/lab/host_key": PutFile(host_key.private, 0o600),
            "/etc/ssh/lab/authorized_keys": PutFile(f"{credentials.login.public} lab\n".encode()),
            "/etc/docker/tls/ca.pem": trust,
            "/etc/docker/tls/cert.pem": PutFile(server.certificate),
            "/etc/docker/tls/key.pem": PutFile(server.key, 0o600),
            "/etc/docker/certs.d/registry.lab:5000/ca.crt": trust,
            "/etc/docker/certs.d/registry-auth.lab:5000/ca.crt": trust,
        },
        host_config=HOST_CONFIG | {"binds": [*_BINDS, f"{volume_name(place, host)}:/var/lib/docker"]},
    )


def volume_name(place: Place, host: Host) -> str:
    return f"{container_name(place.root, place.lab, host.name)}-docker"


def ensure_host(client: Any, place: Place, host: Host, member: Member, credentials: Credentials) -> str:
    """Bring a host up and wait for it; return its engine's version."""
    volume = volume_name(place, host)
    if current(client, place, member) is None:
        # A new host begins with a new engine: plugins of an old one mount folders that went away with the old host, and
        # dockerd, which finds them missing, crashes at every start (seen with 26.1.5).
        remove_volume(client, place, volume)
    ensure_volume(client, place, volume, "host", host.suite)
    container, fresh = ensure_member(client, place, member)
    begun = time.monotonic()
    if not fresh and not engine_version(member.address, credentials):
        _switch_on(container)
    if not _wait_for_engine(member.address, credentials, _START_TIME if fresh else _RESTART_TIME):
        _restart(container, member.address, credentials)
    _wait_for_port(member.address, 22, b"SSH-", container)
    version = engine_version(member.address, credentials) or "(gone again)"
    if time.monotonic() - begun > 0.5:
        say(f"{container.name}: sshd and Docker {version} answer after {time.monotonic() - begun:.1f} s")
    return version


def _wait_for_engine(address: str, credentials: Credentials, patience: float) -> bool:
    deadline = time.monotonic() + patience
    while not engine_version(address, credentials):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def _switch_on(container: Any) -> None:
    """Start an engine that somebody stopped; one that died comes back without help."""
    if container.exec_run(["test", "-e", "/run/lab/engine-off"]).exit_code == 0:
        say(f"{container.name}: its engine was switched off, starting it")
        container.exec_run(["lab-engine", "start"])


def _restart(container: Any, address: str, credentials: Credentials) -> None:
    say(f"{container.name}: its engine does not answer, restarting the host")
    container.restart(timeout=3)
    if not _wait_for_engine(address, credentials, _PATIENCE):
        raise LabError(_silent(container, "its engine", address, 2376))


def _silent(container: Any, what: str, address: str, port: int) -> str:
    tail = container.logs(tail=6).decode(errors="replace")
    return (
        f"{container.name}: {what} does not answer at {address}:{port} "
        f"(the outer engine must run on this machine). Its log says:\n{tail}"
    )


def ask(
    url: str,
    credentials: Credentials,
    auth: tuple[str, str] | None = None,
    body: Mapping[str, Any] | None = None,
    timeout: float = 5,
) -> requests.Response:
    """Get an address of one of the lab's servers, or post a body to it; raises requests.RequestException."""
    tls = credentials.directory / "tls"
    with requests.Session() as session:
        # REQUESTS_CA_BUNDLE would win over the lab's authority, and a proxy cannot reach the lab's network.
        session.trust_env = False
        session.cert = (str(tls / "client.pem"), str(tls / "client-key.pem"))
        session.verify = str(tls / "ca.pem")
        session.auth = auth
        return session.request("GET" if body is None else "POST", url, json=body, timeout=timeout)


def engine_version(address: str, credentials: Credentials) -> str | None:
    """Return the version of a host's engine, asked over TCP with TLS, or None where it does not answer."""
    try:
        answer = ask(f"https://{address}:2376/version", credentials)
        return str(answer.json()["Version"]) if answer.ok else None
    except (requests.RequestException, ValueError):
        return None


def _wait_for_port(address: str, port: int, greeting: bytes, container: Any) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not greets(address, port, greeting):
        if time.monotonic() > deadline:
            raise LabError(_silent(container, f"port {port}", address, port))
        time.sleep(0.1)


def greets(address: str, port: int, greeting: bytes) -> bool:
    """Tell whether a server sends this greeting on its own."""
    try:
        with socket.create_connection((address, port), timeout=2) as connection:
            connection.settimeout(2)
            return connection.recv(len(greeting)) == greeting
    except OSError:
        return False
