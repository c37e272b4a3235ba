# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copy a volume to a volume: observe, plan, bring the users to rest, fill, and let them go on."""

from __future__ import annotations

import itertools
import os
import secrets
from dataclasses import replace

from ansible_collections.voltainer.volumes.plugins.module_utils import _folders
from ansible_collections.voltainer.volumes.plugins.module_utils._copy_plan import (
    CopyFound,
    TargetState,
    plan_copy,
    writing,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._copy_wanted import CopyWanted
from ansible_collections.voltainer.volumes.plugins.module_utils._data_engine import DataEngine, elsewhere
from ansible_collections.voltainer.volumes.plugins.module_utils._entry import shown
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import RefusedError, after
from ansible_collections.voltainer.volumes.plugins.module_utils._fill import Unfinished
from ansible_collections.voltainer.volumes.plugins.module_utils._fill_run import (
    AtRest,
    VolumeContent,
    carry_out_fill,
    look_for_fill,
    settle_fill,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._helper import helper, why_not_here
from ansible_collections.voltainer.volumes.plugins.module_utils._plan import Outcome, Plan, Step
from ansible_collections.voltainer.volumes.plugins.module_utils._progress import Progress
from ansible_collections.voltainer.volumes.plugins.module_utils._quiesce_run import (
    Resumed,
    look_for_rest,
    resume_interrupted,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._reach import reach
from ansible_collections.voltainer.volumes.plugins.module_utils._stream import StreamContent, digest_of
from ansible_collections.voltainer.volumes.plugins.module_utils._transfer import RSYNC, Report, Transfer
from ansible_collections.voltainer.volumes.plugins.module_utils._tree import Difference, compare, has_data
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import Volume, masked_inspect


def copy_volume(engine: DataEngine, wanted: CopyWanted, check_mode: bool) -> Outcome:
    """Copy the volume, or in check mode only tell what would be done."""
    source = elsewhere(engine, wanted.source_host) if wanted.source_host else engine
    resumed = resume_interrupted(source, wanted.source, check_mode=check_mode)
    settled, words = _settle(engine, wanted, check_mode=check_mode)
    with after(words):
        found = _observe(engine, source, wanted, settled, check_mode=check_mode)
        plan = with_resumed(plan_copy(wanted, found), resumed)
    if check_mode or "mark" not in plan.verbs:
        return _outcome(engine, wanted, plan, Report())
    with Progress.from_environment() as progress:
        content = _content(engine, source, wanted, progress, found)
        steps = itertools.dropwhile(lambda step: step.verb != "mark", plan.steps)
        resting = carry_out_fill(engine, steps, content, AtRest(source, found.rest, wanted.quiesce.timeout))
    content.report.warnings += resting.warnings
    return _outcome(engine, wanted, plan, content.report, resting.seconds)


def _content(
    engine: DataEngine, source: DataEngine, wanted: CopyWanted, progress: Progress, found: CopyFound
) -> VolumeContent | StreamContent:
    if source is not engine or why_not_here(engine):
        return StreamContent(
            source, wanted.source, verify=wanted.verify, elsewhere=source is not engine, progress=progress
        )
    hot, at_rest = bool(writing(found.source_users)), bool(found.rest)
    return VolumeContent(Transfer(wanted.source, hot=hot, at_rest=at_rest, verify=wanted.verify, progress=progress))


def with_resumed(plan: Plan, resumed: Resumed) -> Plan:
    """Return the plan with what was done already for those whom a killed run left at rest."""
    steps = tuple(Step("resume", words) for words in resumed.actions)
    return replace(plan, steps=(*steps, *plan.steps), warnings=(*plan.warnings, *resumed.warnings))


def _settle(engine: DataEngine, wanted: CopyWanted, *, check_mode: bool) -> tuple[Unfinished | None, str]:
    """Bring an interrupted fill of the target to an end, in check mode only look for it.

    Return what it was, and what became of it, as a sentence.
    """
    unfinished = look_for_fill(engine, wanted.target.name)
    if unfinished is None or check_mode:
        return unfinished, ""
    return unfinished, settle_fill(engine, wanted.target.name, confirmed=wanted.target.confirmed)


def _observe(
    engine: DataEngine,
    source_engine: DataEngine,
    wanted: CopyWanted,
    unfinished: Unfinished | None,
    *,
    check_mode: bool,
) -> CopyFound:
    name = wanted.target.name
    source, target = source_engine.volume(wanted.source), engine.volume(name)
    state: TargetState = "absent"
    differing: tuple[str, ...] = ()
    if check_mode and unfinished and unfinished.fill.created and not unfinished.mark:
        # What is there of it is not complete, and would go.
        target = None
    if source and target:
        if source_engine is not engine or why_not_here(engine):
            state = _compare_streams(engine, source_engine, source, target)
        else:
            state, differing = _compare(engine, source, target, may_write=not check_mode)
    driver, users = wanted.target.driver, source_engine.users(wanted.source)
    return CopyFound(
        source=source,
        target=target,
        state=state,
        source_users=users,
        rest=look_for_rest(source_engine, wanted.quiesce, [wanted.source], users) if state != "equal" else None,
        target_users=engine.users(name),
        differing=differing,
        can_exchange=_can_exchange(engine, target),
        why_no_sync=_why_no_sync(engine, source_engine),
        driver_ready=engine.driver_ready(driver) if target is None and driver else None,
        unfinished=unfinished.fill if unfinished else None,
        nonce=secrets.token_hex(8),
    )


def _why_no_sync(engine: DataEngine, source: DataEngine) -> str:
    if source is not engine or why_not_here(engine):
        return "that needs both volumes on the host where the module runs"
    return "" if os.access(RSYNC, os.X_OK) else "rsync is missing on the engine's host"


def _compare_streams(engine: DataEngine, source_engine: DataEngine, source: Volume, target: Volume) -> TargetState:
    """Return what the target is in comparison with a source on another engine, by reading all of both."""
    with reach(engine, {target.name: False}) as at:
        keeps = at.keeps(target.name, may_write=False)
        there = digest_of(at, target.name, keeps) if at.has_data(target.name) else None
    with reach(source_engine, {source.name: False}) as at:
        if there is None:
            return "empty" if at.has_data(source.name) else "equal"
        return "equal" if digest_of(at, source.name, keeps).hexdigest() == there.hexdigest() else "differs"


def _can_exchange(engine: DataEngine, target: Volume | None) -> bool:
    if why_not_here(engine):
        return False
    if target is None or not target.definition.is_local:
        return True
    return not _folders.why_unreachable(target.mountpoint, engine_is_here=engine.is_here)


def _compare(
    engine: DataEngine, source: Volume, target: Volume, *, may_write: bool
) -> tuple[TargetState, tuple[str, ...]]:
    """Return what the target is in comparison with the source, and some of what differs."""
    with helper(engine, {source.name: False, target.name: may_write}) as at:
        if at.overlap(source.name, target.name):
            raise RefusedError(
                f"Cannot copy the volume '{source.name}' to '{target.name}'",
                "one is the other, or a folder in it: both refer to the same place of the host",
                "Look at their 'driver_options', and copy to a place outside",
            )
        here, there = at.open(source.name), at.open(target.name)
        if not has_data(there):
            return ("empty" if has_data(here) else "equal"), ()
        keeps = at.keeps(target.name, may_write=may_write)
        differing = compare(here, there, keeps, fast=True)
    return "differs" if differing else "equal", tuple(_words(one, source, target) for one in differing)


def _words(one: Difference, source: Volume, target: Volume) -> str:
    what = one.what.replace("in the first", f"in '{source.name}'").replace("in the second", f"in '{target.name}'")
    return f"'{shown(one.path)}' {what if what.startswith('is ') else f'differs: {what}'}"


def _outcome(engine: DataEngine, wanted: CopyWanted, plan: Plan, report: Report, quiesced: float = 0.0) -> Outcome:
    volume = engine.volume(wanted.target.name)
    plan = replace(plan, warnings=(*plan.warnings, *report.warnings))
    return Outcome(
        plan,
        {
            "volume": masked_inspect(volume, wanted.target.secret_options) if volume else None,
            "bytes": report.bytes,
            "files": report.files,
            "sockets_skipped": report.sockets,
            "not_kept": report.not_kept,
            "changed_while_reading": report.changed,
            "unverified": report.unverified,
            "seconds_copying": round(report.seconds, 3),
            "seconds_verifying": round(report.verify_seconds, 3),
            "seconds_quiesced": round(quiesced, 3),
        },
    )
