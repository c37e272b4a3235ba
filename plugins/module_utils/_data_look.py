# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What backups and restores have to know of the host, the engine, and the folder with the archives."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

from ansible_collections.voltainer.volumes.plugins.module_utils._backup_folder import BackupFolder, backup_folder
from ansible_collections.voltainer.volumes.plugins.module_utils._backup_found import FolderFacts, StoredArchive
from ansible_collections.voltainer.volumes.plugins.module_utils._backup_names import ArchiveName, archives_of
from ansible_collections.voltainer.volumes.plugins.module_utils._digest import TreeDigest
from ansible_collections.voltainer.volumes.plugins.module_utils._entry import Entry, Keeps
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import RefusedError, VolumesError
from ansible_collections.voltainer.volumes.plugins.module_utils._helper import Helper
from ansible_collections.voltainer.volumes.plugins.module_utils._manifest import EngineFacts
from ansible_collections.voltainer.volumes.plugins.module_utils._program import PATH, find
from ansible_collections.voltainer.volumes.plugins.module_utils._progress import Progress
from ansible_collections.voltainer.volumes.plugins.module_utils._reach import Reach
from ansible_collections.voltainer.volumes.plugins.module_utils._tar import read_tar
from ansible_collections.voltainer.volumes.plugins.module_utils._tree import walk
from ansible_collections.voltainer.volumes.plugins.module_utils._volume_filter import parse_time

# Seconds that a program has to tell its version.
_QUICK = 20


def engine_facts(info: Mapping[str, Any], api: str) -> EngineFacts:
    """Return which engine it is, of what it says of itself."""
    return EngineFacts(
        id=str(info.get("ID") or ""),
        name=str(info.get("Name") or ""),
        version=str(info.get("ServerVersion") or ""),
        api=api,
    )


def now_of(info: Mapping[str, Any]) -> datetime:
    """Return the time of the engine's host, without fractions of a second."""
    found = parse_time(str(info.get("SystemTime") or "")) or datetime.now(timezone.utc)
    return found.astimezone(timezone.utc).replace(microsecond=0)


def tools(programs: Iterable[str]) -> dict[str, str]:
    """Return the versions of those of the programs that this host has."""
    found = {program: find(program) for program in programs}
    return {program: _version(path) for program, path in found.items() if path}


def folder_facts(path: str) -> FolderFacts:
    """Return what the folder is."""
    if not os.path.lexists(path):
        return FolderFacts("absent")
    if not os.path.isdir(path):
        return FolderFacts("other")
    found = os.statvfs(path)
    return FolderFacts("folder", os.access(path, os.W_OK | os.X_OK), found.f_bavail * found.f_frsize)


def stored(folder: BackupFolder, volume: str) -> tuple[StoredArchive, ...]:
    """Return the archives of the volume in the folder, with their manifests, the oldest first."""
    files = folder.files()
    there = frozenset(files)
    return tuple(
        _stored(folder, name) if name.manifest in there else StoredArchive(name) for name in archives_of(volume, files)
    )


def _stored(folder: BackupFolder, name: ArchiveName) -> StoredArchive:
    try:
        return StoredArchive(name, folder.manifest(name))
    except VolumesError as exc:
        return StoredArchive(name, why=exc.why)


def stored_in(path: str, volume: str) -> tuple[StoredArchive, ...]:
    """Return the archives of the volume in the folder at `path`; none where there is no folder."""
    try:
        with backup_folder(path) as folder:
            return stored(folder, volume)
    except RefusedError:
        return ()


def content_digest(at: Reach, volume: str, progress: Progress | None = None) -> TreeDigest:
    """Return the digest of all that is in the volume."""
    digest = TreeDigest(Keeps())
    for entry in entries_of(at, volume, progress=progress):
        digest.add(entry)
    return digest


def entries_of(at: Reach, volume: str, *, links: bool = True, progress: Progress | None = None) -> Iterator[Entry]:
    """Yield all that is in the volume; without `links`, each name of a file as a file of its own."""
    on_bytes = progress.advance if progress else None
    if isinstance(at, Helper):
        yield from walk(at.open(volume), links=links, on_bytes=on_bytes)
        return
    with at.packed(volume) as stream:
        yield from read_tar(stream, links=links, on_bytes=on_bytes)


def _version(path: str) -> str:
    """Return the first line of what the program says of its version."""
    try:
        said = subprocess.run(  # noqa: S603 - a program of the host, of a fixed name
            [path, "version" if path.endswith("restic") else "--version"],
            check=False,
            capture_output=True,
            timeout=_QUICK,
            env={"PATH": PATH, "LC_ALL": "C", "HOME": os.environ.get("HOME", "/")},
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    lines = (said.stdout or said.stderr).decode("utf-8", "replace").strip().splitlines()
    return lines[0][:100] if lines else "unknown"
