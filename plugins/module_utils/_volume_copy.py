# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of a volume's change that copies its data: to the staging volume, and from there to the new one.

Loaded only by changes that need it: all others move a folder, in milliseconds.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import AbstractContextManager

from ansible_collections.voltainer.volumes.plugins.module_utils._engine import Engine
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import OtherDataError, RefusedError
from ansible_collections.voltainer.volumes.plugins.module_utils._guard import name_of
from ansible_collections.voltainer.volumes.plugins.module_utils._helper import Helper, helper, why_not_here
from ansible_collections.voltainer.volumes.plugins.module_utils._helper_engine import HelperEngine
from ansible_collections.voltainer.volumes.plugins.module_utils._progress import Progress
from ansible_collections.voltainer.volumes.plugins.module_utils._transfer import Transfer
from ansible_collections.voltainer.volumes.plugins.module_utils._tree import compare
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import CHANGE, LOCAL, Change, Volume
from ansible_collections.voltainer.volumes.plugins.module_utils._volume_steps import remove_volume


def save(engine: Engine, change: Change) -> None:
    """Copy the data of the volume into the empty staging volume, compared and on the disk."""
    with _helper(engine, {change.source: False, change.staging: True}) as at:
        if at.has_data(change.staging):
            raise RefusedError(
                f"Cannot go on with the {change.words}",
                f"the staging volume '{change.staging}' is not empty any more",
                "Find out who writes to it, and run the task again",
            )
        content = Transfer(change.source, progress=Progress.from_environment())
        content.bring(at, change.staging)
        content.check(at, change.staging)
        at.sync(change.staging)
    if content.report.unverified:
        raise RefusedError(
            f"Cannot go on with the {change.words}",
            f"somebody changed its data while it was copied: '{content.report.unverified[0]}'",
            "Find out who writes to it, and run the task again",
        )


def mark(engine: Engine, change: Change) -> None:
    """Create the volume that tells that all data is in the staging volume."""
    # The engine checks the options of the local driver here, before the volume is gone. Nobody mounts this one.
    options = change.target.options if change.target.is_local else {}
    made = engine.create_volume(change.mark, LOCAL, options, change.labels)
    if made.labels != change.labels:
        raise RefusedError(
            f"Cannot go on with the {change.words}",
            f"there is another volume '{change.mark}'",
            "Rename or remove that volume",
        )


def is_marked(engine: Engine, change: Change) -> bool:
    """Whether all data is in the staging volume, or was until it came to the new one."""
    return any(one.labels and one.labels.get(CHANGE) == change.labels[CHANGE] for one in _marks(engine, change))


def unmark(engine: Engine, change: Change) -> None:
    """Remove the volume that tells so, where there is one."""
    for one in _marks(engine, change):
        remove_volume(engine, one.name)


def _marks(engine: Engine, change: Change) -> list[Volume]:
    listed = engine.volumes(LOCAL, label=CHANGE, seconds=engine.timeout)
    return [volume for volume in listed.volumes if volume.name == change.mark]


def fill(engine: Engine, change: Change) -> None:
    """Copy the data from the staging volume to the volume, which is empty, or was filled in part before.

    Raises OtherDataError where somebody else's data is there.
    """
    nonce = _nonce(change)
    content = Transfer(change.staging, progress=Progress.from_environment())
    with _helper(engine, {change.staging: False, change.name: True}) as at:
        if at.is_guarded(change.name, nonce):
            at.empty(change.name)
        elif at.has_data(change.name):
            _refuse_other(at, change)
            return
        at.guard(change.name, nonce)
        content.bring(at, change.name)
        at.sync(change.name)
    # Mounted anew, since a file system in memory is empty then, and a driver may have kept it to itself.
    with _helper(engine, {change.staging: False, change.name: True}) as at:
        content.check(at, change.name, besides=name_of(nonce))
        at.unguard(change.name, nonce)
        at.sync(change.name)


def has_arrived(engine: Engine, change: Change) -> bool:
    """Whether the volume has all the data, and nothing that says otherwise."""
    with _helper(engine, {change.staging: False, change.name: True}) as at:
        return not at.is_guarded(change.name, _nonce(change)) and not _differs(at, change)


def clean(engine: Engine, change: Change) -> bool:
    """Take away what this change brought to the volume and is not complete; return whether nothing is there then."""
    with _helper(engine, {change.name: True}) as at:
        if at.is_guarded(change.name, _nonce(change)):
            at.empty(change.name)
        return not at.has_data(change.name)


def _refuse_other(at: Helper, change: Change) -> None:
    """Raise OtherDataError unless the volume has the data already."""
    if _differs(at, change):
        raise other_data(change)


def _differs(at: Helper, change: Change) -> bool:
    keeps = at.keeps(change.name, may_write=True)
    return bool(compare(at.open(change.staging), at.open(change.name), keeps, fast=True))


def other_data(change: Change) -> OtherDataError:
    """Return the error for a volume in which there is other data than was saved."""
    return OtherDataError(
        f"Cannot bring the data to the volume '{change.name}'",
        "there is other data in it already",
        f"All data from before the {change.words} is in '{change.staging}'. If what is in '{change.name}' is needed,"
        f" remove '{change.mark}' and then '{change.staging}'; otherwise remove '{change.name}', or what is in it. Then"
        " run the task again, or correct the definition before",
    )


def why_unreachable(engine: Engine) -> str:
    """Return why the data of volumes cannot be copied from here; "" if it can."""
    why = why_not_here(HelperEngine(engine.transport))
    return why and f"its data cannot be copied from here: {why}"


def _helper(engine: Engine, volumes: Mapping[str, bool]) -> AbstractContextManager[Helper]:
    return helper(HelperEngine(engine.transport), volumes)


def _nonce(change: Change) -> str:
    record = json.dumps(
        [change.name, change.before.as_record(), change.target.as_record(), change.inode], sort_keys=True
    )
    return hashlib.sha256(record.encode()).hexdigest()[:16]
