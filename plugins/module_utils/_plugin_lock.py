# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One task at a time changes a plugin: a second one would take the change of the first for one that was killed."""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ansible_collections.voltainer.volumes.plugins.module_utils._errors import RefusedError

FOLDER = "/run"
# A pull may take its time.
WAIT_SECONDS = 600.0
_PAUSE_SECONDS = 0.2


@contextmanager
def locked(folder: str, name: str, seconds: float) -> Iterator[None]:
    """Run the block while no other task on this host changes the plugin `name`; wait `seconds` for that at most.

    The lock ends with its process. Who may not write into `folder` goes without. Raises RefusedError.
    """
    # Names have slashes and colons.
    path = Path(folder) / f"voltainer-plugin-{hashlib.sha256(name.encode()).hexdigest()[:16]}.lock"
    try:
        handle = os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600)
    except OSError:
        yield
        return
    try:
        _take(handle, name, seconds)
        yield
    finally:
        os.close(handle)


def _take(handle: int, name: str, seconds: float) -> None:
    ends = time.monotonic() + seconds
    while not _taken(handle):
        if time.monotonic() > ends:
            raise RefusedError(
                f"Cannot change the plugin '{name}'",
                f"another task on this host is changing it, and has not ended within {seconds:g} seconds",
                "Wait for that task, and run this one again",
            )
        time.sleep(_PAUSE_SECONDS)


def _taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
