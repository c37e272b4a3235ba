# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A gate of `make test`: a make target that runs beside pytest, and whose output goes to build/log/GATE.log."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import dataclass

import checkout
import pytest
from cause import cause

LOGS = checkout.BUILD / "log"
MINUTE = 60
# Gates that were started before their test, by name. What is not finished in the end is killed.
BEGUN: dict[str, Gate] = {}


@dataclass
class Gate:
    """A make target that runs in a process group of its own, and is ended as a whole when its time is up."""

    name: str
    arguments: tuple[str, ...]
    ends: float
    process: subprocess.Popen[bytes]

    @classmethod
    def start(cls, name: str, *arguments: str, minutes: int) -> Gate:
        """Run make."""
        LOGS.mkdir(parents=True, exist_ok=True)
        # The flags of the make that runs this would reach the inner one: options, a job server that is closed to it.
        environment = {
            k: v
            for k, v in os.environ.items()
            if k not in {"MAKEFLAGS", "MFLAGS", "MAKELEVEL"} and not k.startswith("PYTEST_")
        }
        environment.update(NO_COLOR="1", ANSIBLE_NOCOLOR="1")
        with (LOGS / f"{name}.log").open("wb") as output:
            process = subprocess.Popen(
                ["make", "-C", str(checkout.ROOT), *arguments],
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=environment,
                start_new_session=True,
            )
        return cls(name, arguments, time.monotonic() + minutes * MINUTE, process)

    def finish(self) -> None:
        """Wait for the end, and fail unless it exits 0."""
        try:
            code: int | str = self.process.wait(max(self.ends - time.monotonic(), 0))
        except subprocess.TimeoutExpired:
            code = "none, its time was up"
        finally:
            self.kill()
        if code != 0:
            said = (LOGS / f"{self.name}.log").read_text(errors="replace")
            pytest.fail(f"make {' '.join(self.arguments)}: exit code {code}: {cause(said)}\n{said}", pytrace=False)

    def kill(self) -> None:
        """End it where it still runs."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def begin(name: str, *arguments: str, minutes: int) -> None:
    """Start a gate that the test of it will finish, so that it runs beside what comes before."""
    BEGUN[name] = Gate.start(name, *arguments, minutes=minutes)


def make(name: str, *arguments: str, minutes: int) -> None:
    """Run make to its end, where it does not run already, and fail unless it exits 0."""
    (BEGUN.pop(name, None) or Gate.start(name, *arguments, minutes=minutes)).finish()


def kill_all() -> None:
    """End what was begun and no test has finished."""
    while BEGUN:
        BEGUN.popitem()[1].kill()
