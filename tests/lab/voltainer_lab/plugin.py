# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rclone volume plugin, its configuration in two versions; and what an engine asks to approve for any plugin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

REPOSITORY = "rclone/docker-volume-rclone"
VERSIONS = ("1.0", "1.1")
_CONFIG_DIR = "/var/lib/docker-plugins/rclone/config"
_CACHE_DIR = "/var/lib/docker-plugins/rclone/cache"


def plugin_config(version: str) -> dict[str, Any]:
    """Return a plugin's config.json. The next version says so, and talks more unless it is told otherwise."""
    verbosity = "0" if version == VERSIONS[0] else "1"
    return {
        "description": f"Rclone volume plugin for Docker, lab build {version}",
        "documentation": "https://rclone.org/docker",
        "interface": {"types": ["docker.volumedriver/1.0"], "socket": "rclone.sock"},
        "entrypoint": ["rclone", "serve", "docker"],
        "workdir": "/data",
        "args": {"name": "args", "value": [], "settable": ["value"]},
        "network": {"type": "host"},
        "linux": {"capabilities": ["CAP_SYS_ADMIN"], "devices": [{"path": "/dev/fuse"}]},
        "propagatedMount": "/mnt",
        "mounts": [_mount("config", _CONFIG_DIR), _mount("cache", _CACHE_DIR)],
        "env": [
            setting("RCLONE_VERBOSE", verbosity),
            {"name": "RCLONE_CONFIG", "value": "/data/config/rclone.conf"},
            {"name": "RCLONE_CACHE_DIR", "value": "/data/cache"},
            {"name": "RCLONE_BASE_DIR", "value": "/mnt"},
            *(setting(name, "") for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")),
        ],
    }


def _mount(name: str, source: str) -> dict[str, Any]:
    return {
        "name": name,
        "source": source,
        "destination": f"/data/{name}",
        "type": "bind",
        "options": ["rbind"],
        "settable": ["source"],
    }


def setting(name: str, value: str) -> dict[str, Any]:
    return {"name": name, "value": value, "settable": ["value"]}


def plugin_privileges(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what an engine asks to approve for a plugin, in its words and its order."""
    linux = config["linux"]
    wanted = []
    if config["network"]["type"] == "host":
        wanted.append({"name": "network", "value": ["host"]})
    if config.get("PidHost"):
        wanted.append({"name": "host pid namespace", "value": ["true"]})
    wanted += [{"name": "mount", "value": [mount["source"]]} for mount in config["mounts"]]
    wanted += [{"name": "device", "value": [device["path"]]} for device in linux["devices"]]
    if linux.get("allowAllDevices"):
        wanted.append({"name": "allow-all-devices", "value": ["true"]})
    if linux["capabilities"]:
        wanted.append({"name": "capabilities", "value": list(linux["capabilities"])})
    return wanted
