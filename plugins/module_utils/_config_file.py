# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Config files of storage plugins: from a mapping or a string to the text that is written.

Such a file holds the credentials of a storage system. So no message made here carries any part of the content: parsers
quote what they stumble over (PyYAML and tomlkit the text, json one character, configparser the line), and therefore
their messages are only recognised and replaced by words of our own, and their exceptions are never chained.
"""

from __future__ import annotations

import configparser
import datetime
import json
import math
import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

try:
    import yaml
except ImportError:  # a controller has PyYAML with ansible-core; only a sanity test's bare interpreter has not
    HAS_YAML = False
else:
    HAS_YAML = True

    class _Dumper(yaml.SafeDumper):
        """Writes texts with line breaks in double quotes: PyYAML's own choice loses U+0085 and is hard to read."""

        def represent_str(self, data: str) -> yaml.ScalarNode:
            """Choose the double quotes, in which each break is an escape."""
            broken = re.search("[\n\r\x85\u2028\u2029]", data)
            return self.represent_scalar("tag:yaml.org,2002:str", data, style='"' if broken else None)

    _Dumper.add_representer(str, _Dumper.represent_str)

try:
    import tomllib
except ImportError:  # before Python 3.11
    HAS_TOMLLIB = False
else:
    HAS_TOMLLIB = True

try:
    import tomlkit
    from tomlkit.exceptions import TOMLKitError
except ImportError:  # optional: needed for TOML only
    HAS_TOMLKIT = False
else:
    HAS_TOMLKIT = True

FORMATS = ("json", "yaml", "ini", "toml", "raw")

_CORRECT_TEXT = "Correct the text, or give a mapping instead of a string, or choose format raw to write it unchecked."
_QUOTE_IT = "put it in quotes"
_NO_TOML = "TOML needs the Python library tomlkit on the controller: pip install tomlkit."

# Beginnings of the parsers' messages that can be told without quoting anything, and how they are told.
_JSON_REASONS = {
    "Expecting value": "a value is expected",
    "Expecting ',' delimiter": "a ',' is expected",
    "Expecting ':' delimiter": "a ':' is expected",
    "Expecting property name enclosed in double quotes": "a key in double quotes is expected",
    "Illegal trailing comma": "a ',' stands before the end",
    "Extra data": "something follows after the end of the document",
    "Unterminated string": "a string that begins here is never closed",
    "Invalid control character": "a control character (a line break or tab?) stands in a string",
    "Invalid \\": "a string holds an invalid escape",
    "Unexpected UTF-8 BOM": "the text begins with a byte order mark",
}
_YAML_REASONS = {
    "found character": "a character (a tab?) stands where none may",
    "could not find expected ':'": "a ':' is expected after a key",
    "mapping values are not allowed": "a ':' stands where no key can be",
    "mapping keys are not allowed": "a '?' stands where no key can be",
    "sequence entries are not allowed": "a '-' stands where no list can be",
    "expected <block end>": "the indentation or the quoting does not fit what stands before",
    "expected ',' or ']'": "a ',' or ']' is expected",
    "expected ',' or '}'": "a ',' or '}' is expected",
    "found unexpected end of stream": "a quote is never closed",
    "found unexpected document separator": "a quote is never closed",
    "found unknown escape character": "a double-quoted text holds an unknown escape",
    "found undefined alias": "an alias (*) has no anchor (&)",
    "but found another document": "a second document begins",
    "could not determine a constructor": "a tag (!) is unknown",
    "found unhashable key": "a list or mapping is used as a key",
}
_TOML_REASONS = {
    "Cannot overwrite": "a key or table stands there twice",
    "Cannot declare": "a table stands there twice",
    "Cannot mutate": "a closed table or list is added to",
    "Cannot redefine": "a table stands there twice",
    "Duplicate inline table key": "a key stands there twice",
    "Expected '='": "a '=' is expected after a key",
    "Expected ']'": "a ']' is expected",
    "Expected newline or end of document": "a line break is expected after the value",
    "Illegal character": "a control character stands where none may",
    "Invalid initial character for a key": "a key is expected",
    "Invalid statement": "a key or a [table] is expected",
    "Invalid value": "a value is expected (a text without quotes?)",
    "Unclosed": "a list or inline table is never closed",
    "Unescaped '\\'": "a text holds an invalid escape",
    "Unterminated string": "a quote is never closed",
    'Expected "': "a quote is never closed",
}


class ConfigFileError(Exception):
    """A config file cannot be written as asked. The message names the file and the way out, never its content."""


@dataclass(frozen=True)
class _Fault:
    """What is wrong with a text, and where: counted from 1, 0 where the parser does not tell."""

    reason: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        places = [f"{name} {at}" for name, at in (("line", self.line), ("column", self.column)) if at]
        return ": ".join(filter(None, (", ".join(places), self.reason)))


class _RefusedError(Exception):
    """A value of a mapping that the format cannot hold; `place` counts the entries on the way to it, from 1."""

    def __init__(self, reason: str, place: tuple[int, ...] = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.place = place


@dataclass(frozen=True)
class _Rules:
    """What the values of a mapping may be in a format, beyond texts, numbers, booleans, mappings and lists."""

    null: bool = False
    dates: bool = False
    non_finite: bool = False
    any_key: bool = False


@dataclass(frozen=True)
class _Format:
    """One format: how a text is checked, how a mapping is written, and what may stand in it."""

    check: Callable[[str], _Fault | None]
    write: Callable[[object], str]
    rules: _Rules
    lists: bool


def render(content: object, file_format: str, path: str) -> str:
    """Return the text for the config file `path`, with exactly one line end at its end.

    `content` is a string, checked against `file_format` and otherwise kept as it is, or a mapping (for json and yaml
    also a list), written the same way each time with its keys in the order given. Subclasses of the plain types
    (Ansible tags its values with such) are made plain first.

    Raises ConfigFileError, whose message holds nothing of the content.
    """
    if file_format not in FORMATS:
        raise ConfigFileError(f"config file {path}: unknown format. Choose one of {', '.join(FORMATS)}.")
    if isinstance(content, str):
        return _kept(str.__str__(content), file_format, path)
    if file_format == "raw":
        raise ConfigFileError(
            f"config file {path}: format raw takes a string, not {_kind(content)}. "
            "Name the format that the content is to be written in (json, yaml, ini, toml), or give a string."
        )
    return _written(content, file_format, path)


def can_read(file_format: str) -> bool:
    """Return whether there is what it takes to read the format, which one that is unknown needs nothing for."""
    return {"yaml": HAS_YAML, "toml": HAS_TOMLLIB or HAS_TOMLKIT}.get(file_format, True)


def read(text: str, file_format: str, *, strict: bool = False) -> object:
    """Return what the text of a config file says, as the plugin will read it. `can_read` tells whether that works.

    An INI file becomes a mapping of sections, each a mapping of texts; with `strict`, none may stand there twice. What
    `render` returned is valid; of another text the parser raises what it likes, and quotes it.
    """
    if file_format == "json":
        return json.loads(text)
    if file_format == "yaml":
        return yaml.safe_load(text)
    if file_format == "toml":
        return tomllib.loads(text) if HAS_TOMLLIB else tomlkit.parse(text).unwrap()
    # No default section: DEFAULT is one like the others, and no part of each. `render` lets it stand there twice.
    parser = _ini_parser(strict=strict, default_section="")
    parser.read_string(text)
    return {section: dict(parser.items(section)) for section in parser.sections()}


def problems(
    files: Sequence[object],
    *,
    with_content: bool = True,
    noun: str = "config file",
    folders: Sequence[object] | None = None,
) -> list[str]:
    """Return what is wrong with a list of config files, each `{path, format, content, schema, mode, ...}`.

    Every fault of every file is listed, so that one run tells all. `with_content=False` looks at paths and modes
    only, for files that are to be removed, and for folders; `noun` says what they are. `folders` are paths of folders
    that come along: none of them, and no other file's folder, may be where a file is to be. Nothing of a file's content
    is in the list.
    """
    found: list[str] = []
    seen: set[str] = set()
    for number, entry in enumerate(files, 1):
        if not isinstance(entry, Mapping):
            found.append(f"{noun} {number}: must be a mapping with a path, not {_kind(entry)}.")
            continue
        path = entry.get("path")
        fault = _path_fault(path)
        if fault:
            found.append(f"{noun} {number}: {fault}")
        elif path in seen:
            found.append(f"{noun} {path}: listed twice. Keep one of the entries.")
        seen.add(str(path))
        name = str(number) if fault else str(path)
        found += _mode_problems(entry, f"{noun} {name}")
        if with_content:
            found += _content_problems(entry, name)
    if folders is not None:
        found += _place_problems(seen, {str(folder) for folder in folders}, noun)
    return found


def _place_problems(files: set[str], folders: set[str], noun: str) -> list[str]:
    taken = folders.union(*(_folders_above(path) for path in files | folders))
    return [
        f"{noun} {path}: its path is also that of a folder in the lists. Correct one of the paths."
        for path in sorted(files & taken)
    ]


def _folders_above(path: str) -> set[str]:
    parts = path.split("/")
    return {"/".join(parts[:length]) for length in range(2, len(parts))}


def _mode_problems(entry: Mapping[object, object], name: str) -> list[str]:
    return [
        f"{name}: {option} must be a string such as '0600', in quotes: without them YAML reads another number."
        for option in ("mode", "directory_mode")
        if not isinstance(entry.get(option, ""), str)
    ]


def _content_problems(entry: Mapping[object, object], path: str) -> list[str]:
    missing = [name for name in ("format", "content") if entry.get(name) is None]
    if missing:
        return [f"config file {path}: {' and '.join(missing)} missing."]
    try:
        text = render(entry["content"], str(entry["format"]), path)
    except ConfigFileError as error:
        return [str(error)]
    return [f"config file {path}: {fault}" for fault in _schema_problems(entry, text)]


def _schema_problems(entry: Mapping[object, object], text: str) -> list[str]:
    if entry.get("schema") is None:
        return []
    if entry["format"] == "raw":
        return ["a schema cannot be checked for format raw. Name the format that the text has, or give no schema."]
    # Loaded only for a schema: with its library it takes longer than all else that a task does, and modules have none.
    from ansible_collections.voltainer.volumes.plugins.module_utils import _config_schema  # noqa: PLC0415

    faults = _config_schema.faults(read(text, str(entry["format"])), entry["schema"])
    return [fault if fault.endswith("?") else f"{fault}." for fault in faults]


def _path_fault(path: object) -> str:
    if not isinstance(path, str) or not path:
        return "path missing."
    if "\0" in path:
        return "path holds a NUL character."
    if not path.startswith("/"):
        return f"path {path} is not absolute. Write it from the root, beginning with /."
    if path == "/" or posixpath.normpath(path) != path or path.startswith("//"):
        return f"path {path} is not plain. Write it without '..', '.', a doubled slash or a slash at its end."
    return ""


def _kept(text: str, file_format: str, path: str) -> str:
    if not _encodable(text):
        raise ConfigFileError(f"config file {path}: the text cannot be written as UTF-8. Give it as UTF-8.")
    if file_format != "raw":
        _require_library(file_format, path, writing=False)
        fault = _FORMATS[file_format].check(text)
        if fault:
            raise ConfigFileError(f"config file {path}: not valid {file_format.upper()}: {fault}. {_CORRECT_TEXT}")
    body = text.rstrip("\r\n")
    return body + ("\r\n" if text.startswith("\r\n", len(body)) else "\n")


def _written(content: object, file_format: str, path: str) -> str:
    wanted = _FORMATS[file_format]
    kinds = "a string, a mapping or a list" if wanted.lists else "a string or a mapping"
    if not isinstance(content, Mapping) and not (wanted.lists and isinstance(content, (list, tuple))):
        raise ConfigFileError(f"config file {path}: content must be {kinds} for {file_format}, not {_kind(content)}.")
    _require_library(file_format, path, writing=True)
    refused: _RefusedError
    try:
        return wanted.write(_plain(content, wanted.rules, ())).rstrip("\n") + "\n"
    except _RefusedError as error:
        refused = error
    place = " in ".join(f"entry {at}" for at in reversed(refused.place))
    where = f" ({place} of the content, counted from 1)" if place else ""
    raise ConfigFileError(f"config file {path}: cannot be written as {file_format.upper()}: {refused.reason}{where}.")


def _require_library(file_format: str, path: str, *, writing: bool) -> None:
    if file_format == "toml" and not (HAS_TOMLKIT or (HAS_TOMLLIB and not writing)):
        raise ConfigFileError(f"config file {path}: {_NO_TOML}")
    if file_format == "yaml" and not HAS_YAML:
        raise ConfigFileError(f"config file {path}: YAML needs the Python library PyYAML: pip install PyYAML.")


def _kind(value: object) -> str:
    """Name what a value is, for a message, without showing it."""
    if value is None:
        return "nothing"
    kinds = (("a boolean", bool), ("a number", (int, float)), ("a string", str), ("a mapping", Mapping))
    for name, types in kinds:
        if isinstance(value, types):
            return name
    return "a list" if isinstance(value, (list, tuple)) else "something else"


def _encodable(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


# --- a mapping, made plain ---------------------------------------------------------------------------------------


def _plain(value: object, rules: _Rules, place: tuple[int, ...]) -> object:
    """Return `value` in exactly the builtin types, copied all through (no shared parts: YAML would write anchors)."""
    if isinstance(value, Mapping):
        return {
            _plain_key(key, rules, (*place, at)): _plain(item, rules, (*place, at))
            for at, (key, item) in enumerate(value.items(), 1)
        }
    if isinstance(value, (list, tuple)):
        return [_plain(item, rules, (*place, at)) for at, item in enumerate(value, 1)]
    return _plain_scalar(value, rules, place)


def _plain_key(key: object, rules: _Rules, place: tuple[int, ...]) -> object:
    if isinstance(key, str) or rules.any_key:
        return _plain_scalar(key, rules, place)
    raise _RefusedError(f"a key must be a string, not {_kind(key)}; {_QUOTE_IT}", place)


def _plain_scalar(value: object, rules: _Rules, place: tuple[int, ...]) -> object:
    if isinstance(value, str):
        if not _encodable(value):
            raise _RefusedError("a text cannot be written as UTF-8", place)
        return str.__str__(value)
    if value is None:
        if not rules.null:
            raise _RefusedError("the format has no null; leave the key out, or write '' for an empty text", place)
        return None
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        return _plain_number(value, rules, place)
    if isinstance(value, datetime.date):
        return _plain_date(value, rules, place)
    raise _RefusedError(f"{_kind(value)} cannot be written", place)


def _plain_number(value: float, rules: _Rules, place: tuple[int, ...]) -> float:
    if isinstance(value, int):
        return int.__int__(value)
    if not (math.isfinite(value) or rules.non_finite):
        raise _RefusedError("the format has no infinite number and no NaN", place)
    return float.__float__(value)


def _plain_date(value: datetime.date, rules: _Rules, place: tuple[int, ...]) -> datetime.date:
    if not rules.dates:
        raise _RefusedError(f"YAML read a date where the format has none; {_QUOTE_IT}", place)
    if isinstance(value, datetime.datetime):
        return datetime.datetime.combine(
            datetime.date(value.year, value.month, value.day),
            datetime.time(value.hour, value.minute, value.second, value.microsecond, value.tzinfo, fold=value.fold),
        )
    return datetime.date(value.year, value.month, value.day)


# --- JSON --------------------------------------------------------------------------------------------------------


class _NotJSONError(Exception):
    """NaN or Infinity: Python's parser takes them, JSON and nearly all plugins do not."""


def _no_constant(_name: str) -> object:
    raise _NotJSONError


def _check_json(text: str) -> _Fault | None:
    try:
        json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        return _Fault(_reason(error.msg, _JSON_REASONS), error.lineno, error.colno)
    except _NotJSONError:
        return _Fault("JSON has no NaN and no Infinity")
    except (ValueError, RecursionError):  # an integer of more than 4300 digits; nested too deeply
        return _Fault("a number is too long or the nesting too deep")
    return None


def _write_json(data: object) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False)


def _reason(message: str, known: Mapping[str, str]) -> str:
    return next((words for start, words in known.items() if message.startswith(start)), "it cannot be read")


# --- YAML --------------------------------------------------------------------------------------------------------


def _check_yaml(text: str) -> _Fault | None:
    try:
        yaml.safe_load(text)
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        line_start = before.rfind("\n") + 1
        return _Fault("a character that YAML forbids", before.count("\n") + 1, error.position - line_start + 1)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        reason = _reason(error.problem or "", _YAML_REASONS)
        return _Fault(reason, mark.line + 1, mark.column + 1) if mark else _Fault(reason)
    except yaml.YAMLError:
        return _Fault("it cannot be read")
    # PyYAML 6 lets these through where a value does not fit its tag or looks like a date that does not exist:
    # `!!int ''` is an IndexError, `!!bool x` a KeyError with the text in it, 2024-13-01 a ValueError.
    except (ValueError, LookupError, AttributeError, TypeError, RecursionError):
        return _Fault("a value does not fit its type (a date that does not exist?); put it in quotes")
    return None


def _write_yaml(data: object) -> str:
    text: str = yaml.dump(
        data, Dumper=_Dumper, sort_keys=False, default_flow_style=False, allow_unicode=True, width=math.inf
    )
    return text


# --- INI ---------------------------------------------------------------------------------------------------------


def _ini_parser(
    *, strict: bool = True, default_section: str = configparser.DEFAULTSECT
) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(strict=strict, interpolation=None, default_section=default_section)
    # Keys keep their case. configparser documents this assignment; typeshed knows optionxform as a method only.
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    return parser


def _check_ini(text: str) -> _Fault | None:
    try:
        _ini_parser().read_string(text)
    except configparser.MissingSectionHeaderError as error:
        return _Fault("a key stands before the first [section]", error.lineno)
    except configparser.ParsingError as error:
        return _Fault("neither a [section] nor key = value nor a comment", error.errors[0][0] if error.errors else 0)
    except configparser.DuplicateSectionError as error:
        return _Fault("the section stands there twice", error.lineno or 0)
    except configparser.DuplicateOptionError as error:
        return _Fault("the key stands twice in its section", error.lineno or 0)
    except (configparser.Error, AttributeError):  # AttributeError: a continuation line of a key without a value
        return _Fault("it cannot be read")
    return None


def _write_ini(data: object) -> str:
    sections = []
    for at, (name, entries) in enumerate(_items(data), 1):
        if not isinstance(entries, dict):
            raise _RefusedError(
                "at the top of an INI file only sections can stand, each a mapping; "
                "move the key into its section, or into one named DEFAULT",
                (at,),
            )
        _refuse_ini_name(name, "]", (at,))
        lines = [_ini_line(key, value, (at, number)) for number, (key, value) in enumerate(entries.items(), 1)]
        sections.append("\n".join([f"[{name}]", *lines]) + "\n")
    return "\n".join(sections)


def _items(data: object) -> list[tuple[str, object]]:
    return list(data.items()) if isinstance(data, dict) else []


def _ini_line(key: str, value: object, place: tuple[int, ...]) -> str:
    _refuse_ini_name(key, "=:", place)
    if key[0] in "#;[":
        raise _RefusedError("a key begins with '#', ';' or '[', which INI reads otherwise", place)
    return f"{key} = {_ini_value(value, place)}".rstrip()


def _ini_value(value: object, place: tuple[int, ...]) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list)):
        raise _RefusedError(f"the value of an INI key cannot be {_kind(value)}; write it as one text", place)
    text = str(value)
    if len(text.splitlines()) > 1 or text != text.strip():
        raise _RefusedError("a value has a line break, or white space at an end, which INI would not keep", place)
    return text


def _refuse_ini_name(name: str, forbidden: str, place: tuple[int, ...]) -> None:
    if not name or name != name.strip() or len(name.splitlines()) > 1:
        raise _RefusedError("a name is empty, has a line break, or white space at an end", place)
    if any(character in forbidden for character in name):
        raise _RefusedError(f"a name holds one of these, which INI reads otherwise: {' '.join(forbidden)}", place)


# --- TOML --------------------------------------------------------------------------------------------------------


def _check_toml(text: str) -> _Fault | None:
    if HAS_TOMLLIB:
        try:
            tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            return _toml_fault(str(error), text)
        except (ValueError, RecursionError):  # a number that is too long; nested too deeply
            return _Fault("a number is too long or the nesting too deep")
        return None
    try:
        tomlkit.parse(text)
    except TOMLKitError as error:
        return _Fault("it cannot be read", getattr(error, "line", 0), getattr(error, "col", 0))
    except (ValueError, RecursionError):
        return _Fault("a value does not fit its type")
    return None


def _toml_fault(message: str, text: str) -> _Fault:
    reason = _reason(message, _TOML_REASONS)
    found = re.search(r"\(at line (\d+), column (\d+)\)$", message)
    if found:
        return _Fault(reason, int(found.group(1)), int(found.group(2)))
    return _Fault(f"{reason}; noticed at the end of the text", text.count("\n") + 1)


def _write_toml(data: object) -> str:
    return tomlkit.dumps(data if isinstance(data, dict) else {})


_FORMATS = {
    "json": _Format(_check_json, _write_json, _Rules(null=True), lists=True),
    "yaml": _Format(_check_yaml, _write_yaml, _Rules(null=True, dates=True, non_finite=True, any_key=True), lists=True),
    "ini": _Format(_check_ini, _write_ini, _Rules(), lists=False),
    "toml": _Format(_check_toml, _write_toml, _Rules(dates=True, non_finite=True), lists=False),
}
