# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder with the archives of volumes: files appear in it whole, on the disk, or not at all.

A backup is an archive and a manifest beside it. The manifest gets its name first, and loses it last: so whoever sees an
archive under its name sees all of the backup. A file is written under a partial name, which its writer holds locked.
What no process holds was left by one that was killed, and goes with the next run. A manifest alone is no trace of that:
its archive may have been moved to where storage costs less.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from ansible_collections.voltainer.volumes.plugins.module_utils._backup_names import (
    MANIFEST_ENDING,
    ArchiveName,
    partial,
    partials_of,
    whole_of,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import RefusedError, VolumesError
from ansible_collections.voltainer.volumes.plugins.module_utils._manifest import Manifest, from_json

# A manifest has a few kilobytes; what has more is none.
_LARGEST_MANIFEST = 4 << 20
_PIECE = 1 << 20
# What file systems say that have no locks, as some shares.
_NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})
_BLOCK = 512


@dataclass(frozen=True)
class Left:
    """What killed runs left of archives of a volume: the files, for each partial one, and how many bytes they take.

    `unknown` are partial files of which nobody can tell whether a run is at them, each with the reason.
    """

    files: Mapping[str, tuple[str, ...]]
    bytes: int = 0
    unknown: tuple[str, ...] = ()


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
            self._lock(file, handle)
            self._check_there(name, handle)
            yield handle
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=self.handle)
            os.close(handle)

    def _lock(self, file: str, handle: int) -> None:
        try:
            # Waits for another run that takes it for one that was left: that has it for a moment.
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError as exc:
            # Where there are no locks, no run can take it for one that was left, either.
            if exc.errno not in _NO_LOCKS:
                raise self._failed("write", file, exc) from exc

    def _check_there(self, name: str, handle: int) -> None:
        """Raise VolumesError where another run took the file for one that was left, before it was locked."""
        if not self._is(name, handle):
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

    def complete(self, archive: ArchiveName, manifest: str) -> None:
        """Give the archive its name, whose partial file is on the disk, and its manifest before."""
        self.write(archive.manifest, manifest)
        try:
            self.publish(str(archive))
        except BaseException:
            if not self._has(str(archive)):
                self._unlink(archive.manifest)
            raise

    def remove(self, archive: ArchiveName) -> None:
        """Remove an archive and its manifest."""
        # The archive first: a manifest without one is nothing, while an archive without a manifest may still be used.
        # A run that is killed in between leaves what it would leave of one that was not complete.
        try:
            with contextlib.suppress(FileNotFoundError):
                os.rename(str(archive), partial(str(archive)), src_dir_fd=self.handle, dst_dir_fd=self.handle)
        except OSError as exc:
            raise self._failed("remove", str(archive), exc) from exc
        for file in (str(archive), archive.manifest, partial(str(archive))):
            self._unlink(file)

    def left(self, volume: str) -> Left:
        """Return what killed runs left of archives of the volume; changes nothing."""
        found: dict[str, tuple[str, ...]] = {}
        unknown: list[str] = []
        size = 0
        for file in partials_of(volume, self.files()):
            with _noted(file, unknown), self._unheld(file) as handle:
                if handle is not None:
                    found[file] = self._with_manifest(file)
                    size += self._takes(handle)
        return Left(found, size, tuple(unknown))

    def clean(self, file: str) -> None:
        """Remove a partial file that a killed run left, and the manifest that had got its name before the archive."""
        try:
            with self._unheld(file) as handle:
                for one in self._with_manifest(file) if handle is not None else ():
                    self._unlink(one)
        except OSError as exc:
            raise self._failed("remove", file, exc) from exc

    @contextmanager
    def _unheld(self, file: str) -> Iterator[int | None]:
        """Yield a partial file, open and locked; None where it is gone, or a run is at it. Raises OSError."""
        try:
            # Shares lock only what is open to be written to.
            handle = os.open(file, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=self.handle)
        except FileNotFoundError:
            yield None
            return
        try:
            yield handle if self._take(handle) and self._is(file, handle) else None
        finally:
            os.close(handle)

    def _take(self, handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _with_manifest(self, file: str) -> tuple[str, ...]:
        """Return what is to be removed with a partial file, in order: it goes last, since it tells of the other."""
        archive = whole_of(file)
        manifest = f"{archive}{MANIFEST_ENDING}"
        if archive.endswith(MANIFEST_ENDING) or self._has(archive) or not self._has(manifest):
            return (file,)
        return (manifest, file)

    def _takes(self, handle: int) -> int:
        found = os.fstat(handle)
        # With two names, it is the archive as well.
        return found.st_blocks * _BLOCK if found.st_nlink == 1 else 0

    def _is(self, name: str, handle: int) -> bool:
        """Return whether the name still is that of the open file."""
        try:
            return os.path.samestat(os.stat(name, dir_fd=self.handle, follow_symlinks=False), os.fstat(handle))
        except FileNotFoundError:
            return False

    def _has(self, file: str) -> bool:
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


@contextmanager
def _noted(file: str, noted: list[str]) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        noted.append(f"{file} ({exc.strerror or exc})")


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
