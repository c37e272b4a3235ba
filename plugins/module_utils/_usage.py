# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who uses a volume or a driver. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.voltainer.volumes.plugins.module_utils._reference import driver_key
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import HELPER

# The engine puts it on the containers of a service's tasks.
_SERVICE_LABEL = "com.docker.swarm.service.id"
# States in which a container holds its mounts; in the others it only holds the engine's reference to the volume.
_MOUNTED = frozenset({"running", "paused", "restarting", "removing"})
# The way out where only other tasks of this collection use a volume.
WHEN_TASKS_END = (
    "Run the task again when the other one has ended, with which the container goes. Where there is none, remove the"
    " container"
)
# What a service may put into the name of a volume, such as {{.Task.Slot}}: each task, or node, then has one of its own.
_PLACEHOLDER = re.compile(r"{{.*?}}")


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
    service_id: str = ""
    # Whether it says that it is one through which a task of this collection works.
    helper: bool = False

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
        may = f"{self.state}, {'read-only' if self.read_only else 'read-write'} at {self.path}"
        return f"{self.container} ({may}{', for another task of this collection' if self.helper else ''})"


@dataclass(frozen=True)
class ServiceUse:
    """One mount of a volume in the specification of a swarm's service, whether or not it has a task on this node.

    `tasks` is how many the swarm wants to run at once: the replicas, or one for each node of a global service. `volume`
    may have placeholders, which the swarm fills in for each task.
    """

    service: str
    service_id: str
    mode: str
    tasks: int
    volume: str
    path: str
    read_only: bool

    def of(self, volume: str) -> ServiceUse | None:
        """Return the use of this one volume, or None where the service cannot mount it."""
        if self.volume == volume:
            return self
        literals = _PLACEHOLDER.split(self.volume)
        if len(literals) == 1 or not re.fullmatch(".*".join(map(re.escape, literals)), volume):
            return None
        return replace(self, volume=volume, tasks=min(self.tasks, 1) if ".Task." in self.volume else self.tasks)

    def as_result(self) -> dict[str, Any]:
        """Return the use as a result key shows it."""
        return {
            "service": self.service,
            "id": self.service_id,
            "mode": self.mode,
            "replicas": self.tasks,
            "volume": self.volume,
            "path": self.path,
            "read_only": self.read_only,
        }

    def __str__(self) -> str:
        """Return the words for an error: name, mode, tasks, and what they may do."""
        may = "read-only" if self.read_only else "read-write"
        return f"service {self.service} ({self.mode}, {self.tasks} task(s), {may} at {self.path})"


@dataclass(frozen=True)
class Users:
    """Who uses volumes: containers of this engine, and services where this engine manages a swarm."""

    containers: tuple[Use, ...] = ()
    services: tuple[ServiceUse, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.containers or self.services)

    def of(self, *volumes: str) -> Users:
        """Return those of these volumes."""
        services = (service.of(volume) for volume in volumes for service in self.services)
        return Users(
            tuple(use for use in self.containers if use.volume in volumes), tuple(use for use in services if use)
        )

    def by_volume(self, names: Iterable[str]) -> dict[str, Users]:
        """Return those of each of the volumes `names` that has any, found in one pass."""
        containers: dict[str, list[Use]] = {}
        for container in self.containers:
            containers.setdefault(container.volume, []).append(container)
        services: dict[str, list[ServiceUse]] = {}
        patterns = []
        for service in self.services:
            services.setdefault(service.volume, []).append(service)
            if _PLACEHOLDER.search(service.volume):
                patterns.append(service)
        found = {}
        for name in names:
            filled_in = [use for use in (service.of(name) for service in patterns) if use]
            users = Users(tuple(containers.get(name, ())), (*services.get(name, ()), *filled_in))
            if users:
                found[name] = users
        return found

    @property
    def are_tasks(self) -> bool:
        """Whether all of them only work for tasks of this collection, which end by themselves."""
        return bool(self.containers) and not self.services and all(use.helper for use in self.containers)

    @property
    def writers(self) -> int:
        """How many may write at once: containers that have a volume mounted now, and all tasks of the services.

        A container that is a task of one of these services is counted with its service.
        """
        counted = {use.service_id for use in self.services}
        containers = {
            use.container_id
            for use in self.containers
            if use.mounted and not use.read_only and use.service_id not in counted
        }
        services = {use.service_id: use.tasks for use in self.services if not use.read_only}
        return len(containers) + sum(services.values())

    def as_result(self) -> list[dict[str, Any]]:
        """Return them as a result key shows them, containers first."""
        return [use.as_result() for use in self.containers] + [use.as_result() for use in self.services]

    def __str__(self) -> str:
        """Return the words for an error: each once, in a stable order."""
        return ", ".join([*sorted({str(use) for use in self.containers}), *sorted({str(use) for use in self.services})])


def uses(containers: Iterable[Mapping[str, Any]]) -> tuple[Use, ...]:
    """Return every mount of a volume in `containers`, which is the engine's `GET /containers/json`."""
    return tuple(
        _use(container, mount)
        for container in containers
        for mount in container.get("Mounts") or ()
        if mount.get("Type") == "volume"
    )


def service_uses(services: Iterable[Mapping[str, Any]]) -> tuple[ServiceUse, ...]:
    """Return every mount of a named volume in `services`, which is the engine's `GET /services?status=true`."""
    return tuple(
        _service_use(service, mount)
        for service in services
        for mount in _service_mounts(service)
        if mount.get("Type") == "volume" and mount.get("Source")
    )


def uses_of_driver(containers: Iterable[Mapping[str, Any]], driver: str) -> tuple[Use, ...]:
    """Return the uses of all volumes of the driver `driver`."""
    return tuple(use for use in uses(containers) if driver_key(use.driver) == driver_key(driver))


def listed(found: Iterable[Use]) -> str:
    """Return the words for an error: each use once, in a stable order."""
    return ", ".join(sorted({str(use) for use in found}))


def _use(container: Mapping[str, Any], mount: Mapping[str, Any]) -> Use:
    names, labels = container.get("Names") or [container["Id"][:12]], container.get("Labels") or {}
    return Use(
        container=names[0].lstrip("/"),
        container_id=container["Id"],
        state=container.get("State", "unknown"),
        volume=mount.get("Name", ""),
        driver=mount.get("Driver", ""),
        path=mount.get("Destination", ""),
        read_only=not mount.get("RW", True),
        service_id=labels.get(_SERVICE_LABEL, ""),
        helper=HELPER in labels,
    )


def _service_mounts(service: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    # Services that run a plugin instead of containers have no ContainerSpec.
    task = (service.get("Spec") or {}).get("TaskTemplate") or {}
    return (task.get("ContainerSpec") or {}).get("Mounts") or ()


def _service_use(service: Mapping[str, Any], mount: Mapping[str, Any]) -> ServiceUse:
    spec = service["Spec"]
    mode, detail = next(iter((spec.get("Mode") or {"Replicated": {}}).items()))
    replicas = (detail or {}).get("Replicas", 1)
    # How many nodes a global service runs on, only the status tells (API 1.41 and later).
    status = service.get("ServiceStatus") or {}
    return ServiceUse(
        service=spec.get("Name", service["ID"][:12]),
        service_id=service["ID"],
        mode=mode.lower(),
        tasks=int(replicas if mode == "Replicated" else status.get("DesiredTasks", replicas)),
        volume=mount["Source"],
        path=mount.get("Target", ""),
        read_only=bool(mount.get("ReadOnly")),
    )
