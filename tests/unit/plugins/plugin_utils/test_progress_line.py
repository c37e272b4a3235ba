# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines that tell how far a task is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.voltainer.volumes.plugins.plugin_utils._progress_line import (
    Meter,
    State,
    amount,
    duration,
    parse,
    speed,
)

KIB, MIB, GIB = 2**10, 2**20, 2**30


@pytest.mark.parametrize(
    ("done", "total", "text"),
    [
        (int(3.2 * GIB), 8 * GIB, "3.2/8.0 GiB"),
        (0, 8 * GIB, "0.0/8.0 GiB"),
        (512 * MIB, 800 * MIB, "512/800 MiB"),
        (5 * MIB, 99 * MIB, "5.0/99.0 MiB"),
        (1, 900, "1/900 B"),
        (512, KIB, "0.5/1.0 KiB"),
        (5 * GIB, 1024 * GIB, "0.0/1.0 TiB"),
        (1023 * MIB, GIB - 1, "1.0/1.0 GiB"),
        (int(3.2 * GIB), None, "3.2 GiB"),
        (700 * MIB, None, "700 MiB"),
        (0, None, "0 B"),
        (3 * 2**80, None, "3221225472 PiB"),
    ],
)
def test_amounts(done: int, total: int | None, text: str) -> None:
    assert amount(done, total) == text


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (214 * MIB, "214 MiB"),
        (3.44 * MIB, "3.4 MiB"),
        (9.96 * MIB, "10.0 MiB"),
        (1.2 * GIB, "1.2 GiB"),
        (1023.7 * KIB, "1.0 MiB"),
        (12.3, "12 B"),
        (0, "0 B"),
    ],
)
def test_speeds(rate: float, text: str) -> None:
    assert speed(rate) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.01, "1 s"),
        (23.4, "23 s"),
        (59.5, "1 min"),
        (60, "1 min"),
        (200, "3 min 20 s"),
        (599.9, "10 min"),
        (1451, "25 min"),
        (3599, "1 h"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
        (360000, "100 h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def state(done: int, at: float, total: int | None = 8 * GIB, **changes: Any) -> State:
    return State(**{"label": "bizvol", "verb": "copy", "done": done, "total": total, "at": at, "phase": 1, **changes})


def test_the_first_line_goes_by_the_beginning_of_the_phase() -> None:
    assert Meter().line(state(GIB, 5), 100) == "bizvol: copy 1.0/8.0 GiB, 205 MiB/s, 35 s left"


def test_the_rate_is_that_of_the_last_ten_seconds() -> None:
    meter = Meter()
    for second in range(1, 31):
        # Ten times as fast from second 20 on.
        done = second * 10 * MIB if second <= 20 else 200 * MIB + (second - 20) * 100 * MIB
        line = meter.line(state(done, second), 500 + second)
    assert line == "bizvol: copy 1.2/8.0 GiB, 100 MiB/s, 1 min 10 s left"


def test_looks_that_are_further_apart_give_the_rate_between_two() -> None:
    meter = Meter()
    meter.line(state(GIB, 60), 60)
    assert meter.line(state(4 * GIB, 120), 120) == "bizvol: copy 4.0/8.0 GiB, 51 MiB/s, 1 min 20 s left"


@pytest.mark.parametrize(("total", "parts"), [(None, "1.0 GiB"), (0, "1.0 GiB")])
def test_without_a_total_nothing_is_left(total: int | None, parts: str) -> None:
    assert Meter().line(state(GIB, 5, total), 9) == f"bizvol: copy {parts}, 205 MiB/s"


def test_a_standstill_is_told_although_the_file_stays_the_same() -> None:
    meter = Meter()
    meter.line(state(GIB, 5), 5)
    for now in (10, 15):
        line = meter.line(state(GIB, 5), now)
    assert line == "bizvol: copy 1.0/8.0 GiB, 0 B/s"


def test_more_than_the_total_is_all_of_it() -> None:
    assert Meter().line(state(9 * GIB, 9), 9) == "bizvol: copy 8.0/8.0 GiB, 1.0 GiB/s"


def test_a_new_phase_has_a_rate_of_its_own() -> None:
    meter = Meter()
    meter.line(state(8 * GIB, 5), 5)
    assert meter.line(state(100 * MIB, 1, phase=2, verb="verify"), 10) == (
        "bizvol: verify 0.1/8.0 GiB, 100 MiB/s, 1 min 21 s left"
    )


def test_a_count_that_goes_back_begins_anew() -> None:
    meter = Meter()
    meter.line(state(8 * GIB, 5), 5)
    assert meter.line(state(GIB, 10), 10) == "bizvol: copy 1.0/8.0 GiB, 102 MiB/s, 1 min 10 s left"


def test_nothing_is_divided_by_zero() -> None:
    assert Meter().line(state(GIB, 0), 10) == "bizvol: copy 1.0/8.0 GiB, 0 B/s"


GOOD = {"label": "bizvol", "verb": "copy", "done": 1, "total": 2, "at": 0.5, "phase": 1}


@pytest.mark.parametrize("around", ["{}", "Welcome to host1\r\n{}   \r\n", "{}\nBye", "{{not json\n{}\n"])
def test_the_state_is_found_among_what_a_host_prints(around: str) -> None:
    assert parse(around.format(json.dumps(GOOD))) == State("bizvol", "copy", 1, 2, 0.5, 1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "cat: no such file",
        '{"label": "bizvol", "verb": "copy", "do',
        "{}",
        *(json.dumps({**GOOD, key: value}) for key in GOOD if key != "total" for value in (None, [], {})),
        json.dumps({**GOOD, "done": float("inf")}),
        json.dumps({**GOOD, "total": "much"}),
        json.dumps({**GOOD, "verb": ""}),
        '{"a":' * 100_000,
    ],
)
def test_what_is_no_state_is_nothing(text: str) -> None:
    assert parse(text) is None


def test_text_of_a_host_moves_no_cursor() -> None:
    found = parse(json.dumps({**GOOD, "label": "\x1b[2Jbiz\nvol", "verb": "c" * 999}))
    assert found is not None
    assert found.label == "?[2Jbiz?vol"
    assert len(found.verb) == 128
