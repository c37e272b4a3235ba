# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lab says while it works: one short line per event, with the seconds since the start."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_START = time.monotonic()
_LOCK = threading.Lock()


def say(message: str) -> None:
    """Print one line; threads may call this at the same time."""
    with _LOCK:
        sys.stdout.write(f"[{time.monotonic() - _START:6.1f} s] {message}\n")
        sys.stdout.flush()


@contextmanager
def step(message: str) -> Iterator[None]:
    """Say that something long begins, and how long it took once it is done."""
    say(f"{message} ...")
    begun = time.monotonic()
    yield
    say(f"{message}: done in {time.monotonic() - begun:.1f} s")
