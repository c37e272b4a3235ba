# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The swarm of an engine that is a manager: nodes, services, tasks. A file of its own: one module needs it."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from ansible_collections.voltainer.volumes.plugins.module_utils._engine import Connection, Engine, path_of, reach
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import EngineError
from ansible_collections.voltainer.volumes.plugins.module_utils._swarm import Service, Swarm, SwarmNode, Task
from ansible_collections.voltainer.volumes.plugins.module_utils._transport import Request

# What the engine says where somebody else changed the node meanwhile, with status 500 (20.10 to 28.5).
OUT_OF_SEQUENCE = "update out of sequence"


class OutOfSequenceError(EngineError):
    """Somebody else, or the swarm itself, changed the node since it was looked at."""


def connect(connection: Connection) -> SwarmEngine:
    """Return the engine. Raises EngineUnreachableError, InvalidInputError and SdkMissingError."""
    return SwarmEngine(reach(connection))


class SwarmEngine(Engine):
    """An engine that is to be a manager of a swarm. That it is none is an error of each call."""

    def nodes(self) -> tuple[SwarmNode, ...]:
        """Return the nodes, by hostname."""
        listed = self._ask_manager("Cannot list the nodes of the swarm", Request("GET", "/nodes"))
        return tuple(sorted(map(SwarmNode.from_inspect, listed or ()), key=lambda node: (node.hostname, node.id)))

    def swarm(self) -> Swarm:
        """Return all that a manager knows: nodes, services, and tasks with those that ended."""
        services = self._ask_manager("Cannot list the services of the swarm", Request("GET", "/services"))
        tasks = self._ask_manager("Cannot list the tasks of the swarm", Request("GET", "/tasks"))
        # The nodes last: a node that takes no tasks any more by then is not counted on.
        return Swarm(
            self.nodes(),
            {raw["ID"]: Service.from_inspect(raw) for raw in services or ()},
            tuple(map(Task.from_inspect, tasks or ())),
        )

    def update_node(self, node: SwarmNode, availability: str, labels: Mapping[str, str]) -> None:
        """Set availability and labels in one call. Raises OutOfSequenceError where `node` is not how it is any more."""
        what = f"Cannot change the node '{node.name}'"
        # What the body leaves out would be taken away.
        body = {**node.raw["Spec"], "Availability": availability, "Labels": dict(labels)}
        try:
            self._ask_manager(
                what, Request("POST", f"{path_of('nodes', node.id)}/update", {"version": node.version}, body)
            )
        except EngineError as exc:
            if OUT_OF_SEQUENCE not in exc.why:
                raise
            way_out = "Somebody else changes the node at the same time: run the task again"
            raise OutOfSequenceError(what, exc.why, way_out, status=exc.status) from exc

    def _ask_manager(self, what: str, request: Request) -> Any:
        try:
            return self._ask(what, request)
        except EngineError as exc:
            if exc.status != HTTPStatus.SERVICE_UNAVAILABLE:
                raise
            raise EngineError(what, exc.why, _way_out(exc.why), status=exc.status) from exc


def _way_out(why: str) -> str:
    if "not a swarm manager" in why:
        return "Run the task on a manager of the swarm, with 'delegate_to'"
    # Managers that cannot agree: "rpc error: ... The swarm does not have a leader. ..."
    return "See that more than half of the swarm's managers run and reach each other"
