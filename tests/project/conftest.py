# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell which gate runs now, and in the end how long each one took."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

_SECONDS: dict[str, float] = defaultdict(float)
_FAILED: set[str] = set()


def _gate(nodeid: str) -> str | None:
    match = re.search(r"test_gates\.py::\w+\[(.+)\]$", nodeid)
    return match[1] if match else None


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    gate = _gate(report.nodeid)
    if gate:
        _SECONDS[gate] += report.duration
        if report.failed:
            _FAILED.add(gate)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not _SECONDS:
        return
    terminalreporter.section("gates")
    for gate, seconds in _SECONDS.items():
        terminalreporter.write_line(f"{gate:<28} {seconds:7.1f} s  {'FAILED' if gate in _FAILED else 'passed'}")
    terminalreporter.write_line(f"{'all gates':<28} {sum(_SECONDS.values()):7.1f} s")
