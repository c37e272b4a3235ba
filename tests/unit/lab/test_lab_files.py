# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import io
import tarfile
from pathlib import Path

from voltainer_lab.files import PutFile, pack, read_tree, shipped


def test_files_are_packed_with_folders_and_modes() -> None:
    with tarfile.open(fileobj=io.BytesIO(pack({"/etc/key": PutFile(b"secret", 0o600)}))) as archive:
        entries = {entry.name: (entry.isdir(), entry.mode, entry.uid) for entry in archive}
    assert entries == {"etc": (True, 0o755, 0), "etc/key": (False, 0o600, 0)}


def test_files_get_their_mode_from_their_place(tmp_path: Path) -> None:
    for name in ("usr/local/sbin/tool", "etc/tool.conf"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(name)
        (tmp_path / name).chmod(0o600)
    tree = read_tree(tmp_path)
    assert {path: file.mode for path, file in tree.items()} == {"/usr/local/sbin/tool": 0o755, "/etc/tool.conf": 0o644}


def test_the_first_process_of_every_container_is_executable() -> None:
    assert shipped("host")["/usr/local/sbin/lab-init"].mode == 0o755
    assert shipped("services")["/usr/local/sbin/lab-service"].mode == 0o755
