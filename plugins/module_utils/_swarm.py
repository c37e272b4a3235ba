# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes, services and tasks of a swarm, and what follows from them for a node that is to be empty. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

# States of a task, in the engine's order, in which it may run, now or soon. The others are its end.
_LIVE = frozenset({"new", "pending", "assigned", "accepted", "preparing", "ready", "starting", "running"})
# Of the modes, those whose tasks go on; jobs end by themselves.
_REPLICATED, _GLOBAL = "Replicated", "Global"
# The engine compares without regard to case; labels of the engine are what its configuration says.
_NODE_KEYS = ("node.id", "node.hostname", "node.role")
_NODE_LABEL, _ENGINE_LABEL = "node.labels.", "engine.labels."


@dataclass(frozen=True)
class SwarmNode:
    """A node as the manager knows it. `raw` is its inspect, whose Spec must be sent whole with each change."""

    id: str
    hostname: str
    role: str
    availability: str
    state: str
    labels: Mapping[str, str]
    version: int
    raw: Mapping[str, Any] = field(repr=False, compare=False)

    @classmethod
    def from_inspect(cls, raw: Mapping[str, Any]) -> SwarmNode:
        """Return the node that the engine describes. One that never was ready has no description."""
        spec = raw["Spec"]
        return cls(
            id=raw["ID"],
            hostname=(raw.get("Description") or {}).get("Hostname") or "",
            role=spec.get("Role", ""),
            availability=spec["Availability"],
            state=(raw.get("Status") or {}).get("State", "unknown"),
            labels=spec.get("Labels") or {},
            version=raw["Version"]["Index"],
            raw=raw,
        )

    @property
    def name(self) -> str:
        """How words for the reader call it."""
        return self.hostname or self.id

    @property
    def takes_tasks(self) -> bool:
        """Whether the swarm would give it a task now."""
        return self.state == "ready" and self.availability == "active"

    def meets(self, constraint: str) -> bool:
        """Return whether it meets a placement constraint, such as `node.labels.disk==ssd`; what is not known counts."""
        key, operator, wanted = _split(constraint)
        found = self._value(key)
        if found is None or not operator:
            return True
        return (found.lower() == wanted.lower()) is (operator == "==")

    def as_result(self) -> dict[str, Any]:
        """Return the node as a result key shows it."""
        return {"id": self.id, "hostname": self.hostname, "availability": self.availability, "state": self.state}

    def _value(self, key: str) -> str | None:
        known = dict(zip(_NODE_KEYS, (self.id, self.hostname, self.role)))
        if key.startswith(_NODE_LABEL):
            return self.labels.get(key[len(_NODE_LABEL) :], "")
        if key.startswith(_ENGINE_LABEL):
            engine = (self.raw.get("Description") or {}).get("Engine") or {}
            return str((engine.get("Labels") or {}).get(key[len(_ENGINE_LABEL) :], ""))
        return known.get(key)


@dataclass(frozen=True)
class Service:
    """A service: `replicas` is how many tasks are to run, or None where it is not replicated.

    `raw` is its inspect, whose Spec must be sent whole with each change.
    """

    id: str
    name: str
    mode: str
    replicas: int | None
    constraints: tuple[str, ...] = ()
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_inspect(cls, raw: Mapping[str, Any]) -> Service:
        """Return the service that the engine describes."""
        spec = raw["Spec"]
        mode, detail = next(iter((spec.get("Mode") or {_REPLICATED: {}}).items()))
        placement = (spec.get("TaskTemplate") or {}).get("Placement") or {}
        return cls(
            id=raw["ID"],
            name=spec.get("Name") or raw["ID"],
            mode=mode,
            replicas=int((detail or {}).get("Replicas", 1)) if mode == _REPLICATED else None,
            constraints=tuple(placement.get("Constraints") or ()),
            raw=raw,
        )

    @property
    def is_global(self) -> bool:
        """Whether it has a task on each node."""
        return self.mode == _GLOBAL

    def fits(self, node: SwarmNode) -> bool:
        """Return whether the node meets its placement constraints."""
        return all(node.meets(constraint) for constraint in self.constraints)


@dataclass(frozen=True)
class Task:
    """A task of a service; `words` are what the engine says of its state, `version` grows with each change.

    `failed` tells that these words are of an error.
    """

    id: str
    service_id: str
    slot: int
    node_id: str
    state: str
    desired: str
    words: str
    failed: bool
    version: int

    @classmethod
    def from_inspect(cls, raw: Mapping[str, Any]) -> Task:
        """Return the task that the engine describes. A task of a global service has no slot, a pending one no node."""
        status = raw.get("Status") or {}
        return cls(
            id=raw["ID"],
            service_id=raw.get("ServiceID") or "",  # a network attachment of a single container has no service
            slot=int(raw.get("Slot") or 0),
            node_id=raw.get("NodeID") or "",
            state=status.get("State", "new"),
            desired=raw.get("DesiredState", ""),
            words=status.get("Err") or status.get("Message") or "",
            failed=bool(status.get("Err")),
            version=raw["Version"]["Index"],
        )

    @property
    def live(self) -> bool:
        """Whether it runs, or is about to."""
        return self.state in _LIVE

    @property
    def runs(self) -> bool:
        """Whether it runs, and is to go on."""
        return self.state == "running" and self.desired == "running"


@dataclass(frozen=True)
class Swarm:
    """What a manager knows at one moment."""

    nodes: tuple[SwarmNode, ...]
    services: Mapping[str, Service]
    tasks: tuple[Task, ...]

    def node(self, node_id: str) -> SwarmNode | None:
        """Return the node of this ID, or None."""
        return next((node for node in self.nodes if node.id == node_id), None)

    def live_on(self, node_id: str) -> tuple[Task, ...]:
        """Return the tasks that run on the node, or are about to; those that were told to stop run until they do."""
        return tuple(task for task in self.tasks if task.node_id == node_id and task.live)

    def services_of(self, tasks: Iterable[Task]) -> tuple[Service, ...]:
        """Return the services of the tasks, by name. One that was removed is left out."""
        found = {task.service_id: self.services[task.service_id] for task in tasks if task.service_id in self.services}
        return tuple(sorted(found.values(), key=lambda service: service.name))

    def running(self, service: Service, *, but_on: str = "") -> int:
        """Return how many tasks of the service run and are to go on, those on the node `but_on` not counted."""
        return sum(1 for task in self.tasks if task.service_id == service.id and task.runs and task.node_id != but_on)

    def name_of(self, task: Task) -> str:
        """Return the name of a task as `docker service ps` shows it; of a global service, that of its node."""
        service = self.services.get(task.service_id)
        node = self.node(task.node_id)
        part = str(task.slot) if task.slot else (node.name if node else task.id)
        return f"{service.name if service else task.service_id}.{part}"


def as_results(swarm: Swarm, tasks: Iterable[Task]) -> list[dict[str, Any]]:
    """Return the services of the tasks as a result key shows them, with how many of the tasks each has."""
    tasks = tuple(tasks)
    return [
        {
            "name": service.name,
            "id": service.id,
            "mode": service.mode.lower(),
            "tasks": sum(1 for task in tasks if task.service_id == service.id),
        }
        for service in swarm.services_of(tasks)
    ]


def _split(constraint: str) -> tuple[str, str, str]:
    for operator in ("==", "!="):
        key, found, value = constraint.partition(operator)
        if found:
            return key.strip(), operator, value.strip()
    return constraint, "", ""
