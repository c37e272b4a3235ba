# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of a restore: from which backup, into which volume, and what becomes of what it held before. Pure."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Union

from ansible_collections.voltainer.volumes.plugins.module_utils._archive_kind import ArchiveKind, decrypt_command
from ansible_collections.voltainer.volumes.plugins.module_utils._backup_found import check_tools
from ansible_collections.voltainer.volumes.plugins.module_utils._backup_names import kept_name, parse_archive
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import RefusedError
from ansible_collections.voltainer.volumes.plugins.module_utils._fill import Fill, fill_steps
from ansible_collections.voltainer.volumes.plugins.module_utils._manifest import Manifest, Origin
from ansible_collections.voltainer.volumes.plugins.module_utils._plan import ABSENT, Plan, Step
from ansible_collections.voltainer.volumes.plugins.module_utils._reference import driver_key
from ansible_collections.voltainer.volumes.plugins.module_utils._restic import Snapshot
from ansible_collections.voltainer.volumes.plugins.module_utils._restore_wanted import LATEST, RestoreWanted
from ansible_collections.voltainer.volumes.plugins.module_utils._size import size_words
from ansible_collections.voltainer.volumes.plugins.module_utils._usage import WHEN_TASKS_END, Users
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import (
    FILL_OLD_SUFFIX,
    LOCAL,
    PROTECTED,
    RESERVED,
    Definition,
    Volume,
    name_beside,
    shown_volume,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._volume_facts import is_cluster

# What of the space for volumes is left free (bytes), and what each file and folder takes beyond its content.
_RESERVE = 64 * 1024 * 1024
_PER_ENTRY = 4096


@dataclass(frozen=True)
class ArchiveFacts:
    """An archive on this host, as it was found: its size in bytes, what it is, and its manifest where it has one."""

    path: str
    size: int
    kind: ArchiveKind
    manifest: Manifest | None = None

    @property
    def origin(self) -> Origin | None:
        """The volume that it is of, as its manifest tells."""
        return self.manifest.origin if self.manifest else None

    @property
    def volume(self) -> str | None:
        """The name of that volume; without a manifest its own name tells, where this collection gives such names."""
        if self.manifest:
            return self.manifest.volume
        name = parse_archive(os.path.basename(self.path))
        return name.volume if name else None

    @property
    def words(self) -> str:
        """What it is, for the reader."""
        return f"the archive '{os.path.basename(self.path)}'"


Source = Union[ArchiveFacts, Snapshot]


@dataclass(frozen=True)
class RestoreFound:
    """What was observed on the way to a restore.

    `now` is the time of the engine's host. `volume` is the one to be restored, `users` are its users, and `resting` the
    IDs of the containers and services among these that are brought to rest. `entries` is how many files and folders it
    holds, `content_digest` the digest of these, None where nobody looked. `unreachable` says why its folder (or that of
    the volume that is made) cannot be renamed from here; its content is then copied. `names` are those of all volumes.
    `tools` are the versions of the programs that are there, `free` the bytes where volumes are, None where nobody
    looked, and `unpacked` what the archive takes there, as far as that is known. `strip` is the folder of the archive
    that is the volume's, "" for all of it. `first` are the steps that end what an
    interrupted run left behind, `rest` and `resume` those that bring users to rest and back. `nonce` is a random text
    for this restore.
    """

    now: datetime
    source: Source
    volume: Volume | None
    users: Users = field(default_factory=Users)
    resting: frozenset[str] = frozenset()
    entries: int | None = None
    content_digest: str | None = None
    unreachable: str = ""
    names: frozenset[str] = frozenset()
    tools: Mapping[str, str] = field(default_factory=dict)
    free: int | None = None
    unpacked: int | None = None
    strip: str = ""
    first: tuple[Step, ...] = ()
    rest: tuple[Step, ...] = ()
    resume: tuple[Step, ...] = ()
    nonce: str = ""


def plan_restore(wanted: RestoreWanted, found: RestoreFound) -> Plan:
    """Return the plan. Raises RefusedError, or InvalidInputError, where the restore cannot be made; nothing is lost."""
    check_source(wanted, found.source)
    origin = found.source.origin
    if found.volume is None:
        definition = wanted_definition(wanted, origin)
        target = Volume(wanted.name, definition.driver, definition.options, definition.labels, {})
    else:
        target = found.volume
        _check_existing(wanted, found, found.volume)
    if found.volume and is_restored(found):
        shown = _shown(wanted, found.volume, found.content_digest)
        return Plan(shown, shown, found.first, _differing(wanted, found.volume))
    _check_means(wanted, found)
    if found.volume:
        _check_users(wanted, found)
    kept = _kept(wanted, found)
    known = origin.content_digest if origin and not found.strip else None
    folder = f"the folder '{found.strip}' of " if found.strip else ""
    after = _shown(wanted, target, known or f"that of {folder}{words_of(found.source)}")
    return Plan(
        before=_shown(wanted, found.volume, found.content_digest) if found.volume else ABSENT,
        after={**after, "previous": kept} if kept else after,
        steps=(*found.first, *_steps(wanted, found, target, kept)),
        warnings=_differing(wanted, found.volume) if found.volume else (),
    )


def is_restored(found: RestoreFound) -> bool:
    """Return whether the volume holds already what the backup would bring."""
    origin = found.source.origin
    return (
        bool(origin and origin.content_digest) and origin is not None and found.content_digest == origin.content_digest
    )


def wanted_definition(wanted: RestoreWanted, origin: Origin | None) -> Definition:
    """Return how a volume is made that is not there: as the backup tells, or as the options of the task say instead.

    Raises RefusedError where the backup alone cannot tell, or should not.
    """
    driver = wanted.driver or (origin.driver if origin else LOCAL)
    # Options are those of a driver: they mean nothing to another one.
    same_driver = origin is not None and driver_key(driver) == driver_key(origin.driver)
    options: Mapping[str, str] = (origin.options or {}) if origin and same_driver else {}
    if wanted.driver_options is not None:
        options = wanted.driver_options
    elif origin and options:
        _check_options(wanted, origin, Definition(driver, options, {}))
    labels = dict((origin.labels if origin else None) or {})
    if wanted.labels is not None:
        labels = {PROTECTED: labels[PROTECTED], **wanted.labels} if PROTECTED in labels else dict(wanted.labels)
    # Others of this collection are about other volumes, or about a moment that has passed.
    return Definition(
        driver, options, {key: one for key, one in labels.items() if key == PROTECTED or not key.startswith(RESERVED)}
    )


def _check_options(wanted: RestoreWanted, origin: Origin, definition: Definition) -> None:
    what = f"Cannot make the volume '{wanted.name}' as it was"
    way_out = "Give 'driver_options' in full, or create the volume before"
    if origin.hidden_options:
        hidden = ", ".join(f"'{key}'" for key in origin.hidden_options)
        raise RefusedError(what, f"its options {hidden} hold secrets, which are not in the backup", way_out)
    places = [key for key, value in definition.options.items() if not definition.is_local and value.startswith("/")]
    if definition.owner_kind == "referenced" or places:
        # A manifest may come from anybody; it must not choose a place of the host that is written to.
        told = ", ".join(f"{key}={value}" for key, value in sorted(definition.options.items()))
        raise RefusedError(
            what,
            f"by its options it refers to a place outside ({told}), whose data the backup would replace",
            f"{way_out}; 'driver: {LOCAL}' with 'driver_options: {{}}' makes one that holds the data itself",
        )


def check_source(wanted: RestoreWanted, source: Source) -> None:
    """Raise RefusedError where the backup is not the one that the task means, as far as that is known unread."""
    what = f"Cannot restore the volume '{wanted.name}' from {words_of(source)}"
    if isinstance(source, ArchiveFacts) and wanted.snapshot != LATEST and source.path == wanted.path:
        raise RefusedError(
            what,
            f"'snapshot' is '{wanted.snapshot}', and 'path' a single archive",
            "Give the folder of archives in 'path'",
        )
    volume = _volume_of(source)
    if volume is not None and volume != wanted.backed_up:
        raise RefusedError(what, f"it is of the volume '{volume}'", f"If that is meant, set 'backup_of: {volume}'")
    if isinstance(source, ArchiveFacts) and source.manifest and source.size != source.manifest.bytes:
        raise RefusedError(
            what,
            f"it has {source.size} bytes, and by its manifest {source.manifest.bytes}: it is damaged, or still copied",
            "Copy it again, or take another backup",
        )


def _volume_of(source: Source) -> str | None:
    if isinstance(source, ArchiveFacts):
        return source.volume
    return source.origin.volume if source.origin else None


def _check_existing(wanted: RestoreWanted, found: RestoreFound, volume: Volume) -> None:
    what = f"Cannot restore the volume '{wanted.name}'"
    if is_cluster(volume):
        raise RefusedError(
            what, "it is a volume of the swarm's cluster, which this module leaves alone", "Restore it by its storage"
        )
    if wanted.on_existing == "fail" and not is_restored(found):
        raise RefusedError(
            what,
            "it is there, and 'on_existing' is 'fail'",
            "Set 'on_existing: replace', or restore it under another name",
        )
    if volume.protected and not wanted.keep_previous and not wanted.confirmed:
        raise RefusedError(
            what,
            "it is protected, and with 'keep_previous: false' what it holds would be lost",
            f"Set 'confirm: {wanted.name}', or keep the previous content",
        )


def _check_means(wanted: RestoreWanted, found: RestoreFound) -> None:
    """Raise where a program, a key or the space for it is missing."""
    what = f"Cannot restore the volume '{wanted.name}' from {words_of(found.source)}"
    if isinstance(found.source, Snapshot):
        check_tools(what, ("restic",), found.tools)
        return
    check_tools(what, found.source.kind.programs, found.tools)
    decrypt_command(found.source.kind.encryption, wanted.identity_file)
    manifest = found.source.manifest
    # Not the sizes of the files, as far as more is known: files with holes take less.
    known = found.unpacked if found.unpacked is not None else manifest.content_bytes if manifest else None
    needed = found.source.size if known is None else known + (manifest.entries * _PER_ENTRY if manifest else 0)
    if found.free is not None and needed + _RESERVE > found.free:
        raise RefusedError(
            what,
            f"its content takes {'at least' if known is None else 'about'} {size_words(needed)}, and where volumes are,"
            f" {size_words(found.free)} are free; what the volume holds now stays until the end",
            "Make space there",
            needed=needed,
            free=found.free,
        )


def _check_users(wanted: RestoreWanted, found: RestoreFound) -> None:
    mounted = [use for use in found.users.containers if use.mounted]
    awake = Users(tuple(use for use in mounted if not {use.container_id, use.service_id} & found.resting))
    what = f"Cannot restore the volume '{wanted.name}'"
    if awake:
        stop = "Stop these, or have it done with 'quiesce: stop' (and 'services: scale' for services)"
        raise RefusedError(
            what,
            f"it is mounted by {awake}, which would go on with the previous content",
            WHEN_TASKS_END if awake.are_tasks else stop,
            users=awake.as_result(),
        )
    paused = Users(tuple(use for use in mounted if use.container_id in found.resting))
    if paused and wanted.quiesce.mode == "pause":
        raise RefusedError(
            what,
            f"it is mounted by {paused}, and what is only paused goes on with the previous content",
            "Set 'quiesce: stop'",
            users=paused.as_result(),
        )


def _kept(wanted: RestoreWanted, found: RestoreFound) -> str | None:
    """Return the name of the volume that keeps the previous content; None where there is none, or it is not kept."""
    if found.volume is None or not wanted.keep_previous or found.entries == 0:
        return None
    return kept_name(wanted.name, found.now, found.names)


def words_of(source: Source) -> str:
    """Return what the backup is, for the reader."""
    return source.words if isinstance(source, ArchiveFacts) else f"the snapshot {source.short}"


def _steps(wanted: RestoreWanted, found: RestoreFound, target: Volume, kept: str | None) -> tuple[Step, ...]:
    fill = Fill(
        target=wanted.name,
        words=f"content of {words_of(found.source)}",
        way="replace" if found.unreachable else "exchange",
        created=found.volume is None,
        definition=target.definition,
        previous=kept or name_beside(wanted.name, FILL_OLD_SUFFIX),
        keep=kept is not None,
        nonce=found.nonce,
        empty=found.volume is not None and found.entries == 0,
    )
    # All that may fail comes before anybody is brought to rest, and that before anything is changed.
    return tuple(fill_steps(fill, found.rest, found.resume, at="swap", verify=wanted.verify))


def _differing(wanted: RestoreWanted, volume: Volume) -> tuple[str, ...]:
    """Return a warning where the task says how to make the volume, and it is there and made otherwise."""
    pairs = (
        ("driver", wanted.driver and driver_key(wanted.driver), driver_key(volume.driver)),
        ("driver_options", wanted.driver_options, volume.options),
        (
            "labels",
            wanted.labels,
            {key: one for key, one in (volume.labels or {}).items() if not key.startswith(RESERVED)},
        ),
    )
    names = [name for name, asked, have in pairs if asked is not None and (have or {}) != asked]
    if not names:
        return ()
    return (
        f"The volume '{wanted.name}' is there, and stays as it is made. The task would make it with other values for"
        f" {', '.join(names)}; to change it, use docker_volume_x",
    )


def _shown(wanted: RestoreWanted, volume: Volume, content: str | None) -> dict[str, Any]:
    return {**shown_volume(volume, wanted.secret_options), "content": content or "unknown"}
