# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of the host that hold secrets: looked at, written in one step, and put back, and meanwhile closed to others.

A new content takes the place of the old one by rename(2), after it is on the disk: whatever is killed, the file is the
old one or the new one.
"""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import pwd
import re
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ansible_collections.voltainer.volumes.plugins.module_utils._errors import InvalidInputError, VolumesError

CLOSED = 0o600
# How many older contents of a file are kept beside it.
BACKUPS = 5
# The one above it means to chown(2) that the owner stays.
_HIGHEST_ID = 2**32 - 2
_NO_ROOM = "Make room on the file system of this path"
_WAYS_OUT = {
    errno.ENOSPC: _NO_ROOM,
    errno.EDQUOT: _NO_ROOM,
    errno.EROFS: "The file system of this path is read-only: choose another path, or mount it writable",
    errno.EPERM: "See that the task runs as root, and that neither the file nor its folder is immutable (lsattr)",
}
_KINDS = {stat.S_IFDIR: "a folder stands there", stat.S_IFLNK: "a link stands there"}
_STAMP = r"\.[0-9]{8}T[0-9]{6}Z~"


@dataclass(frozen=True)
class FileState:
    """What is, or is to be, under a path: without `content` there is no file. The content is never shown."""

    content: bytes | None = None
    mode: int = CLOSED
    uid: int = 0
    gid: int = 0

    def __repr__(self) -> str:
        """Show all but the content."""
        return f"FileState({'absent' if self.content is None else 'present'}, {self.mode:o}, {self.uid}, {self.gid})"

    @property
    def exists(self) -> bool:
        """Whether there is a file."""
        return self.content is not None


def look(path: str) -> FileState:
    """Return the file under `path`, through symbolic links. Raises VolumesError where that is something else."""
    return _look(path, follow=True)


def look_at(path: str) -> FileState:
    """Return the file under `path` itself. Raises VolumesError where that is anything else, a link included."""
    return _look(path, follow=False)


def _look(path: str, *, follow: bool) -> FileState:
    with _told(f"Cannot read the file '{path}'"):
        try:
            # What is no file must not be opened: a fifo would wait for its writer.
            found = os.stat(path, follow_symlinks=follow)
        except (FileNotFoundError, NotADirectoryError):
            return FileState()
        if not stat.S_ISREG(found.st_mode):
            kind = _KINDS.get(stat.S_IFMT(found.st_mode), "what stands there is no file")
            raise VolumesError(f"Cannot use the file '{path}'", kind, "Look what is in it, and remove it")
        # Nor must a link be followed that was put there since.
        more = 0 if follow else os.O_NOFOLLOW
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | more)) as stream:
            return FileState(stream.read(), stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid)


def replace_file(path: str, state: FileState) -> None:
    """Put a file with this state under `path` itself, in the place of whatever stands there. Raises VolumesError."""
    with _told(f"Cannot write the file '{path}'"):
        _replace(path, state, _temporary(path))


def discard(path: str) -> None:
    """Remove what stands under `path` itself, if anything does. Raises VolumesError."""
    with _told(f"Cannot remove the file '{path}'"):
        _unlink(path)


def write(path: str, state: FileState, directory_mode: int = 0o700) -> None:
    """Bring the file under `path` to `state`, or remove it; missing folders are made. Raises VolumesError."""
    target = os.path.realpath(path)
    with _told(f"Cannot write the file '{path}'"):
        if state.content is None:
            _unlink(target)
            return
        _make_folders(os.path.dirname(target), state, directory_mode)
        _replace(target, state, _temporary(target))


def keep(path: str, backup: str, content: bytes) -> None:
    """Keep `content`, that of `path`, in the file `backup` that only its owner can read. Raises VolumesError."""
    with _told(f"Cannot keep a backup of the file '{path}' as '{backup}'"):
        state = FileState(content, CLOSED, os.geteuid(), os.getegid())
        _replace(backup, state, _temporary(os.path.realpath(path)))


def remove(path: str) -> None:
    """Remove the file under `path`, and what is beside it of older contents. Raises VolumesError."""
    target = os.path.realpath(path)
    with _told(f"Cannot remove the file '{path}'"):
        for one in (*left_of(path), target, path):
            _unlink(one)


def left_of(path: str) -> list[str]:
    """Return what is beside the file of older contents: its backups, and what a killed task was about to write."""
    temporary = _temporary(os.path.realpath(path))
    return [*([temporary] if os.path.lexists(temporary) else []), *backups_of(path)]


def backup_name(path: str, stamp: str) -> str:
    """Return where the content that `path` has is kept; `stamp` is a time as YYYYMMDDTHHMMSSZ."""
    return f"{os.path.realpath(path)}.{stamp}~"


def new_backup_name(path: str, moment: float) -> str:
    """Return where the content that `path` has at this moment is kept. What was kept in the same second stays."""
    while True:
        name = backup_name(path, time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(moment)))
        if not os.path.lexists(name):
            return name
        moment += 1


def is_backup(path: str, backup: str) -> bool:
    """Return whether `backup` is where a backup of the file would be."""
    return re.fullmatch(re.escape(os.path.realpath(path)) + _STAMP, backup) is not None


def backups_of(path: str) -> list[str]:
    """Return the backups beside the file, oldest first."""
    folder, name = os.path.split(os.path.realpath(path))
    pattern = re.compile(re.escape(name) + _STAMP + r"\Z")
    try:
        found = [one for one in os.listdir(folder) if pattern.match(one)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [os.path.join(folder, one) for one in sorted(found)]


def forget_old_backups(path: str, spare: str = "") -> None:
    """Remove all but the newest backups of the file, and `spare`. Raises VolumesError."""
    with _told(f"Cannot remove old backups of the file '{path}'"):
        for one in backups_of(path)[:-BACKUPS]:
            if one != spare:
                _unlink(one)


def user_id(name: str) -> int:
    """Return the number of a user, by name or as it is. Raises InvalidInputError."""
    try:
        return _number(name) if name.isdigit() else pwd.getpwnam(name).pw_uid
    except (KeyError, ValueError):
        raise _unknown("owner", "user", name) from None


def group_id(name: str) -> int:
    """Return the number of a group, by name or as it is. Raises InvalidInputError."""
    try:
        return _number(name) if name.isdigit() else grp.getgrnam(name).gr_gid
    except (KeyError, ValueError):
        raise _unknown("group", "group", name) from None


def _number(text: str) -> int:
    number = int(text)
    if number > _HIGHEST_ID:
        raise ValueError
    return number


def _unknown(option: str, kind: str, name: str) -> InvalidInputError:
    return InvalidInputError(
        f"The {option} '{name}' of a config file is invalid", f"this host has no such {kind}", f"Make the {kind} first"
    )


def _make_folders(folder: str, state: FileState, mode: int) -> None:
    missing: list[str] = []
    while not os.path.isdir(folder):
        missing.append(folder)
        folder = os.path.dirname(folder)
    for one in reversed(missing):
        os.mkdir(one, 0o700)
        os.chown(one, state.uid, state.gid)
        os.chmod(one, mode)


def _temporary(target: str) -> str:
    # Of one name, for the file and its backups, so that nothing piles up that killed tasks left; a lock keeps two tasks
    # at once apart. And of a name that an editor's leftovers have, which programs that read a whole folder know to
    # leave out.
    folder, name = os.path.split(target)
    return os.path.join(folder, f".{name}.voltainer~")


def _unlink(path: str) -> None:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        os.unlink(path)


def _replace(target: str, state: FileState, temporary: str) -> None:
    _unlink(temporary)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, CLOSED)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            os.fchown(stream.fileno(), state.uid, state.gid)
            os.fchmod(stream.fileno(), state.mode)
            stream.write(state.content or b"")
            stream.flush()
            os.fsync(stream.fileno())
        os.rename(temporary, target)
    except BaseException:
        _unlink(temporary)
        raise
    _sync(os.path.dirname(target))


def _sync(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _told(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        way_out = _WAYS_OUT.get(exc.errno or 0, "See that the path and its rights are right")
        raise VolumesError(what, exc.strerror or str(exc), way_out) from exc
