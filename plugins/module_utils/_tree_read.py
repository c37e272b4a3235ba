# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read entries of folders: attributes, the content of files, which of their names are further ones of the same file."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator

from ansible_collections.voltainer.volumes.plugins.module_utils._descent import (
    GoneError,
    Step,
    Walk,
    open_file,
    unreadable,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._digest import ContentHash, hash_of
from ansible_collections.voltainer.volumes.plugins.module_utils._entry import Entry, Kind, counts_as_xattr

CHUNK = 1 << 20
# What st_blocks counts, whatever the block size of the file system.
BLOCK = 512
KINDS: dict[int, Kind] = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFCHR: "character",
    stat.S_IFBLK: "block",
    stat.S_IFSOCK: "socket",
}
LINKABLE = frozenset({"file", "symlink"})
NO_XATTRS = frozenset({errno.ENOTSUP, errno.ENOSYS})
# An open file, and its status.
Opened = tuple[int, os.stat_result]


class Reader:
    """Makes entries of the steps of a walk, each while the walk stands at it.

    With `content`, files are read. With `opens`, a file is open as `opened` from its entry to the next one, or until
    `close`.
    """

    def __init__(  # noqa: PLR0913 - options by name
        self,
        walk: Walk,
        *,
        content: bool,
        links: bool = True,
        xattrs: bool = True,
        opens: bool = False,
        on_bytes: Callable[[int], None] | None = None,
    ) -> None:
        self.walk = walk
        self.opened: Opened | None = None
        self._opens = opens
        self._content = content
        self._links = Links() if links else None
        self._on_bytes = on_bytes
        # Devices that know no attributes: asking costs as much as the status.
        self._without_xattrs: set[int] = set()
        self._want_xattrs = xattrs
        self._place = (-1, b"")

    def entry(self, step: Step) -> Entry | None:
        """Return the entry, or None if it has vanished."""
        path, name, status = step
        kind = KINDS[stat.S_IFMT(status.st_mode)]
        if self.opened is not None:
            self.close()
        if self._links is not None and status.st_nlink > 1 and kind in LINKABLE:
            first = self._links.first(step)
            if first is not None:
                return Entry(path, "link", target=first)
        try:
            if kind == "file" and self._opens:
                return self._open(path, name)
            if kind == "file" and self._content:
                return self._file(path, name)
            target = os.readlink(name, dir_fd=self.walk.descent.fd) if kind == "symlink" else b""
            return _entry(path, status, self._xattrs(name, status), target=target)
        except GoneError:
            self.walk.vanished(path)
            if self._links is not None:
                # It may still be there under another name, which is the first then.
                self._links.forget(step)
        except OSError as exc:
            # A symbolic link that was replaced by something else.
            self.walk.missed(path, OSError(errno.ENOENT, "") if exc.errno == errno.EINVAL else exc)
        return None

    def has_xattrs(self, step: Step) -> bool | None:
        """Tell whether the entry has extended attributes, None if its file system knows none."""
        try:
            found = bool(self._xattrs(step.name, step.status))
        except OSError as exc:
            self.walk.missed(step.path, exc)
            return None
        return None if step.status.st_dev in self._without_xattrs else found

    def close(self) -> None:
        """Close the file that is open."""
        if self.opened is not None:
            os.close(self.opened[0])
            self.opened = None

    def _open(self, path: bytes, name: bytes) -> Entry:
        fd, status = self.opened = open_file(name, self.walk.descent.fd, path)
        # Of the open file, which is asked faster than by a path.
        return _entry(path, status, self._xattrs_of(fd, status.st_dev))

    def _file(self, path: bytes, name: bytes) -> Entry:
        fd, status = open_file(name, self.walk.descent.fd, path)
        try:
            xattrs = self._xattrs_of(fd, status.st_dev)
            content = content_of(fd, status, self._on_bytes)
        except OSError as exc:
            raise unreadable(path, exc) from exc
        finally:
            os.close(fd)
        return _entry(path, status, xattrs, content=content)

    def _xattrs(self, name: bytes, status: os.stat_result) -> tuple[tuple[bytes, bytes], ...]:
        fd = self.walk.descent.fd
        if not name:
            return self._xattrs_of(fd, status.st_dev)
        # There is no such call that takes a folder's descriptor and a name; this path is as good.
        if self._place[0] != fd:
            self._place = (fd, b"/proc/self/fd/%d/" % fd)
        return self._xattrs_of(self._place[1] + name, status.st_dev)

    def _xattrs_of(self, place: int | bytes, device: int) -> tuple[tuple[bytes, bytes], ...]:
        if not self._want_xattrs or device in self._without_xattrs:
            return ()
        # A descriptor is not followed: it is no path.
        follow = isinstance(place, int)
        try:
            names = os.listxattr(place, follow_symlinks=follow)
        except OSError as exc:
            if exc.errno not in NO_XATTRS:
                raise
            self._without_xattrs.add(device)
            return ()
        if not names:
            return ()
        pairs = []
        for name in sorted(map(os.fsencode, names)):
            if counts_as_xattr(name):
                try:
                    pairs.append((name, os.getxattr(place, name, follow_symlinks=follow)))
                except OSError as exc:
                    if exc.errno not in {errno.ENODATA, *NO_XATTRS}:
                        raise
        return tuple(pairs)


class Links:
    """Remembers the first names of what has further ones, until all have been seen."""

    def __init__(self) -> None:
        self._seen: dict[tuple[int, int], tuple[bytes, int]] = {}

    def first(self, step: Step) -> bytes | None:
        """Return the path of the first name of what is at the step, None if this is the first."""
        key = (step.status.st_dev, step.status.st_ino)
        path, left = self._seen.get(key, (None, step.status.st_nlink))
        if left <= 1:
            del self._seen[key]
        else:
            self._seen[key] = (step.path if path is None else path, left - 1)
        return path

    def forget(self, step: Step) -> None:
        """Forget what is at the step: its name that was seen is gone."""
        self._seen.pop((step.status.st_dev, step.status.st_ino), None)


def content_of(fd: int, status: os.stat_result, on_bytes: Callable[[int], None] | None = None) -> bytes:
    """Return the hash of an open file's content, of as many bytes as its status says. Raises OSError.

    What was cut off meanwhile counts as zeros, what was added is not read.
    """
    size = status.st_size
    sparse = status.st_blocks * BLOCK < size
    if size <= CHUNK and not sparse:
        data = os.read(fd, size) if size else b""
        if len(data) == size:
            if on_bytes is not None and size:
                on_bytes(size)
            return hash_of(data)
    content = ContentHash()
    for position, end in _pieces(fd, size) if sparse else ((0, size),):
        offset = position
        while offset < end:
            data = os.pread(fd, min(CHUNK, end - offset), offset)
            if not data:
                return content.finish(size)
            content.feed(offset, data)
            offset += len(data)
            if on_bytes is not None:
                on_bytes(len(data))
    return content.finish(size)


def next_data(fd: int, position: int, size: int) -> int:
    """Return where, from the position on, a file has data again; `size` where it has none. Raises OSError."""
    try:
        return min(os.lseek(fd, position, os.SEEK_DATA), size)
    except OSError as exc:
        if exc.errno == errno.ENXIO:
            return size
        # EINVAL and others of file systems that do not tell: all of it may be data.
        if exc.errno in {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS}:
            return position
        raise


def _pieces(fd: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield where data begins and ends."""
    position = next_data(fd, 0, size)
    while position < size:
        try:
            end = os.lseek(fd, position, os.SEEK_HOLE)
        except OSError:
            end = size
        yield position, min(end, size)
        position = next_data(fd, end, size) if end < size else size


def _entry(
    path: bytes,
    status: os.stat_result,
    xattrs: tuple[tuple[bytes, bytes], ...],
    *,
    target: bytes = b"",
    content: bytes = b"",
) -> Entry:
    kind = KINDS[stat.S_IFMT(status.st_mode)]
    device = status.st_rdev if kind in {"character", "block"} else 0
    return Entry(
        path,
        kind,
        status.st_mode & 0o7777,
        status.st_uid,
        status.st_gid,
        status.st_mtime_ns,
        status.st_size if kind == "file" else 0,
        target,
        (os.major(device), os.minor(device)) if device else (0, 0),
        xattrs,
        content,
    )
