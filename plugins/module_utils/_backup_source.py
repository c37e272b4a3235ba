# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of several backups is restored. Pure.

The last one of this host counts. Where it has none, as a new host that takes over, the last one of the only other host
does. Where several others have some, the task must say which is meant: their volumes only have the same name.

What has a time in the future was made while a clock was wrong, or is somebody's forgery: it is the last one only where
the task names it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import NoReturn, TypeVar

from ansible_collections.voltainer.volumes.plugins.module_utils._backup_found import (
    Stored,
    StoredArchive,
    name_of,
    time_of,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._backup_names import stamp
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import RefusedError
from ansible_collections.voltainer.volumes.plugins.module_utils._manifest import EngineFacts
from ansible_collections.voltainer.volumes.plugins.module_utils._restic import Snapshot
from ansible_collections.voltainer.volumes.plugins.module_utils._restore_wanted import LATEST, RestoreWanted
from ansible_collections.voltainer.volumes.plugins.module_utils._volume_facts import some

Backup = TypeVar("Backup", StoredArchive, Snapshot)

# How many backups an error names.
_NAMES = 5
# Clocks of two hosts differ by as much, and backups of the same second get the times of the next ones.
_APART = timedelta(minutes=5)


def choose_archive(
    wanted: RestoreWanted, archives: Iterable[StoredArchive], engine: EngineFacts, now: datetime
) -> tuple[StoredArchive, tuple[str, ...]]:
    """Return the archive of the folder `path` that the task means, and what to warn of. Raises RefusedError.

    `archives` are those in the folder that are of the volume `wanted.backed_up` by their names. `now` is the time of
    the engine's host.
    """
    found = _sorted(archives)
    if wanted.snapshot != LATEST:
        meant = [one for one in found if stamp(one.name.time) == wanted.snapshot]
        if not meant:
            _refuse(wanted, f"it has no archive with the time {wanted.snapshot}{_there(found)}", _CHOOSE)
        return meant[-1], ()
    if not found:
        _refuse(wanted, "it has no archive of it", _NONE)
    last = next((one for one in reversed(found) if not _is_future(one, now)), None)
    if last and last.origin is None:
        # An older one must not come back in its place without a word.
        why = last.why or "its manifest is missing, or is of another archive"
        _refuse(
            wanted,
            f"nobody can tell which engine the newest archive '{last.name}' is from: {why}",
            f"Give it in full, or another one, in 'path', or its time in 'snapshot': {stamp(last.name.time)}",
        )
    known = [one for one in found if one.origin]
    if not known:
        # All are in the future, and whose they are nobody can tell, either.
        return _last(wanted, found, now)
    mine = _of_one_host(wanted, known, engine.id, lambda one: one.origin.engine if one.origin else "", _engines(known))
    return _last(wanted, mine, now)


def choose_snapshot(
    wanted: RestoreWanted, snapshots: Iterable[Snapshot], host: str, now: datetime
) -> tuple[Snapshot, tuple[str, ...]]:
    """Return the snapshot of the repository that the task means, and what to warn of. Raises RefusedError.

    `snapshots` are all that the repository has; `host` is the one of this engine's snapshots. `now` is the time of the
    engine's host.
    """
    found = _sorted(snapshots)
    if wanted.snapshot != LATEST:
        meant = [one for one in found if one.id.startswith(wanted.snapshot)]
        if len(meant) > 1:
            _refuse(wanted, f"{len(meant)} snapshots begin with {wanted.snapshot}", "Give the ID in full")
        if not meant:
            mine = [one for one in found if _is_of(one, wanted.backed_up)]
            _refuse(wanted, f"it has no snapshot {wanted.snapshot}{_there(mine)}", _CHOOSE)
        return meant[0], ()
    known = [one for one in found if _is_of(one, wanted.backed_up)]
    if not known:
        _refuse(wanted, "it has no snapshot of it that this collection made", _NONE)
    if wanted.repository and wanted.repository.host:
        known = [one for one in known if one.host == host]
        if not known:
            _refuse(
                wanted, f"it has no snapshot of it from the host '{host}'", "Look at 'restic snapshots --group-by host'"
            )
    hosts = some({one.host for one in known})
    return _last(wanted, _of_one_host(wanted, known, host, lambda one: one.host, hosts), now)


_CHOOSE = "Give one that is there in 'snapshot'"
_NONE = "Look whether it is the right place, and whether 'name', or 'backup_of', names the volume that was backed up"


def _of_one_host(
    wanted: RestoreWanted, backups: Sequence[Backup], own: str, whose: Callable[[Backup], str], names: str
) -> Sequence[Backup]:
    mine = [one for one in backups if whose(one) == own]
    others = {whose(one) for one in backups}
    if not mine and len(others) > 1:
        _refuse(
            wanted,
            f"several hosts have backed up a volume of this name, and none of them is this one: {names}",
            "Say which is meant: with 'repository.host', or with a single archive in 'path'",
        )
    return mine or backups


def _last(wanted: RestoreWanted, backups: Sequence[Backup], now: datetime) -> tuple[Backup, tuple[str, ...]]:
    """Return the last of the backups, which are sorted, that is not of the future, and what to warn of."""
    future = [one for one in backups if _is_future(one, now)]
    past = [one for one in backups if one not in future]
    named = some({f"'{_called(one)}'" for one in future})
    clock = f"by the clock of the engine's host it is {stamp(now)}"
    if not past:
        _refuse(
            wanted,
            f"all that it has of it have times in the future ({clock}): {named}",
            "Correct the clock of the host. Where one of them is meant, give it in 'snapshot'",
        )
    told = (
        f"Left out, since their times are in the future ({clock}): {named}. Where one of them is meant, give it in"
        " 'snapshot'"
    )
    return past[-1], (told,) if future else ()


def _is_future(backup: Stored, now: datetime) -> bool:
    return time_of(backup) > now + _APART


def _sorted(backups: Iterable[Backup]) -> list[Backup]:
    return sorted(backups, key=lambda one: (time_of(one), name_of(one)))


def _is_of(snapshot: Snapshot, volume: str) -> bool:
    return snapshot.origin is not None and snapshot.origin.volume == volume


def _engines(archives: Iterable[StoredArchive]) -> str:
    return some({one.manifest.engine.name for one in archives if one.manifest})


def _there(backups: Sequence[Stored]) -> str:
    """Return what there is instead, for an error."""
    if not backups:
        return ", nor any other of the volume"
    names = [_called(one) for one in backups[-_NAMES:]]
    return f"; the last ones of the volume are {', '.join(reversed(names))}"


def _called(backup: Stored) -> str:
    """Return what the option `snapshot` calls it."""
    return stamp(backup.name.time) if isinstance(backup, StoredArchive) else backup.short


def _refuse(wanted: RestoreWanted, why: str, way_out: str) -> NoReturn:
    place = f"the repository at '{wanted.repository.location}'" if wanted.repository else f"'{wanted.path}'"
    raise RefusedError(f"Cannot restore the volume '{wanted.backed_up}' from {place}", why, way_out)
