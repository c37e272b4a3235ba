# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Config files: what is written, what is refused, and that no message shows any of the content."""

from __future__ import annotations

import configparser
import datetime
import json
import traceback

import pytest
import tomlkit
import yaml
from ansible_collections.voltainer.volumes.plugins.module_utils import _config_file
from ansible_collections.voltainer.volumes.plugins.module_utils._config_file import (
    FORMATS,
    ConfigFileError,
    problems,
    render,
)
from hypothesis import example, given
from hypothesis import strategies as st

PATH = "/etc/some-plugin/some.conf"
SECRET = "hunter2zqx"


def parse_ini(text: str) -> dict[str, dict[str, str]]:
    # default_section: DEFAULT is read as a section like any other, so that it can be compared
    parser = configparser.RawConfigParser(interpolation=None, default_section="")
    parser.optionxform = str  # keys keep their case
    parser.read_string(text)
    return {section: dict(parser.items(section)) for section in parser.sections()}


PARSERS = {
    "json": json.loads,
    "yaml": yaml.safe_load,
    "toml": lambda text: tomlkit.parse(text).unwrap(),
    "ini": parse_ini,
}


def refusal(content: object, file_format: str) -> str:
    with pytest.raises(ConfigFileError) as caught:
        render(content, file_format, PATH)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None, "a chained exception would be printed with the parser's quotation"
    return str(caught.value)


@pytest.mark.parametrize(
    ("content", "file_format", "text"),
    [
        ({"b": 1, "a": [True, None, "ä"]}, "json", '{\n  "b": 1,\n  "a": [\n    true,\n    null,\n    "ä"\n  ]\n}\n'),
        ([], "json", "[]\n"),
        ({}, "json", "{}\n"),
        ({"b": 1, "a": {"x": "yes", "y": None}}, "yaml", "b: 1\na:\n  x: 'yes'\n  y: null\n"),
        ({"k": "-----BEGIN\nx\n"}, "yaml", 'k: "-----BEGIN\\nx\\n"\n'),
        ([1, "2"], "yaml", "- 1\n- '2'\n"),
        ({8080: "x", True: "y"}, "yaml", "8080: x\ntrue: y\n"),
        ({"d": datetime.date(2026, 1, 2)}, "yaml", "d: 2026-01-02\n"),
        (
            {"Nas": {"Type": "sftp", "on": True, "off": False, "port": 22, "ratio": 0.5, "pass": ""}, "b": {}},
            "ini",
            "[Nas]\nType = sftp\non = true\noff = false\nport = 22\nratio = 0.5\npass =\n\n[b]\n",
        ),
        ({"DEFAULT": {"san_ip": "192.0.2.1"}}, "ini", "[DEFAULT]\nsan_ip = 192.0.2.1\n"),
        ({"x": {"token": '{"a":"b=c"}', "p": "%(a)s;#"}}, "ini", '[x]\ntoken = {"a":"b=c"}\np = %(a)s;#\n'),
        ({}, "ini", "\n"),
        ({"b": 1, "a": {"x": [1, 2]}}, "toml", "b = 1\n\n[a]\nx = [1, 2]\n"),
        ({"d": datetime.date(2026, 1, 2)}, "toml", "d = 2026-01-02\n"),
    ],
)
def test_a_mapping_is_written(content: object, file_format: str, text: str) -> None:
    assert render(content, file_format, PATH) == text
    assert render(content, file_format, PATH) == text


@pytest.mark.parametrize(
    ("content", "file_format", "text"),
    [
        ('{"b":1,\t"a":2}', "json", '{"b":1,\t"a":2}\n'),
        ('{"b":1}\n', "json", '{"b":1}\n'),
        ('{"b":1}\n\n\n', "json", '{"b":1}\n'),
        ('{"b":1}\r\n\r\n', "json", '{"b":1}\r\n'),
        ("# kept\nb:   1", "yaml", "# kept\nb:   1\n"),
        ("", "yaml", "\n"),
        ("; kept\n[a]\nx : 1\nX = %(y)s", "ini", "; kept\n[a]\nx : 1\nX = %(y)s\n"),
        ("[DEFAULT]\na=1\n", "ini", "[DEFAULT]\na=1\n"),
        ("a = 1 # kept", "toml", "a = 1 # kept\n"),
        ("  anything: [at all  ", "raw", "  anything: [at all  \n"),
        ("", "raw", "\n"),
    ],
)
def test_a_valid_string_is_kept(content: str, file_format: str, text: str) -> None:
    assert render(content, file_format, PATH) == text


DEEP = 100_000


@pytest.mark.parametrize(
    ("content", "file_format", "told"),
    [
        (f'{{"a": "{SECRET}",\n "b" "{SECRET}"}}', "json", "line 2, column 6: a ':' is expected"),
        (f'{{"a": "{SECRET}"}} {SECRET}', "json", "line 1, column 21: something follows"),
        (f'{{"a": "{SECRET}', "json", "line 1, column 7: a string that begins here is never closed"),
        (f'{{"a": "\\{SECRET}"}}', "json", "line 1, column 8: a string holds an invalid escape"),
        (f'{{"a": "{SECRET}\n"}}', "json", "line 1, column 18: a control character"),
        (f'{{"{SECRET}": NaN}}', "json", "JSON has no NaN"),
        ("", "json", "line 1, column 1: a value is expected"),
        ("1" * 5000, "json", "a number is too long"),
        ("[" * DEEP, "json", "nesting too deep"),
        ("\ufeff{}", "json", "line 1, column 1: the text begins with a byte order mark"),
        (f"a: {SECRET}\nb: c: {SECRET}", "yaml", "line 2, column 5: a ':' stands where"),
        (f"a: *{SECRET}", "yaml", "line 1, column 4: an alias"),
        (f"a: !{SECRET} b", "yaml", "line 1, column 4: a tag (!) is unknown"),
        (f'a: "\\q{SECRET}"', "yaml", "line 1, column 6: a double-quoted text holds an unknown escape"),
        (f"a: [{SECRET}", "yaml", "line 1, column 15: a ',' or ']' is expected"),
        (f"a: {SECRET}\n--- {SECRET}", "yaml", "line 2, column 1: a second document begins"),
        (f"a: {SECRET}\n\tb: 1", "yaml", "line 2, column 1: a character (a tab?)"),
        (f"a: !!bool {SECRET}", "yaml", "a value does not fit its type"),
        (f"a: !!timestamp {SECRET}", "yaml", "a value does not fit its type"),
        ("a: !!int ''", "yaml", "a value does not fit its type"),
        ("a: 2026-13-01", "yaml", "a value does not fit its type"),
        (f"a: 1\nb{SECRET}\x01: 1", "yaml", "line 2, column 12: a character that YAML forbids"),
        (f"{{[{SECRET}]: 1}}", "yaml", "line 1, column 2: a list or mapping is used as a key"),
        ("[" * DEEP, "yaml", "a value does not fit its type"),
        (f"{SECRET} = 1", "ini", "line 1: a key stands before the first [section]"),
        (f"[a]\n{SECRET}", "ini", "line 2: neither"),
        (f"[{SECRET}]\n[{SECRET}]", "ini", "line 2: the section stands there twice"),
        (f"[a]\n{SECRET}=1\n{SECRET}=2", "ini", "line 3: the key stands twice"),
        (f"a = 1\nb = {SECRET}", "toml", "line 2, column 5: a value is expected"),
        (f'a = """{SECRET}', "toml", "line 1: a quote is never closed; noticed at the end"),
        (f"a = '{SECRET}'\na = 1\nb = 2", "toml", "line 2, column 6: a key or table stands there twice"),
        (f"a = '{SECRET}'\na = 1", "toml", "line 2: a key or table stands there twice"),
        ("a = " + "1" * 5000, "toml", "a number is too long"),
        ("a = " + "[" * DEEP, "toml", "nesting too deep"),
        ("\ud800" + SECRET, "raw", "cannot be written as UTF-8"),
    ],
    ids=lambda value: ascii(value)[1:40],  # some of the contents are very long
)
def test_a_string_that_is_not_valid_is_refused(content: str, file_format: str, told: str) -> None:
    message = refusal(content, file_format)
    assert message.startswith(f"config file {PATH}: ")
    assert told in message
    assert SECRET not in message


@pytest.mark.parametrize(
    ("content", "file_format", "told"),
    [
        ({SECRET: 1}, "raw", "format raw takes a string, not a mapping"),
        (None, "raw", "not nothing"),
        (None, "json", "content must be a string, a mapping or a list for json, not nothing"),
        (5, "yaml", "not a number"),
        (True, "yaml", "not a boolean"),
        (b"{}", "json", "not something else"),
        ([SECRET], "ini", "content must be a string or a mapping for ini, not a list"),
        ([SECRET], "toml", "not a list"),
        ({"a": {}, SECRET: SECRET}, "ini", "(entry 2 of the content, counted from 1)"),
        ({SECRET: SECRET}, "ini", "or into one named DEFAULT"),
        ({"a": {"b": 1, SECRET: None}}, "ini", "no null; leave the key out"),
        ({"a": {"b": 1, SECRET: None}}, "ini", "(entry 2 in entry 1 of the content"),
        ({"a": {SECRET: f"{SECRET}\n{SECRET}"}}, "ini", "a value has a line break"),
        ({"a": {SECRET: f"{SECRET} "}}, "ini", "white space at an end"),
        ({"a": {SECRET: [SECRET]}}, "ini", "cannot be a list"),
        ({"a": {SECRET: {}}}, "ini", "cannot be a mapping"),
        ({"a": {f"{SECRET}=x": 1}}, "ini", "a name holds one of these"),
        ({"a": {f"#{SECRET}": 1}}, "ini", "a key begins with"),
        ({"a": {"": SECRET}}, "ini", "a name is empty"),
        ({f"{SECRET}]": {}}, "ini", "a name holds one of these"),
        ({f"{SECRET}\nx": {}}, "ini", "has a line break"),
        ({"a": {1: SECRET}}, "ini", "a key must be a string, not a number; put it in quotes"),
        ({"a": {"b": datetime.date(2026, 1, 2)}}, "ini", "YAML read a date"),
        ({"a": [1, datetime.date(2026, 1, 2)]}, "json", "(entry 2 in entry 1 of the content"),
        ({1: SECRET}, "json", "a key must be a string"),
        ({SECRET: float("nan")}, "json", "no NaN"),
        ({SECRET: "\ud800" + SECRET}, "json", "cannot be written as UTF-8"),
        ({SECRET: object()}, "yaml", "something else cannot be written"),
        ({SECRET: b"x"}, "yaml", "something else cannot be written"),
        ({SECRET: [None]}, "toml", "no null"),
        ({1: SECRET}, "toml", "a key must be a string"),
        (SECRET, "xml", "unknown format. Choose one of json, yaml, ini, toml, raw."),
    ],
)
def test_a_content_that_the_format_cannot_hold_is_refused(content: object, file_format: str, told: str) -> None:
    message = refusal(content, file_format)
    assert message.startswith(f"config file {PATH}: ")
    assert told in message
    assert SECRET not in message


def test_subclasses_of_the_plain_types_are_written_like_them() -> None:
    class Text(str):
        __slots__ = ()

        def __str__(self) -> str:
            return "not this"

    class Number(int):
        pass

    class Ratio(float):
        pass

    class Map(dict):
        pass

    class Row(list):
        pass

    content = Map({Text("a"): Row([Text("b"), Number(1), Ratio(0.5), ("c",)])})
    for file_format in ("json", "yaml", "toml"):
        assert PARSERS[file_format](render(content, file_format, PATH)) == {"a": ["b", 1, 0.5, ["c"]]}
    assert render(Map({Text("a"): Map({Text("b"): Number(1)})}), "ini", PATH) == "[a]\nb = 1\n"
    assert render(Text("[a]"), "raw", PATH).__class__ is str
    assert render(Text("[a]"), "raw", PATH) == "[a]\n"


def test_parts_used_twice_are_written_twice() -> None:
    shared = {"x": [1], "d": datetime.date(2026, 1, 2)}
    assert "&" not in render({"a": shared, "b": shared}, "yaml", PATH)


@pytest.mark.parametrize(("content", "told"), [({"a": 1}, "tomlkit"), ("a = 1", "tomlkit")])
def test_toml_without_a_library(monkeypatch: pytest.MonkeyPatch, content: object, told: str) -> None:
    monkeypatch.setattr(_config_file, "HAS_TOMLKIT", False)
    monkeypatch.setattr(_config_file, "HAS_TOMLLIB", False)
    assert told in refusal(content, "toml")


def test_tomlkit_checks_where_python_has_no_tomllib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_config_file, "HAS_TOMLLIB", False)
    assert render("a = 1", "toml", PATH) == "a = 1\n"
    message = refusal(f"a = 1\nb = {SECRET}", "toml")
    assert "line 2, column" in message
    assert SECRET not in message


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ([], []),
        ([{"path": "/a", "format": "json", "content": "{}"}, {"path": "/b", "format": "raw", "content": ""}], []),
        ([SECRET], ["config file 1: must be a mapping"]),
        ([{"format": "raw", "content": SECRET}], ["config file 1: path missing"]),
        ([{"path": "a/b", "format": "raw", "content": SECRET}], ["path a/b is not absolute"]),
        ([{"path": "/a/../b", "format": "raw", "content": SECRET}], ["path /a/../b is not plain"]),
        ([{"path": "/a/", "format": "raw", "content": SECRET}], ["path /a/ is not plain"]),
        ([{"path": "//a", "format": "raw", "content": SECRET}], ["path //a is not plain"]),
        ([{"path": "/a", "format": "raw", "content": SECRET}] * 2, ["config file /a: listed twice"]),
        ([{"path": "/a", "format": "raw"}], ["config file /a: content missing"]),
        ([{"path": "/a"}], ["config file /a: format and content missing"]),
        ([{"path": "/a", "format": "raw", "content": SECRET, "mode": 600}], ["config file /a: mode must be a string"]),
        (
            [{"path": "/a", "format": "json", "content": SECRET}, {"path": "b", "format": "ini", "content": SECRET}],
            [
                "config file /a: not valid JSON: line 1, column 1",
                "config file 2: path b is not absolute",
                "config file 2: not valid INI: line 1",
            ],
        ),
    ],
)
def test_every_problem_is_listed(files: list[object], told: list[str]) -> None:
    found = problems(files)
    assert len(found) == len(told)
    for message, expected in zip(found, told):
        assert expected in message
        assert SECRET not in message


def test_folders_are_called_so() -> None:
    assert problems([{"path": "a"}, {"path": "/b", "mode": 700}], with_content=False, noun="folder") == [
        "folder 1: path a is not absolute. Write it from the root, beginning with /.",
        "folder /b: mode must be a string such as '0600', in quotes: without them YAML reads another number.",
    ]


@pytest.mark.parametrize(
    ("paths", "folders", "wrong"),
    [
        (["/srv/a", "/srv/b/c"], ["/srv", "/srv/b", "/srv/d"], []),
        (["/srv/a", "/srv/a/b"], [], ["/srv/a"]),
        (["/srv/a/b/c", "/srv/a"], [], ["/srv/a"]),
        (["/srv/a"], ["/srv/a"], ["/srv/a"]),
        (["/srv/a"], ["/srv/a/b/c"], ["/srv/a"]),
        (["/srv/a", "/srv/ab/c"], ["/srv/ab"], []),
    ],
)
def test_a_file_cannot_be_where_a_folder_is_to_be(paths: list[str], folders: list[str], wrong: list[str]) -> None:
    files = [{"path": path} for path in paths]
    assert problems(files, with_content=False, folders=folders) == [
        f"config file {path}: its path is also that of a folder in the lists. Correct one of the paths."
        for path in wrong
    ]
    assert problems(files, with_content=False) == []


def test_contents_of_files_to_remove_are_not_looked_at() -> None:
    assert problems([{"path": "/a"}, {"path": "/b", "content": {SECRET}}], with_content=False) == []
    assert len(problems([{"path": "a"}], with_content=False)) == 1


# --- properties --------------------------------------------------------------------------------------------------

texts = st.text(st.characters(codec="utf-8"))
keys = st.text(st.characters(codec="utf-8"), min_size=1)
numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
# tomlkit and PyYAML read a sub-minute offset back differently; a config file has no use for one
dates = st.dates() | st.datetimes()


def trees(scalars: st.SearchStrategy[object]) -> st.SearchStrategy[dict[str, object]]:
    inner = st.recursive(scalars, lambda part: st.lists(part) | st.dictionaries(keys, part), max_leaves=12)
    return st.dictionaries(keys, inner)


@given(trees(texts | numbers | st.booleans() | st.none()))
def test_json_gives_the_mapping_back(content: dict[str, object]) -> None:
    assert same_back(content, "json")


@given(trees(texts | numbers | st.booleans() | st.none() | dates))
@example({"a": "\x85", "b": ["\u2028 \r"]})
def test_yaml_gives_the_mapping_back(content: dict[str, object]) -> None:
    assert same_back(content, "yaml")


@given(trees(texts | numbers | st.booleans() | dates))
@example({"a": {"x": 1}, "b": 2})
@example({"a": [{"x": [{"y": 1}]}], "b": 2})
def test_toml_gives_the_mapping_back(content: dict[str, object]) -> None:
    assert same_back(content, "toml")


@given(st.dictionaries(keys, st.dictionaries(keys, texts | numbers | st.booleans())))
@example({"DEFAULT": {"A": "1", "a": "2"}})
def test_ini_gives_the_mapping_back_or_refuses(content: dict[str, dict[str, object]]) -> None:
    """What INI cannot hold is refused; nothing is written that would be read back otherwise."""
    try:
        text = render(content, "ini", PATH)
    except ConfigFileError:
        return
    words = {True: "true", False: "false"}
    assert parse_ini(text) == {
        section: {key: words[value] if isinstance(value, bool) else str(value) for key, value in entries.items()}
        for section, entries in content.items()
    }


ini_words = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1)


@given(st.dictionaries(ini_words, st.dictionaries(ini_words, st.text(st.characters(codec="ascii", min_codepoint=33)))))
def test_ini_does_not_refuse_plain_words(content: dict[str, dict[str, str]]) -> None:
    assert parse_ini(render(content, "ini", PATH)) == content


def same_back(content: dict[str, object], file_format: str) -> bool:
    text = render(content, file_format, PATH)
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert render(text, file_format, PATH) == text, "what is written is valid in the format's own check"
    return bool(PARSERS[file_format](text) == content)


@given(
    st.sampled_from(FORMATS),
    st.lists(st.sampled_from([SECRET, *"\n\t :-[]{}\"'=#&*!|>%@\\,.0aA\x01\ufeff"]), min_size=1),
)
def test_no_message_holds_any_of_a_string(file_format: str, parts: list[str]) -> None:
    check_silent("".join([SECRET, *parts]), file_format)


@given(st.sampled_from(FORMATS), st.data())
def test_no_message_holds_any_of_a_mapping(file_format: str, data: st.DataObject) -> None:
    odd = st.sampled_from([None, float("nan"), b"x", object(), 10**30, f"{SECRET}\n", datetime.date(2026, 1, 2)])
    scalars = odd | texts.map(lambda text: SECRET + text)
    names = texts.map(lambda text: SECRET + text) | st.integers()
    content = data.draw(st.recursive(scalars, lambda part: st.lists(part) | st.dictionaries(names, part), max_leaves=8))
    check_silent(content, file_format)


def check_silent(content: object, file_format: str) -> None:
    shown = ""
    try:
        render(content, file_format, PATH)
    except ConfigFileError as error:
        shown = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    assert SECRET not in shown
