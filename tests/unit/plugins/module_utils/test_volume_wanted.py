# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import InvalidInputError, VolumesError
from ansible_collections.voltainer.volumes.plugins.module_utils._strings import label_strings, option_strings
from hypothesis import given
from hypothesis import strategies as st

from .volumes import item, many, wanted


@pytest.mark.parametrize(
    ("option", "value", "parsed"),
    [
        (
            "driver_options",
            {"size": 25, "f": 1.5, "on": True, "off": False, "empty": ""},
            {"size": "25", "f": "1.5", "on": "true", "off": "false", "empty": ""},
        ),
        ("driver_options", {}, {}),
        ("driver_options", None, None),
        ("labels", {"a": "b", "n": 1}, {"a": "b", "n": "1"}),
        ("labels", {}, {}),
        ("labels", None, None),
    ],
)
def test_values_become_the_strings_that_docker_means(option, value, parsed):
    assert getattr(wanted(**{option: value}), option) == parsed


@given(st.dictionaries(st.text(min_size=1), st.text() | st.integers() | st.floats(allow_nan=False) | st.booleans()))
def test_making_strings_of_options_is_idempotent(values):
    once = option_strings("driver_options", values)
    assert option_strings("driver_options", once) == once


@given(st.dictionaries(st.text(min_size=1), st.text() | st.integers()))
def test_making_strings_of_labels_is_idempotent(values):
    once = label_strings("labels", values)
    assert label_strings("labels", once) == once


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"name": ""}, "'name' is empty"),
        ({"name": "x"}, "two or more characters"),
        ({"name": "-x"}, "invalid value '-x'"),
        ({"name": "a b"}, "invalid value"),
        ({"name": "a/b"}, "invalid value"),
        ({"name": "a/b", "driver": "local", "state": "absent"}, "invalid value"),
        ({"name": "a/../b", "driver": "rclone"}, "invalid value"),
        ({"name": "xy\n"}, "invalid value"),
        ({"name": "pgdata.voltainer-change"}, "staging volumes of this collection"),
        ({"name": "pgdata.voltainer-change", "state": "absent"}, "staging volumes of this collection"),
        ({"rename_from": "pgdata.voltainer-change"}, "staging volumes of this collection"),
        ({"driver": ""}, "'driver' is empty"),
        ({"driver_options": {"a": None}}, "'a' in the option 'driver_options'"),
        ({"driver_options": {"a": ["b"]}}, "is of type list"),
        ({"labels": {"voltainer.volumes.protected": "true"}}, "there is the option 'protected'"),
        ({"wait": -1}, "'wait' is invalid"),
        ({"rename_from": "old", "state": "absent"}, "contradict each other"),
        ({"rename_from": ""}, "'rename_from' is empty"),
        ({"rename_from": "pgdata"}, "that is the new name, too"),
    ],
)
def test_bad_input(params, words):
    with pytest.raises(InvalidInputError) as caught:
        wanted(**params)
    assert words in str(caught.value)


@pytest.mark.parametrize(("value", "kind"), [(True, "bool"), (1.1, "float"), (None, "NoneType")])
def test_an_unsafe_label_is_refused_in_the_words_that_playbooks_know(value, kind):
    with pytest.raises(InvalidInputError) as caught:
        wanted(labels={"a": value})
    assert str(caught.value) == (
        f"The value {value!r} for 'a' of labels is not a string or something than can be safely converted to a string!"
        f" it is of type {kind}. Put the value into quotes."
    )


@pytest.mark.parametrize(
    "params", [{"name": "a/b", "driver": "rclone"}, {"name": "a/b", "state": "absent"}, {"rename_from": "a/b"}]
)
def test_plugins_may_have_folders_in_names(params):
    assert "a/b" in wanted(**params).names


def test_items_take_what_they_do_not_name_from_the_task():
    both = many(
        item(name="one"),
        item(name="two", labels={"b": "2"}, state="absent", secret_options=[], recreate="always"),
        labels={"a": "1"},
        secret_options=["key"],
        recreate="options-changed",
        driver="rclone",
    )
    one, two = both.items
    assert not both.single
    assert (one.labels, one.state, one.secret_options, one.recreate) == (
        {"a": "1"},
        "present",
        ("key",),
        "options-changed",
    )
    assert (two.labels, two.state, two.secret_options, two.recreate) == ({"b": "2"}, "absent", (), "always")
    assert (one.driver, two.driver) == ("rclone", "rclone")


def test_no_volumes_are_none():
    assert many().items == ()


def test_all_errors_are_listed_with_the_item_they_are_of():
    with pytest.raises(VolumesError) as caught:
        many(item(name="one"), item(name="x"), item(name="two", labels={"a": 1.5}), item(name="three", driver=""))
    text = str(caught.value)
    assert text.startswith("There are 3 errors:\n- The option 'name' of volumes[1]")
    assert "'a' of labels of volumes[2]" in text
    assert "'driver' of volumes[3] is empty" in text
    assert text.endswith("Nothing was changed.")
    assert len(caught.value.details["errors"]) == 3


@pytest.mark.parametrize(
    "items",
    [
        (item(name="one"), item(name="one", state="absent")),
        (item(name="one"), item(name="two", rename_from="one")),
        (item(name="one", rename_from="old"), item(name="two", rename_from="old")),
    ],
)
def test_a_volume_that_is_named_twice_is_refused(items):
    with pytest.raises(InvalidInputError, match=r"both volumes\[0\] and volumes\[1\]"):
        many(*items)
