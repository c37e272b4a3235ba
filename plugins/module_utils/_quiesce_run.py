# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring the users of volumes to rest while a block runs, and always bring them back.

Before anybody is stopped, the engine has a volume whose label says who will be. It is removed when all are back. So
whatever is killed, the next run finds it, and brings them back with `resume_interrupted`.
"""

from __future__ import annotations

import atexit
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.voltainer.volumes.plugins.module_utils._errors import (
    EngineError,
    RefusedError,
    VolumesError,
    together,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._holder import own_container
from ansible_collections.voltainer.volumes.plugins.module_utils._quiesce import (
    GLOBAL,
    QuiesceWanted,
    Rest,
    RestContainer,
    RestService,
    UsersFound,
    interrupted_step,
    plan_rest,
    spec_constrained,
    spec_scaled,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._quiesce_back import (
    Going,
    bring_back,
    patiently,
    stopping,
    updated,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._quiesce_engine import (
    STOP_SLACK_SECONDS,
    QuiesceEngine,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._quiesce_record import (
    is_current,
    made,
    records,
    refuse_others,
    taken_over,
    used_ids,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._signals import Signals, caught
from ansible_collections.voltainer.volumes.plugins.module_utils._swarm import Service, Task
from ansible_collections.voltainer.volumes.plugins.module_utils._usage import Users
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import Volume

_POLL_SECONDS = 0.2
# What a container exits with that was killed.
_KILLED = 137


@dataclass
class Resting:
    """What came of it: for how many `seconds` somebody was not at work, set at the end, and what to warn of."""

    seconds: float = 0.0
    warnings: list[str] = field(default_factory=list)


@dataclass
class Resumed:
    """What `resume_interrupted` did, in words, and what to warn of."""

    actions: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def look_for_rest(engine: QuiesceEngine, wanted: QuiesceWanted, volumes: Sequence[str], users: Users) -> Rest:
    """Return who is to rest of the `users` of `volumes`. Raises VolumesError where somebody cannot; changes nothing."""
    if (wanted.mode, wanted.services) == ("none", "none"):
        return Rest(tuple(volumes))
    containers = {}
    for use in users.containers:
        container = engine.container(use.container_id) if use.mounted else None
        if container:
            containers[container.id] = container
    ids = {use.service_id for use in users.services} if wanted.services == "scale" else set()
    services = {service.id: service for service in map(engine.service, sorted(ids)) if service}
    tasks = engine.tasks_of(services) if services else ()
    return plan_rest(wanted, volumes, UsersFound(users, containers, services, tasks, own_container()))


@contextmanager
def quiesced(engine: QuiesceEngine, rest: Rest, *, timeout: int) -> Iterator[Resting]:
    """Bring all of `rest` to rest, run the block, and bring them back, whatever happens.

    Raises what the block raises; VolumesError where somebody could not be brought to rest, and all are back; and where
    somebody could not be brought back, which the next run tries again. Signals that ask the process to end raise
    SignalledError in the block, with all brought back.
    """
    resting = Resting()
    if not rest:
        yield resting
        return
    with caught() as signals, ExitStack() as stack:
        record = made(engine, rest, timeout, stack)
        run = _Run(engine, record, resting, signals)
        # A signal that comes after the block, and before this function goes on, ends the caller without it.
        atexit.register(run.end)
        at_rest = False
        try:
            try:
                run.begin()
                at_rest = True
                with signals.open():
                    yield resting
            finally:
                signals.close()
        except BaseException as exc:
            run.end(exc)
            if not at_rest and isinstance(exc, VolumesError):
                exc.way_out = " ".join(filter(None, ["All its users are as before.", exc.way_out]))
            raise
        else:
            run.end()
        finally:
            atexit.unregister(run.end)
        # One that came while they were brought back.
        signals.check()


def resume_interrupted(engine: QuiesceEngine, volume: str | None, *, check_mode: bool = False) -> Resumed:
    """Bring back whom runs left at rest that were ended midway, whatever volume these were about, or only tell it.

    Raises RefusedError where one that concerns `volume` goes on, or may, and VolumesError where it cannot be ended. For
    other volumes, and for all where `volume` is None, the first is let alone, and the second is a warning.
    """
    resumed = Resumed()
    found, unreadable = records(engine)
    resumed.warnings += [
        f"The volume '{name}' should say whom a run brought to rest, and is unreadable: see to its users, and remove it"
        for name in unreadable
    ]
    used = used_ids(engine.users(volume)) if volume and found else frozenset()
    for rest, state in found:
        concerns = volume is not None and (volume in rest.volumes or bool(used & rest.ids))
        try:
            _resume(engine, rest, state, resumed, check_mode=check_mode)
        except RefusedError:
            if concerns:
                raise
        except VolumesError as exc:
            if concerns:
                raise
            resumed.warnings.append(str(exc))
    return resumed


def _resume(engine: QuiesceEngine, rest: Rest, state: Volume, resumed: Resumed, *, check_mode: bool) -> None:
    with taken_over(engine, rest, state):
        # Another run may have done it before this one had the hold.
        if not is_current(engine, rest):
            return
        if not check_mode:
            since = str(state.raw.get("CreatedAt") or "")
            going = Going(set(rest.ids), stopping(engine, rest, since), rest.timeout + STOP_SLACK_SECONDS)
            resumed.warnings += bring_back(engine, rest, going)
            engine.remove_volume(rest.volume)
        resumed.actions.append(interrupted_step(rest).words)


class _Run:
    """One run from the first call that brings somebody to rest to the last that brings somebody back."""

    def __init__(self, engine: QuiesceEngine, rest: Rest, resting: Resting, signals: Signals) -> None:
        self._engine = engine
        self._rest = rest
        self._resting = resting
        self._signals = signals
        self._going = Going(patience=rest.timeout + STOP_SLACK_SECONDS)
        self._began: float | None = None
        self._ended = False

    def begin(self) -> None:
        """Bring all to rest, or raise VolumesError."""
        used = frozenset(used_id for name in self._rest.volumes for used_id in used_ids(self._engine.users(name)))
        refuse_others(self._engine, self._rest, used)
        for service in self._rest.services:
            self._signals.check()
            self._take_tasks(service)
        self._wait_for_tasks()
        for container in self._rest.containers:
            self._signals.check()
            self._take(container)
        writing = self._writing()
        if writing:
            why = f"while the others were brought to rest, {writing} began to write to it"
            raise RefusedError(self._what, why, "Find out who started it, and run the task again")

    def end(self, after: BaseException | None = None) -> None:
        """Bring all back that were brought to rest. Raises VolumesError, with what was raised before that, `after`."""
        if self._ended:
            return
        self._ended = True
        if after is None:
            with suppress(VolumesError):
                patiently(self._warn_of_writers)
        try:
            self._resting.warnings += bring_back(self._engine, self._rest, self._going)
        except VolumesError as exc:
            if after is None or not isinstance(after, Exception):
                raise
            raise together("The next task that uses the volume's data tries again", [_told(after), exc]) from after
        finally:
            if self._began is not None:
                back_at = self._going.back_at
                self._resting.seconds = (time.monotonic() if back_at is None else back_at) - self._began
        try:
            self._engine.remove_volume(self._rest.volume)
        except VolumesError as exc:
            # They are back, which the next run finds out, too.
            self._resting.warnings.append(f"All are back that were at rest, and this is left: {exc}")

    @property
    def _what(self) -> str:
        return f"Cannot bring the users of the volume '{self._rest.volumes[0]}' to rest"

    def _touch(self, one: RestContainer | RestService) -> None:
        self._began = self._began or time.monotonic()
        self._going.begun.add(one.id)

    def _take_tasks(self, one: RestService) -> None:
        def change(service: Service) -> dict[str, Any]:
            if one.mode == GLOBAL:
                return spec_constrained(service.raw["Spec"], self._rest.constraint)
            if service.replicas != one.replicas:
                self._going.begun.discard(one.id)
                why = f"somebody else scaled {one.words} from {one.replicas} to {service.replicas} meanwhile"
                raise RefusedError(self._what, why, "Run the task again")
            return spec_scaled(service.raw["Spec"], 0)

        self._touch(one)
        if not updated(self._engine, one.id, change):
            self._going.begun.discard(one.id)

    def _wait_for_tasks(self) -> None:
        ids = [one.id for one in self._rest.services if one.id in self._going.begun]
        end = time.monotonic() + self._rest.timeout
        while ids:
            live = [task for task in self._engine.tasks_of(ids) if task.live]
            if not live:
                return
            if time.monotonic() >= end:
                raise self._not_gone(live)
            with self._signals.open():
                time.sleep(_POLL_SECONDS)

    def _not_gone(self, tasks: Iterable[Task]) -> EngineError:
        names = {one.id: one.name for one in self._rest.services}
        nodes = {node.id: node.name for node in self._engine.nodes()}
        left = sorted(
            f"a task of the service '{names[task.service_id]}' is {task.state} on the node"
            f" '{nodes.get(task.node_id, task.node_id)}'"
            for task in tasks
        )
        return EngineError(
            self._what,
            f"within {self._rest.timeout} seconds these did not end: {'; '.join(left)}",
            "Find out what keeps them, or give more time with 'quiesce_timeout'",
            not_at_rest=left,
        )

    def _take(self, one: RestContainer) -> None:
        now = self._engine.container(one.id)
        # Somebody else stopped or paused it meanwhile: it is not ours to bring back.
        if now is None or not now.runs:
            return
        self._touch(one)
        if one.action == "pause":
            self._engine.pause_container(one)
        else:
            self._stop(one)

    def _stop(self, one: RestContainer) -> None:
        self._going.stopping = one.id
        began = time.monotonic()
        with self._signals.open():
            try:
                self._engine.stop_container(one, self._rest.timeout)
            except EngineError as exc:
                raise EngineError(self._what, str(exc), status=exc.status, not_at_rest=[one.name]) from exc
        took = time.monotonic() - began
        now = self._engine.container(one.id)
        if now and now.runs:
            why = f"{one.words} did not stop within {self._rest.timeout} seconds"
            raise EngineError(self._what, why, "Find out what keeps it", not_at_rest=[one.name])
        self._going.stopping = ""
        if now and now.exit_code == _KILLED and took >= self._rest.timeout:
            self._warn_of(
                f"{one.words} did not stop by itself within {self._rest.timeout} seconds and was killed;"
                " 'quiesce_timeout' gives more time"
            )

    def _writing(self) -> str:
        """Return who writes to the volumes at this moment though nobody should, in words."""
        if self._rest.mode == "none":
            return ""
        ours = {one.id for one in self._rest.services}
        uses = [use for name in self._rest.volumes for use in self._engine.users(name).containers]
        ids = {use.container_id for use in uses if use.mounted and not use.read_only and use.service_id not in ours}
        # A list may still have one as running whose stop has come to its end (26.1); its inspect does not.
        found = [container for container in map(self._engine.container, ids) if container and container.works]
        return ", ".join(f"the container '{name}'" for name in sorted(container.name for container in found))

    def _warn_of_writers(self) -> None:
        writing = self._writing()
        if writing:
            self._warn_of(f"{writing} ran while it should rest: the data may have changed meanwhile")

    def _warn_of(self, words: str) -> None:
        self._resting.warnings.append(words[0].upper() + words[1:])


def _told(error: Exception) -> VolumesError:
    if isinstance(error, VolumesError):
        return error
    return VolumesError("The task failed", f"{type(error).__name__}: {error}")
