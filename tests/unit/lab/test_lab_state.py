# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest
from voltainer_lab.names import Host, LabError
from voltainer_lab.state import LabState, known_labs, state_root, write_atomically


def test_a_lab_remembers_hosts_and_password(tmp_path: Path) -> None:
    state = LabState.load(tmp_path, "a")
    state.hosts = [Host("host1", "sid")]
    state.save()
    assert LabState.load(tmp_path, "a") == state
    assert known_labs(tmp_path) == ["a"]


def test_each_lab_has_a_password_of_its_own(tmp_path: Path) -> None:
    assert LabState.load(tmp_path, "a").password != LabState.load(tmp_path, "b").password


def test_damaged_state_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a" / "lab.json", b"{")
    with pytest.raises(LabError, match="down --name a"):
        LabState.load(tmp_path, "a")


def test_the_environment_moves_the_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_STATE_DIR", str(tmp_path))
    assert state_root() == tmp_path
    monkeypatch.delenv("LAB_STATE_DIR")
    assert state_root() == Path(__file__).resolve().parents[3] / ".lab"


def test_files_are_written_with_their_mode_and_nothing_is_left(tmp_path: Path) -> None:
    write_atomically(tmp_path / "secret", b"old", 0o644)
    write_atomically(tmp_path / "secret", b"new")
    assert (tmp_path / "secret").read_bytes() == b"new"
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]
