# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which volumes may go, which stay, and why. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from ansible_collections.voltainer.volumes.plugins.module_utils._errors import InvalidInputError, VolumesError
from ansible_collections.voltainer.volumes.plugins.module_utils._plan import Plan, Step
from ansible_collections.voltainer.volumes.plugins.module_utils._reference import driver_key
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import Volume
from ansible_collections.voltainer.volumes.plugins.module_utils._volume_facts import (
    Survey,
    is_cluster,
    some,
    whose_data,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._volume_filter import (
    VolumeFilter,
    named,
    parse_age,
    parse_filter,
    parse_texts,
    parse_time,
)

Action = Literal["remove", "keep", "gone"]

_NO_AGE = "nobody knows when it was created, and only old volumes are to go"


@dataclass(frozen=True)
class PruneWanted:
    """What is to go; the fields are the options of the module, `seconds` is `timeout`."""

    anonymous_only: bool
    filters: VolumeFilter
    older_than: timedelta | None
    keep: tuple[str, ...]
    confirm: frozenset[str]
    size: bool
    seconds: int


@dataclass(frozen=True)
class Verdict:
    """What becomes of a volume, or became of it, and why. `gone` is one that somebody else removed meanwhile."""

    volume: Volume
    action: Action
    reason: str
    size: int | None = None

    def as_result(self) -> dict[str, Any]:
        """Return the verdict as a result key shows it."""
        return {
            "name": self.volume.name,
            "action": self.action,
            "reason": self.reason,
            "driver": driver_key(self.volume.driver),
            "owner_kind": self.volume.definition.owner_kind,
            "size": self.size,
        }


def parse_prune(params: Mapping[str, Any]) -> PruneWanted:
    """Return what the options of the task ask for. Raises InvalidInputError."""
    filters = params["filters"] or {}
    wanted = PruneWanted(
        anonymous_only=params["anonymous_only"],
        filters=parse_filter(filters),
        older_than=parse_age("filters.older_than", filters.get("older_than")),
        keep=parse_texts("keep", params["keep"]),
        confirm=frozenset(params["confirm"]),
        size=params["size"],
        seconds=params["timeout"],
    )
    if not (wanted.anonymous_only or wanted.filters or wanted.older_than):
        raise InvalidInputError(
            "The option 'filters' is needed where 'anonymous_only' is false",
            "without it, each volume that nobody uses at this moment would go, with its data",
            "Say which volumes are meant; if it is all of them, with 'filters: {name: [\"*\"]}'",
        )
    return wanted


def judge(wanted: PruneWanted, survey: Survey, now: datetime | None) -> list[Verdict]:
    """Return the verdict on each volume. `now` is the time of the engine's host, needed for `older_than`."""
    verdicts = []
    for volume in survey.volumes:
        why_kept = next(_reasons_to_keep(wanted, volume, survey, now), None)
        verdicts.append(
            Verdict(volume, "keep", why_kept) if why_kept else Verdict(volume, "remove", _why_removed(volume))
        )
    return verdicts


def plan_prune(verdicts: Iterable[Verdict], warnings: Iterable[str]) -> Plan:
    """Return the plan, or afterwards what was done: one step for each volume that goes."""
    going = [verdict for verdict in verdicts if verdict.action == "remove"]
    return Plan(
        before={"volumes": {one.volume.name: _shown(one) for one in going}},
        after={"volumes": {one.volume.name: {"exists": False} for one in going}},
        steps=tuple(
            Step("remove", f"Remove the volume '{one.volume.name}' ({whose_data(one.volume)})") for one in going
        ),
        warnings=tuple(warnings),
    )


def undatable(verdicts: Iterable[Verdict]) -> tuple[str, ...]:
    """Return a warning of volumes that stay only because their age is unknown."""
    names = [one.volume.name for one in verdicts if one.reason == _NO_AGE]
    if not names:
        return ()
    return (f"{len(names)} volume(s) stay, since nobody knows when they were created: {some(names)}",)


def values(verdicts: list[Verdict], *, measured: bool) -> dict[str, Any]:
    """Return the result keys of the module."""
    going = [one for one in verdicts if one.action == "remove"]
    return {
        "volumes": [one.as_result() for one in verdicts],
        "removed": [one.volume.name for one in going],
        "kept": [one.volume.name for one in verdicts if one.action == "keep"],
        "space_reclaimed": sum(one.size or 0 for one in going) if measured else None,
    }


def failed(errors: list[VolumesError]) -> VolumesError:
    """Return the one error for those of single volumes."""
    texts = [str(error) for error in errors]
    return VolumesError(
        f"{len(errors)} volume(s) could not be removed",
        "\n" + "\n".join(f"- {text}" for text in texts),
        "All others were dealt with",
        errors=texts,
    )


def unlike(volume: Volume, now: Volume) -> bool:
    """Return whether the volume is not as it was any more when it was judged."""
    # Of a plugin's volume, the list that `now` is from has no creation time. On 20.10, that of a local one is when its
    # folder last changed: somebody put something there then.
    both = [
        (driver_key(one.driver), one.options, one.labels, one.definition.is_local and one.raw.get("CreatedAt"))
        for one in (volume, now)
    ]
    return both[0] != both[1]


def _reasons_to_keep(wanted: PruneWanted, volume: Volume, survey: Survey, now: datetime | None) -> Iterator[str]:
    yield from _never(volume, survey)
    if wanted.anonymous_only and not volume.anonymous:
        yield "it has a name, and only anonymous volumes are to go"
    why_not = wanted.filters.why_not(volume)
    if why_not:
        yield f"'filters' does not ask for it: {why_not}"
    users = survey.users_of(volume)
    if users:
        yield f"it is in use by {users}"
    if named(volume.name, wanted.keep):
        yield "the option 'keep' names it"
    if volume.protected and volume.name not in wanted.confirm:
        yield "it is protected, and the option 'confirm' does not name it"
    if wanted.older_than is not None:
        yield from _too_young(volume, wanted.older_than, now)


def _never(volume: Volume, survey: Survey) -> Iterator[str]:
    if volume.name in survey.unfinished:
        yield survey.unfinished[volume.name]
    if is_cluster(volume):
        yield "it is a volume of the swarm's cluster, which this module leaves alone"
    if volume.name in survey.unseen:
        yield f"it could not be looked at: {survey.unseen[volume.name]}"


def _too_young(volume: Volume, older_than: timedelta, now: datetime | None) -> Iterator[str]:
    created = parse_time(str(volume.raw.get("CreatedAt") or ""))
    if created is None or now is None:
        yield _NO_AGE
    elif now - created < older_than:
        yield f"it was created on {volume.raw['CreatedAt']}, which is not long enough ago"


def _why_removed(volume: Volume) -> str:
    kind = "it is anonymous" if volume.anonymous else "the filters ask for it"
    return f"{kind}, and nobody uses it; {whose_data(volume)}"


def _shown(verdict: Verdict) -> dict[str, Any]:
    volume = verdict.volume
    return {"exists": True, "driver": volume.driver, "created": volume.raw.get("CreatedAt"), "size": verdict.size}
