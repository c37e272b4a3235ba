# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file in a volume which says that the content around it is not complete, and may be taken away again.

Whatever has no such file with the right nonce in its name, somebody else may have put there.
"""

from __future__ import annotations

import contextlib
import os


def name_of(nonce: str) -> str:
    """Return the name of the file."""
    return f".voltainer-fill-{nonce}"


def guard(folder: int, nonce: str) -> None:
    """Make the file in the open folder. Raises OSError."""
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    os.close(os.open(name_of(nonce), flags, 0o600, dir_fd=folder))


def is_guarded(folder: int, nonce: str) -> bool:
    """Return whether the file is there. Raises OSError."""
    try:
        os.stat(name_of(nonce), dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def unguard(folder: int, nonce: str) -> None:
    """Remove the file. Raises OSError."""
    before = os.fstat(folder)
    os.unlink(name_of(nonce), dir_fd=folder)
    # The time of the folder is that of the content which was brought, where the file system lets it be set.
    with contextlib.suppress(OSError):
        os.utime(folder, ns=(before.st_atime_ns, before.st_mtime_ns))
