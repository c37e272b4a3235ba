# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of a copy from a volume to a volume. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ansible_collections.voltainer.volumes.plugins.module_utils._copy_wanted import CopyWanted
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import RefusedError
from ansible_collections.voltainer.volumes.plugins.module_utils._fill import (
    Fill,
    Way,
    fill_steps,
    settle_fill_step,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._plan import ABSENT, Plan, Step
from ansible_collections.voltainer.volumes.plugins.module_utils._quiesce import Rest, quiesce_steps, resume_steps
from ansible_collections.voltainer.volumes.plugins.module_utils._usage import Users
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import (
    FILL_OLD_SUFFIX,
    Volume,
    name_beside,
    shown_volume,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._volume_plan import (
    differences,
    drift_words,
    in_use,
    missing_driver_words,
    target_of,
)

# absent: there is no such volume; differs and equal are compared with the source.
TargetState = Literal["absent", "empty", "equal", "differs"]


@dataclass(frozen=True)
class CopyFound:
    """What was observed.

    `state` is what the target has in comparison with the source, `differing` names some of what differs. `can_exchange`
    says that folders of local volumes can be moved from here, `why_no_sync` why none can be brought up to date in
    place. `unfinished` is to be settled first, and all else is what there will be then.
    """

    source: Volume | None
    target: Volume | None
    state: TargetState
    source_users: Users = field(default_factory=Users)
    target_users: Users = field(default_factory=Users)
    differing: tuple[str, ...] = ()
    can_exchange: bool = True
    why_no_sync: str = ""
    driver_ready: bool | None = None
    unfinished: Fill | None = None
    rest: Rest | None = None
    nonce: str = ""


def plan_copy(wanted: CopyWanted, found: CopyFound) -> Plan:
    """Return what must be done. Raises RefusedError where the plan would harm somebody, or cannot be."""
    settle = (settle_fill_step(found.unfinished),) if found.unfinished else ()
    _check_source(wanted, found)
    target, name = found.target, wanted.target.name
    warnings = _warnings(wanted, found)
    shown = ABSENT if target is None else _shown(wanted, target, found.state)
    if found.state == "equal" and target is not None:
        return Plan(shown, shown, settle, warnings)
    _check_target(wanted, found)
    definition = target_of(wanted.target, None) if target is None else target.definition
    fill = Fill(
        target=name,
        words=f"copy of the volume '{wanted.source}'",
        way=_way(wanted, found),
        created=target is None,
        definition=definition,
        previous=name_beside(name, FILL_OLD_SUFFIX),
        nonce=found.nonce,
        empty=found.state == "empty",
    )
    after = {**definition.shown(name, wanted.target.secret_options), "content": f"as in '{wanted.source}'"}
    steps = fill_steps(fill, *around(found.rest), verify=wanted.verify)
    return Plan(shown, after, (*settle, *steps), warnings)


def around(rest: Rest | None) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
    """Return the steps that bring users to rest, and those that bring them back."""
    return (quiesce_steps(rest), resume_steps(rest)) if rest else ((), ())


def _shown(wanted: CopyWanted, target: Volume, state: TargetState) -> Mapping[str, Any]:
    words = {"equal": f"as in '{wanted.source}'", "empty": "empty"}.get(state, f"other than in '{wanted.source}'")
    return {**shown_volume(target, wanted.target.secret_options), "content": words}


def _check_source(wanted: CopyWanted, found: CopyFound) -> None:
    if found.source is None:
        raise RefusedError(
            f"Cannot copy the volume '{wanted.source}'", "there is no such volume", "Correct the option 'source'"
        )


def _check_target(wanted: CopyWanted, found: CopyFound) -> None:
    target, name = found.target, wanted.target.name
    if target is None:
        if found.driver_ready is False:
            raise RefusedError(
                f"Cannot copy the volume '{wanted.source}' to '{name}'",
                "the driver of the new volume is not there",
                missing_driver_words(wanted.target.driver or ""),
            )
        return
    if found.state == "differs" and wanted.on_existing == "fail":
        raise RefusedError(
            f"Cannot copy the volume '{wanted.source}' to '{name}'",
            f"that has other content already ({'; '.join(found.differing) or 'it is not empty'})",
            "Give 'on_existing: replace' to have its content replaced, or 'sync' to have it brought up to date in"
            " place",
        )
    if found.state == "differs" and target.protected and not wanted.target.confirmed:
        raise RefusedError(
            f"Cannot replace the content of the volume '{name}'",
            "it is protected",
            f"If it is really meant, say so with 'confirm: {name}'",
        )
    mounted = Users(tuple(use for use in found.target_users.containers if use.mounted))
    if mounted:
        raise in_use("copy to", name, mounted, waits=False)
    if found.state == "differs" and wanted.on_existing == "sync" and found.why_no_sync:
        raise RefusedError(
            f"Cannot bring the volume '{name}' up to date in place",
            found.why_no_sync,
            "Mend that, or give 'on_existing: replace'",
        )


def _way(wanted: CopyWanted, found: CopyFound) -> Way:
    if found.state == "differs" and wanted.on_existing == "sync":
        return "update"
    definition = target_of(wanted.target, None) if found.target is None else found.target.definition
    if definition.movable and found.can_exchange:
        return "exchange"
    return "replace" if found.state == "differs" else "direct"


def _warnings(wanted: CopyWanted, found: CopyFound) -> tuple[str, ...]:
    told = []
    if found.target is not None:
        drift = tuple(differences(wanted.target, found.target))
        if drift:
            told.append(drift_words(wanted.target.name, drift))
    writers = writing(found.source_users)
    if writers and wanted.quiesce.mode == "none" and found.state != "equal":
        told.append(
            f"The volume '{wanted.source}' is copied while {writers} may write to it: the copy may mix what was before"
            " and after a change. The option 'quiesce' brings them to rest meanwhile"
        )
    return tuple(told)


def writing(users: Users) -> Users:
    """Return the containers that may write to the volume now."""
    return Users(tuple(use for use in users.containers if use.state in _RUNNING and not use.read_only))


_RUNNING = frozenset({"running", "restarting"})
