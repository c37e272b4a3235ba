# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The volumes that say whom a run has at rest: one is made before, held meanwhile, and found by the next run."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from ansible_collections.voltainer.volumes.plugins.module_utils import _folders, _holder
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import RefusedError
from ansible_collections.voltainer.volumes.plugins.module_utils._quiesce import CONSTRAINT_KEY, Holder, Rest
from ansible_collections.voltainer.volumes.plugins.module_utils._quiesce_engine import QuiesceEngine
from ansible_collections.voltainer.volumes.plugins.module_utils._usage import Users
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import LOCAL, QUIESCED, Volume

_WORDS = "work with whom another run brought to rest"


def records(engine: QuiesceEngine) -> tuple[tuple[tuple[Rest, Volume], ...], tuple[str, ...]]:
    """Return all records with the volumes that hold them, and the names of those that nobody can read."""
    # A legacy driver that hangs may keep back even this list (20.10 to 28.5).
    found = [
        (Rest.from_volume(one), one) for one in engine.volumes(LOCAL, label=QUIESCED, seconds=engine.timeout).volumes
    ]
    return (
        tuple((rest, volume) for rest, volume in found if rest),
        tuple(volume.name for rest, volume in found if rest is None),
    )


def used_ids(users: Users) -> frozenset[str]:
    """Return the IDs of all users, whether they are at work or not."""
    return frozenset([*(use.container_id for use in users.containers), *(use.service_id for use in users.services)])


def refuse_others(engine: QuiesceEngine, rest: Rest, used: frozenset[str]) -> None:
    """Raise RefusedError where another run has somebody at rest who uses the volumes: it will bring them back."""
    for other, _volume in records(engine)[0]:
        if other.constraint != rest.constraint and (set(other.volumes) & set(rest.volumes) or used & other.ids):
            raise other_run(rest.volumes[0], other)


def other_run(volume: str, other: Rest) -> RefusedError:
    """Return the error for users of `volume` that another run has at rest, which goes on, or may."""
    holder = other.holder
    who = f"process {holder.pid}" + (f" of {holder.host.partition('/')[2]}" if holder.host else "") if holder else ""
    return RefusedError(
        f"Cannot bring the users of the volume '{volume}' to rest, or back",
        f"another run ({who}) is at it: it brought to rest {other.words}",
        "Run the task again when that has ended. If it was ended midway, on a host that is gone, bring these back by"
        f" hand and remove the volume '{other.volume}'",
    )


def made(engine: QuiesceEngine, rest: Rest, timeout: int, stack: ExitStack) -> Rest:
    """Make the volume for a run of this process, hold it until `stack` ends, and return the record that it has."""
    constraint = f"{CONSTRAINT_KEY}=={secrets.token_hex(8)}"
    # Whether its folder can be held is known when it is there.
    record = replace(rest, timeout=timeout, constraint=constraint, holder=_holder.this_process(holds=engine.is_here))
    volume = _create(engine, record)
    if engine.is_here and not _can_hold(engine, volume):
        engine.remove_volume(record.volume)
        record = replace(record, holder=_holder.this_process())
        volume = _create(engine, record)
    if record.holder and record.holder.holds:
        try:
            stack.enter_context(_folders.held(volume.mountpoint, _WORDS))
        except RefusedError as exc:
            raise other_run(rest.volumes[0], record) from exc
    if not is_current(engine, record):
        raise other_run(rest.volumes[0], record)
    return record


@contextmanager
def taken_over(engine: QuiesceEngine, rest: Rest, volume: Volume) -> Iterator[None]:
    """Take the place of a run that was ended midway. Raises RefusedError where it goes on, or may."""
    busy = other_run(rest.volumes[0], rest)
    held = rest.holder is not None and rest.holder.holds
    with ExitStack() as stack:
        here = _can_hold(engine, volume)
        if here:
            try:
                stack.enter_context(_folders.held(volume.mountpoint, _WORDS))
            except RefusedError as exc:
                raise busy from exc
        # Where it would hold the folder, that nobody does is the proof, even of another host.
        if not (here and held) and not _ended(rest.holder):
            raise busy
        yield


def is_current(engine: QuiesceEngine, rest: Rest) -> bool:
    """Return whether the volume is there, and holds this record."""
    there = engine.volume(rest.volume)
    return there is not None and Rest.from_volume(there) == rest


def _ended(holder: Holder | None) -> bool:
    # What this process did before has come to its end, or to an error.
    return holder is not None and (holder == _holder.this_process() or _holder.lives(holder) is False)


def _create(engine: QuiesceEngine, rest: Rest) -> Volume:
    volume = engine.create_volume(rest.volume, LOCAL, {}, rest.as_labels())
    # What is there already stays as it is, and the answer is a success (20.10 to 28.5).
    if Rest.from_volume(volume) != rest:
        raise other_run(rest.volumes[0], Rest.from_volume(volume) or rest)
    return volume


def _can_hold(engine: QuiesceEngine, volume: Volume) -> bool:
    return engine.is_here and _folders.can_hold(volume.mountpoint)
