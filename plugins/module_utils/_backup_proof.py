# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether archives that were made earlier still are what their manifests say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ansible_collections.voltainer.volumes.plugins.module_utils._backup_folder import BackupFolder
from ansible_collections.voltainer.volumes.plugins.module_utils._backup_found import StoredArchive
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import VolumesError


def sized(folder: BackupFolder, archive: StoredArchive) -> StoredArchive:
    """Return the archive, as broken where its size is not the one that its manifest says: this costs nothing."""
    if archive.manifest is None:
        return archive
    try:
        size = folder.size(str(archive.name))
    except VolumesError as exc:
        return replace(archive, broken=exc.why)
    if size == archive.manifest.bytes:
        return archive
    return replace(archive, broken=f"it has {size} bytes, and its manifest says {archive.manifest.bytes}")


def proved(folder: BackupFolder, archive: StoredArchive, on_bytes: Callable[[int], None]) -> StoredArchive:
    """Return the archive, as broken where its digest is not the one that its manifest says: it is read in full."""
    if archive.manifest is None:
        return archive
    try:
        sha256 = folder.sha256(str(archive.name), on_bytes)
    except VolumesError as exc:
        return replace(archive, broken=exc.why)
    if sha256 == archive.manifest.sha256:
        return archive
    return replace(archive, broken=f"its sha256 is {sha256}, and its manifest says {archive.manifest.sha256}")
