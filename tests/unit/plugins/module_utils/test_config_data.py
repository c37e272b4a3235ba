# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What config files say: read in all formats, merged key by key, and compared without a word of their values."""

from __future__ import annotations

import contextlib
import copy
import json

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils import _config_file
from ansible_collections.voltainer.volumes.plugins.module_utils._config_data import (
    UnreadableError,
    differences,
    merge,
    read_text,
    words,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._config_file import ConfigFileError, render
from ansible_collections.voltainer.volumes.plugins.module_utils._secrets import leaves
from hypothesis import given
from hypothesis import strategies as st

SECRET = "hunter2zqx"

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
KEYS = st.sampled_from(["a", "b", "token", "c"])
DATA = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=10,
)
TREES = st.dictionaries(KEYS, DATA, max_size=4)


@pytest.mark.parametrize(
    ("text", "file_format", "said"),
    [
        ('{"a": [1, null, "\u00e4"]}', "json", {"a": [1, None, "\u00e4"]}),
        ('{"a": 1,\r\n "b": 2}\r\n', "json", {"a": 1, "b": 2}),
        ("[]", "json", []),
        ("a: [1, ~, \u00e4]\nb: {c: yes}", "yaml", {"a": [1, None, "\u00e4"], "b": {"c": True}}),
        ("a: 1\r\nb: 2\r\n", "yaml", {"a": 1, "b": 2}),
        ("# only a comment\n", "yaml", None),
        ("1: x\n", "yaml", {1: "x"}),
        ("[b]\nKey = v\n[a]\nx: 1 ; y\n", "ini", {"b": {"Key": "v"}, "a": {"x": "1 ; y"}}),
        ("[b]\r\nkey=v\r\n", "ini", {"b": {"key": "v"}}),
        ("[DEFAULT]\nx = %(y)s\n[a]\n", "ini", {"DEFAULT": {"x": "%(y)s"}, "a": {}}),
        ("", "ini", {}),
        ('a = 1\n[b]\nc = "x"', "toml", {"a": 1, "b": {"c": "x"}}),
        ("a = 1\r\n", "toml", {"a": 1}),
    ],
)
def test_what_a_text_says(text, file_format, said):
    assert read_text(text, file_format) == said


@pytest.mark.parametrize(
    ("text", "file_format", "words"),
    [
        (f'{{"a": {SECRET}}}', "json", "it is not valid JSON"),
        (f'\ufeff{{"a": "{SECRET}"}}', "json", "it is not valid JSON"),
        ("9" * 5000, "json", "it is not valid JSON"),
        ("[" * 100_000, "json", "it is not valid JSON"),
        (f"a: [{SECRET}", "yaml", "it is not valid YAML"),
        (f"a: !x {SECRET}", "yaml", "it is not valid YAML"),
        (f"a: 1\n---\nb: {SECRET}", "yaml", "it is not valid YAML"),
        ("a: 2024-13-01", "yaml", "it is not valid YAML"),
        (f"key = {SECRET}", "ini", "it is not valid INI"),
        (f"[a]\nx = 1\nx = {SECRET}", "ini", "it is not valid INI"),
        (f"\ufeff[a]\nx = {SECRET}", "ini", "it is not valid INI"),
        (f"a = {SECRET}", "toml", "it is not valid TOML"),
        (f'a = 1\na = "{SECRET}"', "toml", "it is not valid TOML"),
        (SECRET, "raw", "its format is not one that has keys"),
        (SECRET, "xml", "its format is not one that has keys"),
    ],
)
def test_what_cannot_be_read_shows_nothing_of_it(text, file_format, words):
    with pytest.raises(UnreadableError) as caught:
        read_text(text, file_format)
    assert str(caught.value) == words
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize(
    ("absent", "file_format", "words"),
    [(["HAS_YAML"], "yaml", "PyYAML is missing"), (["HAS_TOMLLIB", "HAS_TOMLKIT"], "toml", "library for TOML")],
)
def test_a_library_that_is_missing_is_named(absent, file_format, words, monkeypatch):
    for name in absent:
        monkeypatch.setattr(_config_file, name, False)
    with pytest.raises(UnreadableError, match=words):
        read_text("", file_format)


def test_toml_is_read_without_the_reader_of_python_too(monkeypatch):
    monkeypatch.setattr(_config_file, "HAS_TOMLLIB", False)
    found = read_text('a = 1\n[b]\nc = ["x"]\n', "toml")
    assert found == {"a": 1, "b": {"c": ["x"]}}
    assert (type(found), type(found["b"]), type(found["b"]["c"])) == (dict, dict, list)
    assert differences(found, {"a": 1, "b": {"c": ["x"]}}) == ""


@pytest.mark.parametrize(
    ("current", "wanted", "initial", "merged"),
    [
        ({"a": 1, "b": 2}, {"b": 3, "c": 4}, (), {"a": 1, "b": 3, "c": 4}),
        ({"a": {"x": 1, "y": 2}}, {"a": {"y": 3}}, (), {"a": {"x": 1, "y": 3}}),
        ({"a": [1, 2]}, {"a": [3]}, (), {"a": [3]}),
        ({"a": {"x": 1}}, {"a": 1}, (), {"a": 1}),
        ({"a": 1}, {"a": {"x": 1}}, (), {"a": {"x": 1}}),
        ({"a": 1}, {"a": None}, (), {"a": None}),
        (None, {"a": 1}, (), {"a": 1}),
        ([1], {"a": 1}, (), {"a": 1}),
        ({"token": "new"}, {"token": "old", "x": 1}, ("token",), {"token": "new", "x": 1}),
        ({}, {"token": "old"}, ("token",), {"token": "old"}),
        ({"r": {"token": "new"}}, {"r": {"token": "old"}}, ("token",), {"r": {"token": "new"}}),
        (
            {"r": {}},
            {"r": {"token": "old"}, "s": {"token": "o"}},
            ("token",),
            {"r": {"token": "old"}, "s": {"token": "o"}},
        ),
        ({"r": {"token": ""}}, {"r": {"token": "old"}}, ("token",), {"r": {"token": ""}}),
        ({"r": {"x": 1}}, {"r": {"x": 2}}, ("r",), {"r": {"x": 1}}),
    ],
)
def test_merge(current, wanted, initial, merged):
    given = copy.deepcopy((current, wanted))
    found = merge(current, wanted, initial)
    assert found == merged
    assert (current, wanted) == given
    # The order of what is there stays.
    if isinstance(current, dict):
        assert list(found)[: len(current)] == list(current)


@given(TREES, TREES, st.lists(KEYS, max_size=2).map(tuple))
def test_merged_once_and_again_is_the_same_and_has_all_that_is_wanted(current, wanted, initial):
    merged = merge(current, wanted, initial)
    assert merged.keys() == current.keys() | wanted.keys()
    assert differences(merged, merge(merged, wanted, initial)) == ""
    for key in current.keys() - wanted.keys():
        assert merged[key] is current[key]
    for key in current.keys() & set(initial):
        assert merged[key] is current[key]


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ({"a": 1}, {"a": 1}, ""),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, ""),
        ({"a": 1}, {"a": 2}, "changed: a"),
        ({"a": 1}, {"a": "1"}, "changed: a"),
        ({"a": 1}, {"a": True}, "changed: a"),
        ({"a": 1}, {"a": 1.0}, "changed: a"),
        ({"a": None}, {}, "removed: a"),
        ({}, {"a": None}, "added: a"),
        ({"a": {"b": {"c": 1}}}, {"a": {"b": {"c": 2}}}, "changed: c of a.b"),
        ({"F": [{"T": "x"}]}, {"F": [{"T": "y"}]}, "changed: T of F[0]"),
        ({"F": [1, 2]}, {"F": [1]}, "removed: F[1]"),
        ({"F": [[1]]}, {"F": [[1, 2], 3]}, "added: F[0][1], F[1]"),
        ([1], [2], "changed: [0]"),
        ([{"a": 1}], [{"a": 2}], "changed: a of [0]"),
        ({"a": []}, {"a": {}}, "changed: a"),
        ([], {}, "changed: everything"),
        (1, 2, "changed: everything"),
        (None, {"a": 1}, "changed: everything"),
        ({1: "x"}, {1: "y"}, "changed: [1]"),
        ({"a": 1, "b": 1, "c": 1}, {"b": 2, "c": 1, "d": 1}, "changed: b; added: d; removed: a"),
        ({}, {f"k{at}": 1 for at in range(13)}, f"added: {', '.join(f'k{at}' for at in range(12))} and 1 more"),
        ({}, {f"k{at}": 1 for at in range(12)}, f"added: {', '.join(f'k{at}' for at in range(12))}"),
        ({"a": float("nan")}, {"a": float("nan")}, ""),
        ({"a": 10**400}, {"a": 10**400 + 1}, "changed: a"),
    ],
)
def test_differences(before, after, told):
    assert differences(before, after) == told


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ((), "everything"),
        (("a",), "a"),
        ((0,), "[0]"),
        (("a", 0), "a[0]"),
        (("a", 0, 1), "a[0][1]"),
        (("a", 0, "b", "c"), "c of a[0].b"),
        ((0, "b"), "b of [0]"),
    ],
)
def test_words_for_a_place(place, told):
    assert words(place) == told


def secretly(data, at=0):
    """Return the data with another secret in place of each single value."""
    if isinstance(data, dict):
        return {key: secretly(value, at + 1) for key, value in data.items()}
    if isinstance(data, list):
        return [secretly(value, at + 1) for value in data]
    return f"{SECRET}{at}{data!r}"


@given(DATA, DATA)
def test_no_value_is_ever_in_words(before, after):
    assert SECRET not in differences(secretly(before), secretly(after))
    assert SECRET not in differences(secretly(before), after)


@given(DATA)
def test_nothing_differs_from_itself(data):
    assert differences(data, copy.deepcopy(data)) == ""


@given(TREES, st.sampled_from(["json", "yaml"]))
def test_what_is_written_says_the_same_when_read(tree, file_format):
    try:
        text = render(tree, file_format, "/etc/x")
    except ConfigFileError:
        # An infinite number, which JSON has not.
        assert file_format == "json"
        assert {"nan", "inf", "-inf"} & set(leaves(tree))
        return
    assert differences(tree, read_text(text, file_format)) == ""


@given(st.text(max_size=40), st.sampled_from(["json", "yaml", "ini", "toml"]))
def test_any_text_is_read_or_told_to_be_unreadable(text, file_format):
    with contextlib.suppress(UnreadableError):
        found = read_text(text, file_format)
        assert differences(found, read_text(text, file_format)) == ""


@pytest.mark.parametrize(
    ("text", "file_format"),
    [
        ("a: &x\n  b: *x\n", "yaml"),
        ("&x [*x]\n", "yaml"),
        ("[" * 300 + "]" * 300, "json"),
        ('{"a":' * 300 + "1" + "}" * 300, "json"),
    ],
)
def test_what_has_no_end_is_unreadable(text, file_format):
    with pytest.raises(UnreadableError):
        read_text(text, file_format)


def test_what_is_deep_can_be_compared_and_merged():
    old, new = (json.loads('{"a":' * 60 + value + "}" * 60) for value in ("1", "2"))
    assert differences(read_text(json.dumps(old), "json"), new).startswith("changed: a of a.a.a")
    assert merge(old, new) == new
