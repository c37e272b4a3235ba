# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with the content of a config file, measured by a JSON Schema, in words that show none of its values.

The library jsonschema finds the faults. Its own messages quote the values, which are the credentials of a storage
system, so they are never used: each fault is worded here from the schema's keyword, the place, and the names of keys.
Keys, and whatever the schema itself says, may be shown; a value of the content may not.
"""

from __future__ import annotations

import datetime
import difflib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

try:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError
except ImportError:  # optional: needed on the controller where a schema is given. Versions before 4 have no such draft
    HAS_JSONSCHEMA = False
else:
    HAS_JSONSCHEMA = True

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

NO_JSONSCHEMA = "its schema needs the Python library jsonschema 4.0 or newer on the controller: pip install jsonschema."

_PLAIN_KEY = re.compile(r"[A-Za-z_$][\w$-]*\Z")
_MOST_NAMES = 12  # of keys or values that a message lists

_KINDS = {
    "string": "a string",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "a boolean",
    "object": "a mapping",
    "array": "a list",
    "null": "nothing",
}


@dataclass(frozen=True)
class _Error:
    """One error of the library, but for its message.

    The keyword of the schema and what stands behind it, the part of the schema that it stands in, the value that breaks
    it, the way to each, and the errors of each alternative.
    """

    keyword: str
    asked: Any
    rules: Mapping[str, Any]
    given: Any
    path: tuple[Any, ...]
    way: tuple[Any, ...]
    inner: tuple[_Error, ...]

    @property
    def where(self) -> str:
        """The place of the value, in words."""
        return _place(self.path) or "the content"

    @classmethod
    def of(cls, error: ValidationError) -> _Error:
        """Return the error of the library as one of these. The schema `false` has no keyword."""
        return cls(
            keyword=str(error.validator or ""),
            asked=error.validator_value,
            rules=error.schema if isinstance(error.schema, Mapping) else {},
            given=error.instance,
            path=tuple(error.absolute_path),
            way=tuple(error.absolute_schema_path),
            inner=tuple(cls.of(one) for one in error.context or ()),
        )


def faults(data: Any, schema: Any) -> list[str]:
    """Return what is wrong with `data`, the parsed content of a config file, in the order of the places in it.

    `schema` is a JSON Schema of draft 2020-12; references in it may lead to parts of itself only. A schema that is no
    valid one is the only fault then. Each fault is a sentence without its full stop, or a question.
    """
    if not HAS_JSONSCHEMA:
        return [NO_JSONSCHEMA.rstrip(".")]
    try:
        rules = _placed(_plain(schema))
        fault = _schema_fault(rules)
        return [fault] if fault else _content_faults(_plain(data), rules)
    except RecursionError:
        return ["the content or its schema is nested too deeply to be checked"]
    except re.error:  # found by jsonschema itself only in its newer versions
        return ["its schema is not valid: a pattern in it is no regular expression"]


def _content_faults(data: Any, rules: Any) -> list[str]:
    errors = sorted(map(_Error.of, Draft202012Validator(rules).iter_errors(data)), key=lambda error: _order(error.path))
    return list(dict.fromkeys(words for error in errors for words in _worded(error)))


def _order(path: Iterable[Any]) -> list[tuple[bool, int, str]]:
    return [(isinstance(part, str), part if isinstance(part, int) else 0, str(part)) for part in path]


# --- the schema itself -------------------------------------------------------------------------------------------


def _schema_fault(rules: Any) -> str:
    if not isinstance(rules, (dict, bool)):
        return f"its schema is not valid: it must be a mapping, not {_kind(rules)}"
    try:
        Draft202012Validator.check_schema(rules)
    except SchemaError as error:
        return f"its schema is not valid at {_place(error.absolute_path) or 'its top'}"
    for keyword, value in _keywords(rules):
        if keyword == "$id" and not (isinstance(rules, dict) and rules.get("$id") == value):
            return f"its schema is not valid: a part of it has an $id, {value}, which only its top may have"
        if keyword != "$id" and not _leads(value, rules):
            return f"its schema is not valid: the reference {value} leads to no part of it"
    return ""


def _placed(rules: Any) -> Any:
    """Return the schema with `false` for a key written as `{not: true}`: for `false` the library tells no place."""
    if isinstance(rules, list):
        return [_placed(value) for value in rules]
    if not isinstance(rules, dict):
        return rules
    placed = {key: _placed(value) for key, value in rules.items()}
    for keyword in ("properties", "patternProperties"):
        if isinstance(placed.get(keyword), dict):
            placed[keyword] = {key: {"not": True} if one is False else one for key, one in placed[keyword].items()}
    return placed


def _keywords(rules: Any) -> Iterator[tuple[str, str]]:
    """Yield all references, and what changes their meaning.

    A reference to another document would be fetched from the network, which nobody asked for.
    """
    if isinstance(rules, dict):
        for key, value in rules.items():
            if key in {"$ref", "$dynamicRef", "$id"} and isinstance(value, str):
                yield key, value
            else:
                yield from _keywords(value)
    elif isinstance(rules, list):
        for value in rules:
            yield from _keywords(value)


def _leads(reference: str, rules: Any) -> bool:
    if reference == "#":
        return True
    if not reference.startswith("#/"):
        return False
    part = rules
    for name in reference[2:].split("/"):
        if not isinstance(part, dict) or name not in part:
            return False
        part = part[name]
    return True


# --- values, made plain ------------------------------------------------------------------------------------------


def _plain(value: Any) -> Any:
    """Return `value` in plain dictionaries with texts for keys, and plain lists; other values stay as they are."""
    if isinstance(value, Mapping):
        return {_plain_key(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return str.__str__(value) if isinstance(value, str) else value


def _plain_key(key: Any) -> str:
    """Return a key as JSON has it. Only YAML has keys that are no texts."""
    if isinstance(key, str):
        return str.__str__(key)
    return json.dumps(key) if key is None or isinstance(key, (bool, int, float)) else str(key)


def _kind(value: Any) -> str:
    """Name what a value is, without showing it."""
    if value is None:
        return "nothing"
    kinds = (
        ("a boolean", bool),
        ("a number", (int, float)),
        ("a string", str),
        ("a mapping", dict),
        ("a list", list),
        ("a date (put it in quotes)", datetime.date),
    )
    return next((name for name, types in kinds if isinstance(value, types)), "something else")


# --- words -------------------------------------------------------------------------------------------------------


def _place(path: Iterable[Any]) -> str:
    """Return the way to a value, as in `FlashArrays[0].APIToken`; empty for the whole content."""
    words = ""
    for part in path:
        if isinstance(part, int):
            words += f"[{part}]"
        else:
            words += ("." if words else "") + (part if _PLAIN_KEY.match(part) else json.dumps(part))
    return words


def _worded(error: _Error) -> list[str]:
    """Return the faults that one error of the library stands for."""
    if _about_key(error):
        return [f"{error.where} has a key that may not be there: {_listed([error.given])}"]
    if error.keyword in _WORDERS:
        return _WORDERS[error.keyword](error)
    if error.keyword in _LIMITS:
        return [f"{error.where} {_limit_words(error.keyword, error.asked)}"]
    if not error.keyword:
        return [f"{error.where} is nothing that the schema allows"]
    return [f"{error.where} is not what the schema asks for ({error.keyword})"]


def _about_key(error: _Error) -> bool:
    """Tell whether the error is about a key: what was given is the key itself then, not what stands at the path."""
    before = ("", *error.way)
    return any(
        part == "propertyNames" and before[at] not in {"properties", "patternProperties"}
        for at, part in enumerate(error.way)
    )


def _type(error: _Error) -> list[str]:
    wanted = error.asked if isinstance(error.asked, list) else [error.asked]
    given = _kind(error.given)
    if given == "a number" and "integer" in wanted:
        given = "one with a fraction"
    names = " or ".join(_KINDS.get(name, str(name)) for name in wanted)
    return [f"{error.where} must be {names}, not {given}"]


def _required(error: _Error) -> list[str]:
    known = {*error.rules.get("properties", {}), *error.asked}
    others = [key for key in error.given if key not in known]
    found = []
    for key in error.asked:
        if key not in error.given:
            near = _nearest(key, others)
            question = f": is {_listed([near])} a mistake for it?" if near else ""
            found.append(f"{_place([*error.path, key])} is missing{question}")
    return found


def _dependent(error: _Error) -> list[str]:
    return [
        f"{_place([*error.path, key])} is missing, which is needed beside {_listed([present])}"
        for present, keys in error.asked.items()
        if present in error.given
        for key in keys
        if key not in error.given
    ]


def _additional(error: _Error) -> list[str]:
    known = list(error.rules.get("properties", {}))
    patterns = list(error.rules.get("patternProperties", {}))
    extra = [key for key in error.given if key not in known and not any(re.search(one, key) for one in patterns)]
    free = [key for key in known if key not in error.given]
    return [f"{_place([*error.path, key])} is unknown here{_hint(key, free, known)}" for key in extra]


def _hint(key: str, free: list[str], known: list[str]) -> str:
    near = _nearest(key, free)
    if near:
        return f": did you mean {_listed([near])}?"
    return f": known are {_listed(known)}" if known and len(known) <= _MOST_NAMES else ""


def _nearest(key: str, names: Iterable[str]) -> str:
    lowered = {name.lower(): name for name in names}
    near = difflib.get_close_matches(key.lower(), lowered, n=1, cutoff=0.75)
    return lowered[near[0]] if near else ""


def _enum(error: _Error) -> list[str]:
    return [f"{error.where} must be one of {_listed(error.asked)}"]


def _const(error: _Error) -> list[str]:
    return [f"{error.where} must be {_listed([error.asked])}"]


def _pattern(error: _Error) -> list[str]:
    examples = error.rules.get("examples")
    such = f", such as {_listed(examples)}" if examples else ""
    return [f"{error.where} is not of the form {error.asked}{such}"]


def _not(error: _Error) -> list[str]:
    return [f"{error.where} {'may not be there' if error.asked is True else 'has a form that is not allowed'}"]


def _listed(values: Iterable[Any]) -> str:
    """List keys, or values that the schema itself names."""
    return ", ".join(value if isinstance(value, str) and value.isprintable() else json.dumps(value) for value in values)


# Keyword: the words where the limit is 1, and those for every limit.
_LIMITS = {
    "minLength": ("must not be empty", "must have at least {} characters"),
    "maxLength": ("", "must have at most {} characters"),
    "minItems": ("must not be empty", "must have at least {} entries"),
    "maxItems": ("must have one entry at most", "must have at most {} entries"),
    "minProperties": ("must not be empty", "must have at least {} keys"),
    "maxProperties": ("must have one key at most", "must have at most {} keys"),
    "minimum": ("", "must be {} or more"),
    "maximum": ("", "must be {} or less"),
    "exclusiveMinimum": ("", "must be more than {}"),
    "exclusiveMaximum": ("", "must be less than {}"),
    "multipleOf": ("", "must be a multiple of {}"),
    "uniqueItems": ("", "has the same entry twice"),
    "contains": ("", "lacks an entry that is needed"),
    "format": ("", "is not of the form {}"),
}


def _limit_words(keyword: str, limit: Any) -> str:
    for_one, for_all = _LIMITS[keyword]
    return for_one if for_one and limit == 1 else for_all.format(limit)


# --- alternatives ------------------------------------------------------------------------------------------------


def _alternatives(error: _Error) -> list[str]:
    keys = [_required_only(branch) for branch in error.asked]
    if all(keys):
        wanted = _listed(" and ".join(names) for names in keys)
        return [f"{error.where} {'needs one of' if error.inner else 'may have only one of'} {wanted}"]
    if not error.inner:
        return [f"{error.where} fits more than one of the alternatives that exclude each other"]
    if all(one.keyword == "type" and one.path == error.path for one in error.inner):
        names = [_KINDS.get(str(one.asked), str(one.asked)) for one in error.inner]
        return [f"{error.where} must be {' or '.join(names)}, not {_kind(error.given)}"]
    return [words for one in _nearest_branch(error) for words in _worded(one)]


def _required_only(branch: Any) -> list[str]:
    """Return the keys that a branch asks for where it asks for nothing else."""
    return list(branch["required"]) if isinstance(branch, dict) and set(branch) == {"required"} else []


def _nearest_branch(error: _Error) -> list[_Error]:
    """Return the errors of the alternative that was meant most likely.

    One of the right kind comes first, then one whose fixed values are there, then the one with the fewest errors.
    """
    grouped: dict[int, list[_Error]] = {}
    for one in error.inner:
        grouped.setdefault(one.way[len(error.way)], []).append(one)
    return min(
        grouped.values(),
        key=lambda errors: (
            any(one.keyword == "type" and one.path == error.path for one in errors),
            sum(one.keyword in {"const", "enum"} for one in errors),
            len(errors),
        ),
    )


_WORDERS: dict[str, Callable[[_Error], list[str]]] = {
    "type": _type,
    "required": _required,
    "dependentRequired": _dependent,
    "additionalProperties": _additional,
    "enum": _enum,
    "const": _const,
    "pattern": _pattern,
    "not": _not,
    "anyOf": _alternatives,
    "oneOf": _alternatives,
}
