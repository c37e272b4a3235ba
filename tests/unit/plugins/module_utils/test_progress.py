# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file that a module tells of its work in, and what it knows of the programs that it runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import checkout
import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils import _progress
from ansible_collections.voltainer.volumes.plugins.module_utils._progress import (
    VARIABLE,
    IoCount,
    Progress,
    Watcher,
    io_counter,
    watch_process,
)


class Clock:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "progress"


@pytest.fixture
def progress(path: Path, clock: Clock) -> Progress:
    return Progress(str(path), quiet=0, clock=clock)


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())


def test_each_phase_begins_at_nothing(path: Path, progress: Progress, clock: Clock) -> None:
    progress.phase("bizvol", "copy", 300)
    assert read(path) == {"label": "bizvol", "verb": "copy", "done": 0, "total": 300, "at": 0.0, "phase": 1}
    clock.now += 2
    progress.advance(100)
    assert read(path) == {"label": "bizvol", "verb": "copy", "done": 100, "total": 300, "at": 2.0, "phase": 1}
    clock.now += 1
    progress.phase("other", "verify")
    assert read(path) == {"label": "other", "verb": "verify", "done": 0, "total": None, "at": 0.0, "phase": 2}


def test_a_phase_that_ended_is_not_shown(path: Path, progress: Progress) -> None:
    progress.phase("bizvol", "copy", 1)
    progress.finish()
    assert read(path)["verb"] == ""


def test_it_is_written_twice_a_second_at_most(path: Path, progress: Progress, clock: Clock) -> None:
    progress.phase("bizvol", "copy", 1000)
    seen = []
    for _block in range(20):
        clock.now += 0.1
        progress.advance(1)
        seen.append(read(path)["done"])
    assert sorted(set(seen)) == [0, 5, 10, 15, 20]


def test_the_file_has_one_size_and_belongs_to_its_user_alone(path: Path, progress: Progress, clock: Clock) -> None:
    progress.phase('"' * 500, "\n" * 500, 2**70)
    clock.now += 10**9
    progress.advance(2**70)
    size = path.stat().st_size
    assert (read(path)["label"], read(path)["verb"]) == ('"' * 128, "?" * 32)
    progress.phase("v", "copy")
    assert path.stat().st_size == size
    assert path.stat().st_mode & 0o777 == 0o600


def test_short_work_makes_no_file(path: Path, clock: Clock) -> None:
    with Progress(str(path), clock=clock) as progress:
        progress.phase("bizvol", "copy", 10)
        clock.now += 1.9
        progress.advance(5)
        assert not path.exists()
        clock.now += 0.1
        progress.advance(1)
        assert read(path)["done"] == 6
    assert not path.exists()


def test_without_a_path_nothing_happens(clock: Clock) -> None:
    progress = Progress(None, quiet=0, clock=clock)
    assert not progress.on
    progress.phase("bizvol", "copy", 10)
    clock.now += 9
    progress.advance(5)
    progress.set(7)
    progress.finish()
    progress.close()
    assert progress.done == 7


@pytest.mark.parametrize("there", ["file", "link", "dangling"])
def test_what_is_there_already_is_left_alone(tmp_path: Path, path: Path, progress: Progress, there: str) -> None:
    target = tmp_path / "target"
    if there != "dangling":
        target.write_text("precious")
    if there == "file":
        path.write_text("precious")
    else:
        path.symlink_to(target)
    progress.phase("bizvol", "copy", 1)
    assert not progress.on
    progress.close()
    assert path.is_symlink() or path.read_text() == "precious"
    assert target.exists() == (there != "dangling")


def test_a_module_that_is_started_again_takes_over(path: Path, progress: Progress, clock: Clock) -> None:
    progress.phase("bizvol", "copy", 10)
    again = Progress(str(path), quiet=0, clock=clock)
    again.phase("bizvol", "copy", 11)
    assert read(path)["total"] == 11
    clock.now += 1
    progress.advance(5)
    progress.close()
    assert read(path)["total"] == 11
    again.close()
    assert not path.exists()


@pytest.mark.parametrize("path", ["/nonexistent/folder/file", "/proc/1/nothing", "nul\0l"])
def test_a_file_that_cannot_be_made_is_not_tried_again(path: str, clock: Clock) -> None:
    progress = Progress(path, quiet=0, clock=clock)
    progress.phase("bizvol", "copy", 1)
    assert not progress.on
    progress.advance(1)
    progress.close()


def test_a_full_disk_fails_nothing(
    path: Path, progress: Progress, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: Any) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(_progress.os, "pwrite", full)
        progress.phase("bizvol", "copy", 10)
    clock.now += 1
    progress.advance(4)
    assert read(path)["done"] == 4


def test_a_file_that_vanished_fails_nothing(path: Path, progress: Progress, clock: Clock) -> None:
    progress.phase("bizvol", "copy", 10)
    path.unlink()
    clock.now += 1
    progress.advance(4)
    progress.close()
    progress.close()
    progress.advance(4)
    assert not path.exists()


@pytest.mark.parametrize(("value", "on"), [(None, False), ("", False), ("relative", False), ("/var/file", True)])
def test_the_path_comes_from_the_environment(value: str | None, on: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    if value is not None:
        monkeypatch.setenv(VARIABLE, value)
    monkeypatch.setattr(_progress, "_of_task", [Progress(None)])
    progress = Progress.from_environment()
    assert progress.on == on
    assert VARIABLE not in os.environ
    assert Progress.from_environment() is progress


LEAVES = """
import os, sys
sys.path.insert(0, sys.argv[1])
from ansible_collections.voltainer.volumes.plugins.module_utils import _progress
progress = _progress.Progress.from_environment()
progress._opens = 0
progress.phase("bizvol", "copy", 1)
if not os.fork():
    sys.exit(0)
os.wait()
print(os.path.exists(sys.argv[2]))
sys.exit(1)
"""


def test_the_end_of_the_module_removes_the_file_and_that_of_a_fork_does_not(path: Path) -> None:
    command = [sys.executable, "-c", LEAVES, str(checkout.link()), str(path)]
    run = subprocess.run(command, check=False, capture_output=True, text=True, env={VARIABLE: str(path)})
    assert (run.returncode, run.stdout) == (1, "True\n"), run.stderr
    assert not path.exists()


def test_to_advance_costs_next_to_nothing(path: Path) -> None:
    with Progress(str(path), quiet=0) as progress:
        progress.phase("bizvol", "copy", 10**6)
        begin = time.perf_counter()
        for _block in range(100_000):
            progress.advance(1)
        assert time.perf_counter() - begin < 1  # 0.03 s on a quiet machine


def test_a_watcher_adds_to_what_was_done(path: Path) -> None:
    counts = iter([1, 2, 3])
    with Progress(str(path), quiet=0) as progress:
        progress.phase("bizvol", "copy", 100)
        progress.advance(50)
        with Watcher(progress, lambda: next(counts), every=0.01) as watcher:
            # What the count raises at its end keeps what was there.
            deadline = time.monotonic() + 10
            while progress.done < 53 and time.monotonic() < deadline:
                time.sleep(0.01)
        assert progress.done == 53
        assert not watcher.is_alive()


def test_a_count_that_hangs_delays_the_end_little(path: Path) -> None:
    with Progress(str(path), quiet=0) as progress:
        begin = time.monotonic()
        with Watcher(progress, lambda: time.sleep(5) or 1, every=0.01):
            time.sleep(0.1)
        assert time.monotonic() - begin < 3


def test_nobody_watches_where_nobody_looks() -> None:
    with Watcher(Progress(None), lambda: 1) as watcher:
        assert not watcher.is_alive()


WRITER = """
import sys
with open(sys.argv[1], "rb") as source, open(sys.argv[2], "wb") as target:
    target.write(source.read())
print("done", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("reads", [False, True])
def test_what_a_program_reads_and_writes_is_known(tmp_path: Path, reads: bool) -> None:
    source = tmp_path / "source"
    source.write_bytes(bytes(3 << 20))
    command = [sys.executable, "-c", WRITER, str(source), str(tmp_path / "target")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        assert program.stdin
        assert program.stdout
        count = io_counter([program.pid], reads=reads)
        program.stdout.readline()
        assert 3 << 20 <= count() < 6 << 20
        program.stdin.close()
    # Of one that has ended, and of one that never was, nothing is lost and nothing fails.
    assert count() >= 3 << 20
    assert io_counter([2**22 + 1])() == 0


@pytest.mark.parametrize(
    ("counters", "written"),
    [
        pytest.param([(0, 0), (1000, 1000), (2000, 2000)], [0, 1000, 2000], id="tar, to a disk"),
        pytest.param([(1000, 0), (2000, 0)], [1000, 2000], id="to a pipe, or a file system in memory"),
        pytest.param([(1000, 4), (2000, 8)], [1000, 2000], id="to a pipe, with a log"),
        pytest.param([(0, 500), (0, 1500), (2048, 2060), (2048, 3000)], [500, 1500, 2048, 2988], id="cp, large files"),
        pytest.param([(10, 4096), (20, 8192), (30, 12288)], [10, 20, 30], id="cp, tiny files"),
        pytest.param([(0, 500), (4096, 2164), (4096, 2876)], [500, 2164, 2876], id="cp, on an overlay"),
    ],
)
def test_what_the_counters_of_the_kernel_come_to(counters: list[tuple[int, int]], written: list[int]) -> None:
    count = IoCount(0)
    assert [count.written(*pair) for pair in counters] == written


def test_a_program_is_watched(path: Path, tmp_path: Path) -> None:
    command = ["dd", "if=/dev/zero", f"of={tmp_path / 'target'}", "bs=1M", "count=2", "status=none"]
    with (
        Progress(str(path), quiet=0) as progress,
        subprocess.Popen(["sh", "-c", f"{' '.join(command)}; exec cat"], stdin=subprocess.PIPE) as program,
    ):
        progress.phase("bizvol", "copy", 2 << 20)
        with watch_process(progress, [program.pid]) as watcher:
            assert watcher.is_alive()
        assert program.stdin
        program.stdin.close()
