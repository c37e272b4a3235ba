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
from typing import TYPE_CHECKING

import checkout
import pytest
import scenarios

if TYPE_CHECKING:
    from collections.abc import Iterator

LOGS = checkout.BUILD / "log"
MINUTE = 60
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


def make(gate: str, *arguments: str, minutes: int) -> None:
    """Run make in a process group of its own, ended as a whole when its time is up; fail unless it exits 0."""
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"{gate}.log"
    # The flags of the make that runs this would reach the inner one: options, and a job server that is closed to it.
    environment = {
        k: v
        for k, v in os.environ.items()
        if k not in {"MAKEFLAGS", "MFLAGS", "MAKELEVEL"} and not k.startswith("PYTEST_")
    }
    environment.update(NO_COLOR="1", ANSIBLE_NOCOLOR="1")
    command = ["make", "-C", str(checkout.ROOT), *arguments]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
        try:
            code: int | str = process.wait(minutes * MINUTE)
        except subprocess.TimeoutExpired:
            code = f"none after {minutes} minutes"
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    if code != 0:
        pytest.fail(f"make {' '.join(arguments)}: exit code {code}\n{log.read_text(errors='replace')}", pytrace=False)


@pytest.mark.parametrize("gate", CHECKS)
def test_check(gate: str) -> None:
    make(gate, gate, minutes=15)


@pytest.fixture(scope="module")
def lab() -> Iterator[None]:
    """Let all scenarios use one lab, which the first one makes; failing to destroy it in the end is an error."""
    yield
    make("molecule-destroy", "molecule-destroy", minutes=10)


# Where none is found, the gate asks for one that is not there and fails: an empty list would be skipped in silence.
@pytest.mark.usefixtures("lab")
@pytest.mark.parametrize("scenario", scenarios.found() or ["none-found"])
def test_scenario(scenario: str) -> None:
    make(f"molecule-{scenario}", "molecule", f"SCENARIO={scenario}", "KEEP=1", minutes=40)
