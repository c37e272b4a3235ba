# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The folders in which the engine's local driver has the data of volumes, on the host that this runs on.

A folder is moved by rename(2), which takes the same time whatever is in it, and is done or not done, never half.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from ansible_collections.voltainer.volumes.plugins.module_utils._errors import RefusedError, VolumesError

# Of renameat2(2), for which Python has no function.
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_WHY = {
    errno.ENOTEMPTY: "there is data in both places",
    errno.EEXIST: "there is data in both places",
    errno.EXDEV: "they are on two file systems, or under two quotas",
    errno.EBUSY: "something is mounted there",
}


def why_unreachable(path: str, *, engine_is_here: bool) -> str:
    """Return why the folder `path`, a volume's mount point as its engine says it, cannot be moved; "" if it can."""
    why = ""
    volume = os.path.dirname(path)
    if not path.startswith("/"):
        # As of an engine on Windows: C:\\ProgramData\\Docker\\volumes\\bizvol\\_data.
        why = "is not in the data root of an engine on Linux"
    elif not engine_is_here:
        why = "can be renamed only on the host of the engine, through its unix socket: run the task there"
    elif os.geteuid() != 0:
        why = "can be renamed only by root: run the task with 'become: true'"
    elif not os.path.isdir(volume):
        why = "is not on this host (the engine runs in a machine or container of its own)"
    elif os.path.islink(path) or os.path.islink(volume):
        why = "is a link"
    elif _device(path) not in {None, _device(os.path.dirname(volume))} or {path, volume} & set(_mount_points()):
        why = "is on a file system of its own"
    return why and f"its folder {path} {why}"


def names_beside(path: str, ending: str) -> list[str] | None:
    """Return the names of the volumes whose folders are beside that of `path` and end so; None if nobody can tell here.

    Where the engine runs elsewhere, the folder of `path` is not here, either.
    """
    volume = os.path.dirname(path)
    if not path.startswith("/") or not os.path.isdir(volume):
        return None
    try:
        return sorted(name for name in os.listdir(os.path.dirname(volume)) if name.endswith(ending))
    except PermissionError:
        return None


def inode(path: str) -> int | None:
    """Return the number that the folder keeps when it is moved, or None where there is no folder."""
    try:
        return os.lstat(path).st_ino
    except FileNotFoundError:
        return None


def has_data(path: str) -> bool:
    """Return whether there is anything in the folder; one that is not there has nothing."""
    try:
        with os.scandir(path) as entries:
            return next(entries, None) is not None
    except FileNotFoundError:
        return False


def move(source: str, target: str) -> None:
    """Put the folder `source` at `target`, in place of an empty folder or none, in one step that outlives a power cut.

    Raises VolumesError, and then nothing has moved.
    """
    try:
        os.rename(source, target)
    except OSError as exc:
        why = _WHY.get(exc.errno or 0) or exc.strerror or str(exc)
        raise VolumesError(f"Cannot move the folder {source} to {target}", why) from exc
    for folder in (os.path.dirname(target), os.path.dirname(source)):
        _sync(folder)


def exchange(one: str, other: str) -> None:
    """Let two folders change places, in one step that outlives a power cut. Raises VolumesError: nothing has moved."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        raise VolumesError(f"Cannot exchange the folders {one} and {other}", "the C library is too old (glibc 2.28)")
    if rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) != 0:
        number = ctypes.get_errno()
        why = _WHY.get(number) or os.strerror(number)
        raise VolumesError(f"Cannot exchange the folders {one} and {other}", why)
    for folder in (os.path.dirname(one), os.path.dirname(other)):
        _sync(folder)


@contextmanager
def held(path: str, words: str) -> Iterator[None]:
    """Hold the folder of the staging volume whose mount point is `path`, so that no other run touches the change.

    The hold ends with the process, however that ends. Raises RefusedError where another process holds it.
    """
    what = f"Cannot go on with the {words}"
    try:
        handle = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
    except OSError as exc:
        why = f"the folder {os.path.dirname(path)} of the staging volume cannot be opened: {exc.strerror}"
        raise RefusedError(what, why, "Run the task again") from exc
    try:
        busy = RefusedError(what, "another run is at it in this moment", "Run the task again when that has ended")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            raise busy from exc
        # The folder may have been removed and made anew before it was held.
        if os.fstat(handle).st_ino != inode(os.path.dirname(path)):
            raise busy
        yield
    finally:
        os.close(handle)


def can_hold(path: str) -> bool:
    """Return whether `held` can hold the folder: it is here, and may be read."""
    return path.startswith("/") and os.access(os.path.dirname(path), os.R_OK)


def _mount_points() -> Iterator[str]:
    # Not os.path.ismount: it does not see a folder that is mounted from the same file system.
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as mounts:
        for mount in mounts:
            yield re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal.group(1), 8)), mount.split()[4])


def _device(path: str) -> int | None:
    try:
        return os.lstat(path).st_dev
    except FileNotFoundError:
        return None


def _sync(folder: str) -> None:
    # It has moved, and there is no way but on: a file system that cannot sync folders only keeps it back for a while.
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
