# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who uses a volume or a driver. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.voltainer.volumes.plugins.module_utils._reference import driver_key

# States in which a container holds its mounts; in the others it only holds the engine's reference to the volume.
_MOUNTED = frozenset({"running", "paused", "restarting", "removing"})


@dataclass(frozen=True)
class Use:
    """One mount of a volume in a container (running or not: a stopped container, too, keeps a volume "in use")."""

    container: str
    container_id: str
    state: str
    volume: str
    driver: str
    path: str
    read_only: bool

    @property
    def mounted(self) -> bool:
        """Whether the container has the volume mounted now."""
        return self.state in _MOUNTED

    def as_result(self) -> dict[str, Any]:
        """Return the use as a result key shows it."""
        return {
            "container": self.container,
            "id": self.container_id,
            "state": self.state,
            "volume": self.volume,
            "path": self.path,
            "read_only": self.read_only,
        }

    def __str__(self) -> str:
        """Return the words for an error: name, state, and what the container may do."""
        return f"{self.container} ({self.state}, {'read-only' if self.read_only else 'read-write'} at {self.path})"


def uses(containers: Iterable[Mapping[str, Any]]) -> tuple[Use, ...]:
    """Return every mount of a volume in `containers`, which is the engine's `GET /containers/json`."""
    return tuple(
        _use(container, mount)
        for container in containers
        for mount in container.get("Mounts") or ()
        if mount.get("Type") == "volume"
    )


def uses_of_volume(containers: Iterable[Mapping[str, Any]], name: str) -> tuple[Use, ...]:
    """Return the uses of the volume `name`. The engine's own filter also matches mount paths, hence this one."""
    return tuple(use for use in uses(containers) if use.volume == name)


def uses_of_driver(containers: Iterable[Mapping[str, Any]], driver: str) -> tuple[Use, ...]:
    """Return the uses of all volumes of the driver `driver`."""
    return tuple(use for use in uses(containers) if driver_key(use.driver) == driver_key(driver))


def listed(found: Iterable[Use]) -> str:
    """Return the words for an error: each use once, in a stable order."""
    return ", ".join(sorted({str(use) for use in found}))


def _use(container: Mapping[str, Any], mount: Mapping[str, Any]) -> Use:
    names = container.get("Names") or [container["Id"][:12]]
    return Use(
        container=names[0].lstrip("/"),
        container_id=container["Id"],
        state=container.get("State", "unknown"),
        volume=mount.get("Name", ""),
        driver=mount.get("Driver", ""),
        path=mount.get("Destination", ""),
        read_only=not mount.get("RW", True),
    )
