# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host that is measured on, with an engine of its own, and playbooks that are run against it by ssh."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
WORK = ROOT / "build" / "bench"
LAB, HOST = "bench", "trixie"
INVENTORY = ROOT / ".lab" / LAB / "inventory.yml"
PREFIX = "voltainer-bench-"  # of every volume that is made here
MEASURING_PYTHON = "/root/measuring-python"

Task = Mapping[str, Any]


class BenchError(Exception):
    """Something that was to be measured did not do what it should."""


@dataclass(frozen=True)
class TaskTime:
    """How long a task took, seen from Ansible; `told` has what it says of that itself, by the keys of its result."""

    name: str
    seconds: float
    changed: bool
    told: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ModuleRun:
    """What the process of a module took on the host; `own_peak_kib` is without the programs that it started."""

    seconds: float
    peak_kib: int
    own_peak_kib: int


def _lab(*arguments: str) -> None:
    subprocess.run([sys.executable, str(ROOT / "tests" / "lab" / "lab.py"), *arguments], check=True)


@contextmanager
def lab(*, keep: bool) -> Iterator[None]:
    """Have the lab for as long as the block runs, or longer where it is to be kept."""
    try:
        _lab("up", "--name", LAB, "--host", f"{HOST}={HOST}")
        yield
    finally:
        if not keep:
            _lab("down", "--name", LAB)


class LabHost:
    """The host: what is to be done on it beside Ansible's back, and what Ansible does there, measured."""

    def __init__(self, collections: Sequence[Path]) -> None:
        """Take the folders in which Ansible finds the collections."""
        group = yaml.safe_load(INVENTORY.read_text())["all"]["children"]["lab_hosts"]
        variables = self.variables = group["vars"]
        self._ssh = [
            *("ssh", "-i", variables["ansible_ssh_private_key_file"]),
            *shlex.split(variables["ansible_ssh_common_args"]),
            f"{variables['ansible_user']}@{group['hosts'][HOST]['ansible_host']}",
        ]
        self._collections = os.pathsep.join(map(str, collections))
        WORK.mkdir(parents=True, exist_ok=True)
        install = f"(echo '#!/usr/bin/python3'; cat) >{MEASURING_PYTHON} && chmod 755 {MEASURING_PYTHON}"
        self.run(install, HERE / "measuring_python.py")

    def run(self, command: str, stdin: Path | None = None) -> str:
        """Run a command on the host and return its output."""
        with (stdin or Path(os.devnull)).open("rb") as stream:
            result = subprocess.run([*self._ssh, command], check=False, capture_output=True, text=True, stdin=stream)
        if result.returncode:
            raise BenchError(f"on the host, {command}: exit code {result.returncode}\n{result.stdout}{result.stderr}")
        return result.stdout

    def engine(self, *arguments: str) -> str:
        """Have `on_host.py` do something with the engine."""
        return self.run(shlex.join(["python3", "-", *arguments]), HERE / "on_host.py")

    @contextmanager
    def no_volumes_stay(self) -> Iterator[None]:
        """Begin and end the block without volumes of an earlier measurement."""
        self.engine("remove", PREFIX)
        try:
            yield
        finally:
            self.engine("remove", PREFIX)

    @contextmanager
    def counted_requests(self) -> Iterator[tuple[str, Callable[[], list[str]]]]:
        """Yield an address of the engine at which all requests are counted, and a function that returns them."""
        place = "/run/voltainer-bench"
        self.run(f"cat >{place}.py", HERE / "count_requests.py")
        self.run(f"setsid python3 {place}.py {place}.sock {place}.log >/dev/null 2>&1 & sleep 1; test -S {place}.sock")
        try:
            yield f"unix://{place}.sock", lambda: self.run(f"cat {place}.log").splitlines()
        finally:
            self.run(f"pkill -f '[v]oltainer-bench.py'; rm -f {place}.*")

    def play(self, name: str, tasks: Sequence[Task], **variables: Any) -> list[TaskTime]:
        """Run tasks in one play, all of which must succeed, and return their times. A ping opens the connection."""
        warm_up: Task = {"name": "connect", "ansible.builtin.ping": None}
        play = {"hosts": HOST, "gather_facts": False, "vars": variables, "tasks": [warm_up, *tasks]}
        playbook, times = WORK / f"{name}.yml", WORK / f"{name}.jsonl"
        playbook.write_text(json.dumps([play]))
        times.unlink(missing_ok=True)
        command = ["ansible-playbook", "--inventory", str(INVENTORY), str(playbook)]
        result = subprocess.run(
            command, check=False, capture_output=True, text=True, env=self._environment(times), cwd=WORK
        )
        if result.returncode:
            raise BenchError(f"{playbook}: exit code {result.returncode}\n{result.stdout}{result.stderr}")
        lines = [json.loads(line) for line in times.read_text().splitlines()]
        return [TaskTime(line["task"], line["seconds"], line["changed"], line["told"]) for line in lines[1:]]

    def play_measured(self, name: str, tasks: Sequence[Task], **variables: Any) -> list[ModuleRun]:
        """Run tasks without loops in one play, and return what the process of each module took on the host."""
        return [run for _time, run in self.play_in_full(name, tasks, **variables)]

    def play_in_full(self, name: str, tasks: Sequence[Task], **variables: Any) -> list[tuple[TaskTime, ModuleRun]]:
        """Run tasks without loops in one play, and return for each what `play` and what `play_measured` do."""
        log = f"{MEASURING_PYTHON}.jsonl"
        self.run(f"rm -f {log}")
        times = self.play(name, tasks, ansible_python_interpreter=MEASURING_PYTHON, **variables)
        runs = [json.loads(line) for line in self.run(f"cat {log}").splitlines()]
        if len(runs) != len(tasks) + 1:
            raise BenchError(f"{name}: {len(tasks) + 1} modules were run, and {len(runs)} were measured")
        return [(time, ModuleRun(**run)) for time, run in zip(times, runs[1:], strict=True)]

    def _environment(self, times: Path) -> dict[str, str]:
        return {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": self._collections,
            "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "callback_plugins"),
            "ANSIBLE_CALLBACKS_ENABLED": "task_times",
            "ANSIBLE_LIBRARY": str(HERE / "library"),
            "ANSIBLE_PIPELINING": "true",
            "TASK_TIMES": str(times),
        }
