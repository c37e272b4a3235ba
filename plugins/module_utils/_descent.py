# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Go through a tree of files that somebody else may change at any moment, with ill intent as well.

Nothing is reached by a path: each folder is opened in the one above it, and never through a symbolic link. Files are
opened without effect first (O_PATH), looked at, and only regular ones are opened to read: opening a pipe blocks, and
opening some devices (a watchdog) has effects. Trees may be deeper than paths may be long, or descriptors many.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from collections.abc import Iterator
from typing import Literal, NamedTuple

from ansible_collections.voltainer.volumes.plugins.module_utils._entry import LOST_AND_FOUND, shown
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import VolumesError

_ENCODING = sys.getfilesystemencoding()
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LOOK = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_CLOEXEC
# What is no longer there, or no longer of the kind that it was a moment ago.
_GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ESTALE})
# Folders that are open at a time, beside the root and those that are just being opened.
_OPEN_AT_MOST = 32


class Problem(NamedTuple):
    """What of a tree was left out, and why: it vanished while it was read, or something else is mounted there."""

    path: bytes
    what: Literal["vanished", "mounted"]


class Step(NamedTuple):
    """One entry on the way through a tree: its path, its name (b"" for the root), and its lstat(2)."""

    path: bytes
    name: bytes
    status: os.stat_result


class GoneError(Exception):
    """What was to be opened has vanished, or is of another kind by now."""


class MountedError(Exception):
    """What was to be gone into is of another file system."""


class _Level:
    """A folder on the way from the root to where we stand. `fd` is -1 while it is not open, `names` come last first."""

    __slots__ = ("fd", "identity", "name", "names", "status")

    def __init__(self, name: bytes, fd: int, path: bytes) -> None:
        """Take over the descriptor, and close it if what is in the folder cannot be read."""
        try:
            self.status = os.fstat(fd)
            self.names = sorted([name.encode(_ENCODING, "surrogateescape") for name in os.listdir(fd)], reverse=True)
        except OSError as exc:
            os.close(fd)
            raise unreadable(path, exc) from exc
        self.name = name
        self.fd = fd
        self.identity = (self.status.st_dev, self.status.st_ino)


class Descent:
    """Stands in one folder of a tree at a time. `fd` is its descriptor, `above` its path and a "/", b"" at the root.

    `status` is that of the root. Use it as a context manager. The descriptor that it is given stays the caller's.
    Raises VolumesError, which names the path, for what cannot be read.
    """

    def __init__(self, fd: int) -> None:
        # A descriptor of our own: listing moves the position that all copies of one share.
        try:
            own = _open_folder(b".", fd, b"")
        except GoneError as exc:
            raise VolumesError("Cannot read the folder", "it is none, or is no longer there") from exc
        self._levels = [_Level(b"", own, b"")]
        self._open = 1
        self.above = b""
        self.fd = own
        self.status = self._levels[0].status
        self.device = self.status.st_dev

    def __enter__(self) -> Descent:
        """Hand the descent itself out."""
        return self

    def __exit__(self, *_exc: object) -> None:
        """Close all folders."""
        for level in self._levels:
            _close(level)
        self._levels.clear()

    @property
    def at_root(self) -> bool:
        """Whether the folder is the root."""
        return len(self._levels) == 1

    def next_name(self) -> bytes | None:
        """Return the name after the last one in this folder, by their bytes, or None where there is none any more."""
        names = self._levels[-1].names
        return names.pop() if names else None

    def down(self, name: bytes) -> None:
        """Go into the folder `name` of this one. Raises GoneError or MountedError."""
        path = self.above + name
        fd = _open_folder(name, self.fd, path)
        level = _Level(name, fd, path)
        if level.identity[0] != self.device:
            os.close(fd)
            raise MountedError
        self._levels.append(level)
        self.above = path + b"/"
        self.fd = fd
        self._open += 1
        if self._open > _OPEN_AT_MOST:
            # The highest one that is open beside the root: those below it are needed sooner.
            _close(self._levels[-_OPEN_AT_MOST])
            self._open -= 1

    def up(self) -> bytes | None:
        """Go to the folder above and return the name of the one that was left, None where the one above vanished.

        A folder that vanished has no names any more; from there the way leads further up.
        """
        left = self._levels.pop()
        level = self._levels[-1]
        self.above = self.above[: -len(left.name) - 1]
        if level.fd < 0:
            level.fd = self._again(left.fd)
            self._open += level.fd >= 0
        self._open -= left.fd >= 0
        _close(left)
        self.fd = level.fd
        if level.fd < 0:
            level.names = []
            return None
        return left.name

    def _again(self, below: int) -> int:
        """Open the last level again, from the folder that was below it or from the root, if it is still the same."""
        wanted = self._levels[-1].identity
        if below >= 0:
            fd = _same(b"..", below, wanted)
            if fd >= 0:
                return fd
        fd = -1
        above = self._levels[0].fd
        for level in self._levels[1:]:
            fd = _same(level.name, above, level.identity)
            if above != self._levels[0].fd:
                os.close(above)
            if fd < 0:
                break
            above = fd
        return fd


class Walk:
    """The steps through a tree in canonical order, as an iterator. Between two of them it stands at the entry's folder.

    `fd` is that folder's descriptor, of the root for the root. What vanishes is left out and what is mounted inside is
    an empty folder; both are added to `problems`. Bind mounts of the same file system are gone through, as tar does.
    """

    def __init__(self, fd: int, problems: list[Problem] | None = None) -> None:
        self.descent = Descent(fd)
        self.problems = problems if problems is not None else []

    def __iter__(self) -> Iterator[Step]:
        """Yield the steps."""
        with self.descent as descent:
            yield Step(b"", b"", descent.status)
            while True:
                name = descent.next_name()
                if name is None:
                    if descent.at_root:
                        return
                    if descent.up() is None:
                        self.vanished(descent.above[:-1])
                    continue
                # In line: with a generator for each entry, a walk takes half as long again.
                path = descent.above + name
                try:
                    status = os.stat(name, dir_fd=descent.fd, follow_symlinks=False)
                except OSError as exc:
                    self.missed(path, exc)
                    continue
                if not stat.S_ISDIR(status.st_mode):
                    yield Step(path, name, status)
                elif path != LOST_AND_FOUND or holds_data(name, descent.fd):
                    yield Step(path, name, status)
                    self._enter(path, name, status)

    def vanished(self, path: bytes) -> None:
        """Note that what is at the path is no longer there."""
        self.problems.append(Problem(path, "vanished"))

    def _enter(self, path: bytes, name: bytes, status: os.stat_result) -> None:
        if status.st_dev != self.descent.device:
            self.problems.append(Problem(path, "mounted"))
            return
        try:
            self.descent.down(name)
        except GoneError:
            self.vanished(path)
        except MountedError:
            self.problems.append(Problem(path, "mounted"))

    def missed(self, path: bytes, exc: OSError) -> None:
        """Note that what is at the path vanished, where that is the error; raise VolumesError for any other."""
        if exc.errno not in _GONE:
            raise unreadable(path, exc) from exc
        self.vanished(path)


def open_file(name: bytes, folder: int, path: bytes) -> tuple[int, os.stat_result]:
    """Open the regular file `name` of a folder to read; return its descriptor and its status.

    Raises GoneError if it is not there or no regular file, VolumesError naming `path` if it cannot be read.
    """
    try:
        look = os.open(name, _LOOK, dir_fd=folder)
        try:
            status = os.fstat(look)
            if not stat.S_ISREG(status.st_mode):
                raise GoneError
            return _open_quietly(b"/proc/self/fd/%d" % look, _READ, None), status
        finally:
            os.close(look)
    except OSError as exc:
        raise _gone_or_unreadable(path, exc) from exc


def holds_data(name: bytes, folder: int) -> bool:
    """Tell whether a folder has anything in it but sockets. One that is gone, or no folder, has not."""
    try:
        fd = _open_folder(name, folder, name)
    except GoneError:
        return False
    try:
        return not all(_is_socket(inside, fd) for inside in os.listdir(fd))
    except OSError as exc:
        raise unreadable(name, exc) from exc
    finally:
        os.close(fd)


def _is_socket(name: str, folder: int) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return stat.S_ISSOCK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    # What is gone is no data either.
    return True


def unreadable(path: bytes, exc: OSError) -> VolumesError:
    """Return the error for what cannot be read at the path."""
    return VolumesError(f"Cannot read '{shown(path)}'", exc.strerror or str(exc))


def _open_folder(name: bytes, folder: int, path: bytes) -> int:
    try:
        return _open_quietly(name, _FOLDER, folder)
    except OSError as exc:
        raise _gone_or_unreadable(path, exc) from exc


def _open_quietly(name: bytes, flags: int, folder: int | None) -> int:
    """Open without a change of the time of access, where that is allowed: for the owner and for root."""
    try:
        return os.open(name, flags | os.O_NOATIME, dir_fd=folder)
    except PermissionError:
        return os.open(name, flags, dir_fd=folder)


def _gone_or_unreadable(path: bytes, exc: OSError) -> Exception:
    return GoneError() if exc.errno in _GONE else unreadable(path, exc)


def _same(name: bytes, folder: int, identity: tuple[int, int]) -> int:
    """Open a folder and return its descriptor, or -1 if it is not the one that it was."""
    try:
        fd = os.open(name, _FOLDER, dir_fd=folder)
    except OSError:
        return -1
    status = os.fstat(fd)
    if (status.st_dev, status.st_ino) == identity:
        return fd
    os.close(fd)
    return -1


def _close(level: _Level) -> None:
    if level.fd >= 0:
        os.close(level.fd)
        level.fd = -1
