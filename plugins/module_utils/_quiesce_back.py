# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring back those who were brought to rest, each as far as it still is as it was left."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, TypeVar

from ansible_collections.voltainer.volumes.plugins.module_utils._errors import (
    EngineError,
    EngineUnreachableError,
    VolumesError,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._quiesce import (
    GLOBAL,
    Container,
    Rest,
    RestContainer,
    RestService,
    spec_released,
    spec_scaled,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._quiesce_engine import (
    QuiesceEngine,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._swarm import Service
from ansible_collections.voltainer.volumes.plugins.module_utils._swarm_engine import OutOfSequenceError

Answer = TypeVar("Answer")

# How often a service is changed anew where somebody else changed it in between.
_TRIES = 10
_POLL_SECONDS = 0.5
# How long to wait for an engine that is started anew at this moment; its swarm takes some seconds more (26.1).
_PATIENCE_SECONDS = 60
# How long after its start a container that cannot run has ended, as far as it is worth to wait for it.
_SETTLE_SECONDS = 0.5
_NOT_TRIED = VolumesError("It could not be brought back", "it was not tried")


@dataclass
class Going:
    """How far all came on their way to rest: the IDs of those that were touched, and who may be about to stop.

    `stopping` is a container whose stop was asked for and not heard of, for which to wait `patience` seconds at most:
    the engine goes on with a stop where the client goes away (26.1). `back_at` is when the last was brought back.
    """

    begun: set[str] = field(default_factory=set)
    stopping: str = ""
    patience: float = 0.0
    back_at: float | None = None


def bring_back(engine: QuiesceEngine, rest: Rest, going: Going) -> list[str]:
    """Bring back those that `going` says were touched, in the opposite order; return what to warn of.

    Each is tried, whatever becomes of the others. Raises VolumesError, which names those that are not back.
    """
    back = _Back(engine, rest, going)
    end = time.monotonic() + _PATIENCE_SECONDS
    while back.tried() and time.monotonic() < end:
        time.sleep(_POLL_SECONDS)
    going.back_at = time.monotonic()
    if back.started:
        time.sleep(_SETTLE_SECONDS)
    wrong = back.wrong()
    if wrong:
        raise VolumesError(
            f"Those who use the volume '{rest.volumes[0]}' were brought to rest, and not all of them are back",
            "\n" + "\n".join(f"- {error}" for error in wrong.values()),
            "Mend that, or bring them back by hand. The next task that uses the volume's data tries it again, until the"
            f" volume '{rest.volume}' is removed, which says who they are",
            not_back=list(wrong),
        )
    return back.warnings


def patiently(call: Callable[[], Answer]) -> Answer:
    """Return what `call` returns, tried again while the engine is started anew. Raises what it raises at last."""
    end = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return call()
        except VolumesError as exc:
            if not _passes(exc) or time.monotonic() >= end:
                raise
        time.sleep(_POLL_SECONDS)


def stopping(engine: QuiesceEngine, rest: Rest, since: str) -> str:
    """Return the container that a run which was killed asked to stop and that may do so at any moment; "" if none.

    They are stopped one after the other, and started in the opposite order: it is the first that still runs, and none
    after it has stopped. `since` is when that run began, by the engine's clock.
    """
    stopped = [one for one in rest.containers if one.action == "stop"]
    running = [bool(now and now.runs) for now in (engine.container(one.id) for one in stopped)]
    first = running.index(True) if True in running else len(running)
    if first == len(running) or not all(running[first:]) or not engine.about_to_stop(stopped[first].id, since):
        return ""
    return stopped[first].id


def updated(
    engine: QuiesceEngine, service_id: str, change: Callable[[Service], Mapping[str, Any] | None]
) -> Service | None:
    """Change the specification of a service as it is now; return the service before that, or None where it is gone.

    `change` returns the new specification, or None where nothing is to be done.
    """
    for tries in range(_TRIES):
        service = engine.service(service_id)
        spec = change(service) if service else None
        if service is None or spec is None:
            return service
        try:
            return service if engine.update_service(service, spec) else None
        except OutOfSequenceError:
            if tries == _TRIES - 1:
                raise
    return None


class _Back:
    """The way back of all that were touched: those that are not back yet, each with why, and what to warn of."""

    def __init__(self, engine: QuiesceEngine, rest: Rest, going: Going) -> None:
        self._engine = engine
        self._rest = rest
        self._going = going
        self._everyone = [one for one in reversed(rest.everyone) if one.id in going.begun]
        self._failed = dict.fromkeys((one.id for one in self._everyone), _NOT_TRIED)
        self.warnings: list[str] = []
        self.started = False

    def tried(self) -> bool:
        """Try it with all that are not back; return whether it is worth to try it again."""
        for one in self._everyone:
            if one.id in self._failed:
                self._try(one)
        return any(map(_passes, self._failed.values()))

    def wrong(self) -> dict[str, str]:
        """Return who is not back, by name, and what is wrong with each; looked at when all were brought back."""
        wrong = {}
        for one in self._everyone:
            why = str(self._failed[one.id]) if one.id in self._failed else self._why_not_back(one)
            if why:
                wrong[one.name] = why
        return wrong

    def _try(self, one: RestContainer | RestService) -> None:
        try:
            self.warnings += self._service(one) if isinstance(one, RestService) else self._container(one)
            del self._failed[one.id]
        except VolumesError as exc:
            self._failed[one.id] = exc

    def _service(self, one: RestService) -> list[str]:
        def change(service: Service) -> Mapping[str, Any] | None:
            spec, constraint = service.raw["Spec"], self._rest.constraint
            if one.mode == GLOBAL:
                return spec_released(spec, constraint) if constraint in service.constraints else None
            return spec_scaled(spec, one.replicas) if service.replicas == 0 and one.replicas else None

        service = updated(self._engine, one.id, change)
        if service is None:
            return [f"{_upper(one.words)} is gone: somebody else removed it while it had no tasks"]
        if one.mode != GLOBAL and service.replicas not in {0, one.replicas}:
            return [
                f"{_upper(one.words)} was scaled to {service.replicas} by somebody else while it should have no tasks,"
                f" and is left so (before, it was {one.replicas}): the data may have changed meanwhile"
            ]
        return []

    def _container(self, one: RestContainer) -> list[str]:
        now = self._engine.container(one.id)
        if now and now.runs and self._going.stopping == one.id:
            now = self._after_its_stop(one)
        if now is None or now.state == "removing":
            return [f"{_upper(one.words)} is gone: somebody else removed it while it was at rest"]
        if now.state == "paused" and one.action == "stop":
            return [f"{_upper(one.words)} was started and paused by somebody else, and is left so"]
        if now.state == "paused":
            self._engine.unpause_container(one)
        elif not now.runs:
            # One that was paused does not run any more after the engine was started anew.
            self._engine.start_container(one)
            self.started = True
        return []

    def _after_its_stop(self, one: RestContainer) -> Container | None:
        end = time.monotonic() + self._going.patience
        while True:
            now = self._engine.container(one.id)
            if now is None or not now.runs or time.monotonic() >= end:
                return now
            time.sleep(_POLL_SECONDS)

    def _why_not_back(self, one: RestContainer | RestService) -> str:
        """Return what is wrong with a container that was started or unpaused; "" if nothing."""
        # Tasks of a service may take long to come up, and what comes of them is the swarm's.
        if isinstance(one, RestService):
            return ""
        try:
            now = self._engine.container(one.id)
        except VolumesError as exc:
            return str(exc)
        if now is None or now.runs or now.state == "removing":
            return ""
        if now.state == "paused":
            return f"{_upper(one.words)} is still paused" if one.action == "pause" else ""
        # What ended with 0 has come to its end.
        said = f": {now.error}" if now.error else ""
        failed = now.exit_code or now.error
        return (
            f"{_upper(one.words)} was started, and ended at once with exit code {now.exit_code}{said}" if failed else ""
        )


def _passes(error: VolumesError) -> bool:
    """Return whether it comes of an engine that is started anew."""
    return isinstance(error, EngineUnreachableError) or (
        isinstance(error, EngineError) and error.status == HTTPStatus.SERVICE_UNAVAILABLE
    )


def _upper(words: str) -> str:
    return words[0].upper() + words[1:]
