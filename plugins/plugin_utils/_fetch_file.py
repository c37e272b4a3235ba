# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring a large file of the host to the controller, whoever the task becomes, in memory that does not grow with it.

Connections bring files as the user who logs in. What only the user may read that the task becomes, Ansible itself
brings as one text, which takes several times the file's size in memory on both sides. Here that user writes a copy into
a file of the one who logs in. Where there is no place for one, the file comes in pieces, which takes longer.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import re
import secrets
import shlex
from collections.abc import Iterator
from contextlib import contextmanager

from ansible import constants as C  # noqa: N812 - its name in all of Ansible
from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

# Connections gather what a program says in one text: more would take them longer.
_PIECE = 4 << 20
# What a copy leaves free on the host's disk.
_RESERVE = 256 << 20


def fetch_file(action: ActionBase, path: str, size: int, target: str) -> None:
    """Bring the file `path` of the host, which has `size` bytes, to `target` here. Raises AnsibleError and OSError."""
    if not _becomes_another(action):
        action._connection.fetch_file(path, target)
        return
    with _copied(action, path, size) as copy:
        if copy:
            action._connection.fetch_file(copy, target)
            return
    _in_pieces(action, path, size, target)


def _becomes_another(action: ActionBase) -> bool:
    """Return whether the task becomes another user than the one who logs in, by Ansible's own rule."""
    if not action._connection.become:
        return False
    login, user = action._get_remote_user(), action.get_become_option("become_user")
    return bool(C.BECOME_ALLOW_SAME_USER or user != login or not user)


@contextmanager
def _copied(action: ActionBase, path: str, size: int) -> Iterator[str | None]:
    """Yield a copy that the user who logs in may read, and nobody else; None where it has no place."""
    if size <= _PIECE or action._is_become_unprivileged():
        # Who is not root has no way into the folder of another.
        yield None
        return
    shell = action._connection._shell
    if shell.tmpdir is None:
        action._make_tmp_path()
    copy = shell.join_path(shell.tmpdir, f"voltainer-{secrets.token_hex(8)}")
    try:
        yield copy if _has_place(action, shell.tmpdir, size) and _copy(action, path, copy) else None
    finally:
        # Also where Ansible is told to keep its own files.
        with contextlib.suppress(AnsibleError):
            action._low_level_execute_command(shell.remove(copy), sudoable=False)
        action._remove_tmp_path(shell.tmpdir)


def _has_place(action: ActionBase, folder: str, size: int) -> bool:
    said = action._low_level_execute_command(f"df -Pk {shlex.quote(folder)}", sudoable=False)
    # After the name of the device come the blocks of 1024 bytes: all, used, available.
    found = re.search(r"\s\d+\s+\d+\s+(\d+)\s+\d+%\s+\S+\s*\Z", said["stdout"])
    return found is not None and said["rc"] == 0 and int(found[1]) * 1024 > size + _RESERVE


def _copy(action: ActionBase, path: str, copy: str) -> bool:
    # The file is of the user who logs in before there is anything in it, and stays so.
    made = action._low_level_execute_command(f"umask 077 && : > {shlex.quote(copy)}", sudoable=False)
    if made["rc"] != 0:
        return False
    written = action._low_level_execute_command(f"cat {shlex.quote(path)} >> {shlex.quote(copy)}")
    return bool(written["rc"] == 0)


def _in_pieces(action: ActionBase, path: str, size: int, target: str) -> None:
    with open(target, "xb") as file:
        while file.tell() < size:
            piece = _piece(action, path, file.tell())
            if not piece:
                raise AnsibleError(f"it has {file.tell()} bytes there, and not {size}")
            file.write(piece)


def _piece(action: ActionBase, path: str, start: int) -> bytes:
    command = f"tail -c +{start + 1} {shlex.quote(path)} | head -c {_PIECE} | base64"
    said = action._low_level_execute_command(command)
    if said["rc"] != 0 or (not said["stdout"].strip() and said["stderr"].strip()):
        raise AnsibleError(said["stderr"].strip() or f"base64 ended with the code {said['rc']}")
    try:
        return base64.b64decode(said["stdout"])
    except binascii.Error as exc:
        raise AnsibleError(f"what arrived is no base64: {exc}") from exc
