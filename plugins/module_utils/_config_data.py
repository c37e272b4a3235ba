# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a config file says, apart from how it is written: read, compared by keys, and merged key by key. Pure.

The values are secrets. What is said of a difference names keys and places, never a value.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.voltainer.volumes.plugins.module_utils._config_file import can_read, read

# How many keys a message names.
_MOST = 12
# How deep a file may be. What refers to itself, as YAML can, has no end.
_DEEPEST = 100
_KEYED = ("json", "yaml", "ini", "toml")
_MISSING = {
    "yaml": "the Python library PyYAML is missing on this host (python3-yaml)",
    "toml": "this host has no Python library for TOML: Python 3.11 or newer, or tomlkit, brings one",
}


class UnreadableError(Exception):
    """A text cannot be read as its format: it is not valid, or a library is missing. The message says which."""


def read_text(text: str, file_format: str) -> Any:
    """Return what the text of a config file says. Raises UnreadableError, which shows nothing of it."""
    if file_format not in _KEYED:
        raise UnreadableError("its format is not one that has keys")
    if not can_read(file_format):
        raise UnreadableError(_MISSING[file_format])
    try:
        said = read(text, file_format, strict=True)
    except Exception:  # noqa: BLE001 - parsers raise whatever they stumble over
        # Without the cause, which quotes the text.
        raise UnreadableError(f"it is not valid {file_format.upper()}") from None
    _check_depth(said, _DEEPEST)
    return said


def merge(current: Any, wanted: Any, initial: tuple[str, ...] = ()) -> Any:
    """Return `current` with what `wanted` says: its keys win, others stay, and lists are taken whole.

    Keys named in `initial` are taken from `wanted` only where `current` has none.
    """
    if not isinstance(current, Mapping) or not isinstance(wanted, Mapping):
        return wanted
    merged = dict(current)
    for key, value in wanted.items():
        if key in current and key in initial:
            continue
        merged[key] = merge(current[key], value, initial) if key in current else value
    return merged


def differences(before: Any, after: Any) -> str:
    """Return what differs, as "changed: APIToken of FlashArrays[0]; added: ...", or nothing."""
    kinds: dict[str, list[str]] = {"changed": [], "added": [], "removed": []}
    for kind, place in _walk(before, after, ()):
        kinds[kind].append(words(place))
    return "; ".join(f"{kind}: {_listed(places)}" for kind, places in kinds.items() if places)


def words(place: tuple[Any, ...]) -> str:
    """Return the name of a place, the key first: "APIToken of FlashArrays[0]"."""
    if not place:
        return "everything"
    names: list[str] = []
    for one in place:
        if isinstance(one, int) and names:
            names[-1] += f"[{one}]"
        else:
            names.append(f"[{one}]" if isinstance(one, int) else str(one))
    *above, last = names
    return f"{last} of {'.'.join(above)}" if above else last


def _walk(before: Any, after: Any, place: tuple[Any, ...]) -> Iterator[tuple[str, tuple[Any, ...]]]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        yield from _walk_keys(before, after, place)
    elif isinstance(before, list) and isinstance(after, list):
        yield from _walk_keys(dict(enumerate(before)), dict(enumerate(after)), place)
    elif type(before) is not type(after) or (before != after and not (_is_nan(before) and _is_nan(after))):
        yield "changed", place


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _check_depth(value: Any, left: int) -> None:
    inside = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    if inside and not left:
        raise UnreadableError("it is nested too deeply, or refers to itself")
    for one in inside:
        _check_depth(one, left - 1)


def _walk_keys(
    before: Mapping[Any, Any], after: Mapping[Any, Any], place: tuple[Any, ...]
) -> Iterator[tuple[str, tuple[Any, ...]]]:
    for key in (*before, *(one for one in after if one not in before)):
        if key not in after:
            yield "removed", (*place, key)
        elif key not in before:
            yield "added", (*place, key)
        else:
            yield from _walk(before[key], after[key], (*place, key))


def _listed(places: list[str]) -> str:
    more = f" and {len(places) - _MOST} more" if len(places) > _MOST else ""
    return ", ".join(places[:_MOST]) + more
