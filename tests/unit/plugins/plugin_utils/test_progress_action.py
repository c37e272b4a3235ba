# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action that shows how far its module is: its thread, and plays on this machine with a slow module."""

from __future__ import annotations

import json
import re
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleAuthenticationFailure, AnsibleConnectionFailure
from ansible.playbook.play_context import PlayContext
from ansible.plugins.loader import become_loader, connection_loader
from ansible_collections.voltainer.volumes.plugins.plugin_utils._progress_action import Look, ProgressAction, Reporter
from ansible_collections.voltainer.volumes.tests.unit.roles.playbook import run_play

STATE = json.dumps({"label": "bizvol", "verb": "copy", "done": 2**30, "total": 2**31, "at": 5.0, "phase": 1})


class FakeLook:
    """Gives what it was given, one by one and the last one on and on; raises what is an error."""

    def __init__(self, *answers: str | Exception) -> None:
        self.answers = list(answers)
        self.looks = 0
        self.closed = False

    def __call__(self) -> str:
        self.looks += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        self.closed = True


def until(true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 10
    while not true() and time.monotonic() < deadline:
        time.sleep(0.01)
    return true()


def test_lines_are_shown_until_the_end_and_not_after() -> None:
    look, lines = FakeLook(STATE), []
    reporter = Reporter(0.05, 0.01, look, lines.append)
    reporter.start()
    assert until(lambda: len(lines) > 2)
    reporter.stop()
    shown = len(lines)
    assert until(lambda: look.closed)
    assert len(lines) == shown
    assert lines[0].startswith("bizvol: copy 1.0/2.0 GiB, ")


def test_nothing_is_looked_at_before_its_time() -> None:
    look = FakeLook(STATE)
    reporter = Reporter(60, 0.01, look, print)
    reporter.start()
    time.sleep(0.1)
    reporter.stop()
    assert until(lambda: not reporter.is_alive())
    assert look.looks == 0


LOST = AnsibleConnectionFailure("lost")


@pytest.mark.parametrize(
    ("answers", "looks", "shown"),
    [
        ([LOST], 3, 0),
        ([OSError(1)], 3, 0),
        ([STATE, LOST], 4, 1),
        ([LOST, LOST, STATE, LOST], 6, 1),
        ([AnsibleAuthenticationFailure("no")], 1, 0),
    ],
)
def test_it_gives_up(answers: list[str | Exception], looks: int, shown: int) -> None:
    look, lines = FakeLook(*answers), []
    reporter = Reporter(0, 0.01, look, lines.append)
    reporter.start()
    reporter.join(10)
    assert (look.looks, len(lines), look.closed) == (looks, shown, True)


def test_a_module_that_has_not_come_to_long_work_is_waited_for() -> None:
    look, lines = FakeLook("", "", "", "", STATE), []
    reporter = Reporter(0, 0.01, look, lines.append)
    reporter.start()
    assert until(lambda: bool(lines))
    reporter.stop()


def test_a_look_that_hangs_holds_up_nothing() -> None:
    going, lines = threading.Event(), []

    class Hanging(FakeLook):
        def __call__(self) -> str:
            going.wait(10)
            return super().__call__()

    look = Hanging(STATE)
    reporter = Reporter(0, 0.01, look, lines.append)
    reporter.start()
    begin = time.monotonic()
    reporter.stop()
    assert time.monotonic() - begin < 1
    going.set()
    assert until(lambda: look.closed)
    assert not lines


def action(**parts: Any) -> ProgressAction:
    nothing = {"connection": None, "play_context": None, "loader": None, "templar": None, "shared_loader_obj": None}
    return ProgressAction(**{"task": None, **nothing, **parts})


def test_the_second_connection_is_like_the_first_and_shares_nothing() -> None:
    context = PlayContext()
    first = connection_loader.get("ssh", context, new_stdin=None)
    first.set_options(direct={"host": "192.0.2.1", "remote_user": "lab", "reconnection_retries": 3, "port": 2222})
    first._shell.set_options(direct={"remote_tmp": "/elsewhere"})
    first.set_become_plugin(become_loader.get("sudo"))
    first.become.set_options(direct={"become_user": "root", "become_pass": "sample"})
    look = Look(action(connection=first, play_context=context), "/nowhere")
    other = look._with_other_connection()._connection
    assert other.get_options() == {**first.get_options(), "reconnection_retries": 0}
    assert other._shell.get_options() == first._shell.get_options()
    assert other.become.get_options() == first.become.get_options()
    assert other.become is not first.become
    assert other._shell is not first._shell


@pytest.mark.parametrize(("shared", "closed"), [(True, 0), (False, 1)])
def test_a_client_that_both_connections_have_stays_open(shared: bool, closed: int) -> None:
    closes: list[int] = []
    client = object()
    first = SimpleNamespace(ssh=client)
    other = SimpleNamespace(ssh=client if shared else object(), close=lambda: closes.append(1))
    look = Look(action(connection=first), "/nowhere")
    look.close()
    look._other = action(connection=other)
    look.close()
    assert len(closes) == closed


# The action of the collection, which looks sooner, and a module that takes as long as it is told to.
ACTION = """
from ansible_collections.voltainer.volumes.plugins.plugin_utils._progress_action import ProgressAction


class ActionModule(ProgressAction):
    NOT_BEFORE = 1.0
"""
MODULE = """#!/usr/bin/python
import os
import signal
import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.voltainer.volumes.plugins.module_utils import _progress

module = AnsibleModule(
    {"seconds": {"type": "float"}, "end": {"default": "ok"}, **_progress.PROGRESS_SPEC}, supports_check_mode=True
)
told = os.environ.get(_progress.VARIABLE)
with _progress.Progress(told, quiet=0) as progress:
    progress.phase("bizvol", "copy", 200 << 20)
    end = time.monotonic() + module.params["seconds"]
    while time.monotonic() < end:
        progress.advance(1 << 20)
        time.sleep(0.05)
    if module.params["end"] == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
if module.params["end"] == "failed":
    module.fail_json(msg="failed as it should", told=bool(told))
module.exit_json(changed=True, told=bool(told), mine=os.environ.get("MINE"))
"""
LINE = re.compile(r"^bizvol: copy \d+/200 MiB, [\d.]+ [KM]iB/s, .* left$", re.MULTILINE)


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs one task with the slow module, and shows what it returned."""
    for folder, text in (("action_plugins", ACTION), ("library", MODULE)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "slow.py").write_text(text)

    def run(seconds: float, *arguments: str, options: Any = (), **task: Any) -> subprocess.CompletedProcess[str]:
        slow = {"slow": {"seconds": seconds, "progress_interval": 1, **dict(options)}, "register": "result", **task}
        shown = {"debug": {"msg": "result: {{ result | to_json }}"}, "when": "result is defined"}
        # Ansible takes the home folder of these from the system, not from the environment.
        folders = {"ansible_remote_tmp": f"{tmp_path}/remote", "ansible_async_dir": f"{tmp_path}/async"}
        return run_play(tmp_path, {"tasks": [slow, shown], "vars": folders}, *arguments)

    return run


Play = Callable[..., "subprocess.CompletedProcess[str]"]


def test_long_work_shows_itself_and_the_result_is_the_same(play: Play) -> None:
    shown = play(2.6, environment={"MINE": "{{ 'yes' }}"})
    silent = play(0.1, options={"progress_interval": 0}, environment={"MINE": "yes"})
    assert (shown.returncode, silent.returncode) == (0, 0), shown.stdout + shown.stderr
    assert LINE.search(shown.stdout)
    assert not LINE.search(silent.stdout)
    results = [re.sub(r'"told\\*": (true|false)', "", run.stdout.split("result: ")[1]) for run in (shown, silent)]
    assert results[0] == results[1]
    assert "mine" in results[0]


@pytest.mark.parametrize(
    ("options", "task", "seconds"),
    [
        ({}, {}, 5),
        ({"progress_interval": "2.5"}, {}, 2.5),
        ({"progress_interval": 0.01}, {}, 1),
        ({"progress_interval": 0}, {}, 0),
        ({"progress_interval": -1}, {}, 0),
        ({"progress_interval": "nan"}, {}, 0),
        ({"progress_interval": "inf"}, {}, 0),
        ({"progress_interval": "soon"}, {}, 0),
        ({"progress_interval": None}, {}, 0),
        ({}, {"check_mode": True}, 0),
        ({}, {"async_val": 60}, 0),
        ({}, {"no_log": True}, 0),
    ],
)
def test_when_lines_are_wanted(options: dict[str, Any], task: dict[str, Any], seconds: float) -> None:
    of_task = {"args": options, "check_mode": False, "async_val": 0, "no_log": False, **task}
    assert action(task=SimpleNamespace(**of_task))._interval() == seconds


def test_where_no_lines_are_wanted_the_module_makes_no_file(play: Play) -> None:
    run = play(1.5, **{"async": 20, "poll": 1})
    assert run.returncode == 0, run.stdout + run.stderr
    assert "bizvol" not in run.stdout + run.stderr
    assert re.search(r'told\\*": false', run.stdout)


def test_a_wrong_interval_is_the_modules_to_refuse(play: Play) -> None:
    run = play(0.1, options={"progress_interval": "soon"})
    assert run.returncode == 2
    assert "progress_interval" in run.stdout + run.stderr


@pytest.mark.parametrize(
    ("end", "task", "words"),
    [
        ("failed", {}, "failed as it should"),
        ("killed", {}, "fatal"),
        ("ok", {"timeout": 2}, "fatal"),
    ],
)
def test_a_task_fails_as_it_would_without(
    play: Play, tmp_path: Path, end: str, task: dict[str, Any], words: str
) -> None:
    run = play(3.5, options={"end": end}, **task)
    output = run.stdout + run.stderr
    assert run.returncode == 2
    assert words in output
    assert LINE.search(run.stdout) or task  # a busy machine may come to no line before the timeout
    assert not list((tmp_path / "remote").rglob("voltainer-progress-*"))
