# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plugin said before it ended: the engine passes its output on to its own log, and to nobody else."""

from __future__ import annotations

import os
import re
import shutil
import socket
import struct
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

from ansible_collections.voltainer.volumes.plugins.module_utils._secrets import hide

_LINES = 8
# How much of the end of a log is looked through, and how old lines of the journal may be.
_BYTES = 256 * 1024
_JOURNAL_SECONDS = 120
_COMMAND_SECONDS = 10
# dockerd's line for a line of a plugin: time=".." level=error msg="<the line>" plugin=<id> (20.10 to 28.5).
_ESCAPE = re.compile(r"\\(?:(x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})|(.))")
_MESSAGE = re.compile(r'msg="((?:[^"\\]|\\.)*)"|msg=(\S+)')


def tail(socket_path: str, plugin_id: str, secrets: Iterable[str]) -> tuple[str, ...]:
    """Return the last lines that the plugin wrote, oldest first, without secrets; none where no log can be read.

    `socket_path` is the engine's socket on this host.
    """
    hidden = frozenset(secrets)
    readers: tuple[Callable[[str], str], ...] = (_own_file, _journal)
    for read in readers:
        said = [_said(line) for line in read(socket_path).splitlines() if f"plugin={plugin_id}" in line]
        shown = [hide(line, hidden) for line in said if line]
        if shown:
            return tuple(shown[-_LINES:])
    return ()


def _own_file(socket_path: str) -> str:
    """Return the end of the file that the engine writes its log to, where it writes it to a file."""
    try:
        log = Path(f"/proc/{_server(socket_path)}/fd/2")
        if not log.is_file():
            return ""
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _BYTES))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


def _server(socket_path: str) -> int:
    """Return the ID of the process that listens at the socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.connect(socket_path)
        size = struct.calcsize("3i")
        pid, _uid, _gid = struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return int(pid)


def _journal(_socket_path: str) -> str:
    program = shutil.which("journalctl")
    if not program:
        return ""
    command = [program, "--quiet", "--no-pager", "--output=cat", f"--since=-{_JOURNAL_SECONDS}s", "_COMM=dockerd"]
    try:
        done = subprocess.run(  # noqa: S603  # the command is fixed
            command, capture_output=True, timeout=_COMMAND_SECONDS, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout[-_BYTES:].decode("utf-8", "replace")


def _said(line: str) -> str:
    found = _MESSAGE.search(line)
    if not found:
        return ""
    text = found.group(1) if found.group(1) is not None else found.group(2)
    return _ESCAPE.sub(_unescaped, text).strip()


def _unescaped(found: re.Match[str]) -> str:
    code, other = found.groups()
    return chr(int(code[1:], 16)) if code else " " if other in "nrt" else other
