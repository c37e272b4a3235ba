# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell which gate runs now, and in the end how long each one took."""

from __future__ import annotations

import re

import gate
import pytest

# The longest of those that need no lab: it runs beside the unit tests.
EARLY = "sanity"


def _gate(nodeid: str) -> str | None:
    match = re.search(r"test_gates\.py::\w+\[(.+)\]$", nodeid)
    return match[1] if match else None


def pytest_collection_finish(session: pytest.Session) -> None:
    if not session.config.option.collectonly and EARLY in {_gate(item.nodeid) for item in session.items}:
        gate.begin(EARLY, EARLY, minutes=30)


def pytest_sessionfinish() -> None:
    gate.kill_all()


class GateTimes:
    """Collect the outcome and the time of each gate, set-up and tear-down included."""

    def __init__(self, terminal: pytest.TerminalReporter) -> None:
        self._terminal = terminal
        self._seconds: dict[str, float] = {}
        self._failed: set[str] = set()

    # trylast: the line that names the file comes first, and pytest adds the outcome to ours.
    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logstart(self, nodeid: str) -> None:
        name = _gate(nodeid)
        if name:
            self._terminal.write(f"\n  {name} ... ", flush=True)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name = _gate(report.nodeid)
        if name:
            self._seconds[name] = self._seconds.get(name, 0.0) + report.duration
            if report.failed:
                self._failed.add(name)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self._seconds:
            return
        terminalreporter.section("gates")
        for name, seconds in self._seconds.items():
            outcome = "FAILED" if name in self._failed else "passed"
            terminalreporter.write_line(f"{name:<28} {seconds:7.1f} s  {outcome}")
        terminalreporter.write_line(f"{'all gates':<28} {sum(self._seconds.values()):7.1f} s")


# trylast: pytest makes its terminal reporter in a hook of the same name.
@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    if isinstance(terminal, pytest.TerminalReporter):
        config.pluginmanager.register(GateTimes(terminal))
