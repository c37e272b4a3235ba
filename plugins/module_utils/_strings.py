# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values of mappings as the engine wants them: strings, and nothing guessed. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.voltainer.volumes.plugins.module_utils._errors import InvalidInputError


def scalar_string(value: Any) -> str | None:
    """Return the string that Docker means by `value` (`true`, not `True`), or None where it is no single value."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (str, int, float)) else None


def option_strings(option: str, values: Mapping[str, Any] | None, where: str = "") -> dict[str, str] | None:
    """Return `values` with every value made the string that Docker means by it; None stays None.

    The engine refuses numbers and booleans ("cannot unmarshal number", 20.10 to 28.5). Booleans become `true` and
    `false`; an empty string is a value. `where` tells in errors which item of a list has the option. Raises
    InvalidInputError for null, lists and mappings.
    """
    if values is None:
        return None
    return {str(key): _option_string(option, str(key), value, where) for key, value in values.items()}


def label_strings(option: str, values: Mapping[str, Any] | None, where: str = "") -> dict[str, str] | None:
    """Return `values` as labels. Only strings and integers are sure to mean what their author wrote.

    YAML reads `yes`, `1.10` and `null` as something else than text, and nobody can tell afterwards what stood there:
    those raise InvalidInputError, in the words that playbooks know from community.docker.
    """
    if values is None:
        return None
    for key, value in values.items():
        if isinstance(value, bool) or not isinstance(value, (str, int)):
            raise InvalidInputError(
                f"The value {value!r} for {key!r} of {option}{where} is not a string or something than can be safely"
                " converted to a string!",
                f"it is of type {type(value).__name__}",
                "Put the value into quotes",
            )
    return {str(key): str(value) for key, value in values.items()}


def _option_string(option: str, key: str, value: Any, where: str) -> str:
    text = scalar_string(value)
    if text is not None:
        return text
    raise InvalidInputError(
        f"The key '{key}' in the option '{option}'{where} has an invalid value",
        f"it is of type {type(value).__name__}, and Docker takes only strings",
        "Give a string or a number; an empty string ('') is a value, and a key that is left out is not touched",
    )
