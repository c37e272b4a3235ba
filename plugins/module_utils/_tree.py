# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in a folder: its entries, how two folders differ, what changed, how much it is.

Folders are given as descriptors, and gone through as `_descent.py` tells: whoever changes them meanwhile gets nobody
to look outside, to wait or to run out of memory. Memory grows with the names in one folder, and with the hard links
whose other names are yet to come. Attributes of the namespace `trusted` are seen by root only.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import stat
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ansible_collections.voltainer.volumes.plugins.module_utils._descent import (
    Descent,
    GoneError,
    MountedError,
    Problem,
    Step,
    Walk,
    unreadable,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._entry import (
    LOST_AND_FOUND,
    Entry,
    Keeper,
    Keeps,
    Kind,
    counts_as_xattr,
    order,
    shown,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import RefusedError, VolumesError
from ansible_collections.voltainer.volumes.plugins.module_utils._tree_read import (
    BLOCK,
    CHUNK,
    KINDS,
    LINKABLE,
    NO_XATTRS,
    Links,
    Opened,
    Reader,
    next_data,
)

_SOCKETS_NAMED = 100
# Where `bytes` is a number of them.
_Path = bytes
_NOTHING = Entry(b"", "directory")


class Measured(NamedTuple):
    """How much a tree is. Nothing counts that is no part of a tree (see `_entry.py`); `entries` counts the root."""

    entries: int = 0
    # Regular files, each once whatever its names.
    files: int = 0
    # Sum of the files' sizes, and what all entries take on the disk; each file once.
    bytes: int = 0
    allocated: int = 0
    # The first 100 paths, and how many there are.
    sockets: tuple[_Path, ...] = ()
    sockets_count: int = 0
    symlinks: int = 0
    devices: int = 0
    # Named pipes and devices.
    special: int = 0
    # Further names of files and symbolic links.
    links: int = 0
    # Whether there are any; None if the file system knows none, or nobody looked.
    xattrs: bool | None = None
    # Files that take less than their size.
    sparse: int = 0
    # Bytes. Paths from 4096 on cannot be unpacked by tar.
    longest_name: int = 0
    longest_path: int = 0


def walk(
    fd: int,
    *,
    content: bool = True,
    links: bool = True,
    on_bytes: Callable[[int], None] | None = None,
    problems: list[Problem] | None = None,
) -> Iterator[Entry]:
    """Yield the entries of the folder in canonical order, the root first.

    With `content`, files are read and have the hash of what is in them; `on_bytes` is called with the bytes read, holes
    not among them. Without `links`, each name of a file is a file. What vanishes meanwhile and what is mounted inside
    is left out and added to `problems`. Raises VolumesError naming the path for what cannot be read.
    """
    reader = Reader(Walk(fd, problems), content=content, links=links, on_bytes=on_bytes)
    for step in reader.walk:
        entry = reader.entry(step)
        if entry is not None:
            yield entry


def changed_since(fd: int, since_ns: int) -> Iterator[bytes]:
    """Yield the paths of what was made or changed in any way at `since_ns` or later (nanoseconds since 1970).

    What was removed shows by the folder that it was in. The kernel's clock for files is coarse: leave it 10 ms.
    """
    for path, _name, status in Walk(fd):
        if status.st_ctime_ns >= since_ns:
            yield path


def measure(fd: int, *, xattrs: bool = True) -> Measured:
    """Return how much is in the folder, by looking at the status of each entry.

    To look for `xattrs` takes as long as all else, where there are none.
    """
    measuring = _Measuring(Walk(fd), xattrs=xattrs)
    for step in measuring.reader.walk:
        measuring.add(step)
    return measuring.result()


class _Measuring:
    """The counts while they grow."""

    def __init__(self, walk: Walk, *, xattrs: bool) -> None:
        self.reader = Reader(walk, content=False, links=True)
        self._looks = xattrs
        self._links = Links()
        self._counts = dict.fromkeys(("entries", "files", "bytes", "allocated", "symlinks", "devices", "links"), 0)
        self._counts.update(special=0, sparse=0, sockets_count=0, longest_name=0, longest_path=0)
        self._sockets: list[bytes] = []
        self._xattrs: bool | None = None

    def add(self, step: Step) -> None:
        path, name, status = step
        kind = KINDS[stat.S_IFMT(status.st_mode)]
        counts = self._counts
        if kind == "socket":
            counts["sockets_count"] += 1
            if len(self._sockets) < _SOCKETS_NAMED:
                self._sockets.append(path)
            return
        counts["entries"] += 1
        counts["longest_name"] = max(counts["longest_name"], len(name))
        counts["longest_path"] = max(counts["longest_path"], len(path))
        if kind in LINKABLE and status.st_nlink > 1 and self._links.first(step) is not None:
            counts["links"] += 1
            return
        counts["allocated"] += status.st_blocks * BLOCK
        self._kind(kind, status)
        if self._looks and not self._xattrs:
            self._look_for_xattrs(step)

    def _kind(self, kind: Kind, status: os.stat_result) -> None:
        counts = self._counts
        if kind == "file":
            counts["files"] += 1
            counts["bytes"] += status.st_size
            counts["sparse"] += status.st_blocks * BLOCK < status.st_size
        elif kind == "symlink":
            counts["symlinks"] += 1
        elif kind != "directory":
            counts["special"] += 1
            counts["devices"] += kind != "fifo"

    def _look_for_xattrs(self, step: Step) -> None:
        found = self.reader.has_xattrs(step)
        if found is not None:
            self._xattrs = found

    def result(self) -> Measured:
        return Measured(**self._counts, sockets=tuple(self._sockets), xattrs=self._xattrs)


def has_data(fd: int) -> bool:
    """Tell whether there is anything in the folder but an empty `lost+found`."""
    walk = Walk(fd)
    return any(step.name for step in walk)


class Difference(NamedTuple):
    """How two folders differ at a path, in words: "is missing in the second", "mode 0644 and 0600"."""

    path: bytes
    what: str


def compare(  # noqa: PLR0913 - options by name
    fd_a: int,
    fd_b: int,
    keeps: Keeps,
    *,
    on_bytes: Callable[[int], None] | None = None,
    limit: int = 10,
    fast: bool = False,
) -> list[Difference]:
    """Return how two folders differ in what `keeps` says, in canonical order; at most `limit` paths, with `fast` one.

    Of what is missing only the topmost folder is told. Files are compared byte for byte, after all that is quicker to
    tell; `on_bytes` is called with the bytes that were compared, holes that both have not among them. Raises
    VolumesError for what cannot be read.
    """
    return list(itertools.islice(differences(fd_a, fd_b, keeps, on_bytes=on_bytes), 1 if fast else limit))


def differences(
    fd_a: int, fd_b: int, keeps: Keeps, *, on_bytes: Callable[[int], None] | None = None
) -> Iterator[Difference]:
    """Yield all that `compare` would return without a limit."""
    yield from _find((_Side(fd_a, keeps), _Side(fd_b, keeps)), on_bytes)


class _Side:
    """One of two folders that are compared, at the entry that was returned last."""

    def __init__(self, fd: int, keeps: Keeps) -> None:
        self.walk = Walk(fd)
        self.reader = Reader(self.walk, content=False, links=keeps.links, xattrs=keeps.xattrs, opens=True)
        self._steps = iter(self.walk)
        self._keeper = Keeper(keeps)

    def next(self) -> Entry | None:
        """Return the next entry that counts, None after the last one."""
        for step in self._steps:
            entry = self.reader.entry(step)
            kept = None if entry is None else self._keeper.kept(entry)
            if kept is not None:
                return kept
        return None


def _find(sides: tuple[_Side, _Side], on_bytes: Callable[[int], None] | None) -> Iterator[Difference]:
    try:
        yield from _differing(sides, on_bytes)
    finally:
        for side in sides:
            side.reader.close()


def _differing(sides: tuple[_Side, _Side], on_bytes: Callable[[int], None] | None) -> Iterator[Difference]:
    missing = None
    for first, second in _pairs(*sides):
        path = (first or second or _NOTHING).path
        # What is in a folder that one side has not is missing there with it.
        if missing is not None and path.startswith(missing):
            continue
        if first is None or second is None:
            what = f"is missing in the {'first' if first is None else 'second'}"
        else:
            what = _differences(first, second) or _content_differs(sides, first, on_bytes)
        if what:
            yield Difference(path, what)
            alone = first is None or second is None or first.kind != second.kind
            missing = path + b"/" if alone else None


def _pairs(one: _Side, two: _Side) -> Iterator[tuple[Entry | None, Entry | None]]:
    """Yield what both sides have at each path, in canonical order; None for the one that has nothing there."""
    first, second = one.next(), two.next()
    while first is not None or second is not None:
        if first is None or second is None:
            turn = 1 if first is None else -1
        elif first.path == second.path:
            turn = 0
        else:
            turn = -1 if order(first.path) < order(second.path) else 1
        yield (first if turn <= 0 else None), (second if turn >= 0 else None)
        if turn <= 0:
            first = one.next()
        if turn >= 0:
            second = two.next()


def _differences(first: Entry, second: Entry) -> str:
    if first == second:
        return ""
    if first.kind != second.kind:
        return f"{_kind_shown(first)} and {_kind_shown(second)}"
    words = []
    if first.target != second.target:
        words.append(f"target '{shown(first.target)}' and '{shown(second.target)}'")
    if first.size != second.size:
        words.append(f"size {first.size} and {second.size}")
    if first.device != second.device:
        words.append("device {}:{} and {}:{}".format(*first.device, *second.device))
    if first.mode != second.mode:
        words.append(f"mode {first.mode:04o} and {second.mode:04o}")
    if (first.uid, first.gid) != (second.uid, second.gid):
        words.append(f"owner {first.uid}:{first.gid} and {second.uid}:{second.gid}")
    if first.mtime_ns != second.mtime_ns:
        words.append(f"time {_time_shown(first.mtime_ns)} and {_time_shown(second.mtime_ns)}")
    if first.xattrs != second.xattrs:
        names = sorted({name for name, _value in set(first.xattrs) ^ set(second.xattrs)})
        words.append(f"extended attributes {', '.join(map(shown, names))}")
    return ", ".join(words)


def _kind_shown(entry: Entry) -> str:
    return f"another name of '{shown(entry.target)}'" if entry.kind == "link" else f"a {entry.kind}"


def _time_shown(ns: int) -> str:
    seconds, rest = divmod(ns, 10**9)
    return f"{seconds}.{rest:09d}"


def _content_differs(sides: tuple[_Side, _Side], first: Entry, on_bytes: Callable[[int], None] | None) -> str:
    one, two = (side.reader.opened for side in sides)
    if one is None or two is None:
        return ""
    try:
        return "" if _same_content(one, two, on_bytes) else "content"
    except OSError as exc:
        raise unreadable(first.path, exc) from exc


def _same_content(one: Opened, two: Opened, on_bytes: Callable[[int], None] | None) -> bool:
    """Compare from where either has data to where either has again: what both have as holes is not read."""
    position, size = 0, one[1].st_size
    sparse = any(status.st_blocks * BLOCK < size for _fd, status in (one, two))
    while position < size:
        if sparse:
            position = min(next_data(one[0], position, size), next_data(two[0], position, size))
        length = min(CHUNK, size - position)
        data = os.pread(one[0], length, position)
        if data != os.pread(two[0], length, position):
            return False
        if not data:
            # Both end before their size: they were cut off meanwhile, in the same way.
            return True
        position += len(data)
        if on_bytes is not None:
            on_bytes(len(data))
    return True


def remove_sockets(fd: int) -> int:
    """Remove the sockets in the folder, which some copies make, and return how many there were."""
    count = 0
    walk = Walk(fd)
    for path, name, status in walk:
        if stat.S_ISSOCK(status.st_mode):
            with contextlib.suppress(FileNotFoundError):
                folder = walk.descent.fd
                before = os.fstat(folder)
                try:
                    os.unlink(name, dir_fd=folder)
                except OSError as exc:
                    raise _stuck(path, exc) from exc
                # The folder is as old as the copy made it.
                os.utime(folder, ns=(before.st_atime_ns, before.st_mtime_ns))
                count += 1
    return count


def strip(fd: int) -> None:
    """Remove the extended attributes of the folder itself, as far as they are part of a tree, and its set-group-ID bit.

    What is unpacked into a folder would inherit its default list of access control, and keep what the archive lacks.
    Folders would inherit the bit, which cp does not take from them again (coreutils 9.1).
    Raises VolumesError for what cannot be removed.
    """
    mode = os.fstat(fd).st_mode
    try:
        if mode & stat.S_ISGID:
            os.fchmod(fd, stat.S_IMODE(mode) & ~stat.S_ISGID)
        for name in os.listxattr(fd):
            if counts_as_xattr(os.fsencode(name)):
                os.removexattr(fd, name)
    except OSError as exc:
        if exc.errno not in NO_XATTRS:
            raise VolumesError("Cannot remove the attributes of the folder", exc.strerror or str(exc)) from exc


def empty(fd: int, besides: bytes = b"") -> None:
    """Remove all that is in the folder but the file `besides`, and neither the folder nor a `lost+found` in it, which
    is emptied.

    Raises RefusedError if something is mounted inside, before anything is removed, and VolumesError for what cannot be
    removed. Nothing that is mounted is gone into, bind mounts of the same file system neither.
    """
    mount = _mount_of(fd)
    _refuse_mounts(fd)
    with Descent(fd) as descent:
        while True:
            name = descent.next_name()
            if name is None and descent.at_root:
                return
            if name is None:
                _remove_left(descent)
            elif name != besides or not descent.at_root:
                _remove(descent, name, mount)


def _remove(descent: Descent, name: bytes, mount: bytes) -> None:
    """Remove an entry, or go into it if it is a folder."""
    path = descent.above + name
    try:
        os.unlink(name, dir_fd=descent.fd)
    except FileNotFoundError:
        return
    except IsADirectoryError:
        pass
    except OSError as exc:
        raise _stuck(path, exc) from exc
    else:
        return
    try:
        descent.down(name)
    except GoneError:
        return
    except MountedError:
        raise _mounted(path) from None
    if _mount_of(descent.fd) != mount:
        raise _mounted(path)


def _remove_left(descent: Descent) -> None:
    """Go up, and remove the folder from which."""
    name = descent.up()
    if name is None:
        raise VolumesError(f"Cannot empty '{shown(descent.above[:-1])}'", "it was moved away meanwhile")
    if descent.at_root and name == LOST_AND_FOUND:
        return
    try:
        os.rmdir(name, dir_fd=descent.fd)
    except FileNotFoundError:
        pass
    except OSError as exc:
        raise _stuck(descent.above + name, exc) from exc


def _stuck(path: bytes, exc: OSError) -> VolumesError:
    return VolumesError(f"Cannot remove '{shown(path)}'", exc.strerror or str(exc))


def _mounted(path: bytes) -> RefusedError:
    return RefusedError(f"Cannot remove '{shown(path)}'", "something is mounted there", "Unmount it")


def _mount_of(fd: int) -> bytes:
    """Return the ID of the mount that an open folder is in."""
    with open(f"/proc/self/fdinfo/{fd}", "rb") as lines:
        return next((line for line in lines if line.startswith(b"mnt_id:")), b"")


def _refuse_mounts(fd: int) -> None:
    """Raise RefusedError if something is mounted anywhere below the folder, as far as this process sees it."""
    folder = os.readlink(b"/proc/self/fd/%d" % fd).rstrip(b"/") + b"/"
    with open("/proc/self/mountinfo", "rb") as lines:
        for line in lines:
            # Spaces, tabs, line ends and backslashes are written in octal.
            point = re.sub(rb"\\([0-7]{3})", lambda match: bytes([int(match[1], 8)]), line.split(b" ")[4])
            if point.startswith(folder):
                raise _mounted(point[len(folder) :])
