# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every gate of `make test` is a test here, which runs the make target that a developer would run by hand.

Cheap ones come first, and each runs whatever became of the others. The output goes to build/log/GATE.log while the gate
runs, and into pytest's report when it fails; conftest.py prints how long each took.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import checkout
import pytest
import scenarios
from cause import cause

if TYPE_CHECKING:
    from collections.abc import Iterator

LOGS = checkout.BUILD / "log"
MINUTE = 60
APART = "rolling"
FIRST = "storage_plugin"
CHECKS = (
    "format-check",
    "ruff",
    "yamllint",
    "changelog-lint",
    "docs-check",
    "types",
    "artefact",
    "ansible-lint",
    "sanity",
)


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


def make(gate: str, *arguments: str, minutes: int) -> None:
    """Run make to its end, and fail unless it exits 0."""
    Gate.start(gate, *arguments, minutes=minutes).finish()


@pytest.mark.parametrize("gate", CHECKS)
def test_check(gate: str) -> None:
    make(gate, gate, minutes=15)


class Apart:
    """The scenario that has a lab of its own runs beside the others, from the second on: the first makes the images."""

    def __init__(self) -> None:
        self.others = 0
        self.gate: Gate | None = None

    def before(self, scenario: str) -> None:
        """Start it, where it is its time."""
        self.others += 1
        if self.gate is None and (self.others > 1 or scenario == APART):
            self.gate = Gate.start(f"molecule-{APART}", "molecule", f"SCENARIO={APART}", minutes=40)


@pytest.fixture(scope="module")
def apart() -> Iterator[Apart]:
    """Run one scenario beside the others."""
    beside = Apart()
    yield beside
    if beside.gate is not None:
        beside.gate.kill()


@pytest.fixture(scope="module")
def lab() -> Iterator[None]:
    """Let all scenarios use one lab, which the first one makes; failing to destroy it in the end is an error."""
    yield
    make("molecule-destroy", "molecule-destroy", minutes=10)


def ordered() -> list[str]:
    """Return the scenarios, a short one first and the one that runs beside them last.

    Where none is found, the gate asks for one that is not there and fails: an empty list would be skipped in silence.
    """
    found = sorted(scenarios.found(), key=lambda name: (name == APART, name != FIRST, name))
    return found or ["none-found"]


@pytest.mark.usefixtures("lab")
@pytest.mark.parametrize("scenario", ordered())
def test_scenario(scenario: str, apart: Apart) -> None:
    apart.before(scenario)
    if scenario == APART and apart.gate is not None:
        apart.gate.finish()
    else:
        make(f"molecule-{scenario}", "molecule", f"SCENARIO={scenario}", "KEEP=1", minutes=40)
