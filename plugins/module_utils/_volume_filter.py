# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which volumes are meant: filters by name, driver and label, and the age of a volume. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

from ansible_collections.voltainer.volumes.plugins.module_utils._errors import InvalidInputError
from ansible_collections.voltainer.volumes.plugins.module_utils._reference import driver_key
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import Volume

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGE = re.compile(r"(?:[0-9]+[smhdw])+\Z")
# What Ansible makes of a mapping or a list where a string should be.
_NO_TEXT = re.compile(r"\{.*:.*\}\Z|\[['\"\]]")
# RFC 3339 as the engine writes it. Python 3.9 reads neither the Z nor nanoseconds.
_TIME = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})\Z")


@dataclass(frozen=True)
class VolumeFilter:
    """What must be true of a volume: one of the names, one of the drivers, all labels, and none of those without.

    Names are patterns. What is empty is no condition.
    """

    names: tuple[str, ...] = ()
    drivers: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    without_labels: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether there is any condition."""
        return any((self.names, self.drivers, self.labels, self.without_labels))

    def asks(self, driver: str) -> bool:
        """Return whether volumes of the driver can match at all."""
        return not self.drivers or driver_key(driver) in self.drivers

    def why_not(self, volume: Volume) -> str | None:
        """Return which condition the volume does not meet, in words, or None where it matches."""
        if not self.asks(volume.driver):
            return f"its driver is '{driver_key(volume.driver)}'"
        if self.names and not named(volume.name, self.names):
            return "its name matches none of 'filters.name'"
        labels = volume.labels or {}
        lacking = next((label for label in self.labels if not _has(labels, label)), None)
        if lacking is not None:
            return f"it has no label '{lacking}'"
        having = next((label for label in self.without_labels if _has(labels, label)), None)
        return None if having is None else f"it has the label '{having}'"


def parse_filter(filters: Mapping[str, Any] | None) -> VolumeFilter:
    """Return the filter that the option `filters` asks for. Raises InvalidInputError for what says nothing."""
    given = {key: condition(key, value) for key, value in (filters or {}).items() if isinstance(value, list)}
    return VolumeFilter(
        names=given.get("name", ()),
        drivers=tuple(map(driver_key, given.get("driver", ()))),
        labels=given.get("label", ()),
        without_labels=given.get("without_label", ()),
    )


def parse_texts(option: str, texts: Iterable[str]) -> tuple[str, ...]:
    """Return the texts of an option. Raises InvalidInputError for those that were meant in another way, most likely.

    They would match nothing, so that more volumes would be taken than was meant, or fewer kept.
    """
    for text in texts:
        if not text:
            # Of a variable that is empty by mistake.
            raise InvalidInputError(
                f"The option '{option}' has an empty value", "it says nothing", "Leave it out, or give one"
            )
        if text != text.strip() or _NO_TEXT.match(text):
            # Ansible splits a string at its commas and keeps the spaces.
            raise InvalidInputError(
                f"The option '{option}' has the invalid value '{text}'",
                "it would match nothing",
                "Give a list of strings, without spaces around them; a label as key=value",
            )
    return tuple(texts)


def named(name: str, patterns: Iterable[str]) -> bool:
    """Return whether one of the patterns, as those of a shell, matches the whole name."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def parse_age(option: str, text: str | None) -> timedelta | None:
    """Return the time that `text` means, such as `30d` or `1d12h`; None stays None."""
    if text is None:
        return None
    try:
        if _AGE.match(text):
            parts = re.findall(r"([0-9]+)([smhdw])", text)
            return sum((timedelta(**{_UNITS[unit]: int(number)}) for number, unit in parts), timedelta())
    except OverflowError:
        pass
    raise InvalidInputError(
        f"The option '{option}' has the invalid value '{text}'",
        "it is no length of time",
        "Give numbers with a unit (s, m, h, d or w), for example 30d or 12h",
    )


def parse_time(text: str) -> datetime | None:
    """Return the time that the engine means by `text`, or None for none and for its way to say "unknown" (year 1)."""
    match = _TIME.match(text)
    if not match:
        return None
    try:
        time = datetime.fromisoformat(match.group(1) + match.group(2).replace("Z", "+00:00"))
    except ValueError:
        return None
    return None if time.year == 1 else time


def _has(labels: Mapping[str, str], label: str) -> bool:
    key, equals, value = label.partition("=")
    return key in labels and (not equals or labels[key] == value)


def condition(key: str, texts: list[str]) -> tuple[str, ...]:
    """Return the texts of a condition `key` in the option `filters`. Raises InvalidInputError for what says nothing."""
    if not texts:
        # It must not mean the same as no condition: "these names", and it is none of them.
        raise InvalidInputError(
            f"The option 'filters.{key}' is an empty list", "it says nothing", "Leave it out, or give a value"
        )
    return parse_texts(f"filters.{key}", texts)
