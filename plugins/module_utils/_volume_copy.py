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
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import RefusedError
from ansible_collections.voltainer.volumes.plugins.module_utils._guard import guard, is_guarded, unguard
from ansible_collections.voltainer.volumes.plugins.module_utils._helper import Helper, helper, why_not_here
from ansible_collections.voltainer.volumes.plugins.module_utils._helper_engine import HelperEngine
from ansible_collections.voltainer.volumes.plugins.module_utils._progress import Progress
from ansible_collections.voltainer.volumes.plugins.module_utils._transfer import Transfer
from ansible_collections.voltainer.volumes.plugins.module_utils._tree import compare, empty, has_data
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import CHANGE, LOCAL, Change


def save(engine: Engine, change: Change) -> None:
    """Copy the data of the volume into the empty staging volume, compared and on the disk."""
    with _helper(engine, {change.source: False, change.staging: True}) as at:
        folder = at.open(change.staging)
        if has_data(folder):
            raise RefusedError(
                f"Cannot go on with the {change.words}",
                f"the staging volume '{change.staging}' is not empty any more",
                "Find out who writes to it, and run the task again",
            )
        content = Transfer(change.source, progress=Progress.from_environment())
        content.bring(at, change.staging)
        content.check(at, change.staging)
        _sync(at, change.staging)


def mark(engine: Engine, change: Change) -> None:
    """Create the volume that tells that all data is in the staging volume."""
    engine.create_volume(change.mark, LOCAL, {}, change.labels)


def is_marked(engine: Engine, change: Change) -> bool:
    """Whether all data is in the staging volume, or was until it came to the new one."""
    listed = engine.volumes(LOCAL, label=CHANGE, seconds=engine.timeout)
    return any(volume.name == change.mark for volume in listed.volumes)


def fill(engine: Engine, change: Change) -> None:
    """Copy the data from the staging volume to the new volume, which is empty, or was filled in part before.

    Raises RefusedError where somebody else's data is there.
    """
    with _helper(engine, {change.staging: False, change.name: True}) as at:
        folder, nonce = at.open(change.name), _nonce(change)
        if is_guarded(folder, nonce):
            empty(folder)
        elif has_data(folder):
            _refuse_other(at, change)
            return
        guard(folder, nonce)
        content = Transfer(change.staging, progress=Progress.from_environment())
        content.bring(at, change.name)
        unguard(folder, nonce)
        _sync(at, change.name)
    # Mounted anew, since a file system in memory is empty then, and a driver may have kept it to itself.
    with _helper(engine, {change.staging: False, change.name: False}) as at:
        Transfer(change.staging).check(at, change.name)


def is_ours(engine: Engine, change: Change) -> bool:
    """Whether the volume has nothing but what this change brought, and not all of that: it may be removed."""
    with _helper(engine, {change.name: True}) as at:
        folder = at.open(change.name)
        return is_guarded(folder, _nonce(change)) or not has_data(folder)


def _refuse_other(at: Helper, change: Change) -> None:
    """Raise RefusedError unless the volume has the data already."""
    keeps = at.keeps(change.name, may_write=True)
    differing = compare(at.open(change.staging), at.open(change.name), keeps, fast=True)
    if differing:
        raise RefusedError(
            f"Cannot bring the data to the new volume '{change.name}'",
            "with its new definition, there is other data in it already",
            f"All data from before is in '{change.staging}'. Where what is in '{change.name}' is not needed, remove"
            " that volume or what is in it, and run the task again; otherwise correct the definition",
        )


def why_unreachable(engine: Engine) -> str:
    """Return why the data of volumes cannot be copied from here; "" if it can."""
    why = why_not_here(HelperEngine(engine.transport))
    return why and f"its data cannot be copied from here: {why}"


def _helper(engine: Engine, volumes: Mapping[str, bool]) -> AbstractContextManager[Helper]:
    return helper(HelperEngine(engine.transport), volumes)


def _sync(at: Helper, volume: str) -> None:
    at.run(f"Cannot write the data of '{volume}' to the disk", ["/usr/bin/sync", "-f", at.places[volume]])


def _nonce(change: Change) -> str:
    record = json.dumps(
        [change.name, change.before.as_record(), change.target.as_record(), change.inode], sort_keys=True
    )
    return hashlib.sha256(record.encode()).hexdigest()[:16]
