# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's containers and services, as far as they are brought to rest and back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import closing
from http import HTTPStatus
from typing import Any

from ansible_collections.voltainer.volumes.plugins.module_utils._engine import path_of, told
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import EngineError
from ansible_collections.voltainer.volumes.plugins.module_utils._quiesce import Container, RestContainer
from ansible_collections.voltainer.volumes.plugins.module_utils._swarm import Service, Task
from ansible_collections.voltainer.volumes.plugins.module_utils._swarm_engine import (
    OUT_OF_SEQUENCE,
    OutOfSequenceError,
    SwarmEngine,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._transport import Request
from ansible_collections.voltainer.volumes.plugins.module_utils._volume_filter import parse_time

# After its time a container is killed, and the engine waits for its end some seconds more (20.10 to 28.5).
STOP_SLACK_SECONDS = 30
# How many events the engine remembers.
_EVENTS = 256


class QuiesceEngine(SwarmEngine):
    """Containers of this engine; and services, where it manages a swarm. What is gone is None, or False."""

    def container(self, container: str) -> Container | None:
        """Return the container of this ID, or None."""
        try:
            path = f"{path_of('containers', container)}/json"
            raw = self._ask(f"Cannot inspect the container '{container[:12]}'", Request("GET", path))
        except EngineError as exc:
            if exc.status == HTTPStatus.NOT_FOUND:
                return None
            raise
        return Container.from_inspect(raw, own=raw["Id"] in self.own_helpers)

    def pause_container(self, container: Container | RestContainer) -> bool:
        """Freeze the container; return whether it was still there."""
        return self._container_is(container, "pause")

    def unpause_container(self, container: Container | RestContainer) -> bool:
        """Let a paused container go on; return whether it was still there."""
        try:
            return self._container_is(container, "unpause")
        except EngineError as exc:
            # With status 500 (26.1).
            if "is not paused" in exc.why:
                return True
            raise

    def stop_container(self, container: Container | RestContainer, seconds: int) -> bool:
        """Ask the container to end, and kill it after `seconds`; return, after its end, whether it was still there.

        The engine goes on with it where the client goes away (26.1).
        """
        return self._container_is(container, "stop", {"t": seconds}, seconds=seconds + STOP_SLACK_SECONDS)

    def start_container(self, container: Container | RestContainer) -> bool:
        """Start the container, or leave it running; return whether it was still there."""
        return self._container_is(container, "start")

    def about_to_stop(self, container: str, since: str) -> bool:
        """Return whether a stop of the container that was asked for since then goes on, or may.

        `since` is by the engine's clock, as RFC 3339.
        """
        began, now = parse_time(since), parse_time(self.node().time)
        if began is None or now is None:
            return True
        what = "Cannot read the engine's events"
        # Until the end of this second, since these times have no fractions: the engine waits until then.
        times = {"since": int(began.timestamp()), "until": int(now.timestamp()) + 1}
        request = Request("GET", "/events", times)
        seconds = self._patience(slow=False)
        with told(what, seconds), closing(self._transport.stream(request, seconds)) as stream:
            events = list(stream)
        # The engine remembers so many of all kinds, until it is started anew, which ends each stop, too (26.1).
        if len(events) >= _EVENTS:
            return True
        own = [event.get("Action") for event in events if (event.get("Actor") or {}).get("ID") == container]
        # A stop begins with a signal, which is told so; then the container dies.
        told_of = [action for action in own if action in {"kill", "die", "start"}]
        return bool(told_of) and told_of[-1] == "kill"

    def service(self, service: str) -> Service | None:
        """Return the service of this ID, or None."""
        try:
            raw = self._ask_manager(f"Cannot inspect the service '{service}'", Request("GET", f"/services/{service}"))
        except EngineError as exc:
            if exc.status == HTTPStatus.NOT_FOUND:
                return None
            raise
        return Service.from_inspect(raw)

    def update_service(self, service: Service, spec: Mapping[str, Any]) -> bool:
        """Give the service this specification; return whether it was still there.

        Raises OutOfSequenceError where `service` is not how it is any more. Without a login in the request, the engine
        keeps the one that the service has (20.10 to 28.5).
        """
        what = f"Cannot change the service '{service.name}'"
        request = Request(
            "POST",
            f"/services/{service.id}/update",
            {"version": service.raw["Version"]["Index"]},
            dict(spec),
        )
        try:
            self._ask_manager(what, request)
        except EngineError as exc:
            if exc.status == HTTPStatus.NOT_FOUND:
                return False
            if OUT_OF_SEQUENCE not in exc.why:
                raise
            way_out = "Somebody else changes the service at the same time: run the task again"
            raise OutOfSequenceError(what, exc.why, way_out, status=exc.status) from exc
        return True

    def tasks_of(self, services: Iterable[str]) -> tuple[Task, ...]:
        """Return the tasks of the services with these IDs, on all nodes, and those that ended with them."""
        query = {"filters": json.dumps({"service": list(services)})}
        listed = self._ask_manager("Cannot list the tasks of services", Request("GET", "/tasks", query))
        return tuple(map(Task.from_inspect, listed or ()))

    def _container_is(
        self,
        container: Container | RestContainer,
        verb: str,
        query: Mapping[str, Any] | None = None,
        *,
        seconds: float | None = None,
    ) -> bool:
        request = Request("POST", f"{path_of('containers', container.id)}/{verb}", query)
        try:
            # Volumes are mounted when a container starts, which their driver must answer.
            self._ask(f"Cannot {verb} the container '{container.name}'", request, slow=True, seconds=seconds)
        except EngineError as exc:
            if exc.status == HTTPStatus.NOT_FOUND and "No such container" in exc.why:
                return False
            # It does, or is, what it was asked for already.
            if exc.status != HTTPStatus.NOT_MODIFIED:
                raise
        return True
