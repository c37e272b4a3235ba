# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The locks in a repository of restic: who holds them, and when those that were left behind may go. Pure.

restic (0.14 to 0.19) refreshes its lock every 5 minutes. `restic unlock` removes locks of more than 30 minutes, and
those of this host whose process is not there. It knows the host by its name alone, which cloned hosts share, and asks
for the process by a SIGHUP, which ends most others that have its number by now. Both is ruled out here before.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from ansible_collections.voltainer.volumes.plugins.module_utils._restic import parse_time

_ID = re.compile(r"[0-9a-f]{64}\Z")
# When restic takes a lock for one that was left behind, whoever holds it.
LEFT_BEHIND = timedelta(minutes=30)
# A restic that lives has refreshed its lock by then.
_REFRESHED = timedelta(minutes=6)


@dataclass(frozen=True)
class Lock:
    """A lock: since when, and by which process of which host."""

    time: datetime
    host: str
    pid: int


def locks_command() -> list[str]:
    """Return the command that prints the IDs of all locks, a line for each."""
    return ["restic", "--json", "--no-lock", "list", "locks"]


def lock_command(lock_id: str) -> list[str]:
    """Return the command that prints a lock."""
    return ["restic", "--json", "--no-lock", "cat", "lock", lock_id]


def unlock_command() -> list[str]:
    """Return the command that removes the locks that were left behind."""
    return ["restic", "--json", "unlock"]


def parse_ids(output: str) -> list[str]:
    """Return the IDs in what restic prints."""
    return [line for line in output.split() if _ID.match(line)]


def parse_lock(output: str) -> Lock | None:
    """Return the lock that restic prints, or None for what is none."""
    try:
        found = json.loads(output)
        return Lock(parse_time(found["time"]), str(found["hostname"]), int(found["pid"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def may_unlock(locks: Iterable[Lock], host: str, now: datetime, runs: Callable[[int], bool]) -> bool:
    """Return whether `restic unlock` on this host removes something, and nothing that a restic anywhere still needs.

    `runs` tells whether this host has a process of that number.
    """
    old, own, ended = 0, 0, 0
    for lock in locks:
        if now - lock.time > LEFT_BEHIND:
            old += 1
        elif lock.host == host:
            own += 1
            ended += now - lock.time > _REFRESHED and not runs(lock.pid)
    return own == ended and old + ended > 0
