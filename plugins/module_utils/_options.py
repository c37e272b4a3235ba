# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of a task, read so that all that is wrong with them is told at once. Pure."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from ansible_collections.voltainer.volumes.plugins.module_utils._errors import InvalidInputError, together

Value = TypeVar("Value")


def gathered(fields: Mapping[str, Callable[[], Any]], rules: Iterable[Callable[[], None]]) -> dict[str, Any]:
    """Return what each of `fields` reads. Raises what these and the `rules` between options raise, together.

    What is raised is InvalidInputError for a single error, and VolumesError for several.
    """
    errors: list[InvalidInputError] = []
    values = {name: _tried(read, errors) for name, read in fields.items()}
    for rule in rules:
        _tried(rule, errors)
    if errors:
        raise together("Nothing was changed", errors)
    return values


def absolute(option: str, path: str | None) -> str | None:
    """Return the path, or None for none. Raises InvalidInputError for one that depends on the working directory."""
    if path is None or os.path.isabs(path):
        return path
    raise InvalidInputError(
        f"The option '{option}' has the invalid value {path!r}",
        "it is no absolute path",
        "Give the whole path on the host that runs the module",
    )


def one_of(params: Mapping[str, Any], options: Iterable[str]) -> None:
    """Raise InvalidInputError unless exactly one of the options is given. An empty one is one of a wrong variable."""
    names = tuple(options)
    given = [name for name in names if params.get(name) is not None]
    listed = ", ".join(f"'{name}'" for name in names)
    if len(given) != 1:
        raise InvalidInputError(
            f"{len(given) or 'None'} of the options {listed} {'are' if given else 'is'} given",
            "the task needs one of them",
            "Give exactly one",
        )
    if params[given[0]] == "":
        raise InvalidInputError(f"The option '{given[0]}' is empty", "it names nothing", "Give a value")


def _tried(read: Callable[[], Value], errors: list[InvalidInputError]) -> Value | None:
    try:
        return read()
    except InvalidInputError as exc:
        errors.append(exc)
        return None
