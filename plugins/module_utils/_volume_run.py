# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring volumes to what is wanted: observe all, plan all, then apply one after another."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Optional

from ansible_collections.voltainer.volumes.plugins.module_utils._engine import Engine
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import (
    EngineError,
    EngineUnreachableError,
    VolumesError,
    together,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._plan import Outcome, Plan
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import Volume, masked_inspect
from ansible_collections.voltainer.volumes.plugins.module_utils._volume_change import carry_out, settle
from ansible_collections.voltainer.volumes.plugins.module_utils._volume_look import Look
from ansible_collections.voltainer.volumes.plugins.module_utils._volume_plan import (
    VolumeFound,
    missing_driver_words,
    plan_volume,
    settle_step,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._volume_steps import (
    changed_meanwhile,
    create_volume,
    remove_volume,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._volume_wanted import VolumesWanted, VolumeWanted

# In threads the local driver makes and removes volumes in half the time (measured on 20.10 with two cores), and more
# threads help no more. A plugin may not be up to it, and few volumes are not worth it.
_THREADS = 4
_MANY = 16

Planned = tuple[VolumeWanted, VolumeFound, Plan]
# The plan as it was carried out, and the volume as it then is.
Done = tuple[VolumeWanted, Plan, Optional[Volume]]


def converge_volumes(engine: Engine, wanted: VolumesWanted, check_mode: bool) -> Outcome:
    """Bring the volumes to what is wanted, or in check mode only tell what would be done.

    All are planned before the first is changed. Where the change of one fails, the others are changed nevertheless.
    """
    planned = _plan_all(engine, wanted.items)
    if check_mode:
        return _outcome([(item, plan, found.volume) for item, found, plan in planned], single=wanted.single)
    applied = _apply_all(engine, planned)
    done = [one for one in applied if not isinstance(one, VolumesError)]
    errors = [one for one in applied if isinstance(one, VolumesError)]
    if errors and wanted.single:
        raise errors[0]
    outcome = _outcome(done, single=wanted.single)
    if errors:
        outcome.failure = together(f"The other {len(done)} of {len(planned)} volumes are as they should be", errors)
    return outcome


def _apply_all(engine: Engine, planned: Sequence[Planned]) -> list[Done | VolumesError]:
    gone: list[VolumesError] = []

    def apply(one: Planned) -> Done | VolumesError:
        # Where the engine is gone for one, nothing is tried for the others.
        return gone[0] if gone else _try_to_apply(engine, one, gone)

    changing = [one for one in planned if one[2].steps]
    if len(changing) < _MANY or not all(_is_simple(*one[1:]) for one in changing):
        return [apply(one) for one in planned]
    with ThreadPoolExecutor(_THREADS) as threads:
        return list(threads.map(apply, planned))


def _try_to_apply(engine: Engine, planned: Planned, gone: list[VolumesError]) -> Done | VolumesError:
    item, found, plan = planned
    try:
        return (item, *_apply(engine, item, found, plan)) if plan.steps else (item, plan, found.volume)
    except EngineUnreachableError as exc:
        gone.append(exc)
        return exc
    except VolumesError as exc:
        return exc


def _is_simple(found: VolumeFound, plan: Plan) -> bool:
    """Return whether it is one call that no plugin must answer."""
    if plan.verbs == ("create",):
        return bool(plan.steps[0].arguments["target"].is_local)
    return plan.verbs == ("remove",) and found.volume is not None and found.volume.definition.is_local


def _plan_all(engine: Engine, items: Sequence[VolumeWanted]) -> list[Planned]:
    look = Look(engine, items)
    errors: list[VolumesError] = []
    planned = [one for one in (_try_to_plan(look, item, errors) for item in items) if one]
    if errors:
        raise together("Nothing was changed", errors)
    return planned


def _try_to_plan(look: Look, wanted: VolumeWanted, errors: list[VolumesError]) -> Planned | None:
    try:
        found = look.found(wanted)
        return wanted, found, plan_volume(wanted, found)
    except VolumesError as exc:
        errors.append(exc)
        return None


def _apply(engine: Engine, wanted: VolumeWanted, found: VolumeFound, plan: Plan) -> tuple[Plan, Volume | None]:
    """Carry the plan out; return it as it was in the end, and the volume as it then is."""
    if found.unfinished:
        return _apply_after_settling(engine, wanted, found, plan)
    if plan.verbs == ("remove",):
        # Another run may have protected it, or made another volume of it, since the plan was made.
        now = engine.volume(wanted.name)
        if now and found.volume and not now.made_as(found.volume.definition):
            raise changed_meanwhile(wanted.name)
        remove_volume(engine, wanted.name)
        return plan, None
    if plan.verbs == ("create",):
        return plan, _create(engine, wanted, found, plan)
    carry_out(engine, plan.steps)
    volume = engine.volume(wanted.name)
    if volume is None:
        raise changed_meanwhile(wanted.name)
    return plan, volume


def _apply_after_settling(
    engine: Engine, wanted: VolumeWanted, found: VolumeFound, plan: Plan
) -> tuple[Plan, Volume | None]:
    for change in found.unfinished:
        settle(engine, change)
    # What there is now was only a guess before.
    again, rest = _plan_all(engine, [wanted])[0][1:]
    volume = again.volume
    if rest.steps:
        rest, volume = _apply(engine, wanted, again, rest)
    steps = tuple(settle_step(change) for change in found.unfinished)
    return replace(rest, before=plan.before, steps=(*steps, *rest.steps)), volume


def _create(engine: Engine, wanted: VolumeWanted, found: VolumeFound, plan: Plan) -> Volume:
    arguments = plan.steps[0].arguments
    try:
        return create_volume(engine, wanted.name, arguments["target"])
    except EngineError as exc:
        if found.driver_ready is False:
            raise EngineError(exc.what, exc.why, missing_driver_words(wanted.driver or ""), status=exc.status) from exc
        raise


def _outcome(done: Sequence[Done], *, single: bool) -> Outcome:
    results = [_result(*one) for one in done]
    plans = [one[1] for one in done]
    values: dict[str, Any] = {"volumes": results, "drift": [one for result in results for one in result["drift"]]}
    if single:
        return Outcome(plans[0], {**values, "volume": results[0]["volume"]})
    changing = [one[:2] for one in done if one[1].steps]
    whole = Plan(
        before={item.name: plan.before for item, plan in changing},
        after={item.name: plan.after for item, plan in changing},
        steps=tuple(step for plan in plans for step in plan.steps),
        warnings=tuple(warning for plan in plans for warning in plan.warnings),
    )
    return Outcome(whole, values)


def _result(wanted: VolumeWanted, plan: Plan, volume: Volume | None) -> dict[str, Any]:
    return {
        "name": wanted.name,
        "changed": bool(plan.steps),
        "actions": [step.words for step in plan.steps],
        "before": dict(plan.before),
        "after": dict(plan.after),
        "drift": [dict(one) for one in plan.drift],
        "volume": masked_inspect(volume, wanted.secret_options) if volume else None,
    }
