# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring a volume to what is wanted: observe, plan, apply, observe."""

from __future__ import annotations

from http import HTTPStatus

from ansible_collections.voltainer.volumes.plugins.module_utils._engine import Engine
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import EngineError
from ansible_collections.voltainer.volumes.plugins.module_utils._plan import Outcome, Plan
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import (
    Volume,
    VolumeFound,
    VolumeWanted,
    differences,
    in_use,
    masked_inspect,
    missing_driver_words,
    plan_volume,
)


def converge_volume(engine: Engine, wanted: VolumeWanted, check_mode: bool) -> Outcome:
    """Bring one volume to what is wanted, or in check mode only tell what would be done."""
    found = observe_volume(engine, wanted)
    plan = plan_volume(wanted, found)
    volume = found.volume
    if plan.steps and not check_mode:
        volume = apply_volume(engine, wanted, found, plan)
    shown = masked_inspect(volume, wanted.secret_options) if volume else None
    return Outcome(plan, {"volume": shown, "drift": [dict(one) for one in plan.drift]})


def observe_volume(engine: Engine, wanted: VolumeWanted) -> VolumeFound:
    """Look at the volume by its name, and only where the plan needs it, at its users or its driver."""
    volume = engine.volume(wanted.name)
    if volume is not None:
        users = engine.users_of_volume(wanted.name) if wanted.state == "absent" else ()
        return VolumeFound(volume, users)
    looked = wanted.state == "present" and wanted.driver is not None
    return VolumeFound(None, driver_ready=engine.driver_ready(wanted.driver or "") if looked else None)


def apply_volume(engine: Engine, wanted: VolumeWanted, found: VolumeFound, plan: Plan) -> Volume | None:
    """Carry the plan out; return the volume as it then is."""
    if plan.verbs == ("remove",):
        _remove(engine, wanted)
        return None
    return _create(engine, wanted, found)


def _remove(engine: Engine, wanted: VolumeWanted) -> None:
    try:
        engine.remove_volume(wanted.name)
    except EngineError as exc:
        users = engine.users_of_volume(wanted.name) if exc.status == HTTPStatus.CONFLICT else ()
        if not users:
            raise
        # A container took it between the look and the removal.
        raise in_use(wanted.name, users) from exc


def _create(engine: Engine, wanted: VolumeWanted, found: VolumeFound) -> Volume:
    try:
        created = engine.create_volume(wanted.name, wanted.driver, wanted.driver_options, wanted.labels)
    except EngineError as exc:
        if found.driver_ready is False:
            raise EngineError(exc.what, exc.why, missing_driver_words(wanted.driver or ""), status=exc.status) from exc
        raise
    # The engine answers 201 for a volume that exists with other labels and options, too (20.10 to 28.5).
    unlike = list(differences(wanted, created))
    if unlike:
        raise EngineError(
            f"Cannot create the volume '{wanted.name}'",
            "another one of that name was made at the same moment, and differs in "
            + ", ".join(str(one["what"]) for one in unlike),
            "Find out who makes it, and run the task again to see the differences",
            drift=unlike,
        )
    return created
