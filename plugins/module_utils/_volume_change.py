# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carry out a change of a volume, and bring one that was interrupted to an end.

From the first step to the last a staging volume says what is being done. So at each moment the engine and the folders
tell how far a change has come, and `settle` can end it: it undoes the change, or finishes it where the volume that was
there before is gone. All data is in one folder all the time, which moves as a whole; its inode tells where it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from types import ModuleType

from ansible_collections.voltainer.volumes.plugins.module_utils import _folders
from ansible_collections.voltainer.volumes.plugins.module_utils._engine import Engine
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import (
    EngineError,
    EngineUnreachableError,
    OtherDataError,
    RefusedError,
    VolumesError,
    sentence,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._plan import Step
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import (
    LOCAL,
    Change,
    Definition,
    Volume,
    change_of,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._volume_plan import in_use
from ansible_collections.voltainer.volumes.plugins.module_utils._volume_steps import (
    changed_meanwhile,
    create_volume,
    remove_volume,
)


def carry_out(engine: Engine, steps: Iterable[Step]) -> None:
    """Carry out the steps of a change of a volume. Where one fails, the volume is as before, or the error says how."""
    stage, *others = steps
    planned: Change = stage.arguments["change"]
    current = _there(engine, planned.source, planned)
    change = planned.with_inode(_inode(planned, current)) if planned.moves else planned
    staging = _stage(engine, change)
    with _exclusive(change, staging, engine_is_here=engine.is_here):
        if not _is_current(engine, change):
            raise _meanwhile(change)
        if not _there(engine, change.source, change).made_as(change.before):
            _unstage(engine, change)
            raise changed_meanwhile(change.source)
        if change.data == "copy":
            # Of a change whose staging volume somebody removed by hand.
            _volume_copy().unmark(engine, change)
        begun: list[str] = []
        try:
            for step in others:
                begun.append(step.verb)
                _carry_out_one(engine, step, change)
        except EngineUnreachableError:
            raise
        except VolumesError as exc:
            undone = _undone(engine, change, staging, whole=_is_whole(begun, exc))
            exc.way_out = " ".join(filter(None, [sentence(exc.way_out), undone]))
            raise


def settle(engine: Engine, change: Change) -> None:
    """Bring the interrupted change to an end. Raises RefusedError where that would harm somebody."""
    staging = engine.volume(change.staging)
    if staging is None:
        return
    check_settling(change, staging, engine_is_here=engine.is_here)
    with _exclusive(change, staging, engine_is_here=engine.is_here):
        # Another run may have done it before this one had the hold.
        if not _is_current(engine, change):
            return
        try:
            _settle(engine, change, staging, change.target)
        except EngineUnreachableError:
            raise
        except VolumesError as exc:
            # What it was to be may never work, for want of space, say: then it is as it was. Other data may be that
            # of somebody who has been at work with the new volume since, who must not find the old one.
            if change.data != "copy" or isinstance(exc, OtherDataError):
                raise
            _settle(engine, change, staging, change.before)


def _inode(change: Change, current: Volume) -> int:
    folder = current.mountpoint
    inode = _folders.inode(folder)
    if inode is None:
        raise RefusedError(
            f"Cannot begin the {change.words}",
            f"the folder {folder} with the data of '{change.source}' is not there",
            "Find out who removed it; if the data is lost, remove the volume and create it anew",
        )
    return inode


def _is_whole(begun: list[str], error: VolumesError) -> bool:
    """Whether the driver was not asked yet to remove the volume that was there before."""
    return "remove" not in begun or (begun[-1] == "remove" and isinstance(error, RefusedError))


def _stage(engine: Engine, change: Change) -> Volume:
    # The engine checks the options of the local driver here, before anything is gone. Of a copy they may be a quota or
    # a place elsewhere, where the data that moves cannot go: there, the mark is made with them.
    options = change.target.options if change.target.is_local and change.data != "copy" else {}
    try:
        staging = engine.create_volume(change.staging, LOCAL, options, change.labels)
    except EngineError as exc:
        raise EngineError(f"Cannot begin the {change.words}", exc.why, exc.way_out, status=exc.status) from exc
    if staging.labels != change.labels:
        raise _meanwhile(change)
    needs = change.data in {"move", "copy"}
    why = _folders.why_unreachable(staging.mountpoint, engine_is_here=engine.is_here) if needs else ""
    if why:
        # The socket is one of this host, and yet another host's engine answers there.
        remove_volume(engine, staging.name)
        raise RefusedError(f"Cannot begin the {change.words}", why, "Run the task on the host of the engine")
    return staging


def _is_current(engine: Engine, change: Change) -> bool:
    staging = engine.volume(change.staging)
    return staging is not None and change_of(staging) == change


def _meanwhile(change: Change) -> RefusedError:
    return RefusedError(
        f"Cannot begin the {change.words}",
        f"there is another volume '{change.staging}', or another change of the volume began at the same moment",
        "Run the task again; where no change of the volume is under way, rename or remove that volume",
    )


@contextmanager
def _exclusive(change: Change, staging: Volume, *, engine_is_here: bool) -> Iterator[None]:
    # Data moves only where its folder is here. Without data to move, an engine elsewhere cannot keep two runs apart.
    if change.data not in {"move", "copy"} and not (engine_is_here and _folders.can_hold(staging.mountpoint)):
        yield
        return
    with _folders.held(staging.mountpoint, change.words):
        yield


def _carry_out_one(engine: Engine, step: Step, change: Change) -> None:
    if step.verb == "unstage":
        _unstage(engine, change)
    elif step.verb == "create":
        create_volume(engine, step.arguments["name"], step.arguments["target"])
    elif step.verb == "move":
        _move(engine, change, step.arguments["source"], step.arguments["target"])
    elif step.verb == "copy":
        _copy(engine, change, step.arguments["source"])
    elif step.verb == "complete":
        _volume_copy().mark(engine, change)
    else:
        _remove(engine, change, step.arguments["name"])


def _move(engine: Engine, change: Change, source: str, target: str) -> None:
    _refuse_users(engine, change)
    _folders.move(_there(engine, source, change).mountpoint, _there(engine, target, change).mountpoint)
    # A container that was started in between has the folder under its old name.
    _refuse_users(engine, change)


def _copy(engine: Engine, change: Change, source: str) -> None:
    _refuse_users(engine, change)
    if source == change.staging:
        # Who starts with the new volume meanwhile finds all data in the end, or it would not be equal.
        _volume_copy().fill(engine, change)
        return
    _volume_copy().save(engine, change)
    _refuse_users(engine, change)


def _volume_copy() -> ModuleType:
    # Few changes need it, and it takes more time to load than all else of a task.
    from ansible_collections.voltainer.volumes.plugins.module_utils import _volume_copy as loaded  # noqa: PLC0415

    return loaded


def _remove(engine: Engine, change: Change, name: str) -> None:
    if change.moves and _folders.inode(_there(engine, name, change).mountpoint) is not None:
        raise RefusedError(
            f"Cannot remove the volume '{name}'",
            "its data was moved away, and it has a folder again",
            "Find out who uses it besides Docker",
        )
    new = engine.volume(change.name)
    if change.renames and (new is None or change.foreign(new)):
        raise RefusedError(
            f"Cannot remove the volume '{name}'",
            f"the new one, '{change.name}', vanished meanwhile",
            "Find out who did it",
        )
    remove_volume(engine, name)


def _refuse_users(engine: Engine, change: Change) -> None:
    action = "rename" if change.renames else "change"
    for name in dict.fromkeys([change.source, change.name]):
        users = engine.users(name)
        if users.containers:
            raise in_use(action, name, users)


def _there(engine: Engine, name: str, change: Change) -> Volume:
    volume = engine.volume(name)
    if volume is None:
        raise RefusedError(
            f"Cannot go on with the {change.words}",
            f"the volume '{name}' vanished meanwhile",
            "Find out who removed it",
        )
    return volume


def _unstage(engine: Engine, change: Change) -> None:
    """Remove what tells of the change; of a copy, the mark first: without it, the staging volume counts for nothing."""
    staging = engine.volume(change.staging)
    if staging is None:
        return
    if change.data == "move" and _folders.has_data(staging.mountpoint):
        raise _both(change)
    if change.data == "copy":
        _volume_copy().unmark(engine, change)
    remove_volume(engine, staging.name)


def check_settling(change: Change, *volumes: Volume | None, engine_is_here: bool) -> None:
    """Raise RefusedError where `settle` is sure to. `volumes` are those of the change that are to be looked into."""
    there = [volume for volume in volumes if volume]
    foreign = [volume for volume in there if volume.name == change.name and change.foreign(volume)]
    if change.renames and foreign and any(volume.name == change.source for volume in there):
        raise _both(change)
    if change.data == "copy" or (change.data != "move" and not foreign):
        return
    for volume in there:
        why = _folders.why_unreachable(volume.mountpoint, engine_is_here=engine_is_here)
        if why:
            raise RefusedError(
                f"Cannot bring the interrupted {change.words} to an end",
                f"its data is in one of two volumes, and of '{volume.name}' {why}",
                "Run the task as root ('become: true') on the host of the engine",
            )
    filled = [volume for volume in there if _folders.has_data(volume.mountpoint)]
    if (
        len(filled) > 1
        or (change.data != "move" and filled)
        or any(one.definition.owner_kind != "owned" for one in foreign)
    ):
        raise _both(change)


def _undone(engine: Engine, change: Change, staging: Volume, *, whole: bool) -> str:
    """Undo what was done of the change; return what became of the volume."""
    try:
        gone = engine.volume(change.source) is None
        _settle(engine, change, staging, change.before, whole=whole)
    except VolumesError as exc:
        return f"The change could not be undone yet: {exc} Run the task again after that"
    if engine.volume(change.source) is None and engine.volume(change.name) is None:
        return "The volume was removed by somebody else meanwhile, with its data"
    if change.data == "discard":
        without = ", without the data that was to be discarded" if gone else "; of its data, some may be discarded"
        return f"The volume is there as it was before{without}"
    return "No data is lost"


def _settle(engine: Engine, change: Change, staging: Volume, definition: Definition, *, whole: bool = False) -> None:
    """Undo or finish the change; a volume that is gone in the middle of it is made with `definition`.

    `whole` says that the volume which is there is known to be that of before, with all that its driver has of it.
    """
    if change.data == "copy":
        _settle_copy(engine, change, staging, definition, whole=whole)
        return
    if change.renames:
        _settle_rename(engine, change)
    else:
        _make_way(engine, change)
        # Where the data is not in the staging volume, it was still in the volume when somebody else removed that.
        saved = change.data != "move" or _holder(change, staging)
        if saved and engine.volume(change.name) is None:
            create_volume(engine, change.name, definition)
        if change.data == "move":
            _bring_home(engine, change, staging.name, change.name)
    _unstage(engine, change)


def _settle_copy(engine: Engine, change: Change, staging: Volume, definition: Definition, *, whole: bool) -> None:
    volume = engine.volume(change.name)
    complete = _volume_copy().is_marked(engine, change)
    moved = _holder_of_moved(change, staging)
    if volume is None and not complete and not moved:
        raise RefusedError(
            f"Cannot bring the interrupted {change.words} to an end",
            f"the volume '{change.name}' was removed by somebody else before its data was copied",
            f"What was copied of it is in '{change.staging}'. Where that is not needed, remove it, and run the task"
            " again",
        )
    if volume is not None and not complete and (not moved or volume.made_as(change.target)):
        # It was not removed yet, or is as it is to be.
        pass
    elif volume is not None and (whole or (change.moves and volume.made_as(change.before))):
        if change.moves:
            _bring_home(engine, change, staging.name, change.name)
    else:
        _bring_back(engine, change, volume, definition)
    _unstage(engine, change)


def _bring_back(engine: Engine, change: Change, volume: Volume | None, definition: Definition) -> None:
    """Have the data from the staging volume in the volume, which may be gone, or be another one."""
    if volume is not None and volume.made_as(change.before):
        # Its driver may have been about to remove it, or it was made anew already.
        definition = change.before
    elif volume is not None and not volume.made_as(definition):
        if volume.made_as(change.target) and _has_arrived(engine, change, volume):
            # Only the last step is missing, and it is easier to finish the change.
            return
        _make_way_for_copy(engine, change, volume)
        volume = None
    if volume is None:
        create_volume(engine, change.name, definition)
    _refill(engine, change, definition)


def _has_arrived(engine: Engine, change: Change, volume: Volume) -> bool:
    if change.target.movable:
        staging = _there(engine, change.staging, change)
        return _folders.inode(staging.mountpoint) is None and _folders.inode(volume.mountpoint) is not None
    # Where it cannot be mounted, nothing has arrived.
    with suppress(EngineError):
        return bool(_volume_copy().has_arrived(engine, change))
    return False


def _make_way_for_copy(engine: Engine, change: Change, volume: Volume) -> None:
    """Remove a volume, unless it has data that would go with it and is not what this change brought."""
    _refuse_mounted(engine, change.name)
    if volume.made_as(change.target) and volume.definition.owner_kind == "referenced":
        # Where it cannot be mounted, nothing was brought there.
        with suppress(EngineError):
            _volume_copy().clean(engine, change)
    elif not _volume_copy().clean(engine, change):
        raise _volume_copy().other_data(change)
    remove_volume(engine, change.name)


def _refill(engine: Engine, change: Change, definition: Definition) -> None:
    """Bring the data from the staging volume to the new one, where it is not there already."""
    staging, volume = _there(engine, change.staging, change), _there(engine, change.name, change)
    if not definition.movable:
        _refuse_mounted(engine, change.name)
        _volume_copy().fill(engine, change)
    elif _folders.has_data(staging.mountpoint) or not _folders.inode(volume.mountpoint):
        _refuse_mounted(engine, change.name)
        _move_or_keep(change, staging, volume)


def _holder_of_moved(change: Change, staging: Volume) -> bool:
    return change.moves and _folders.inode(staging.mountpoint) == change.inode


def _make_way(engine: Engine, change: Change) -> None:
    """Remove an empty volume that was made while there was none of that name, as the engine makes it for containers."""
    volume = engine.volume(change.name)
    if volume is None or not change.foreign(volume):
        return
    check_settling(change, volume, engine_is_here=engine.is_here)
    remove_volume(engine, change.name)


def _settle_rename(engine: Engine, change: Change) -> None:
    source, volume = engine.volume(change.source), engine.volume(change.name)
    if source is None and volume is None:
        create_volume(engine, change.name, change.target)
    if source is None or volume is None:
        return
    moved = change.data == "move" and _holder(change, source, volume) is volume
    if engine.users(change.name).containers:
        # Somebody works with the new volume already.
        if change.data == "move" and not moved:
            _refuse_mounted(engine, change.name)
            _move_or_keep(change, source, volume)
        _remove(engine, change, change.source)
        return
    if moved:
        _bring_home(engine, change, change.name, change.source)
    if change.foreign(volume) or (change.data == "move" and _folders.has_data(volume.mountpoint)):
        raise _both(change)
    remove_volume(engine, change.name)


def _bring_home(engine: Engine, change: Change, from_name: str, to_name: str) -> None:
    away, home = engine.volume(from_name), engine.volume(to_name)
    if away is None or home is None or _holder(change, away, home) is not away:
        return
    _refuse_mounted(engine, to_name)
    _move_or_keep(change, away, home)


def _refuse_mounted(engine: Engine, name: str) -> None:
    # A container that does not run has the name of the volume, and not its folder.
    users = engine.users(name)
    if any(use.mounted for use in users.containers):
        raise in_use("bring back the data of", name, users)


def _move_or_keep(change: Change, away: Volume, home: Volume) -> None:
    try:
        _folders.move(away.mountpoint, home.mountpoint)
    except VolumesError as exc:
        if _folders.has_data(away.mountpoint) and _folders.has_data(home.mountpoint):
            raise _both(change) from exc
        raise


def _holder(change: Change, *volumes: Volume) -> Volume | None:
    """Return which volume has the folder with the data."""
    found = [volume for volume in volumes if change.inode and _folders.inode(volume.mountpoint) == change.inode]
    # In a data root that was copied meanwhile, each folder has another number.
    return next(iter(found or [volume for volume in volumes if _folders.has_data(volume.mountpoint)]), None)


def _both(change: Change) -> RefusedError:
    names = dict.fromkeys([change.source, change.name, *([] if change.renames else [change.staging])])
    return RefusedError(
        f"Cannot bring the interrupted {change.words} to an end",
        f"there is data in each of {' and '.join(repr(name) for name in names)}, or one of them is not as the change"
        " made it",
        "All of it is kept. Look into them, move away what is not needed, and run the task again",
    )
