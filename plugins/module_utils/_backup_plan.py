# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of a backup: what is packed, under which name, and which old backups go. Pure."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from ansible_collections.voltainer.volumes.plugins.module_utils._backup_found import (
    BackupFound,
    FolderFacts,
    Stored,
    StoredArchive,
    broken,
    check_tools,
    host_of,
    is_inside,
    mine,
    name_of,
    time_of,
    whole,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._backup_names import ArchiveName, name_archive
from ansible_collections.voltainer.volumes.plugins.module_utils._backup_wanted import BackupWanted
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import RefusedError
from ansible_collections.voltainer.volumes.plugins.module_utils._manifest import origin_of, recipients_of
from ansible_collections.voltainer.volumes.plugins.module_utils._plan import Plan, Step
from ansible_collections.voltainer.volumes.plugins.module_utils._restic import Repository, Snapshot, tags
from ansible_collections.voltainer.volumes.plugins.module_utils._retention import to_remove
from ansible_collections.voltainer.volumes.plugins.module_utils._size import size_words
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import Volume
from ansible_collections.voltainer.volumes.plugins.module_utils._volume_facts import is_cluster, some

# What an archive takes beyond the content, for each entry: a header, and padding (bytes).
_PER_ENTRY = 2048
# How much larger than the last time an archive may become where its ratio of compression is known.
_MARGIN = 1.2
# What of a folder is left free.
_RESERVE = 64 * 1024 * 1024


def plan_backup(wanted: BackupWanted, found: BackupFound) -> Plan:
    """Return the plan. Raises RefusedError where the backup cannot be made, before anybody is brought to rest."""
    volume = _checked_volume(wanted, found)
    check_tools(f"Cannot back up the volume '{wanted.name}'", wanted.programs, found.tools)
    warnings = _check_place(wanted, found, volume)
    adding = unchanged(wanted, found) is None
    made = next_archive(wanted, found) if adding and wanted.path else None
    pack: tuple[Step, ...] = ()
    if made:
        pack = _into_folder(wanted, found, made)
    elif adding and wanted.repository:
        pack = _into_repository(wanted, wanted.repository, found, volume)
    old = old_backups(wanted, found, adding=adding, made=made)
    steps = (*found.first, *pack, *(_removal(wanted, old) if old else ()))
    return Plan(
        before=_shown(wanted, found, ()),
        after=_shown(wanted, found, old, made, added=adding),
        steps=steps,
        warnings=(*warnings, *_unknown(wanted, found), *_broken(wanted, found), *_left_alone(wanted, found)),
    )


def next_archive(wanted: BackupWanted, found: BackupFound) -> ArchiveName:
    """Return the name of the archive to be made."""
    taken = [one.name for one in found.archives]
    return name_archive(wanted.name, found.now, wanted.compression, wanted.encryption, taken)


def unchanged(wanted: BackupWanted, found: BackupFound) -> Stored | None:
    """Return the newest backup where the volume is as it was then and the task asks for no other one; else None.

    The definition counts as well as the content, since a restore brings back both, and so does the encryption.
    """
    if not wanted.unless_changed or found.volume is None or found.content_digest is None:
        return None
    now = origin_of(found.volume, wanted.secret_options, found.engine.id, found.content_digest)
    past = [one for one in mine(found) if time_of(one) <= found.now]
    last = past[-1] if past else None
    if last is None or last.origin is None:
        return None
    if isinstance(last, StoredArchive) and (last.broken or not _same_readers(wanted, last)):
        # A restore would take the broken one, so an older one that is whole is not enough, either.
        return None
    same = last.origin.content_digest == now.content_digest and last.origin.same_definition(now)
    return last if same else None


def _same_readers(wanted: BackupWanted, archive: StoredArchive) -> bool:
    """Return whether those can read the archive who could read the one that the task asks for, and nobody else."""
    if archive.name.encryption != wanted.encryption:
        return False
    known = archive.manifest.recipients if archive.manifest else None
    return wanted.encryption == "none" or known == recipients_of(wanted.recipients)


def old_backups(
    wanted: BackupWanted, found: BackupFound, *, adding: bool, made: ArchiveName | None = None
) -> list[Stored]:
    """Return the backups that go once the new one is there, the oldest first.

    What is known to be broken takes no place among those that stay, and stays itself: see `_broken`.
    """
    by_name = {(time_of(one), name_of(one)): one for one in whole(found)}
    # The new one has its place among those that stay. A snapshot gets its ID only later.
    new = [(made.time if made else found.now, str(made or "~"))] if adding else []
    now = max([found.now, *(time for time, _name in new)])
    return [by_name[one] for one in to_remove([*by_name, *new], wanted.keep, now) if one in by_name]


def to_prove(wanted: BackupWanted, found: BackupFound) -> StoredArchive | None:
    """Return the archive that must be read before others go: the newest, where the run makes none and removes some."""
    last = unchanged(wanted, found)
    return last if isinstance(last, StoredArchive) and old_backups(wanted, found, adding=False) else None


def estimated_bytes(wanted: BackupWanted, found: BackupFound) -> int | None:
    """Return how large the archive becomes at most; None where nobody can tell how well the content compresses."""
    if found.content_bytes is None:
        return None
    whole = found.content_bytes + found.entries * _PER_ENTRY
    if wanted.compression == "none":
        return whole
    manifests = [one.manifest for one in found.archives if one.manifest and one in mine(found)]
    like = [one for one in manifests if one.compression == wanted.compression and one.content_bytes]
    if not like:
        return None
    return min(whole, int(like[-1].bytes / like[-1].content_bytes * found.content_bytes * _MARGIN))


def _checked_volume(wanted: BackupWanted, found: BackupFound) -> Volume:
    what = f"Cannot back up the volume '{wanted.name}'"
    if found.volume is None:
        raise RefusedError(
            what,
            "there is no such volume",
            "Look at 'docker volume ls'; a volume that is made on demand is not there yet",
        )
    if is_cluster(found.volume):
        raise RefusedError(
            what, "it is a volume of the swarm's cluster, which this module leaves alone", "Back it up by its storage"
        )
    return found.volume


def _check_place(wanted: BackupWanted, found: BackupFound, volume: Volume) -> tuple[str, ...]:
    """Raise RefusedError where the backup has no place to go to; return warnings of what may become tight."""
    what = f"Cannot back up the volume '{wanted.name}'"
    place = wanted.path or (wanted.repository.folder if wanted.repository else None)
    if place and volume.mountpoint and is_inside(place, volume.mountpoint):
        raise RefusedError(
            what,
            f"the place for the backup, '{place}', is in the volume itself",
            "Give a place outside, at best on other storage",
        )
    if wanted.repository:
        if found.repository_there is False and not wanted.repository.init:
            raise RefusedError(
                what,
                f"there is no repository at '{wanted.repository.location}'",
                "Give the right location, or have one made there with 'repository.init: true'",
            )
        return ()
    _check_folder(what, str(wanted.path), found.folder or FolderFacts())
    return _check_space(what, wanted, found)


def _check_folder(what: str, path: str, folder: FolderFacts) -> None:
    if folder.kind == "absent":
        # Not made here: where a disk or share is not mounted, all backups would land on the host's own disk.
        raise RefusedError(what, f"there is no folder '{path}'", "Mount or make it (ansible.builtin.file) before")
    if folder.kind == "other":
        raise RefusedError(
            what, f"'{path}' is no folder", "Give the folder for the archives; their names are made by this module"
        )
    if not folder.writable:
        raise RefusedError(
            what,
            f"the folder '{path}' is not writable for the user who runs the task",
            "Run the task as another user ('become: true'), or look whether it is mounted read-only",
        )


def _check_space(what: str, wanted: BackupWanted, found: BackupFound) -> tuple[str, ...]:
    free = found.folder.free if found.folder else None
    if free is None or found.content_bytes is None:
        return ()
    needed = estimated_bytes(wanted, found)
    have = f"and '{wanted.path}' has {size_words(free)} free"
    if needed is not None and needed + _RESERVE > free:
        raise RefusedError(
            what,
            f"the archive takes about {size_words(needed)}, {have}",
            "Make space there, or give a folder with more",
            needed=needed,
            free=free,
        )
    if needed is None and found.content_bytes + _RESERVE > free:
        return (
            f"The volume '{wanted.name}' holds {size_words(found.content_bytes)}, {have}: the archive only fits where"
            " the content compresses well",
        )
    return ()


def _into_folder(wanted: BackupWanted, found: BackupFound, made: ArchiveName) -> tuple[Step, ...]:
    sealed = "" if wanted.encryption == "none" else f", encrypted by {wanted.encryption}"
    target = os.path.join(str(wanted.path), str(made))
    verify = Step("verify", f"Read the archive of the volume '{wanted.name}' again and compare it", {"name": made})
    return (
        *found.rest,
        Step("pack", f"Pack the volume '{wanted.name}' ({_packed_by(wanted)}{sealed})", {"name": made}),
        # The users need not wait for what follows.
        *found.resume,
        *((verify,) if wanted.verify else ()),
        Step("publish", f"Put the archive and its manifest in place as '{target}'", {"name": made}),
    )


def _packed_by(wanted: BackupWanted) -> str:
    return "not compressed" if wanted.compression == "none" else f"{wanted.compression}, level {wanted.level}"


def _into_repository(
    wanted: BackupWanted, repository: Repository, found: BackupFound, volume: Volume
) -> tuple[Step, ...]:
    where = f"the repository at '{repository.location}'"
    origin = origin_of(volume, wanted.secret_options, found.engine.id, found.content_digest)
    host = host_of(repository, found.engine)
    init = Step("init", f"Make {where}")
    verify = Step("verify", f"Check {where}")
    return (
        *((init,) if found.repository_there is False else ()),
        *found.rest,
        Step("pack", f"Back up the volume '{wanted.name}' to {where}", {"host": host, "tags": tags(origin)}),
        *found.resume,
        *((verify,) if wanted.verify else ()),
    )


def _removal(wanted: BackupWanted, old: Sequence[Stored]) -> tuple[Step, ...]:
    if wanted.repository:
        names = ", ".join(one.short for one in old if isinstance(one, Snapshot))
        words = f"Remove {len(old)} old snapshot(s) of the volume '{wanted.name}': {names}"
        return (Step("prune-old", words, {"ids": [name_of(one) for one in old]}),)
    return tuple(
        Step("prune-old", f"Remove the old archive '{name_of(one)}'", {"name": one.name})
        for one in old
        if isinstance(one, StoredArchive)
    )


def _unknown(wanted: BackupWanted, found: BackupFound) -> tuple[str, ...]:
    """Return warnings of files that nobody can tell anything of."""
    if not found.unknown:
        return ()
    return (
        f"Nobody can tell whether these files in '{wanted.path}' were left by runs that were killed, so they stay:"
        f" {some(found.unknown)}. Remove them where no other backup of the volume '{wanted.name}' runs",
    )


def _broken(wanted: BackupWanted, found: BackupFound) -> tuple[str, ...]:
    """Return warnings of archives that are of no use."""
    return tuple(
        f"The archive '{one.name}' in '{wanted.path}' is broken and does not count as a backup: {one.broken}. This"
        " run leaves it where it is: look at the disk, and remove the archive and its manifest"
        for one in broken(found)
    )


def _left_alone(wanted: BackupWanted, found: BackupFound) -> tuple[str, ...]:
    """Return warnings of archives that are never removed, since nobody can tell that this engine made them."""
    if not wanted.keep:
        return ()
    own = mine(found)
    others = [one for one in found.archives if one not in own]
    foreign = [one for one in others if one.origin]
    unknown = [one for one in others if not one.origin]
    warnings = []
    if foreign:
        hosts = some({one.manifest.engine.name for one in foreign if one.manifest})
        warnings.append(
            f"{len(foreign)} archive(s) of a volume '{wanted.name}' in '{wanted.path}' are from another engine"
            f" ({hosts}) and stay. Give each host a folder of its own"
        )
    if unknown:
        names = some(str(one.name) for one in unknown)
        warnings.append(
            f"{len(unknown)} archive(s) of a volume '{wanted.name}' in '{wanted.path}' have no manifest that could be"
            f" read, and stay: {names}"
        )
    future = [one for one in own if time_of(one) > found.now]
    if future:
        warnings.append(
            f"{len(future)} backup(s) of the volume '{wanted.name}' have a time in the future, and stay:"
            f" {some(map(name_of, future))}. Look at the host's clock"
        )
    return tuple(warnings)


def _shown(
    wanted: BackupWanted,
    found: BackupFound,
    gone: Sequence[Stored],
    made: ArchiveName | None = None,
    *,
    added: bool = False,
) -> dict[str, Any]:
    """Return the volume's backups, before or after, as a diff shows them."""
    stays = [one for one in found.stored if one not in gone]
    names = [one.short if isinstance(one, Snapshot) else str(one.name) for one in stays]
    if added:
        names.append(str(made) if made else "(a new snapshot)")
    place = {"repository": wanted.repository.location} if wanted.repository else {"path": wanted.path}
    return {"volume": wanted.name, **place, "backups": names}
