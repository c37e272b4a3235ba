# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove volumes that nobody needs: look, judge, and then each by its name, never more than was judged."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from http import HTTPStatus

from ansible_collections.voltainer.volumes.plugins.module_utils._engine import Engine
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import (
    EngineError,
    EngineUnreachableError,
    VolumesError,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._plan import Outcome
from ansible_collections.voltainer.volumes.plugins.module_utils._prune import (
    PruneWanted,
    Verdict,
    failed,
    judge,
    plan_prune,
    undatable,
    unlike,
    values,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._reference import driver_key
from ansible_collections.voltainer.volumes.plugins.module_utils._survey_run import survey
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import Volume
from ansible_collections.voltainer.volumes.plugins.module_utils._volume_filter import VolumeFilter, parse_time
from ansible_collections.voltainer.volumes.plugins.module_utils._volume_size import measure


def prune_volumes(engine: Engine, wanted: PruneWanted, check_mode: bool) -> Outcome:
    """Remove the volumes that are to go, or in check mode only tell which those are."""
    # Only the drivers are filtered here: of the other volumes it is to be told why they stay.
    found = survey(engine, VolumeFilter(drivers=wanted.filters.drivers), wanted.seconds)
    node = engine.node()
    verdicts = judge(wanted, found, parse_time(node.time))
    warnings = [*found.warnings, *undatable(verdicts)]
    if wanted.size:
        sizes = measure((one.volume for one in verdicts if one.action == "remove"), engine_is_here=engine.is_here)
        verdicts = [replace(one, size=sizes.by_name.get(one.volume.name)) for one in verdicts]
        warnings += sizes.warnings
    if node.worker and any(one.action == "remove" and not one.volume.anonymous for one in verdicts):
        warnings.append(
            "This engine is a worker of a swarm and knows no services: whether a service mounts one of these volumes,"
            " only a manager can tell"
        )
    removal = _Removal(engine, wanted.seconds)
    if not check_mode:
        verdicts = [removal.carry_out(one) if one.action == "remove" else one for one in verdicts]
    return Outcome(
        plan_prune(verdicts, [*warnings, *removal.warnings]),
        values(verdicts, measured=wanted.size),
        failed(removal.errors) if removal.errors else None,
    )


@dataclass
class _Removal:
    """Removes volumes one by one. What goes wrong with one is noted, and the others go on."""

    engine: Engine
    seconds: float
    warnings: list[str] = field(default_factory=list)
    errors: list[VolumesError] = field(default_factory=list)
    # Drivers that did not answer in time: each further call would cost as much again.
    silent: set[str] = field(default_factory=set)
    # The connection to the engine broke.
    lost: bool = False

    def carry_out(self, planned: Verdict) -> Verdict:
        """Remove the volume, and return what became of it."""
        volume = planned.volume
        if self.lost or driver_key(volume.driver) in self.silent:
            silent = "the engine" if self.lost else f"the driver '{driver_key(volume.driver)}'"
            return replace(planned, action="keep", reason=f"it was not touched any more, since {silent} did not answer")
        try:
            done = self._remove(planned)
        except VolumesError as exc:
            self._note(volume, exc)
            return replace(planned, action="keep", reason=f"its removal failed: {exc.why}")
        if done.action == "keep":
            self.warnings.append(f"The volume '{volume.name}' stays: {done.reason}")
        return done

    def _remove(self, planned: Verdict) -> Verdict:
        volume = planned.volume
        # The plan may be minutes old by now.
        now = self._look_again(volume)
        if now is None:
            return replace(planned, action="gone", reason="somebody else removed it meanwhile")
        if unlike(volume, now):
            return replace(planned, action="keep", reason="it was changed meanwhile")
        users = self.engine.users(volume.name)
        if users:
            return replace(planned, action="keep", reason=f"it is in use meanwhile by {users}")
        try:
            there = self.engine.remove_volume(volume.name)
        except EngineError as exc:
            if exc.status != HTTPStatus.CONFLICT:
                raise
            return replace(planned, action="keep", reason=f"the engine does not let it go: {exc.why}")
        return planned if there else replace(planned, action="gone", reason="the engine did not know it any more")

    def _look_again(self, volume: Volume) -> Volume | None:
        if volume.definition.is_local:
            return self.engine.volume(volume.name)
        # By the list: an inspect would make the engine forget the volume's labels where the driver fails by now.
        listing = self.engine.volumes(volume.driver, seconds=self.seconds)
        if listing.warnings:
            raise EngineError(f"Cannot list the volumes of '{volume.driver}'", "; ".join(listing.warnings))
        return next((one for one in listing.volumes if one.name == volume.name), None)

    def _note(self, volume: Volume, exc: VolumesError) -> None:
        self.errors.append(exc)
        self.lost = isinstance(exc, EngineUnreachableError)
        # The engine's own driver is only slow where a volume is large.
        if isinstance(exc, EngineError) and exc.status is None and not volume.definition.is_local:
            self.silent.add(driver_key(volume.driver))
