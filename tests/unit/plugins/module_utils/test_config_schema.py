# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Config files and their schemas: every fault names its key, and none shows a value."""

from __future__ import annotations

import datetime
import string
import subprocess
import sys
from typing import Any

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils import _config_schema
from ansible_collections.voltainer.volumes.plugins.module_utils._config_file import problems
from ansible_collections.voltainer.volumes.plugins.module_utils._config_schema import faults
from hypothesis import given
from hypothesis import strategies as st

PATH = "/etc/x/pure.json"
SECRET = "hunter2zqx"
TEXT = {"type": "string", "minLength": 1}
ARRAY = {
    "type": "object",
    "required": ["MgmtEndPoint", "APIToken"],
    "properties": {"MgmtEndPoint": TEXT, "APIToken": TEXT, "Labels": {"additionalProperties": {"type": "string"}}},
}
PURE = {
    "type": "object",
    "additionalProperties": False,
    "anyOf": [{"required": ["FlashArrays"]}, {"required": ["FlashBlades"]}],
    "properties": {
        "FlashArrays": {"type": "array", "minItems": 1, "items": ARRAY},
        "FlashBlades": {
            "type": "array",
            "items": {**ARRAY, "anyOf": [{"required": ["NFSEndPoint"]}, {"required": ["NfsEndPoint"]}]},
        },
    },
}
ONE = {"MgmtEndPoint": "192.0.2.1", "APIToken": SECRET}


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"FlashArrays": [ONE]}, []),
        ({"FlashArrays": [{"APIToken": SECRET}]}, ["FlashArrays[0].MgmtEndPoint is missing"]),
        ({"FlashArrays": [{**ONE, "APIToken": 5}]}, ["FlashArrays[0].APIToken must be a string, not a number"]),
        ({"FlashArrays": [{**ONE, "APIToken": None}]}, ["FlashArrays[0].APIToken must be a string, not nothing"]),
        ({"FlashArrays": [{**ONE, "APIToken": [SECRET]}]}, ["FlashArrays[0].APIToken must be a string, not a list"]),
        ({"FlashArrays": [ONE, {**ONE, "MgmtEndPoint": ""}]}, ["FlashArrays[1].MgmtEndPoint must not be empty"]),
        (
            {"FlashArrays": [{**ONE, "Labels": {"a b": True}}]},
            ['FlashArrays[0].Labels."a b" must be a string, not a boolean'],
        ),
        ({"FlashArrays": []}, ["FlashArrays must not be empty"]),
        ({"FlashArrays": SECRET}, ["FlashArrays must be a list, not a string"]),
        ({"FlashArrays": {"x": SECRET}}, ["FlashArrays must be a list, not a mapping"]),
        (
            {"FlashArrays": [{"MgmtEndpoint": SECRET, "APIToken": SECRET}]},
            ["FlashArrays[0].MgmtEndPoint is missing: is MgmtEndpoint a mistake for it?"],
        ),
        (
            {"FlashArray": [ONE], "FlashBlades": [{**ONE, "NFSEndPoint": SECRET}]},
            ["FlashArray is unknown here: did you mean FlashArrays?"],
        ),
        ({"FlashArrays": [ONE], "Other": SECRET}, ["Other is unknown here: known are FlashArrays, FlashBlades"]),
        ({"FlashBlades": [ONE]}, ["FlashBlades[0] needs one of NFSEndPoint, NfsEndPoint"]),
        ({}, ["the content needs one of FlashArrays, FlashBlades"]),
        ([SECRET], ["the content must be a mapping, not a list"]),
        (
            {"FlashArrays": [{}], "FlashBlades": [{}]},
            [
                "FlashArrays[0].MgmtEndPoint is missing",
                "FlashArrays[0].APIToken is missing",
                "FlashBlades[0].MgmtEndPoint is missing",
                "FlashBlades[0].APIToken is missing",
                "FlashBlades[0] needs one of NFSEndPoint, NfsEndPoint",
            ],
        ),
    ],
)
def test_faults_of_a_pure_json(data: Any, told: list[str]) -> None:
    assert sorted(faults(data, PURE)) == sorted(told)


BY_KIND = [{"type": "string"}, {"type": "object", "properties": {"k": {"const": "y"}}, "required": ["z"]}]
KEYWORDS: list[tuple[Any, Any, str]] = [
    ({"type": ["string", "integer"]}, 1.5, "a must be a string or a whole number, not one with a fraction"),
    ({"type": "integer"}, SECRET, "a must be a whole number, not a string"),
    ({"type": "string"}, datetime.date(2026, 1, 2), "a must be a string, not a date (put it in quotes)"),
    ({"type": "string"}, b"x", "a must be a string, not something else"),
    ({"enum": ["iscsi", "fc", 3, None]}, SECRET, "a must be one of iscsi, fc, 3, null"),
    ({"const": True}, SECRET, "a must be true"),
    ({"pattern": "^[0-9]+$", "examples": ["25"]}, SECRET, "a is not of the form ^[0-9]+$, such as 25"),
    ({"pattern": "^[0-9]+$"}, SECRET, "a is not of the form ^[0-9]+$"),
    ({"minLength": 99}, SECRET, "a must have at least 99 characters"),
    ({"maxLength": 2}, SECRET, "a must have at most 2 characters"),
    ({"maxItems": 1}, [SECRET, 2], "a must have one entry at most"),
    ({"uniqueItems": True}, [SECRET, SECRET], "a has the same entry twice"),
    ({"contains": {"const": 1}}, [SECRET], "a lacks an entry that is needed"),
    ({"minProperties": 1}, {}, "a must not be empty"),
    ({"maximum": 5}, 7654321, "a must be 5 or less"),
    ({"exclusiveMinimum": 5}, 5, "a must be more than 5"),
    ({"multipleOf": 2}, 7654321, "a must be a multiple of 2"),
    ({"not": {"type": "string"}}, SECRET, "a has a form that is not allowed"),
    ({"dependentRequired": {"u": ["p"]}}, {"u": SECRET}, "a.p is missing, which is needed beside u"),
    ({"propertyNames": {"pattern": "^x$"}}, {"yy": SECRET}, "a has a key that may not be there: yy"),
    ({"propertyNames": False}, {"yy": SECRET}, "a has a key that may not be there: yy"),
    ({"properties": {"propertyNames": {"const": 1}}}, {"propertyNames": SECRET}, "a.propertyNames must be 1"),
    ({"unevaluatedProperties": False}, {"yy": SECRET}, "a is not what the schema asks for (unevaluatedProperties)"),
    ({"properties": {"b": False}}, {"b": SECRET}, "a.b may not be there"),
    ({"anyOf": [{"type": "string"}, {"type": "array"}]}, 7654321, "a must be a string or a list, not a number"),
    ({"oneOf": BY_KIND}, {"z": 1, "k": SECRET}, "a.k must be y"),
    ({"oneOf": BY_KIND}, {"k": "y"}, "a.z is missing"),
    ({"anyOf": [{"required": ["u", "p"]}, {"required": ["t"]}]}, {"u": SECRET}, "a needs one of u and p, t"),
    ({"oneOf": [{"required": ["u"]}, {"required": ["t"]}]}, {"u": SECRET, "t": 1}, "a may have only one of u, t"),
    (
        {"oneOf": [{"minLength": 1}, {"maxLength": 99}]},
        SECRET,
        "a fits more than one of the alternatives that exclude each other",
    ),
    ({"if": {"required": ["u"]}, "then": {"required": ["p"]}}, {"u": SECRET}, "a.p is missing"),
    ({"properties": {"b": {"$ref": "#/$defs/n"}}}, {"b": SECRET}, "a.b must be a number, not a string"),
    (
        {"patternProperties": {"^x": True}, "additionalProperties": False},
        {"xa": 1, "yy": SECRET},
        "a.yy is unknown here",
    ),
]


@pytest.mark.parametrize(("rules", "value", "told"), KEYWORDS, ids=[case[2] for case in KEYWORDS])
def test_words_for_each_keyword(rules: Any, value: Any, told: str) -> None:
    found = faults({"a": value}, {"$defs": {"n": {"type": "number"}}, "properties": {"a": rules}})
    assert found == [told]
    assert SECRET not in str(found)
    assert "7654321" not in str(found)


def test_keys_that_are_no_texts_are_named_as_json_has_them() -> None:
    assert faults({8080: SECRET, True: 1, None: 2}, {"additionalProperties": False}) == [
        '"8080" is unknown here',
        "true is unknown here",
        "null is unknown here",
    ]


# --- no value is shown -------------------------------------------------------------------------------------------

SCALARS = st.one_of(st.none(), st.booleans(), st.integers(10**6, 10**9), st.text("XYZ!", min_size=4))
CONTENT = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["FlashArrays", "FlashBlades", "MgmtEndPoint", "APIToken", "Labels", "x"]), inner
        ),
    ),
)
RULES = st.recursive(
    st.sampled_from([rules for rules, _value, _told in KEYWORDS if "$ref" not in str(rules)]),
    lambda inner: st.one_of(
        st.fixed_dictionaries({"additionalProperties": inner, "items": inner}),
        st.fixed_dictionaries({"anyOf": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"oneOf": st.lists(inner, min_size=1, max_size=3), "propertyNames": inner}),
        st.fixed_dictionaries({"if": inner, "then": inner, "else": inner}),
    ),
)


def values_of(data: Any) -> set[str]:
    if isinstance(data, dict):
        return set().union(*map(values_of, data.values()))
    if isinstance(data, list):
        return set().union(*map(values_of, data))
    return {str(data)} if isinstance(data, (int, str)) and not isinstance(data, bool) else set()


@given(CONTENT, st.one_of(st.just(PURE), RULES))
def test_no_fault_shows_a_value(data: Any, rules: Any) -> None:
    told = " ".join(faults(data, rules))
    assert not [value for value in values_of(data) if value in told]


@given(st.text(string.printable), st.sampled_from(["json", "yaml", "ini", "toml"]), RULES)
def test_any_text_is_told_in_one_line_for_each_fault(text: str, file_format: str, rules: Any) -> None:
    found = problems([{"path": PATH, "format": file_format, "content": text, "schema": rules}])
    assert all(message.startswith(f"config file {PATH}: ") and len(message.splitlines()) == 1 for message in found)


# --- schemas that are none ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ("x", "its schema is not valid: it must be a mapping, not a string"),
        ([], "its schema is not valid: it must be a mapping, not a list"),
        ({"type": "text"}, "its schema is not valid at type"),
        ({"properties": {"a": {"required": "b"}}}, "its schema is not valid at properties.a.required"),
        ({"$ref": "#/$defs/none"}, "its schema is not valid: the reference #/$defs/none leads to no part of it"),
        (
            {"$ref": "https://example.com/x"},
            "its schema is not valid: the reference https://example.com/x leads to no part",
        ),
        ({"items": [{"$id": "https://example.com/x"}]}, "its schema is not valid at items"),
        (
            {"not": {"$id": "https://example.com/x"}},
            "a part of it has an $id, https://example.com/x, which only its top",
        ),
        ({"$ref": "#"}, "nested too deeply"),
    ],
)
def test_a_schema_that_is_none_is_told(schema: Any, told: str) -> None:
    found = faults({"a": SECRET}, schema)
    assert len(found) == 1
    assert told in found[0]


def test_a_pattern_that_is_none_is_told() -> None:
    (found,) = faults({"a": SECRET}, {"properties": {"a": {"pattern": "("}}})
    assert found.startswith("its schema is not valid")


@pytest.mark.parametrize(
    "schema", [True, {}, {"$id": "https://example.com/x", "$ref": "#/$defs/a", "$defs": {"a": {}}}]
)
def test_a_schema_that_asks_for_nothing(schema: Any) -> None:
    assert faults({"a": SECRET}, schema) == []


# --- in the list of config files ---------------------------------------------------------------------------------


NEITHER_TWICE = {"properties": {"DEFAULT": {"required": ["z"]}, "c": {"maxProperties": 0}}}
TEXTS = {"additionalProperties": {"additionalProperties": {"type": "string"}}}
NUMBER = {"properties": {"a": {"type": "integer"}}}
NO_NUMBER = "a must be a whole number, not a string."
NO_RAW = "a schema cannot be checked for format raw. Name the format that the text has, or give no schema."
TOO_DEEP = "the content or its schema is nested too deeply to be checked."


@pytest.mark.parametrize(
    ("file_format", "content", "schema", "told"),
    [
        ("json", {"FlashArrays": [{"APIToken": SECRET}]}, PURE, ["FlashArrays[0].MgmtEndPoint is missing."]),
        ("json", f'{{"FlashArrays": [{{"APIToken": "{SECRET}"}}]}}', PURE, ["FlashArrays[0].MgmtEndPoint is missing."]),
        (
            "json",
            {"FlashArray": [], "FlashBlades": []},
            PURE,
            ["FlashArray is unknown here: did you mean FlashArrays?"],
        ),
        ("yaml", f"a: {SECRET}", {"required": ["b"]}, ["b is missing."]),
        ("yaml", "", {"type": "object"}, ["the content must be a mapping, not nothing."]),
        ("yaml", "a: &x [*x]", {"type": "object"}, [TOO_DEEP]),
        ("ini", f"[DEFAULT]\na = {SECRET}\n[DEFAULT]\nb = 1\n[c]\n", NEITHER_TWICE, ["DEFAULT.z is missing."]),
        ("ini", {"a": {"port": 22, "on": True}}, TEXTS, []),
        ("toml", f"a = '{SECRET}'\nd = 2026-01-02", NUMBER, [NO_NUMBER]),
        ("toml", {"a": SECRET}, NUMBER, [NO_NUMBER]),
        ("raw", SECRET, {}, [NO_RAW]),
        ("json", {"a": SECRET}, None, []),
        ("json", {"a": SECRET}, "x", ["its schema is not valid: it must be a mapping, not a string."]),
    ],
)
def test_the_schema_of_a_config_file(file_format: str, content: Any, schema: Any, told: list[str]) -> None:
    found = problems([{"path": PATH, "format": file_format, "content": content, "schema": schema}])
    assert found == [f"config file {PATH}: {words}" for words in told]


def test_a_content_that_cannot_be_read_is_told_and_no_more() -> None:
    (found,) = problems(
        [{"path": PATH, "format": "json", "content": f'{{"a": {SECRET}', "schema": {"required": ["b"]}}]
    )
    assert "not valid JSON" in found
    assert SECRET not in found


def test_a_schema_is_not_looked_at_where_contents_are_not() -> None:
    assert problems([{"path": PATH, "schema": "x"}], with_content=False) == []


def test_the_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_config_schema, "HAS_JSONSCHEMA", False)
    (found,) = problems([{"path": PATH, "format": "json", "content": {}, "schema": {}}])
    assert found.startswith(f"config file {PATH}: its schema needs the Python library jsonschema")
    assert found.endswith("on the controller: pip install jsonschema.")
    assert problems([{"path": PATH, "format": "json", "content": {}}]) == []


def test_the_library_is_loaded_only_where_a_schema_is_given() -> None:
    """Modules read config files, too, and have no time for it."""
    name = "ansible_collections.voltainer.volumes.plugins.module_utils._config_file"
    path = [entry for entry in sys.path if entry.endswith("src")][:1]
    program = f"""if True:
        import sys
        sys.path[:0] = {path!r}
        from {name} import problems
        problems([{{"path": "/a", "format": "json", "content": {{}}}}])
        assert "jsonschema" not in sys.modules
        problems([{{"path": "/a", "format": "json", "content": {{}}, "schema": {{}}}}])
        assert "jsonschema" in sys.modules
    """
    subprocess.run([sys.executable, "-c", program], check=True)
