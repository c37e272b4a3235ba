# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the file system behind a folder can keep of files: some do not say, and it is tried out."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ansible_collections.voltainer.volumes.plugins.module_utils._entry import Keeps

# File systems that keep all that a file has. What others keep depends on the server, or on how they are mounted.
FULL = frozenset({"ext4", "xfs", "btrfs"})


def probe(folder: int) -> Keeps:
    """Return what the file system behind the folder can keep: tried out in a folder of its own, which goes again."""
    name = f".voltainer-probe-{secrets.token_hex(6)}"
    os.mkdir(name, 0o700, dir_fd=folder)
    try:
        inside = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
        try:
            return _probed(inside)
        finally:
            for one in os.listdir(inside):
                os.unlink(one, dir_fd=inside)
            os.close(inside)
    finally:
        os.rmdir(name, dir_fd=folder)


def _probed(inside: int) -> Keeps:
    handle = os.open("file", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600, dir_fd=inside)
    try:
        os.write(handle, b"probe")
    finally:
        # A driver may say no only here.
        os.close(handle)
    tries: dict[str, Callable[[], bool]] = {
        "mode": lambda: stat.S_IMODE(_after(inside, lambda: _set_mode(inside)).st_mode) == _MODE,
        "owner": lambda: _after(inside, lambda: os.chown("file", *_OWNER, dir_fd=inside)).st_gid == _OWNER[1],
        "times": lambda: _timed(inside).st_mtime_ns == _MOMENT,
        "times_seconds": lambda: _timed(inside).st_mtime_ns // 10**9 == _MOMENT // 10**9,
        "xattrs": lambda: _has_xattrs(inside),
        "links": lambda: (
            _after(inside, lambda: os.link("file", "link", src_dir_fd=inside, dst_dir_fd=inside)).st_nlink > 1
        ),
        "sparse": lambda: _has_holes(inside),
        "symlinks": lambda: _made(lambda: os.symlink("file", "symlink", dir_fd=inside)),
        "special": lambda: _made(lambda: os.mkfifo("fifo", dir_fd=inside)),
    }
    found = {kind: _works(attempt) for kind, attempt in tries.items()}
    return replace(Keeps(**found), times_seconds=found["times_seconds"] and not found["times"])


_MOMENT = 1_234_567_890_123_456_789
_MODE = 0o4711
_OWNER = (4711, 4712)


def _works(attempt: Callable[[], bool]) -> bool:
    try:
        return attempt()
    except OSError:
        return False


def _made(make: Callable[[], None]) -> bool:
    make()
    return True


def _set_mode(inside: int) -> None:
    # By the open file, since the mode of what may be a link cannot be set without following it (Linux before 6.6).
    handle = os.open("file", os.O_RDONLY | os.O_NOFOLLOW, dir_fd=inside)
    try:
        os.fchmod(handle, _MODE)
    finally:
        os.close(handle)


def _after(inside: int, change: Callable[[], Any]) -> os.stat_result:
    change()
    return os.stat("file", dir_fd=inside, follow_symlinks=False)


def _timed(inside: int) -> os.stat_result:
    return _after(inside, lambda: os.utime("file", ns=(_MOMENT, _MOMENT), dir_fd=inside))


def _has_xattrs(inside: int) -> bool:
    path = f"/proc/self/fd/{inside}/file"
    os.setxattr(path, "user.voltainer", b"probe", follow_symlinks=False)
    return os.getxattr(path, "user.voltainer", follow_symlinks=False) == b"probe"


def _has_holes(inside: int) -> bool:
    handle = os.open("hole", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600, dir_fd=inside)
    try:
        os.ftruncate(handle, 1 << 20)
        return os.fstat(handle).st_blocks * 512 < 1 << 19
    finally:
        os.close(handle)
