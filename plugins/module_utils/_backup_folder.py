# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder with the archives of volumes: files appear in it whole, on the disk, or not at all.

A backup is an archive and a manifest beside it. The manifest gets its name first, and loses it last: so whoever sees an
archive under its name sees all of the backup. A file is written under a partial name, which its writer holds locked.
What no process holds was left by one that was killed, and goes with the next run.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ansible_collections.voltainer.volumes.plugins.module_utils._backup_names import (
    MANIFEST_ENDING,
    ArchiveName,
    archives_of,
    partial,
    partials_of,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import RefusedError, VolumesError
from ansible_collections.voltainer.volumes.plugins.module_utils._manifest import Manifest, from_json

# A manifest has a few kilobytes; what has more is none.
_LARGEST_MANIFEST = 4 << 20
_PIECE = 1 << 20


@dataclass
class BackupFolder:
    """An open folder. Every method raises VolumesError with the name of the file."""

    path: str
    handle: int

    def files(self) -> list[str]:
        """Return the names of all files."""
        try:
            return os.listdir(self.handle)
        except OSError as exc:
            raise self._failed("look into", "", exc) from exc

    def manifest(self, archive: ArchiveName) -> Manifest:
        """Return the manifest of an archive."""
        return from_json(self.read(archive.manifest), os.path.join(self.path, archive.manifest))

    def read(self, file: str) -> str:
        """Return the text of a small file."""
        try:
            handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=self.handle)
            with os.fdopen(handle, "rb") as opened:
                text = opened.read(_LARGEST_MANIFEST + 1)
        except OSError as exc:
            raise self._failed("read", file, exc) from exc
        if len(text) > _LARGEST_MANIFEST:
            raise VolumesError(
                f"Cannot read '{self._named(file)}'", "it is too large for what it is to be", "Remove it"
            )
        return text.decode("utf-8", "replace")

    def size(self, file: str) -> int:
        """Return the size of a file, or of what it is a link to: an archive may be kept elsewhere."""
        try:
            return os.stat(file, dir_fd=self.handle).st_size
        except OSError as exc:
            raise self._failed("read", file, exc) from exc

    def sha256(self, file: str, on_bytes: Callable[[int], None]) -> str:
        """Return the SHA-256 of a file; `on_bytes` is told of each piece that is read."""
        digest = hashlib.sha256()
        try:
            handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=self.handle)
            with os.fdopen(handle, "rb", 0) as opened:
                for piece in iter(lambda: opened.read(_PIECE), b""):
                    digest.update(piece)
                    on_bytes(len(piece))
        except OSError as exc:
            raise self._failed("read", file, exc) from exc
        return digest.hexdigest()

    @contextmanager
    def partial(self, file: str) -> Iterator[int]:
        """Yield an open file that will be `file`; without `publish` within, it is gone afterwards."""
        name = partial(file)
        try:
            handle = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=self.handle)
        except OSError as exc:
            raise self._failed("write", file, exc) from exc
        try:
            # Waits for another run that takes it for one that was left: that has it for a moment.
            fcntl.flock(handle, fcntl.LOCK_EX)
            self._check_there(name, handle)
            yield handle
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=self.handle)
            os.close(handle)

    def _check_there(self, name: str, handle: int) -> None:
        """Raise VolumesError where another run took the file for one that was left, before it was locked."""
        try:
            there = os.path.samestat(os.stat(name, dir_fd=self.handle, follow_symlinks=False), os.fstat(handle))
        except FileNotFoundError:
            there = False
        if not there:
            raise VolumesError(
                f"Cannot write '{self._named(name)}'",
                "another run made and removed files of the volume at the same moment",
                "Run the task again",
            )

    def publish(self, file: str) -> None:
        """Give the partial file its name. It must be on the disk."""
        try:
            # Not a rename: that would take the place of a file which somebody made meanwhile.
            os.link(partial(file), file, src_dir_fd=self.handle, dst_dir_fd=self.handle, follow_symlinks=False)
        except FileExistsError as exc:
            raise self._failed("write", file, exc) from exc
        except OSError:
            # File systems without hard links, where the time between is as short as can be.
            try:
                self._refuse_existing(file)
                os.rename(partial(file), file, src_dir_fd=self.handle, dst_dir_fd=self.handle)
            except OSError as exc:
                raise self._failed("write", file, exc) from exc
        self.sync()

    def _refuse_existing(self, file: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.stat(file, dir_fd=self.handle, follow_symlinks=False)
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))

    def write(self, file: str, text: str) -> None:
        """Write a small file, whole or not at all."""
        with self.partial(file) as handle:
            try:
                rest = memoryview(text.encode())
                while rest:
                    rest = rest[os.write(handle, rest) :]
                os.fsync(handle)
            except OSError as exc:
                raise self._failed("write", file, exc) from exc
            self.publish(file)

    def remove(self, archive: ArchiveName) -> None:
        """Remove an archive and its manifest."""
        # The archive first: a manifest without one is nothing, while an archive without a manifest may still be used.
        for file in (str(archive), archive.manifest):
            self._unlink(file)

    def clean(self, volume: str) -> None:
        """Remove what killed runs left of archives of the volume: partial files, and manifests without an archive."""
        for file in partials_of(volume, self.files()):
            self._remove_unheld(file)
        files = frozenset(self.files())
        names = (file[: -len(MANIFEST_ENDING)] for file in files if file.endswith(MANIFEST_ENDING))
        for archive in archives_of(volume, names):
            # Of a run that goes on, the archive is about to get its name.
            if str(archive) not in files and partial(str(archive)) not in files and not self._has(str(archive)):
                self._unlink(archive.manifest)

    def _has(self, file: str) -> bool:
        # A list of a folder that changes meanwhile need not have what was renamed.
        try:
            os.stat(file, dir_fd=self.handle, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def _unlink(self, file: str) -> None:
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(file, dir_fd=self.handle)
        except OSError as exc:
            raise self._failed("remove", file, exc) from exc

    def _remove_unheld(self, file: str) -> None:
        try:
            handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=self.handle)
        except FileNotFoundError:
            return
        except OSError as exc:
            raise self._failed("remove", file, exc) from exc
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(file, dir_fd=self.handle)
        except (BlockingIOError, FileNotFoundError):
            # Another run is at it.
            return
        finally:
            os.close(handle)

    def sync(self) -> None:
        """Make the names that were given or taken away outlive a power cut, where the file system can."""
        with contextlib.suppress(OSError):
            os.fsync(self.handle)

    def free(self) -> int:
        """Return how many bytes are free."""
        found = os.fstatvfs(self.handle)
        return found.f_bavail * found.f_frsize

    def _named(self, file: str) -> str:
        return os.path.join(self.path, file) if file else self.path

    def _failed(self, action: str, file: str, exc: OSError) -> VolumesError:
        way_out = _BUSY if isinstance(exc, FileExistsError) else _WAYS.get(action, "")
        return VolumesError(f"Cannot {action} '{self._named(file)}'", exc.strerror or str(exc), way_out)


_BUSY = "Another run makes a backup of the volume at this moment: run the task again when that has ended"
_WAYS = {
    "write": "Make space in the folder and see that the task's user may write to it, and that nobody else does",
    "read": "Look at the rights of the file and at the disk",
    "remove": "Look at the rights of the folder",
}


@contextmanager
def backup_folder(path: str) -> Iterator[BackupFolder]:
    """Yield the folder. Raises RefusedError where there is none."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as exc:
        raise RefusedError(
            f"Cannot use the folder '{path}'",
            exc.strerror or str(exc),
            "Make the folder first, on the host where the module runs, or correct 'path'",
        ) from exc
    try:
        yield BackupFolder(path, handle)
    finally:
        os.close(handle)
