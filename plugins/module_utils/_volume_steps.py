# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps that a plan for volumes is made of, each with a second look at what the engine says."""

from __future__ import annotations

from http import HTTPStatus

from ansible_collections.voltainer.volumes.plugins.module_utils._engine import Engine
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import EngineError, RefusedError
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import Definition, Volume
from ansible_collections.voltainer.volumes.plugins.module_utils._volume_plan import in_use


def create_volume(engine: Engine, name: str, target: Definition) -> Volume:
    """Create a volume that is not there yet; return it as it then is."""
    # No labels at all, the engine has on record as null.
    created = engine.create_volume(name, target.driver, target.options, target.labels or None)
    # The engine answers 201 for a volume that exists with other labels and options, too (20.10 to 28.5).
    if not created.made_as(target):
        raise EngineError(
            f"Cannot create the volume '{name}'",
            "another one of that name was made at the same moment, with another definition",
            "Find out who makes it, and run the task again to see the differences",
        )
    return created


def changed_meanwhile(name: str) -> RefusedError:
    """Return the error for a volume that is not as it was any more when the plan was made."""
    return RefusedError(
        f"Cannot go on with the volume '{name}'",
        "it was changed or removed by somebody else meanwhile",
        "Run the task again, which makes a new plan",
    )


def remove_volume(engine: Engine, name: str) -> None:
    """Remove a volume, unless somebody took it since the last look."""
    try:
        engine.remove_volume(name)
    except EngineError as exc:
        if exc.status != HTTPStatus.CONFLICT:
            raise
        users = engine.users(name)
        if users:
            raise in_use("remove", name, users) from exc
        # Nobody that lives uses it: a killed task held it, or the engine is about to find out that it ended.
        _sweep(engine)
        engine.remove_volume(name)


def _sweep(engine: Engine) -> None:
    """Remove what killed tasks hold volumes with."""
    # Few tasks meet one.
    from ansible_collections.voltainer.volumes.plugins.module_utils._helper import sweep  # noqa: PLC0415
    from ansible_collections.voltainer.volumes.plugins.module_utils._helper_engine import (  # noqa: PLC0415
        HelperEngine,
    )

    sweep(HelperEngine(engine.transport))
