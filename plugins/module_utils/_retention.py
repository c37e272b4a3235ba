# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backups stay and which go. Pure.

As restic means it: of each of the last n days (ISO weeks, months) that have a backup, the newest one stays, and so do
the last n backups. What one rule keeps, stays. Days begin at midnight in UTC, whatever the host's time zone is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import astuple, dataclass, fields
from datetime import datetime, timezone
from typing import Any

from ansible_collections.voltainer.volumes.plugins.module_utils._errors import InvalidInputError

# A backup: its time, and what it is called.
Backup = tuple[datetime, str]

_PERIODS: Mapping[str, Callable[[datetime], Any]] = {
    "daily": lambda time: time.date(),
    "weekly": lambda time: time.isocalendar()[:2],
    "monthly": lambda time: (time.year, time.month),
}


@dataclass(frozen=True)
class Keep:
    """How many backups stay: the last ones, and one for each of the last days, weeks and months that have any.

    None and 0 keep none by that rule. Where no rule keeps any, nothing is removed.
    """

    last: int | None = None
    daily: int | None = None
    weekly: int | None = None
    monthly: int | None = None

    def __bool__(self) -> bool:
        """Whether anything may be removed."""
        return any(astuple(self))


def parse_keep(value: Mapping[str, Any] | None) -> Keep:
    """Return what the option `keep` asks for. Raises InvalidInputError for less than 0, and for "keep nothing"."""
    keep = Keep(**{field.name: (value or {}).get(field.name) for field in fields(Keep)})
    given = {field.name: number for field, number in zip(fields(Keep), astuple(keep)) if number is not None}
    below = [name for name, number in given.items() if number < 0]
    if below:
        raise InvalidInputError(
            f"The option 'keep.{below[0]}' has the invalid value {given[below[0]]}",
            "it is less than 0",
            "Give how many backups stay; leave all of 'keep' out to remove none",
        )
    if given and not keep:
        raise InvalidInputError(
            "The option 'keep' keeps nothing",
            "all of its numbers are 0",
            "Leave it out to remove none, or give a number",
        )
    return keep


def reasons_to_keep(backups: Iterable[Backup], keep: Keep, now: datetime) -> dict[Backup, tuple[str, ...]]:
    """Return the backups that stay, the newest first, each with the rules that keep it.

    Of backups with equal times, the one whose name sorts last counts as the newest. What has a time later than `now`
    was made while a clock was wrong: it stays, and takes no other's place, or the next backups would go as soon as they
    are made.
    """
    ordered = sorted(backups, key=lambda one: (one[0].astimezone(timezone.utc), one[1]), reverse=True)
    if not keep:
        return dict.fromkeys(ordered, ("nothing is to be removed",))
    future = {one: ("its time is in the future",) for one in ordered if one[0] > now}
    past = [one for one in ordered if one not in future]
    reasons: dict[Backup, list[str]] = {one: ["newest"] for one in past[:1]}
    for one in past[: keep.last or 0]:
        reasons.setdefault(one, []).append("last")
    for rule, period in _PERIODS.items():
        seen: dict[Any, Backup] = {}
        for one in past:
            seen.setdefault(period(one[0].astimezone(timezone.utc)), one)
        for one in list(seen.values())[: getattr(keep, rule) or 0]:
            reasons.setdefault(one, []).append(rule)
    kept = {**future, **{one: tuple(reasons[one]) for one in past if one in reasons}}
    return {one: kept[one] for one in ordered if one in kept}


def to_remove(backups: Iterable[Backup], keep: Keep, now: datetime) -> list[Backup]:
    """Return the backups that go, the oldest first; never the newest one, and never one of the future."""
    ordered = sorted(backups, key=lambda one: (one[0].astimezone(timezone.utc), one[1]))
    kept = reasons_to_keep(ordered, keep, now)
    return [one for one in ordered if one not in kept]
