# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Legacy plugins of this host: those that are no managed ones, but a socket or a file that names an address."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.voltainer.volumes.plugins.module_utils._transport import UnixConnection

# Where the engine looks, in its order; the first of a name counts (20.10 to 28.5).
_SOCKETS = "run/docker/plugins"
_SPECS = ("etc/docker/plugins", "usr/lib/docker/plugins")
_SUFFIXES = (".spec", ".json")
_VOLUME_DRIVER = "VolumeDriver"


@dataclass(frozen=True)
class Legacy:
    """A legacy plugin: the file that makes it known, and its socket where that is on this host."""

    name: str
    file: str
    socket: str | None = None

    def is_volume_driver(self, seconds: float) -> bool | None:
        """Ask the plugin itself what it is, as the engine does; None where it does not say."""
        if self.socket is None:
            return None
        try:
            with closing(UnixConnection(self.socket, seconds)) as connection:
                connection.request("POST", "/Plugin.Activate")
                answer = connection.getresponse()
                return _VOLUME_DRIVER in (json.loads(answer.read()).get("Implements") or ())
        except (OSError, http.client.HTTPException, ValueError, AttributeError):
            return None


def legacy_plugins(root: str = "/") -> tuple[Legacy, ...]:
    """Return the legacy plugins of this host, volume drivers or not, by name."""
    found: dict[str, Legacy] = {}
    for one in (*_sockets(Path(root)), *_specs(Path(root))):
        found.setdefault(one.name, one)
    return tuple(found[name] for name in sorted(found))


def _sockets(root: Path) -> Iterator[Legacy]:
    folder = root / _SOCKETS
    # NAME.sock, or NAME/NAME.sock. Managed plugins have their sockets there, too, in folders named by their IDs.
    for path in sorted([*folder.glob("*.sock"), *folder.glob("*/*.sock")]):
        if (path.parent == folder or path.parent.name == path.stem) and path.is_socket():
            yield Legacy(path.stem, str(path), str(path))


def _specs(root: Path) -> Iterator[Legacy]:
    for folder in _SPECS:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in _SUFFIXES and path.is_file():
                yield Legacy(path.stem, str(path), _socket_of(path))


def _socket_of(path: Path) -> str | None:
    try:
        text = path.read_text(encoding="utf-8").strip()
        address = str(json.loads(text)["Addr"]) if path.suffix == ".json" else text
    except (OSError, ValueError, KeyError, TypeError):
        return None
    scheme, _colon, rest = address.partition("://")
    return rest if scheme == "unix" else None
