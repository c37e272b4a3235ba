# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who this process is, and whether another one that wrote down who it was still lives."""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict

from ansible_collections.voltainer.volumes.plugins.module_utils._quiesce import Holder

# Of /proc/PID/stat, counted from after the name of the program, which may hold anything.
_STATE, _STARTED = 0, 19
_DEAD = frozenset("ZXx")
# Of a line of /proc/PID/mountinfo: what of a file system is mounted, and where.
_ROOT, _PLACE = 3, 4
_OWN_HOSTNAME = re.compile(r"/containers/([0-9a-f]{64})/hostname\Z")


def this_process(*, holds: bool = False) -> Holder:
    """Return who this process is; what the system does not tell is empty."""
    machine = _read("/etc/machine-id")
    pid = os.getpid()
    return Holder(
        # Hosts that were cloned may have one machine ID.
        host=f"{machine}/{os.uname().nodename}" if machine else "",
        boot=_read("/proc/sys/kernel/random/boot_id"),
        pid_space=_pid_space(),
        pid=pid,
        started=_started(pid),
        holds=holds,
    )


def as_label() -> str:
    """Return who this process is, as a label can hold it."""
    return json.dumps(asdict(this_process()), sort_keys=True)


def has_ended(label: str) -> bool:
    """Whether the process that wrote this down with `as_label` has ended for sure. The label may be anybody's."""
    try:
        holder = Holder(**json.loads(label))
    except (ValueError, TypeError, RecursionError):
        return False
    return isinstance(holder.pid, int) and lives(holder) is False


def lives(holder: Holder) -> bool | None:
    """Return whether that process lives, or None where that cannot be told from here: on another host, it may."""
    here = this_process()
    if not holder.boot or holder.boot != here.boot:
        rebooted = bool(holder.boot and here.boot and holder.host) and holder.host == here.host
        return False if rebooted else None
    # In a container of its own, the numbers are others.
    if not holder.pid_space or holder.pid_space != here.pid_space:
        return None
    return _started(holder.pid) == holder.started


def own_container() -> str:
    """Return the ID of the container that this process runs in; "" where it runs in none, or nothing tells."""
    for line in _read("/proc/self/mountinfo").splitlines():
        fields = line.split()
        # The engine puts this file of a container, from the container's folder, into it (20.10 to 28.5).
        found = _OWN_HOSTNAME.search(fields[_ROOT]) if fields[_PLACE] == "/etc/hostname" else None
        if found:
            return found.group(1)
    return ""


def _started(pid: int) -> str:
    """Return when the process was started, in ticks since the boot; "" where it has ended."""
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    # One that was killed stays in the list until its parent took notice.
    return fields[_STARTED] if len(fields) > _STARTED and fields[_STATE] not in _DEAD else ""


def _pid_space() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""
