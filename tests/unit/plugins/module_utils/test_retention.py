# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import datetime, timedelta, timezone

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import InvalidInputError
from ansible_collections.voltainer.volumes.plugins.module_utils._retention import (
    Keep,
    parse_keep,
    reasons_to_keep,
    to_remove,
)
from hypothesis import given
from hypothesis import strategies as st

NOW = datetime(2026, 3, 31, 12, tzinfo=timezone.utc)


def backups(*texts):
    """Return backups of these times, each called as it is written; what follows a # tells equal times apart."""
    return [(datetime.fromisoformat(f"{text.split('#')[0]}:00+00:00"), text) for text in texts]


def kept(texts, **keep):
    """Return which of the backups stay, by their names."""
    return [name for _time, name in reasons_to_keep(backups(*texts), Keep(**keep), NOW)]


DAYS = ["2026-03-29T01:00", "2026-03-29T02:00", "2026-03-30T01:00", "2026-03-31T01:00", "2026-03-31T02:00"]


@pytest.mark.parametrize(
    ("texts", "keep", "stay"),
    [
        ([], {"last": 1}, []),
        (DAYS, {}, DAYS[::-1]),
        (DAYS, {"last": 0, "daily": 0}, DAYS[::-1]),
        (DAYS, {"last": 1}, ["2026-03-31T02:00"]),
        (DAYS, {"last": 3}, ["2026-03-31T02:00", "2026-03-31T01:00", "2026-03-30T01:00"]),
        (DAYS, {"last": 99}, DAYS[::-1]),
        (DAYS, {"daily": 2}, ["2026-03-31T02:00", "2026-03-30T01:00"]),
        (DAYS, {"daily": 99}, ["2026-03-31T02:00", "2026-03-30T01:00", "2026-03-29T02:00"]),
        (DAYS, {"last": 2, "daily": 2}, ["2026-03-31T02:00", "2026-03-31T01:00", "2026-03-30T01:00"]),
        (DAYS, {"monthly": 12}, ["2026-03-31T02:00"]),
        # Days without a backup count for nothing.
        (
            ["2025-01-01T00:00", "2025-06-01T00:00", "2026-03-01T00:00"],
            {"daily": 2},
            ["2026-03-01T00:00", "2025-06-01T00:00"],
        ),
        # Days begin at midnight in UTC.
        (["2026-03-30T23:59", "2026-03-31T00:00"], {"daily": 9}, ["2026-03-31T00:00", "2026-03-30T23:59"]),
        # Weeks begin on Mondays: the 30th of March 2026 is one. ISO's week 1 of 2026 begins in 2025.
        (["2026-03-29T23:00", "2026-03-30T00:00"], {"weekly": 2}, ["2026-03-30T00:00", "2026-03-29T23:00"]),
        (
            ["2025-12-28T10:00", "2025-12-29T00:00", "2026-01-04T23:00"],
            {"weekly": 2},
            ["2026-01-04T23:00", "2025-12-28T10:00"],
        ),
        # Week 53 of 2020 and week 53 of 2026 are two, and so are the Januaries of two years.
        (
            ["2021-01-01T00:00", "2025-01-05T00:00", "2026-01-05T00:00"],
            {"monthly": 3},
            ["2026-01-05T00:00", "2025-01-05T00:00", "2021-01-01T00:00"],
        ),
        # The union: what one rule keeps, stays.
        (
            [
                "2026-01-31T00:00",
                "2026-02-27T00:00",
                "2026-02-28T00:00",
                "2026-03-22T00:00",
                "2026-03-30T00:00",
                "2026-03-31T00:00",
            ],
            {"last": 1, "daily": 2, "weekly": 2, "monthly": 3},
            ["2026-03-31T00:00", "2026-03-30T00:00", "2026-03-22T00:00", "2026-02-28T00:00", "2026-01-31T00:00"],
        ),
        # Equal times: the name that sorts last counts as the newest.
        (["2026-03-30T01:00#a", "2026-03-30T01:00#b"], {"daily": 1}, ["2026-03-30T01:00#b"]),
        (["2026-03-30T01:00#b", "2026-03-30T01:00#a"], {"last": 1}, ["2026-03-30T01:00#b"]),
        # Of the future: it stays, and does not stand for the newest.
        (
            ["2026-03-30T01:00", "2026-03-31T01:00", "2036-01-01T00:00"],
            {"last": 1},
            ["2036-01-01T00:00", "2026-03-31T01:00"],
        ),
        (["2036-01-01T00:00", "2037-01-01T00:00"], {"last": 1}, ["2037-01-01T00:00", "2036-01-01T00:00"]),
    ],
)
def test_what_stays(texts, keep, stay):
    assert kept(texts, **keep) == stay
    assert kept(texts[::-1], **keep) == stay
    gone = [name for _time, name in to_remove(backups(*texts), Keep(**keep), NOW)]
    assert gone == [text for text in sorted(texts) if text not in stay]


def test_why_they_stay():
    assert reasons_to_keep(backups(*DAYS), Keep(last=2, daily=2, monthly=1), NOW) == dict(
        zip(
            backups("2026-03-31T02:00", "2026-03-31T01:00", "2026-03-30T01:00"),
            [("newest", "last", "daily", "monthly"), ("last",), ("daily",)],
        )
    )


def test_the_time_zone_of_a_backup_does_not_matter():
    # Around the night in which the clocks of Berlin went forward, one backup each hour.
    hours = [datetime(2026, 3, 28, 22, tzinfo=timezone.utc) + timedelta(hours=n) for n in range(8)]
    summer = timezone(timedelta(hours=2))
    mixed = [(time.astimezone(summer) if n % 2 else time, f"{n}") for n, time in enumerate(hours)]
    assert [name for _time, name in reasons_to_keep(mixed, Keep(daily=2), NOW)] == ["7", "1"]


TIMES = st.datetimes(datetime(2024, 1, 1), datetime(2028, 1, 1), timezones=st.just(timezone.utc))
BACKUPS = st.lists(st.tuples(TIMES, st.text("abc", max_size=2)), unique=True, max_size=30)
NUMBERS = st.none() | st.integers(0, 5)
KEEPS = st.builds(Keep, NUMBERS, NUMBERS, NUMBERS, NUMBERS)


@given(BACKUPS, KEEPS, TIMES)
def test_what_always_holds(some, keep, now):
    gone = to_remove(some, keep, now)
    stay = [one for one in some if one not in gone]
    assert sorted(gone) == gone
    assert set(reasons_to_keep(some, keep, now)) == set(stay)
    # Never the newest, never all, never one of the future; nothing without a rule, and nothing more the second time.
    past = [one for one in some if one[0] <= now]
    assert not past or max(past) in stay
    assert all(time <= now for time, _name in gone)
    assert keep or not gone
    assert to_remove(stay, keep, now) == []


@pytest.mark.parametrize(
    ("value", "keep"),
    [
        (None, Keep()),
        ({}, Keep()),
        ({"last": None, "daily": None, "weekly": None, "monthly": None}, Keep()),
        ({"last": 0, "daily": 7}, Keep(last=0, daily=7)),
        ({"last": 3, "daily": 7, "weekly": 4, "monthly": 12}, Keep(3, 7, 4, 12)),
    ],
)
def test_the_option(value, keep):
    assert parse_keep(value) == keep


@pytest.mark.parametrize(
    ("value", "words"),
    [({"daily": -1}, r"'keep\.daily' has the invalid value -1"), ({"last": 0, "monthly": 0}, "'keep' keeps nothing")],
)
def test_what_the_option_must_not_say(value, words):
    with pytest.raises(InvalidInputError, match=words):
        parse_keep(value)


def forget_arguments(keep):
    """Return the options by which `restic forget` is to mean the same."""
    rules = {name: number for name, number in asdict(keep).items() if number}
    return [part for name, number in rules.items() for part in (f"--keep-{name}", str(number))]


def test_restic_means_the_same(tmp_path):
    if not shutil.which("restic"):
        pytest.skip("restic is not installed")
    (tmp_path / "password").write_text("secret")
    (tmp_path / "data").mkdir()
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("RESTIC_")},
        "RESTIC_REPOSITORY": str(tmp_path / "repository"),
        "RESTIC_PASSWORD_FILE": str(tmp_path / "password"),
        "TZ": "UTC",
    }

    def restic(*arguments):
        command = ["restic", "--no-cache", *arguments]
        return subprocess.run(command, capture_output=True, check=True, text=True, env=environment).stdout

    restic("init")
    # The oldest is the newest of its day, week and month: newer versions of restic keep it for being the oldest.
    times = [datetime(2025, 11, 30, 23, tzinfo=timezone.utc)]
    times += [datetime(2026, 1, 1, 5, tzinfo=timezone.utc) + timedelta(hours=37 * n) for n in range(8)]

    def back_up(time):
        restic("backup", "--host", "h", "--time", time.strftime("%Y-%m-%d %H:%M:%S"), str(tmp_path / "data"))

    with ThreadPoolExecutor() as pool:
        list(pool.map(back_up, times))
    for keep in (Keep(last=2), Keep(weekly=9), Keep(1, 4, 2, 3)):
        (group,) = json.loads(restic("forget", "--dry-run", "--json", "--group-by", "", *forget_arguments(keep)))
        theirs = sorted(datetime.fromisoformat(one["time"][:19] + "+00:00") for one in group["remove"] or ())
        assert [time for time, _name in to_remove([(time, "") for time in times], keep, NOW)] == theirs, keep
