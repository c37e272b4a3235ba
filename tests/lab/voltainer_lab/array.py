# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The array simulator's plugins: Pure's in all its versions, and a few that are something else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .files import PutFile, read_tree
from .plugin import setting

REPOSITORY = "purestorage/docker-plugin"
DEVICE_REPOSITORY = "lab/array-plugin"
AUTHZ_REPOSITORY = "lab/authz-plugin"
CSI_REPOSITORY = "lab/csi-plugin"
FIRST, NEXT = "1.0", "1.1"
LATEST = "latest"  # begins as another name of the first version, and can be moved
_PROGRAM = Path(__file__).resolve().parent.parent / "array_plugin"
_PROGRAM_DIR = "/usr/lib/lab"
_CONFIG_FILE = "/etc/pure-docker-plugin/pure.json"
_VOLUME_DRIVER = {"types": ["docker.volumedriver/1.0"], "socket": "pure.sock"}


@dataclass(frozen=True)
class Build:
    """One plugin: where it goes in a registry, its config.json, and what its program finds beside itself."""

    repository: str
    tag: str
    config: Mapping[str, Any]
    implements: tuple[str, ...] = ("VolumeDriver",)
    switches: Mapping[str, Any] = field(default_factory=dict)

    def files(self) -> dict[str, PutFile]:
        """Return what belongs into the root file system beside Python. No two builds have the same files."""
        about = {
            "repository": self.repository,
            "version": self.tag,
            "socket": self.config["interface"]["socket"],
            "implements": self.implements,
            "switches": self.switches,
        }
        program = {f"{_PROGRAM_DIR}/{_PROGRAM.name}{path}": file for path, file in read_tree(_PROGRAM).items()}
        own = {path: file for path, file in program.items() if path.endswith(".py")}
        return own | {"/etc/lab-build": PutFile(json.dumps(about).encode())}


def array_config(version: str) -> dict[str, Any]:
    """Return the config.json of a version of Pure's plugin."""
    mounts = [_mount("", "/dev"), _mount("", "/sys")]
    capabilities = ["CAP_SYS_ADMIN", "CAP_SYS_PTRACE"]
    env = [setting("PURE_DOCKER_NAMESPACE", "docker"), setting("DEBUG", "false"), setting("PURE_API_TOKEN", "")]
    if version == NEXT:
        env[1]["value"] = "true"
        env.append(setting("PURE_TIMEOUT", "30"))
    if version == "1.2":
        capabilities.append("CAP_NET_ADMIN")
    if version == "1.5":
        mounts.pop()
    return _config(f"Array simulator, lab build {version}", _VOLUME_DRIVER) | {
        "args": {"name": "args", "value": [], "settable": ["value"]},
        "network": {"type": "host"},
        "PidHost": True,
        "linux": {"capabilities": capabilities, "devices": [], "allowAllDevices": True},
        "propagatedMount": "/mnt",
        "mounts": [_mount("config", _CONFIG_FILE), *mounts],
        "env": env,
    }


def device_config() -> dict[str, Any]:
    """Return the config.json of a plugin with a device that can be set, which Pure's has not."""
    config = array_config(FIRST)
    device = {"name": "log", "path": "/dev/null", "settable": ["path"]}
    return config | {"linux": config["linux"] | {"devices": [device]}}


def _config(description: str, interface: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "description": description,
        "documentation": "https://docs.docker.com/engine/extend/",
        "interface": interface,
        "entrypoint": ["/usr/bin/python3", "-B", "-m", "array_plugin.server"],
        "workdir": _PROGRAM_DIR,
        "network": {"type": ""},
        "linux": {"capabilities": [], "devices": []},
        "mounts": [],
        "env": [],
    }


def _mount(name: str, path: str) -> dict[str, Any]:
    """Return a folder or file of the host under the same path; one with a name can be taken from elsewhere."""
    mount = {"source": path, "destination": path, "type": "bind", "options": ["rbind"]}
    return mount | ({"name": name, "settable": ["source"]} if name else {})


def _pure(version: str, **switches: Any) -> Build:
    return Build(REPOSITORY, version, array_config(version), switches=switches)


def builds() -> list[Build]:
    """Return all plugins that the simulator is built into."""
    csi = {"types": ["docker.csicontroller/1.0", "docker.csinode/1.0"], "socket": "csi.sock"}
    authz = {"types": ["docker.authz/1.0"], "socket": "authz.sock"}
    return [
        *(_pure(version) for version in (FIRST, NEXT, "1.2", "1.5")),
        _pure("1.3", exit_at_start=True),
        _pure("1.4", deaf=True),
        Build(DEVICE_REPOSITORY, FIRST, device_config()),
        Build(AUTHZ_REPOSITORY, FIRST, _config("A plugin that is no volume driver", authz), ("authz",)),
        Build(CSI_REPOSITORY, FIRST, _config("A plugin with the interfaces of a CSI driver", csi), ()),
    ]
