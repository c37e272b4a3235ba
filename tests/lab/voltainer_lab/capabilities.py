# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which capabilities a lab's host gets: named one by one, since no engine's word for "all" works everywhere.

Where this machine itself is without a capability (a container, a small virtual machine), Docker 20.10 fails on `ALL`,
which it takes for every capability it has heard of, and 26.1 fails on naming the missing one, even to drop it.
"""

from __future__ import annotations

import re
from pathlib import Path

# In the kernel's order, by which they are numbered. The kernel's newer ones are unknown to Docker 20.10, and SYS_ADMIN
# and SYS_PTRACE stand for them.
_NAMES = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE "
    "NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN "
    "SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE "
    "MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ"
)


def bounding_set(status: str) -> list[str]:
    """Return the capabilities that a process may ever have, read from its /proc/PID/status."""
    found = re.search(r"^CapBnd:\s*([0-9a-f]+)$", status, re.MULTILINE)
    mask = int(found.group(1), 16) if found else 0
    return [name for number, name in enumerate(_NAMES.split()) if mask >> number & 1]


def grantable() -> list[str]:
    """Return the capabilities that the outer engine, which runs on this machine, can grant."""
    return bounding_set(Path("/proc/self/status").read_text())
