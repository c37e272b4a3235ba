# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import InvalidInputError
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import Volume
from ansible_collections.voltainer.volumes.plugins.module_utils._volume_filter import (
    named,
    parse_age,
    parse_filter,
    parse_time,
)
from hypothesis import given
from hypothesis import strategies as st

from .volumes import inspect

LABELS = {"team": "billing", "empty": "", "url": "a=b"}
NAME = st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{1,20}", fullmatch=True)


def volume(**changes):
    return Volume.from_inspect(inspect(**{"Labels": LABELS, **changes}))


@pytest.mark.parametrize(
    ("filters", "have", "why"),
    [
        (None, {}, None),
        ({}, {}, None),
        ({"name": None, "driver": None, "label": None, "without_label": None}, {}, None),
        ({"name": ["pgdata"]}, {}, None),
        ({"name": ["other", "pg*"]}, {}, None),
        ({"name": ["pgdat"]}, {}, "its name matches none of 'filters.name'"),
        ({"name": ["PGDATA"]}, {}, "its name matches none of 'filters.name'"),
        ({"name": ["team/*"]}, {"Name": "team/reports"}, None),
        ({"driver": ["local"]}, {}, None),
        ({"driver": ["rclone", "pure"]}, {"Driver": "pure:latest"}, None),
        ({"driver": ["pure:latest"]}, {"Driver": "pure"}, None),
        ({"driver": ["pure"]}, {"Driver": "pure:1.0"}, "its driver is 'pure:1.0'"),
        ({"driver": ["pure"]}, {}, "its driver is 'local'"),
        ({"label": ["team"]}, {}, None),
        ({"label": ["team=billing", "empty"]}, {}, None),
        ({"label": ["empty="]}, {}, None),
        ({"label": ["url=a=b"]}, {}, None),
        ({"label": ["team", "tier"]}, {}, "it has no label 'tier'"),
        ({"label": ["team=sales"]}, {}, "it has no label 'team=sales'"),
        ({"label": ["team"]}, {"Labels": None}, "it has no label 'team'"),
        ({"without_label": ["tier", "team=sales"]}, {}, None),
        ({"without_label": ["tier", "team"]}, {}, "it has the label 'team'"),
        ({"without_label": ["team"]}, {"Labels": None}, None),
        ({"name": ["pg*"], "driver": ["local"], "label": ["team"], "without_label": ["tier"]}, {}, None),
        ({"name": ["pg*"], "driver": ["pure"]}, {}, "its driver is 'local'"),
    ],
)
def test_filters(filters, have, why):
    assert parse_filter(filters).why_not(volume(**have)) == why


def test_patterns_with_a_choice_of_characters():
    assert parse_filter({"name": ["[pq]gdata"]}).why_not(volume()) is None


def test_a_filter_without_conditions_is_none():
    assert not parse_filter({"name": None, "driver": None, "older_than": "30d", "dangling": True})
    assert parse_filter({"without_label": ["a"]})


@pytest.mark.parametrize("key", ["name", "driver", "label", "without_label"])
def test_an_empty_value_does_not_widen_a_filter(key):
    with pytest.raises(InvalidInputError, match=rf"'filters\.{key}' has an empty value"):
        parse_filter({key: ["a", ""]})


@pytest.mark.parametrize("key", ["name", "driver", "label", "without_label"])
def test_an_empty_list_does_not_widen_a_filter(key):
    with pytest.raises(InvalidInputError, match=rf"'filters\.{key}' is an empty list"):
        parse_filter({"name": ["a"], key: []})


@pytest.mark.parametrize("key", ["name", "driver", "label", "without_label"])
@pytest.mark.parametrize("text", [" b", "b ", "{'team': 'billing'}", "['a']"])
def test_what_was_meant_in_another_way_does_not_match_nothing(key, text):
    with pytest.raises(InvalidInputError, match=rf"'filters\.{key}' has the invalid value"):
        parse_filter({key: ["a", text]})


@given(NAME)
def test_each_name_matches_itself_and_nothing_longer(name):
    assert named(name, [name])
    assert not named(f"{name}x", [name])
    assert named(f"{name}x", [f"{name}*"])


@pytest.mark.parametrize(
    ("text", "age"),
    [
        (None, None),
        ("0s", timedelta()),
        ("90s", timedelta(seconds=90)),
        ("5m", timedelta(minutes=5)),
        ("12h", timedelta(hours=12)),
        ("30d", timedelta(days=30)),
        ("1w2d3h", timedelta(days=9, hours=3)),
    ],
)
def test_ages(text, age):
    assert parse_age("older_than", text) == age


@pytest.mark.parametrize("text", ["", "30", "d", "-1d", "1.5h", "30 d", "1y", "30D", "30d\n", f"{10**12}w"])
def test_what_is_no_age(text):
    with pytest.raises(
        InvalidInputError, match=re.compile("'older_than' has the invalid value .* 30d or 12h", re.DOTALL)
    ):
        parse_age("older_than", text)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-11-24T09:30:00Z", datetime(2026, 11, 24, 9, 30, tzinfo=timezone.utc)),
        ("2026-11-24T10:30:00+01:00", datetime(2026, 11, 24, 9, 30, tzinfo=timezone.utc)),
        ("2026-11-24T09:30:00.123456789Z", datetime(2026, 11, 24, 9, 30, tzinfo=timezone.utc)),
        # What the engine lists of a plugin's volume.
        ("0001-01-01T00:00:00Z", None),
        ("", None),
        ("yesterday", None),
        ("2026-13-24T09:30:00Z", None),
        # A volume of the cluster.
        ("2026-11-24 09:30:00.1 +0000 UTC", None),
    ],
)
def test_times(text, time):
    assert parse_time(text) == time


@given(st.datetimes(min_value=datetime(2, 1, 1), timezones=st.just(timezone.utc)))
def test_times_as_the_engine_writes_them(time):
    assert parse_time(time.strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")) == time.replace(microsecond=0)
