# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every gate of `make test` is a test here, which runs the make target that a developer would run by hand.

Cheap ones come first, and each runs whatever became of the others. The output goes to build/log/GATE.log while the gate
runs, and into pytest's report when it fails; conftest.py prints how long each took.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import scenarios
from gate import begin, make

if TYPE_CHECKING:
    from collections.abc import Iterator

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


@pytest.mark.parametrize("gate", CHECKS)
def test_check(gate: str) -> None:
    make(gate, gate, minutes=15)


@pytest.fixture(scope="module")
def before() -> list[str]:
    """Return the scenarios that have been begun so far."""
    return []


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
def test_scenario(scenario: str, before: list[str]) -> None:
    before.append(scenario)
    if len(before) == 2 and APART not in before:  # the first one has made the images
        begin(f"molecule-{APART}", "molecule", f"SCENARIO={APART}", minutes=40)
    kept = [] if scenario == APART else ["KEEP=1"]
    make(f"molecule-{scenario}", "molecule", f"SCENARIO={scenario}", *kept, minutes=40)
