# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell about volumes: one by its name, or all that match."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.voltainer.volumes.plugins.module_utils._engine import Engine
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import DriverUnavailableError, InvalidInputError
from ansible_collections.voltainer.volumes.plugins.module_utils._plan import Facts
from ansible_collections.voltainer.volumes.plugins.module_utils._survey_run import survey, survey_one
from ansible_collections.voltainer.volumes.plugins.module_utils._volume_facts import Survey, facts
from ansible_collections.voltainer.volumes.plugins.module_utils._volume_filter import VolumeFilter, parse_filter
from ansible_collections.voltainer.volumes.plugins.module_utils._volume_size import Sizes, measure


@dataclass(frozen=True)
class InfoWanted:
    """What is asked; the fields are the options of the module, `seconds` is `timeout`."""

    name: str | None
    filters: VolumeFilter
    dangling: bool | None
    size: bool
    secret_options: tuple[str, ...]
    seconds: int


def parse_info(params: Mapping[str, Any]) -> InfoWanted:
    """Return what the options of the task ask for. Raises InvalidInputError."""
    name, filters = params["name"], params["filters"]
    if name is not None and (not name or {".", ".."} & set(name.split("/"))):
        # Not a matter of taste: the engine would read such a name as another address, and answer with something else.
        raise InvalidInputError(
            f"The option 'name' has the invalid value '{name}'", "no volume has that name", "Give one"
        )
    if name is not None and filters:
        raise InvalidInputError(
            "The options 'name' and 'filters' exclude each other",
            f"the one volume '{name}' is asked for",
            "To filter by names, use 'filters.name'",
        )
    return InfoWanted(
        name=name,
        filters=parse_filter(filters),
        dangling=(filters or {}).get("dangling"),
        size=params["size"],
        secret_options=tuple(params["secret_options"]),
        seconds=params["timeout"],
    )


def look_at_volumes(engine: Engine, wanted: InfoWanted, _check_mode: bool) -> Facts:
    """Return what there is to know of the volumes. Changes nothing, in check mode or not."""
    if wanted.name is not None:
        return _one(engine, wanted, wanted.name)
    return _facts(engine, wanted, survey(engine, wanted.filters, wanted.seconds))


def _one(engine: Engine, wanted: InfoWanted, name: str) -> Facts:
    try:
        found = _facts(engine, wanted, survey_one(engine, name, wanted.seconds))
    except DriverUnavailableError as exc:
        exc.details.update(exists=True, volume=None)
        raise
    volumes = found.values["volumes"]
    found.values = {"exists": bool(volumes), "volume": volumes[0]["volume"] if volumes else None, **found.values}
    return found


def _facts(engine: Engine, wanted: InfoWanted, found: Survey) -> Facts:
    volumes = [one for one in found.volumes if wanted.dangling in {None, not found.users_of(one)}]
    sizes = measure(volumes, engine_is_here=engine.is_here) if wanted.size else Sizes({})
    shown = [facts(one, found, sizes.by_name.get(one.name), wanted.secret_options) for one in volumes]
    return Facts({"volumes": shown}, (*found.warnings, *sizes.warnings))
