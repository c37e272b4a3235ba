# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How restic is waited for, with a script in its place that does what a test says, and writes its calls down."""

from __future__ import annotations

import os
import stat
import time

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils import _program, _restic_run
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import VolumesError
from ansible_collections.voltainer.volumes.plugins.module_utils._restic import Repository, RepositoryLockedError
from ansible_collections.voltainer.volumes.plugins.module_utils._restic_run import Restic

pytestmark = pytest.mark.skipif(not os.access(_program.SETPRIV, os.X_OK), reason="setpriv is missing")

REPOSITORY = Repository("s3:http://nas:2/b", "/root/pw", environment={"AWS_SECRET_ACCESS_KEY": "hunter2"})
LOCKED = "echo 'repository is already locked exclusively by PID 5 on host2 by root (UID 0, GID 0)' >&2; exit 1"
TRIES = (
    "for _ in 1 2 3; do echo 'Stat(<config/>) returned error, retrying after 1.4s: Stat: Get http://nas/?hunter2:"
    " connect: connection refused' >&2; done; sleep 60"
)
LOCK_ID = "e5841bfa7b80a5f91f9d931ce88b1025864be6bf7a492415f79cdf981849cb6c"


@pytest.fixture
def restic(tmp_path, monkeypatch):
    """Return a function that has restic do something, by the lines of a shell script, and returns its command lines."""
    script, calls = tmp_path / "restic", tmp_path / "calls"
    monkeypatch.setattr(_restic_run, "find", lambda _name: str(script))
    for name, seconds in {"_ANSWER": 1.0, "_FIRST_PAUSE": 0.01, "_GRACE": 0.5, "_TICK": 0.01}.items():
        monkeypatch.setattr(_restic_run, name, seconds)

    def does(body):
        script.write_text(f'#!/bin/sh\necho "$*" >>{calls}\nhere={tmp_path}\n{body}\n')
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        calls.write_text("")
        return lambda: calls.read_text().splitlines()

    return does


def test_a_repository_that_does_not_answer_is_an_error_soon(restic):
    calls = restic("sleep 60")
    began = time.monotonic()
    with pytest.raises(
        VolumesError, match=r"^Cannot look: the repository at 's3:http://nas:2/b' did not answer in time\. Look"
    ):
        Restic(REPOSITORY).is_there("Cannot look")
    assert time.monotonic() - began < 5
    assert calls() == ["--json --no-lock cat config"]


def test_what_restic_tries_in_vain_is_told(restic, monkeypatch):
    restic(TRIES)
    monkeypatch.setattr(_restic_run, "_ANSWER", 30)
    monkeypatch.setattr("ansible_collections.voltainer.volumes.plugins.module_utils._restic._TRIAL_SECONDS", 0.1)
    with pytest.raises(VolumesError, match=r"cannot be reached: Stat: Get .*connection refused") as caught:
        Restic(REPOSITORY).is_there("Cannot look")
    assert "hunter2" not in str(caught.value)


def test_nothing_secret_is_on_a_command_line(restic, tmp_path):
    calls = restic(f"env >{tmp_path}/environment")
    assert Restic(REPOSITORY).is_there("Cannot look")
    assert "AWS_SECRET_ACCESS_KEY=hunter2" in (tmp_path / "environment").read_text()
    assert "hunter2" not in " ".join(calls())


def test_a_lock_of_another_host_is_waited_for_and_left_alone(restic):
    told = []
    lock = """{"time": "2099-01-01T00:00:00Z", "hostname": "host2", "pid": 5}"""
    calls = restic(
        f"case $* in *'list locks') echo {LOCK_ID} ;; *'cat lock'*) echo '{lock}' ;;\n"
        f"*forget*) test -e $here/again && exit 0; : >$here/again; {LOCKED} ;; esac"
    )
    Restic(REPOSITORY, lambda: told.append(1)).forget(["ab"])
    forget = "--json forget --prune -- ab"
    assert calls() == [forget, "--json --no-lock list locks", f"--json --no-lock cat lock {LOCK_ID}", forget]
    assert told == [1]


def test_a_lock_that_was_left_behind_is_removed(restic):
    lock = """{"time": "2020-01-01T00:00:00Z", "hostname": "host2", "pid": 5}"""
    calls = restic(
        f"case $* in *'list locks') echo {LOCK_ID} ;; *'cat lock'*) echo '{lock}' ;; *unlock) : >$here/unlocked ;;\n"
        f"*forget*) test -e $here/unlocked && exit 0; {LOCKED} ;; esac"
    )
    Restic(REPOSITORY).forget(["ab"])
    assert calls()[-2:] == ["--json unlock", "--json forget --prune -- ab"]


def test_patience_has_an_end(restic, monkeypatch):
    restic(f"case $* in *forget*) {LOCKED} ;; esac")
    monkeypatch.setattr(_restic_run, "LOCK_SECONDS", 0.2)
    with pytest.raises(
        RepositoryLockedError, match=r"there: the repository at .* is locked exclusively by PID 5 on host2"
    ):
        Restic(REPOSITORY).forget(["ab"])


def test_a_check_that_finds_damage_is_made_again_under_a_lock(restic):
    damaged = "echo 'Fatal: repository contains errors' >&2; exit 1"
    calls = restic(f"case $* in *no-lock*) {damaged} ;; esac")
    Restic(REPOSITORY).check()
    assert calls() == ["--json --no-lock check", "--json check"]
    restic(damaged)
    with pytest.raises(VolumesError, match=r"The check of the repository at .* failed, .* is damaged"):
        Restic(REPOSITORY).check()


def test_a_repository_that_another_host_has_made_meanwhile_is_taken(restic):
    calls = restic("case $* in *init) echo 'Fatal: create repository: config file already exists' >&2; exit 1 ;; esac")
    Restic(REPOSITORY).make()
    assert calls() == ["--json init", "--json --no-lock cat config"]
