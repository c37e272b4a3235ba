# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a volume is filled with by a restore: the content of an archive, or of a snapshot of restic."""

from __future__ import annotations

import itertools
import os
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace

from ansible_collections.voltainer.volumes.plugins.module_utils._archive_layout import Layout
from ansible_collections.voltainer.volumes.plugins.module_utils._archive_run import entries_below, unpack
from ansible_collections.voltainer.volumes.plugins.module_utils._data_engine import DataEngine
from ansible_collections.voltainer.volumes.plugins.module_utils._data_look import content_digest, entries_of
from ansible_collections.voltainer.volumes.plugins.module_utils._digest import TreeDigest
from ansible_collections.voltainer.volumes.plugins.module_utils._entry import Entry, counts_as_xattr, shown
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import RefusedError, VolumesError
from ansible_collections.voltainer.volumes.plugins.module_utils._progress import Progress
from ansible_collections.voltainer.volumes.plugins.module_utils._reach import Reach
from ansible_collections.voltainer.volumes.plugins.module_utils._restic import Snapshot, restored_folders
from ansible_collections.voltainer.volumes.plugins.module_utils._restic_run import Restic
from ansible_collections.voltainer.volumes.plugins.module_utils._restore_plan import ArchiveFacts, Source
from ansible_collections.voltainer.volumes.plugins.module_utils._tree import Measured, walk

# How many devices an error names.
_DEVICES = 20


@dataclass
class BackupContent:
    """What a volume is filled with by a restore, and how many `seconds` that took.

    `digest` is that of what is filled in, None where nobody knows it.
    """

    source: Source
    digest: str | None = None
    content_bytes: int | None = None
    files: int | None = None
    verify: bool = True
    warnings: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def sources(self) -> Mapping[str, bool]:
        """See Content."""
        return {}

    def may_be(self, measured: Measured) -> bool:
        """Return whether this may be what was measured: then only a digest, for which all of it is read, can tell."""
        return self.content_bytes in {None, measured.bytes} and self.files in {None, measured.files}

    def bring(self, at: Reach, target: str, *, update: bool = False) -> None:
        """See Content."""
        raise NotImplementedError

    def check(self, at: Reach, target: str, *, besides: str = "") -> None:
        """See Content."""
        del besides
        found = content_digest(at, target)
        self.content_bytes, self.files = found.bytes, found.files
        if self.verify and self.digest is not None and found.hexdigest() != self.digest:
            self.refuse(target, found.hexdigest())
        self.digest = found.hexdigest()

    def refuse(self, target: str, found: str) -> None:
        """Raise VolumesError, since what is in the volume has another digest than the backup."""
        raise VolumesError(
            f"What was unpacked into '{target}' is not what the backup has",
            f"the digest of the content is {found}, and that of the backup {self.digest}",
            "Look at the disk and its file system: it must keep owners, modes, times and attributes",
        )


@dataclass
class ArchiveContent(BackupContent):
    """The content of an archive on this host, which is open as `handle` from its proof to its end."""

    handle: int = -1
    facts: ArchiveFacts | None = None
    identity_file: str | None = None
    inside: Layout = field(default_factory=lambda: Layout("", ""))
    # How many bytes it takes, about.
    unpacked: int | None = None
    progress: Progress = field(default_factory=lambda: Progress(None))

    def bring(self, at: Reach, target: str, *, update: bool = False) -> None:
        """See Content."""
        del update
        if self.facts is None:
            raise RefusedError("Cannot unpack the archive", "there is none", "Report this")
        self.progress.phase(target, "restore", self.content_bytes)
        began = time.monotonic()
        unpack(
            at,
            target,
            self.handle,
            self.facts.kind,
            identity_file=self.identity_file,
            prefix=os.fsencode(self.inside.prefix),
        )
        self.seconds = time.monotonic() - began
        self.progress.finish()

    def check(self, at: Reach, target: str, *, besides: str = "") -> None:
        """See Content."""
        if self.verify and self.digest is None:
            self._compare(at, target)
        super().check(at, target, besides=besides)

    def _compare(self, at: Reach, target: str) -> None:
        """Compare the volume with the archive itself, which has no manifest. Raises VolumesError where they differ.

        Not the folders: what an archive does not have of them, tar makes as it likes. Where the first name of a file
        is another one in the archive, both sides are compared once more with each name as a file.
        """
        counts = []
        for links in (True, False):
            keeps = replace(at.keeps(target, may_write=False), links=links)
            packed, unpacked = TreeDigest(keeps), TreeDigest(keeps)
            _add_all(packed, self._entries(links=links))
            _add_all(unpacked, entries_of(at, target, links=links))
            if packed.hexdigest() == unpacked.hexdigest():
                return
            counts = [packed.entries, unpacked.entries]
        raise VolumesError(
            f"What was unpacked into '{target}' is not what the archive has",
            f"apart from folders, the archive has {counts[0]} entries, and the volume {counts[1]}"
            if counts[0] != counts[1]
            else "entries differ in their content, owner, mode, time or attributes",
            "Look at the disk and its file system. An archive to which entries were appended has some of them twice:"
            " take that as it is with 'verify: false'",
        )

    def _entries(self, *, links: bool) -> Iterator[Entry]:
        if self.facts is None:
            return iter(())
        prefix = os.fsencode(self.inside.prefix)
        return entries_below(self.handle, self.facts.kind, identity_file=self.identity_file, prefix=prefix, links=links)


def _add_all(digest: TreeDigest, entries: Iterable[Entry]) -> None:
    for entry in entries:
        if entry.kind != "directory":
            digest.add(entry)


@dataclass
class SnapshotContent(BackupContent):
    """The content of a snapshot of restic, which writes into the folder of the staging volume."""

    restic: Restic | None = None
    engine: DataEngine | None = None
    snapshot: Snapshot | None = None
    allow_devices: bool = False

    def refuse(self, target: str, found: str) -> None:
        """Warn: restic compared the content itself, and there is more in a volume than restic keeps (0.14 to 0.18)."""
        self.warnings.append(
            f"What restic brought back into '{target}' is not in all as it was backed up. It does not keep hard links"
            f" between symbolic links, nor, before 0.15, holes in files (digest {found}, backed up as {self.digest})"
        )

    def bring(self, at: Reach, target: str, *, update: bool = False) -> None:
        """See Content."""
        del update
        if self.restic is None or self.snapshot is None or self.engine is None:
            raise RefusedError("Cannot restore the snapshot", "there is none", "Report this")
        volume = self.engine.volume(target)
        folder = self.restic.folder_of(at, volume, target)
        # Beside the volume's own folder: what restic makes has that folder in it, with its owner and mode.
        beside = os.path.join(os.path.dirname(folder), f"restic-{secrets.token_hex(6)}")
        began = time.monotonic()
        os.mkdir(beside, 0o700)
        try:
            self.restic.restore(self.snapshot.id, beside, verify=self.verify)
            with _opened_below(beside, restored_folders(beside, self.snapshot)) as there:
                if there is None:
                    raise VolumesError(
                        f"Cannot restore the snapshot {self.snapshot.short}",
                        "it does not have the folder that it says it is of",
                        "Look at what 'restic ls' prints for it",
                    )
                if not self.allow_devices:
                    _refuse_devices(there, self.snapshot)
                _put(there, folder)
            self.seconds = time.monotonic() - began
        finally:
            shutil.rmtree(beside, ignore_errors=True)


@contextmanager
def _opened_below(top: str, paths: Iterable[str]) -> Iterator[int | None]:
    """Yield the first of the folders below `top` that is there, opened, or None. No link on the way is followed."""
    with ExitStack() as stack:
        yield next((found for found in (_descended(top, path, stack) for path in paths) if found is not None), None)


def _descended(top: str, path: str, stack: ExitStack) -> int | None:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    folder = os.open(top, flags)
    stack.callback(os.close, folder)
    for part in os.path.relpath(path, top).split("/"):
        try:
            folder = os.open(part, flags, dir_fd=folder)
        except OSError:
            # It is not there, or it is a link, which a snapshot of a volume does not begin with.
            return None
        stack.callback(os.close, folder)
    return folder


def _refuse_devices(folder: int, snapshot: Snapshot) -> None:
    found = (entry for entry in walk(folder, content=False) if entry.kind in {"character", "block"})
    devices = [f"'{shown(entry.path)}': it is a device" for entry in itertools.islice(found, _DEVICES)]
    if devices:
        raise RefusedError(
            f"Cannot restore the snapshot {snapshot.short}",
            f"it has entries that are dangerous: {'; '.join(devices)}",
            "If the devices are meant, set 'allow_devices: true'. Nothing was changed",
            dangers=devices,
        )


def _put(source: int, target: str) -> None:
    """Move what restic made into the folder of the volume, by the names that both have on this host: without a copy."""
    status = os.fstat(source)
    for entry in os.listdir(source):
        os.rename(entry, os.path.join(target, entry), src_dir_fd=source)
    for name in os.listxattr(source):
        if counts_as_xattr(os.fsencode(name)):
            os.setxattr(target, name, os.getxattr(source, name))
    os.chown(target, status.st_uid, status.st_gid)
    os.chmod(target, status.st_mode & 0o7777)
