# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Ansible inventory of a lab. Rendering is pure; it tells everything that a playbook or a test needs to know."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from . import array
from .names import Host, network_name
from .plugin import REPOSITORY, VERSIONS, plugin_config, plugin_privileges
from .seed import IMAGE
from .services import AUTH_REGISTRY, AUTH_USERNAME, REGISTRY, SFTP_HOST, SFTP_USER

_HEADING = "# Written by the lab; it holds secrets of the lab. Changes are lost with the next `up`.\n"


@dataclass(frozen=True)
class Secrets:
    """What opens the lab's services."""

    auth_password: str
    sftp_key: str


def render(directory: Path, hosts: Sequence[tuple[Host, str]], secrets: Secrets) -> str:
    """Return the inventory of hosts, each with its address, for the lab whose state is in directory."""
    containers = {"lab_containers": network_name(directory.parent, directory.name)}
    group = {
        "hosts": {host.name: {"ansible_host": address, "lab_suite": host.suite} for host, address in hosts},
        "vars": _connection(directory) | containers | _services(directory, secrets) | _array(),
    }
    return _HEADING + yaml.safe_dump({"all": {"children": {"lab_hosts": group}}}, sort_keys=False, width=120)


def _connection(directory: Path) -> dict[str, Any]:
    options = {
        "UserKnownHostsFile": _ssh_value(directory / "ssh" / "known_hosts"),
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes",
        "IdentitiesOnly": "yes",
    }
    return {
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(directory / "ssh" / "id_ed25519"),
        "ansible_ssh_common_args": " ".join(f"-o {shlex.quote(f'{key}={value}')}" for key, value in options.items()),
        # ssh keeps a connection for 60 s, and ends it perhaps in the moment in which the next task wants it.
        "ansible_ssh_retries": 3,
        "ansible_python_interpreter": "/usr/bin/python3",
    }


def _ssh_value(path: Path) -> str:
    """Return a path as ssh's options want it: blanks divide a value into several, unless it is in quotes."""
    return f'"{path}"' if " " in str(path) else str(path)


def _services(directory: Path, secrets: Secrets) -> dict[str, Any]:
    first, following = VERSIONS
    tls = directory / "tls"
    return {
        "lab_registry": REGISTRY,
        "lab_auth_registry": AUTH_REGISTRY,
        "lab_auth_username": AUTH_USERNAME,
        "lab_auth_password": secrets.auth_password,
        "lab_plugin_remote": f"{REGISTRY}/{REPOSITORY}:{first}",
        "lab_plugin_remote_next": f"{REGISTRY}/{REPOSITORY}:{following}",
        "lab_auth_plugin_remote": f"{AUTH_REGISTRY}/{REPOSITORY}:{first}",
        "lab_plugin_privileges": plugin_privileges(plugin_config(first)),
        "lab_sftp_host": SFTP_HOST,
        "lab_sftp_user": SFTP_USER,
        "lab_sftp_key": secrets.sftp_key,
        "lab_image": f"{REGISTRY}/{IMAGE}",
        "lab_engine_tls": {
            "ca_path": str(tls / "ca.pem"),
            "client_cert": str(tls / "client.pem"),
            "client_key": str(tls / "client-key.pem"),
        },
    }


def _array() -> dict[str, Any]:
    return {
        "lab_array_repository": f"{REGISTRY}/{array.REPOSITORY}",
        "lab_array_privileges": plugin_privileges(array.array_config(array.FIRST)),
        "lab_device_remote": f"{REGISTRY}/{array.DEVICE_REPOSITORY}:{array.FIRST}",
        "lab_device_privileges": plugin_privileges(array.device_config()),
        "lab_authz_remote": f"{REGISTRY}/{array.AUTHZ_REPOSITORY}:{array.FIRST}",
        "lab_csi_remote": f"{REGISTRY}/{array.CSI_REPOSITORY}:{array.FIRST}",
    }


def known_hosts(keys: Mapping[str, str]) -> str:
    """Return ssh's known_hosts for the hosts' addresses and their public keys."""
    return "".join(f"{address} {key}\n" for address, key in sorted(keys.items()))
