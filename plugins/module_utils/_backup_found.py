# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was observed on the way to a backup, and what there is to know of the backups that are stored. Pure."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Union

from ansible_collections.voltainer.volumes.plugins.module_utils._archive_kind import PACKAGES
from ansible_collections.voltainer.volumes.plugins.module_utils._backup_names import ArchiveName
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import RefusedError
from ansible_collections.voltainer.volumes.plugins.module_utils._manifest import EngineFacts, Manifest, Origin
from ansible_collections.voltainer.volumes.plugins.module_utils._plan import Step
from ansible_collections.voltainer.volumes.plugins.module_utils._restic import Repository, Snapshot
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import Volume


@dataclass(frozen=True)
class FolderFacts:
    """A folder of this host, as it was found. `free` is in bytes, None where it is unknown."""

    kind: Literal["folder", "absent", "other"] = "folder"
    writable: bool = True
    free: int | None = None


@dataclass(frozen=True)
class StoredArchive:
    """An archive that lies in a folder; `why` is what is wrong with a manifest that could not be read.

    `broken` is how the file is known to differ from what its manifest says of it; empty where it is not.
    """

    name: ArchiveName
    manifest: Manifest | None = None
    why: str = ""
    broken: str = ""

    @property
    def origin(self) -> Origin | None:
        """The volume that it is of, as its manifest tells; None where that is missing, or is of another archive."""
        return self.manifest.origin if self.manifest and self.manifest.name == self.name else None


@dataclass(frozen=True)
class BackupFound:
    """What was observed on the way to a backup.

    `now` is the time of the engine's host, and `host_os` its operating system. `archives` are those of the volume in
    the folder `path`, and `unknown` partial files there that may be of runs that go on. `snapshots` are those of the
    volume and host in the repository; `repository_there` is None where nobody looked. `tools` are the versions of the
    programs that are there. `content_bytes` (the sizes of all files) and `entries` are what the volume holds,
    `content_digest` is looked up only where an unchanged volume is not to be backed up; None is unknown. `first` are
    the steps that remove what runs left that were killed, `rest` and `resume` those that bring the volume's users to
    rest and back.
    """

    now: datetime
    engine: EngineFacts
    volume: Volume | None
    host_os: str = "unknown"
    folder: FolderFacts | None = None
    archives: tuple[StoredArchive, ...] = ()
    repository_there: bool | None = None
    unknown: tuple[str, ...] = ()
    snapshots: tuple[Snapshot, ...] = ()
    tools: Mapping[str, str] = field(default_factory=dict)
    content_bytes: int | None = None
    entries: int = 0
    content_digest: str | None = None
    first: tuple[Step, ...] = ()
    rest: tuple[Step, ...] = ()
    resume: tuple[Step, ...] = ()

    @property
    def stored(self) -> list[Stored]:
        """All archives and snapshots, the oldest first."""
        return sorted((*self.archives, *self.snapshots), key=lambda one: (time_of(one), name_of(one)))


Stored = Union[StoredArchive, Snapshot]


def mine(found: BackupFound) -> list[Stored]:
    """Return the backups that this engine made of the volume, the oldest first.

    Several hosts may use one folder, and have volumes of one name. What has no manifest may be of any of them.
    """
    return [
        one
        for one in found.stored
        if one.origin and (isinstance(one, Snapshot) or one.origin.engine == found.engine.id)
    ]


def whole(found: BackupFound) -> list[Stored]:
    """Return those of `mine` that count: archives that are known to be broken do not."""
    return [one for one in mine(found) if one not in broken(found)]


def broken(found: BackupFound) -> list[StoredArchive]:
    """Return those of `mine` that are known to be broken."""
    return [one for one in mine(found) if isinstance(one, StoredArchive) and one.broken]


def time_of(stored: Stored) -> datetime:
    """Return when a backup was made."""
    return stored.name.time if isinstance(stored, StoredArchive) else stored.time


def name_of(stored: Stored) -> str:
    """Return what a backup is called: an archive by its file, a snapshot by its ID."""
    return str(stored.name) if isinstance(stored, StoredArchive) else stored.id


def check_tools(what: str, programs: Iterable[str], tools: Mapping[str, str]) -> None:
    """Raise RefusedError, about the action `what`, where one of the programs is not on the host."""
    missing = [program for program in programs if program not in tools]
    if missing:
        packages = " ".join(PACKAGES.get(program, program) for program in missing)
        raise RefusedError(
            what,
            f"the host does not have {' and '.join(missing)}",
            f"Install it there (Debian: apt install {packages})",
            missing=missing,
        )


def is_inside(path: str, folder: str) -> bool:
    """Return whether the path is the folder, or in it; both are absolute."""
    path, folder = os.path.normpath(path), os.path.normpath(folder)
    return os.path.commonpath([path, folder]) == folder if os.path.isabs(folder) else False


def host_of(repository: Repository, engine: EngineFacts) -> str:
    """Return the host that snapshots of this engine have."""
    return repository.host or engine.name
