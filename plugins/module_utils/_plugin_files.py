# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine's own files tell of a plugin, to root on the engine's host."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.voltainer.volumes.plugins.module_utils._plugin import Installed


def read(root: str, plugin_id: str) -> Installed | None:
    """Return what is on record below the engine's data root, or None where there is nothing that can be read."""
    try:
        record = json.loads((Path(root) / "plugins" / plugin_id / "config.json").read_bytes())
        manifest, config = (_digest(record.get(key)) for key in ("Manifest", "Config"))
    except (OSError, ValueError, AttributeError):
        return None
    return Installed(manifest, _sources(Path(root), config))


def _sources(root: Path, digest: str | None) -> dict[str, str] | None:
    # The configuration as it was pulled (20.10 to 28.5); in inspect, sources are what they were set to.
    algorithm, _colon, name = (digest or "").partition(":")
    try:
        config = json.loads((root / "plugins/storage/blobs" / algorithm / name).read_bytes())
        config = _plain(config)
        mounts = [_plain(mount) for mount in config.get("mounts") or ()]
        devices = [_plain(device) for device in _plain(config.get("linux") or {}).get("devices") or ()]
    except (OSError, ValueError, AttributeError, TypeError):
        return None
    return {
        **{f"{mount['name']}.source": mount.get("source") or "" for mount in mounts if mount.get("name")},
        **{f"{device['name']}.path": device.get("path") or "" for device in devices if device.get("name")},
    }


def _plain(value: Mapping[str, Any]) -> dict[str, Any]:
    # Engines write "Mounts" for what plugins are made with as "mounts", and read both.
    return {key.lower(): one for key, one in value.items()}


def _digest(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
