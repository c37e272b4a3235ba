# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks in repositories of restic, by outputs of 0.14.0 and 0.19.1."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils import _restic_lock
from ansible_collections.voltainer.volumes.plugins.module_utils._restic_lock import Lock

NOW = datetime(2026, 11, 28, 12, tzinfo=timezone.utc)
ID = "e5841bfa7b80a5f91f9d931ce88b1025864be6bf7a492415f79cdf981849cb6c"
RUNNING = 77


def lock(minutes, host="host1", pid=5):
    return Lock(NOW - timedelta(minutes=minutes), host, pid)


@pytest.mark.parametrize(
    ("locks", "may"),
    [
        ([], False),
        # Another host tells nothing of its processes.
        ([lock(29, "host2")], False),
        ([lock(31, "host2")], True),
        ([lock(-60, "host2")], False),
        # One that has just been made may be of a host of the same name.
        ([lock(5)], False),
        ([lock(7)], True),
        ([lock(7, pid=RUNNING)], False),
        ([lock(31, pid=RUNNING)], True),
        # restic would remove, or send a signal to, the second as well.
        ([lock(31, "host2"), lock(1)], False),
        ([lock(7), lock(7, pid=RUNNING)], False),
        ([lock(7), lock(1, "host2")], True),
        ([lock(7), lock(31)], True),
    ],
)
def test_when_locks_may_go(locks, may):
    assert _restic_lock.may_unlock(locks, "host1", NOW, lambda pid: pid == RUNNING) is may


def test_what_restic_prints_of_locks():
    assert _restic_lock.parse_ids(f"{ID}\n--password-command=x\n{ID[:8]}\n") == [ID]
    printed = (
        '{\n  "time": "2026-11-28T11:18:20.559797778Z",\n  "exclusive": false,\n  "hostname": "host1",\n'
        '  "username": "root",\n  "pid": 16024\n}\n'
    )
    made = datetime(2026, 11, 28, 11, 18, 20, 559797, timezone.utc)
    assert _restic_lock.parse_lock(printed) == Lock(made, "host1", 16024)


@pytest.mark.parametrize("output", ["", "[]", "{}", '{"time": "x", "hostname": "a", "pid": 1}', "[" * 100_000])
def test_what_is_no_lock(output):
    assert _restic_lock.parse_lock(output) is None


@pytest.mark.parametrize(
    ("command", "line"),
    [
        (_restic_lock.locks_command(), "--no-lock list locks"),
        (_restic_lock.lock_command(ID), f"--no-lock cat lock {ID}"),
        (_restic_lock.unlock_command(), "unlock"),
    ],
)
def test_commands(command, line):
    assert command == ["restic", "--json", *line.split()]
