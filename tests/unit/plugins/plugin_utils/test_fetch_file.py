# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ways by which a file of the host comes: in a copy for the user who logs in, or in pieces."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleError
from ansible_collections.voltainer.volumes.plugins.plugin_utils import _fetch_file
from ansible_collections.voltainer.volumes.plugins.plugin_utils._fetch_file import fetch_file


class FakeAction:
    """An action whose host is this machine; `ran` has the commands, those of the other user marked."""

    def __init__(self, folder: Path, become: bool = True, user: str = "root", login: str = "ops") -> None:
        self.user, self.login, self.folder = user, login, folder
        self.ran: list[str] = []
        self.fetched: list[str] = []
        self.modes: list[int] = []
        self.fails = ""
        shell = SimpleNamespace(tmpdir=None, join_path=os.path.join, remove=lambda path: f"rm -f {path}")
        self._connection = SimpleNamespace(become=become, _shell=shell, fetch_file=self._fetch)

    def _fetch(self, path: str, target: str) -> None:
        self.fetched.append(path)
        self.modes.append(os.stat(path).st_mode & 0o777)
        shutil.copyfile(path, target)

    def _get_remote_user(self) -> str:
        return self.login

    def get_become_option(self, _name: str) -> str:
        return self.user

    def _is_become_unprivileged(self) -> bool:
        return self.user not in {"root", self.login}

    def _make_tmp_path(self) -> None:
        self._connection._shell.tmpdir = str(self.folder / "tmp")
        (self.folder / "tmp").mkdir(0o700)

    def _remove_tmp_path(self, path: str) -> None:
        os.rmdir(path)
        self._connection._shell.tmpdir = None

    def _low_level_execute_command(self, command: str, sudoable: bool = True) -> dict[str, Any]:
        self.ran.append(("root " if sudoable else "ops ") + command.split(maxsplit=1)[0])
        if self.fails and self.fails in command:
            return {"rc": 1, "stdout": "", "stderr": f"{self.fails} failed"}
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
        return {"rc": done.returncode, "stdout": done.stdout, "stderr": done.stderr}


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(_fetch_file, "_PIECE", 1000)
    monkeypatch.setattr(_fetch_file, "_RESERVE", 0)
    path = tmp_path / "it's there"
    path.write_bytes(os.urandom(3500))
    path.chmod(0o644)
    return path


def fetched(action: FakeAction, there: Path, size: int | None = None) -> bytes:
    target = there.parent / "here"
    fetch_file(action, str(there), there.stat().st_size if size is None else size, str(target))  # type: ignore[arg-type]
    assert not (there.parent / "tmp").exists()
    return target.read_bytes()


@pytest.mark.parametrize("who", [{"become": False}, {"user": "ops"}])
def test_what_the_user_who_logs_in_may_read_comes_as_it_is(there: Path, who: Any) -> None:
    action = FakeAction(there.parent, **who)
    assert fetched(action, there) == there.read_bytes()
    assert (action.fetched, action.ran) == ([str(there)], [])


def test_a_copy_is_only_for_the_user_who_logs_in_and_does_not_stay(there: Path) -> None:
    action = FakeAction(there.parent)
    assert fetched(action, there) == there.read_bytes()
    assert os.path.dirname(action.fetched[0]) == str(there.parent / "tmp")
    assert action.modes == [0o600]
    # Who logs in makes the file, the other user writes into it.
    assert action.ran == ["ops df", "ops umask", "root cat", "ops rm"]


def test_a_copy_does_not_stay_where_it_cannot_be_fetched(there: Path) -> None:
    action = FakeAction(there.parent)

    def fail(*_args: str) -> None:
        raise AnsibleError("the connection broke off")

    action._connection.fetch_file = fail
    with pytest.raises(AnsibleError, match="broke off"):
        fetched(action, there)
    assert not (there.parent / "tmp").exists()


@pytest.mark.parametrize("why", ["other user", "no place", "df", "umask", "cat", "small"])
def test_without_a_place_for_a_copy_it_comes_in_pieces(there: Path, monkeypatch: pytest.MonkeyPatch, why: str) -> None:
    action = FakeAction(there.parent, user="postgres" if why == "other user" else "root")
    if why == "no place":
        monkeypatch.setattr(_fetch_file, "_RESERVE", 1 << 60)
    elif why == "small":
        there.write_bytes(b"small")
    else:
        action.fails = why
    assert fetched(action, there) == there.read_bytes()
    assert action.fetched == []
    assert action.ran.count("root tail") == (1 if why == "small" else 4)


def test_a_file_that_became_shorter_or_cannot_be_read_is_told(there: Path) -> None:
    with pytest.raises(AnsibleError, match="it has 3500 bytes there, and not 9999"):
        fetched(FakeAction(there.parent, user="postgres"), there, 9999)
    (there.parent / "here").unlink()
    size = there.stat().st_size
    there.unlink()
    with pytest.raises(AnsibleError, match="No such file"):
        fetched(FakeAction(there.parent, user="postgres"), there, size)
