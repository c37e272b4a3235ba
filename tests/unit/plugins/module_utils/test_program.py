# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of the host, real ones: how they end, what they say, and that they end with this process."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils import _program
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import VolumesError
from ansible_collections.voltainer.volumes.plugins.module_utils._program import ProgramError, find, start

pytestmark = pytest.mark.skipif(not os.access(_program.SETPRIV, os.X_OK), reason="setpriv is missing")

SHELL = "/bin/sh"
GRACE = {"stdout": subprocess.PIPE, "grace": 0.5}


def shell(script, **options):
    return start([SHELL, "-c", script], **options)


def wait(program, accept=(0,)):
    try:
        return program.wait("Cannot do it", accept)
    finally:
        program.stop()


def gone(pid, seconds=5.0):
    """Return whether a process ends in time."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
                if stat.read().rpartition(")")[2].split()[0] == "Z":
                    return True
        except FileNotFoundError:
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize(
    ("script", "accept", "ends"),
    [
        ("exit 0", (0,), 0),
        ("exit 1", (0, 1), 1),
        ("echo no >&2; exit 1", (0,), "sh failed: no"),
        ("exit 3", (0, 1), "sh failed: it ended with the code 3, and said nothing"),
        ("kill -9 $$", (0,), "sh failed: it was ended by signal 9"),
        ("echo one >&2; echo two >&2; exit 2", (0,), "sh failed: one; two"),
        ("seq 9 >&2; exit 2", (0,), "sh failed: 1; 2; 3; 4; 5"),
        ("printf 'a\\377b' >&2; exit 2", (0,), "sh failed: a\\xffb"),
    ],
)
def test_how_programs_end(script, accept, ends):
    if isinstance(ends, int):
        assert wait(shell(script), accept) == ends
        return
    with pytest.raises(ProgramError) as caught:
        wait(shell(script), accept)
    assert (caught.value.what, caught.value.why) == ("Cannot do it", ends)
    assert caught.value.code == (-9 if "kill" in script else int(script.rpartition(" ")[2]))


def test_what_a_program_says_at_length_is_shortened_in_the_middle():
    program = shell("echo begin >&2; seq 10000 >&2; echo end >&2")
    assert program.process.wait() == 0
    said = program.said
    program.stop()
    assert said.startswith("begin")
    assert said.endswith("end")
    assert "[...]" in said
    assert len(said) < 4100


def test_the_environment_is_that_which_is_given_and_the_same_language_everywhere(monkeypatch):
    monkeypatch.setenv("SECRET", "hunter2")
    program = start(["/usr/bin/env"], stdout=subprocess.PIPE, environment={"A": "b"})
    lines = program.process.stdout.read().decode().split()
    wait(program)
    assert sorted(lines) == ["A=b", "LC_ALL=C", f"PATH={_program.PATH}"]


def test_what_a_program_makes_has_the_mode_that_it_asks_for(tmp_path):
    wait(shell(f"mkdir -m 777 {tmp_path}/a; : > {tmp_path}/b"))
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o666


def test_a_program_that_is_not_there_is_told():
    with pytest.raises(ProgramError, match=r"none failed: .*No such file or directory"):
        wait(start(["/usr/bin/none"]))


def test_without_setpriv_nothing_is_started(monkeypatch):
    monkeypatch.setattr(_program, "SETPRIV", "/usr/bin/none")
    with pytest.raises(
        VolumesError, match=r"Cannot start /bin/sh: No such file or directory\. Install the package util"
    ):
        shell("exit 0")


def test_a_program_that_is_stopped_is_gone_and_its_pipes_are_closed():
    program = shell("sleep 60", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    program.process.stdin.write(b"x")
    program.stop()
    assert program.process.returncode == -signal.SIGKILL
    assert program.process.stdin.closed
    assert program.process.stdout.closed
    assert program.errors.closed
    # A second time, nothing happens.
    program.stop()


def test_a_program_with_a_grace_may_end_in_order(tmp_path):
    program = shell(f"trap ': >{tmp_path}/ended; exit 5' INT; echo begun; while :; do sleep 0.05; done", **GRACE)
    program.process.stdout.readline()
    # Whoever kills the task's processes as a group does not reach it.
    assert os.getsid(program.process.pid) == program.process.pid
    program.stop()
    assert program.process.returncode == 5
    assert (tmp_path / "ended").exists()


def test_a_program_that_does_not_end_in_its_grace_is_killed_with_what_it_started():
    program = shell("trap '' INT; setsid sleep 60 & echo $!; wait; sleep 60", **GRACE)
    child = int(program.process.stdout.readline())
    # Until then, the shell itself is what was started.
    while b"sleep" not in pathlib.Path(f"/proc/{child}/comm").read_bytes():
        time.sleep(0.01)
    program.stop()
    assert program.process.returncode == -signal.SIGKILL
    assert gone(child)


_PARENT = """
import sys
from ansible_collections.voltainer.volumes.plugins.module_utils._program import start
program = start(["/bin/sleep", "60"], grace=float(sys.argv[1]))
print(program.process.pid, flush=True)
program.process.wait()
"""


@pytest.mark.parametrize("grace", ["0", "5"])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_program_ends_with_this_process_however_that_ends(how, grace):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", _PARENT, grace], stdout=subprocess.PIPE, env=environment) as parent:
        pid = int(parent.stdout.readline())
        # Until then, it is setpriv that is to say so.
        while b"sleep" not in pathlib.Path(f"/proc/{pid}/comm").read_bytes():
            time.sleep(0.01)
        parent.send_signal(how)
        parent.wait()
    assert gone(pid)


@pytest.mark.parametrize("script", ["head -c 3000000 /dev/zero", "head -c 3000000 /dev/zero; exit 0"])
def test_how_much_a_program_or_its_child_has_written_is_known_while_it_runs(script):
    program = shell(f"{script} & wait; read x", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    written = 0
    left = 2_000_000
    while left:
        left -= len(program.process.stdout.read(min(left, 65536)))
        written = max(written, program.bytes_written())
    program.stop()
    assert written > 1_000_000


@pytest.mark.parametrize(("name", "there"), [("sh", True), ("no-such-program", False), ("../bin/none", False)])
def test_programs_are_found_where_the_system_has_them(name, there):
    assert bool(find(name)) == there
