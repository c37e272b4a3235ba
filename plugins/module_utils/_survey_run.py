# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at all volumes of an engine, however many, and however badly their drivers answer. Changes nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from ansible_collections.voltainer.volumes.plugins.module_utils._engine import Engine
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import EngineError
from ansible_collections.voltainer.volumes.plugins.module_utils._reference import driver_key
from ansible_collections.voltainer.volumes.plugins.module_utils._usage import Users
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import LOCAL, Volume
from ansible_collections.voltainer.volumes.plugins.module_utils._volume_facts import (
    Survey,
    is_cluster,
    some,
    unfinished_changes,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._volume_filter import VolumeFilter

# Drivers that are asked at the same time. One that hangs holds its thread for as long as the whole survey may take.
_THREADS = 16
# So much must be left to ask a driver once more.
_TOO_SHORT = 0.05

Matches = Callable[[Volume], bool]


@dataclass
class _Found:
    """What came of one driver: its volumes that match, and everything that it listed."""

    volumes: list[Volume] = field(default_factory=list)
    listed: tuple[Volume, ...] = ()
    unseen: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def survey(engine: Engine, wanted: VolumeFilter, seconds: float) -> Survey:
    """Return the volumes that match, and what is to be known around them.

    The drivers have `seconds` to answer, all of them together.
    """
    here = _local(engine, lambda volume: wanted.why_not(volume) is None)
    drivers = [driver for driver in engine.volume_drivers() if driver != LOCAL and wanted.asks(driver)]
    others = _ask_all(engine, drivers, lambda volume: wanted.why_not(volume) is None, seconds)
    users = engine.users()
    return _together([here, *others], users, _unlisted(engine, wanted, drivers, users))


def survey_one(engine: Engine, name: str, seconds: float) -> Survey:
    """Return what `survey` would of the one volume `name`; the other drivers are asked only if it is not local.

    Its driver has `seconds` to answer. Raises EngineError where nobody can tell whether the volume exists, and
    DriverUnavailableError where it exists, and its driver is not there.
    """
    here = _local(engine, lambda volume: volume.name == name)
    others: list[_Found] = []
    if not here.volumes:
        ends = time.monotonic() + seconds
        drivers = [driver for driver in engine.volume_drivers() if driver != LOCAL]
        asked = _ask_all(engine, drivers, lambda volume: volume.name == name, seconds)
        # What other drivers could not say is of no interest then.
        others = [found for found in asked if found.volumes] or [_inspect_unlisted(engine, name, asked, ends)]
    return _together([here, *others], engine.users(name), ())


def _local(engine: Engine, matches: Matches) -> _Found:
    # What the engine lists of its own driver is all that its inspect has (20.10 to 28.5). Volumes of the cluster are in
    # each list, whatever is asked for (23.0 to 28.5).
    listing = engine.volumes(LOCAL)
    volumes = [volume for volume in listing.volumes if _of(volume, LOCAL) or is_cluster(volume)]
    return _Found(
        [volume for volume in volumes if matches(volume)], listing.volumes, warnings=list(map(_heard, listing.warnings))
    )


def _ask_all(engine: Engine, drivers: list[str], matches: Matches, seconds: float) -> list[_Found]:
    if not drivers:
        return []
    ends = time.monotonic() + seconds
    with ThreadPoolExecutor(min(len(drivers), _THREADS)) as threads:
        return list(threads.map(lambda driver: _ask(engine, driver, matches, ends), drivers))


def _ask(engine: Engine, driver: str, matches: Matches, ends: float) -> _Found:
    """Return the volumes of a driver, each inspected: of a plugin's, the list lacks state, creation and mount point."""
    try:
        listing = engine.volumes(driver, seconds=max(ends - time.monotonic(), _TOO_SHORT))
    except EngineError as exc:
        return _Found(warnings=[f"{exc.what}, which are left out: {exc.why}"])
    found = _Found([], listing.volumes, warnings=list(map(_heard, listing.warnings)))
    volumes = [volume for volume in listing.volumes if _of(volume, driver) and matches(volume)]
    # Where a driver fails, the engine lists what it remembers. An inspect would make it forget labels and options: it
    # takes any error of the driver for "no such volume" (20.10 to 28.5).
    why = "the driver did not list them" if listing.warnings else ""
    for volume in volumes:
        seen, why = (None, why) if why else _inspect(engine, volume, ends)
        found.volumes.append(seen or volume)
        if seen is None:
            found.unseen[volume.name] = why
    if found.unseen:
        found.warnings.append(
            f"{len(found.unseen)} volume(s) of the driver '{driver_key(driver)}' could not be inspected"
            f" ({some(found.unseen)}), and what is told of them may be incomplete: {why}"
        )
    return found


def _inspect(engine: Engine, volume: Volume, ends: float) -> tuple[Volume | None, str]:
    """Return the volume as inspected, or why it could not be; the driver is then not asked any further."""
    left = ends - time.monotonic()
    if left < _TOO_SHORT:
        return None, "there was no time left"
    try:
        seen = engine.volume(volume.name, seconds=left)
    except EngineError as exc:
        return None, exc.why
    return seen, "" if seen else f"the engine lists the volume '{volume.name}', and then has none of that name"


def _inspect_unlisted(engine: Engine, name: str, asked: Iterable[_Found], ends: float) -> _Found:
    """Look for a volume that no driver lists: only an inspect tells a disabled plugin's volume from none."""
    warnings = [warning for found in asked for warning in found.warnings]
    if warnings:
        raise EngineError(
            f"Cannot tell whether the volume '{name}' exists",
            "; ".join(warnings),
            "Look at the plugin and at the engine's log. The option 'timeout' gives drivers more time",
        )
    volume = engine.volume(name, seconds=max(ends - time.monotonic(), _TOO_SHORT))
    return _Found([volume] if volume else [])


def _unlisted(engine: Engine, wanted: VolumeFilter, asked: Iterable[str], users: Users) -> tuple[str, ...]:
    """Return warnings of volumes that nobody can list."""
    known = {driver_key(driver) for driver in (*asked, LOCAL)}
    disabled = [driver_key(driver) for driver in engine.disabled_drivers() if wanted.asks(driver)]
    mounted = {driver_key(use.driver) for use in users.containers if wanted.asks(use.driver)}
    lacking = {*disabled, *mounted, *wanted.drivers} - known
    return tuple(
        f"The driver '{driver}' {'is disabled' if driver in disabled else 'is not known to the engine'}:"
        " its volumes, if there are any, cannot be listed and are left out"
        for driver in sorted(lacking - {""})
    )


def _together(parts: list[_Found], users: Users, warnings: tuple[str, ...]) -> Survey:
    # Of two of one name, the engine takes the one first that is not the cluster's.
    volumes = sorted((one for part in parts for one in part.volumes), key=lambda one: (one.name, is_cluster(one)))
    return Survey(
        volumes=tuple(volumes),
        users=users.by_volume(one.name for one in volumes),
        unfinished=unfinished_changes(volume for part in parts for volume in part.listed),
        unseen={name: why for part in parts for name, why in part.unseen.items()},
        warnings=(*(warning for part in parts for warning in part.warnings), *warnings),
    )


def _of(volume: Volume, driver: str) -> bool:
    return driver_key(volume.driver) == driver_key(driver) and not is_cluster(volume)


def _heard(warning: str) -> str:
    return f"The engine warns: {warning}"
