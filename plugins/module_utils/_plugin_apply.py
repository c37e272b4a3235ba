# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carry out the plan for a storage plugin, and where that fails, bring back what was before."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING

from ansible_collections.voltainer.volumes.plugins.module_utils._errors import (
    AlreadyThereError,
    EngineError,
    EngineUnreachableError,
    RefusedError,
    UnansweredError,
    VolumesError,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._plan import Plan, Step
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin import Plugin
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_back import remove_trial, undoing, unnote
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_change import (
    Change,
    host_files,
    start_of,
    there,
    who_mounts,
    with_last_words,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_engine import PluginEngine
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_known import (
    forget_state,
    know,
    remember,
    state_files,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_note import Behind, Note, read_notes
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_plan import (
    approved_by,
    in_use,
    kept_settings,
    not_storage,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._privileges import from_config, not_approved, unapproved
from ansible_collections.voltainer.volumes.plugins.module_utils._reference import parse_reference
from ansible_collections.voltainer.volumes.plugins.module_utils._registry import Pulled
from ansible_collections.voltainer.volumes.plugins.module_utils._settings import (
    SettingsWanted,
    catalog,
    changed_settings,
    check_settings,
    current_settings,
    dropped_settings,
    not_brought_along,
    sources_of,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import LOCAL

if TYPE_CHECKING:
    from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_config import FileFound

# How long between two looks whether a driver answers.
_PAUSE_SECONDS = 0.5


def apply_plugin(change: Change, plan: Plan) -> None:
    """Carry the plan out. Raises VolumesError, with the plugin as it was before wherever that can be."""
    undone = [step for step in plan.steps if step.verb != "forget"]
    if undone:
        _apply_undoing(change, undone)
    _forget_old_backups(change, plan)
    # Only once the plugin is gone, which nobody can take back.
    for step in plan.steps:
        if step.verb == "forget":
            _apply(change, step)
    forget_state(change)


def _forget_old_backups(change: Change, plan: Plan) -> None:
    # Not before all is done: until then the oldest may be needed for the way back, and the clock may have gone back.
    for step in plan.steps:
        if step.verb == "write" and step.arguments["file"].backup:
            try:
                host_files().forget_old_backups(step.arguments["file"].path, step.arguments["file"].backup)
            except VolumesError as exc:
                change.warnings += (str(exc),)


def _apply_undoing(change: Change, steps: list[Step]) -> None:
    if steps[0].verb == "pull":
        # Not yet within the undoing: where the pull fails, a plugin of that name is somebody else's.
        _apply(change, steps.pop(0))
    with undoing(change):
        for step in steps:
            _apply(change, step)


def _apply(change: Change, step: Step) -> None:
    _STEPS[step.verb](change, step)


def _pull(change: Change, _step: Step) -> None:
    engine, wanted = change.engine, change.wanted
    change.pulled(engine.pull_plugin(change.remote, change.name, change.found.offered, wanted.login))
    plugin = there(change, "install")
    with undoing(change):
        _check_pulled(change, plugin, f"Cannot install the plugin '{change.remote}'")


def _check_pulled(change: Change, plugin: Plugin, what: str) -> None:
    """Raise VolumesError where what came from the registry is not what was approved, or cannot be set as wanted."""
    if not plugin.is_storage:
        raise not_storage(what, plugin)
    # Engines before 29.4 do not compare one of the privileges with what was sent (read in their source).
    asked, approved = from_config(plugin.raw["Config"]), approved_by(change.wanted, change.found)
    if unapproved(asked, approved):
        raise not_approved(what, asked, approved, pulled=True)
    check_settings(change.name, change.wanted.settings or {}, catalog(plugin.raw))


def _note(change: Change, _step: Step) -> None:
    note = start_of(change)
    change.noted = True
    made = change.engine.create_volume(note.volume, LOCAL, {}, note.labels())
    if read_notes([made]) != (note,):
        # What exists stays as it is, and the engine's answer is a success.
        change.noted = False
        raise RefusedError(
            f"Cannot note in the engine what the plugin '{change.name}' is before the change",
            f"there is already a volume '{note.volume}', which is no note",
            "See what it is for, and remove it",
        )


def _behind(change: Change, _step: Step) -> None:
    found = change.found
    changed = {file.path: file.backup for file in found.files if file.path in found.backups and file.matters}
    behind = Behind(start_of(change).plugin_id, change.name, time.time_ns(), changed)
    change.engine.create_volume(behind.volume, LOCAL, {}, behind.labels())
    change.behind = behind.volume


def _write(change: Change, step: Step) -> None:
    file = _seen_again(change, step.arguments["file"])
    keeps = file.backup and file.before.content is not None and file.now.content != file.after.content
    # What a task kept that was killed is older than this change, and stays.
    if keeps and not host_files().look(file.backup).exists:
        change.kept += (file.backup,)
        host_files().keep(file.path, file.backup, file.before.content)
    host_files().write(file.path, file.after, file.wanted.directory_mode)


def _seen_again(change: Change, file: FileFound) -> FileFound:
    """Look once more at a file that the plugin writes to, too: only now is it stopped."""
    if file.wanted.strategy != "merge":
        return file
    from ansible_collections.voltainer.volumes.plugins.module_utils import _plugin_config  # noqa: PLC0415 - as below

    seen = _plugin_config.seen_again(file)
    files = tuple(seen if one.path == file.path else one for one in change.found.files)
    change.found = replace(change.found, files=files)
    return seen


def _forget(_change: Change, step: Step) -> None:
    file: FileFound = step.arguments["file"]
    host_files().remove(file.path)


def _canary(change: Change, _step: Step) -> None:
    # Loaded only where there is a canary.
    from ansible_collections.voltainer.volumes.plugins.module_utils import _plugin_canary  # noqa: PLC0415

    plugin = there(change, "test")
    if not plugin.lists_volumes or change.wanted.canary is None:
        change.warnings += (f"The plugin '{change.name}' is no volume driver but a CSI driver, and was not tested",)
        return
    with with_last_words(change, plugin):
        change.canary = _plugin_canary.fly(change.engine, change.name, change.wanted.canary)


def _try(change: Change, _step: Step) -> None:
    """Pull the new version under another name, so that nearly all that can fail does so while the plugin still runs."""
    engine, note, old = change.engine, start_of(change), change.found.plugin
    remove_trial(change, note)
    change.pulled(_pull_trial(change, note))
    trial = engine.plugin(note.trial)
    if trial is None or old is None:
        raise EngineError(f"Cannot try the plugin '{change.remote}'", "it is gone: somebody else removed it")
    _check_pulled(change, trial, f"Cannot upgrade the plugin '{change.name}' to '{change.remote}'")
    change.sources = sources_of(trial.raw)
    _warn_of_loss(change, old, trial)
    # On a failure it goes with the note.
    remove_trial(change, note)


def _pull_trial(change: Change, note: Note, tries: int = 3) -> Pulled:
    try:
        return change.engine.pull_plugin(change.remote, note.trial, change.found.offered, change.wanted.login)
    except AlreadyThereError:
        # The engine goes on with the pull of a task that was killed (20.10 to 28.5).
        if tries == 1:
            raise
        remove_trial(change, note)
        return _pull_trial(change, note, tries - 1)


def _warn_of_loss(change: Change, old: Plugin, trial: Plugin) -> None:
    lost = [
        *not_brought_along(old.raw, trial.raw, change.wanted.secret_settings),
        *(f"{key} is no setting of it any more" for key in dropped_settings(old.raw, trial.raw)),
    ]
    if lost:
        change.warnings += (f"The upgrade of '{change.name}' cannot bring all of the new version: {'; '.join(lost)}",)


def _disable(change: Change, _step: Step) -> None:
    if change.noted or change.found.note:
        remember(change)
    _stop(change)
    change.stopped = True


def _stop(change: Change) -> None:
    engine, wanted = change.engine, change.wanted
    try:
        engine.disable_plugin(change.name)
    except EngineError as exc:
        if exc.status != HTTPStatus.CONFLICT:
            raise
        now = engine.plugin(change.name)
        if now is not None and not now.enabled:
            return
        # The engine counts volumes that no container uses, too. The plan made sure that nothing has one mounted; a
        # container that came in between would lose its mount, so look again right before.
        mounted = who_mounts(change)
        if mounted and not wanted.force:
            raise in_use(f"Cannot disable the plugin '{change.name}'", mounted) from exc
        engine.disable_plugin(change.name, force=True)


def _upgrade(change: Change, _step: Step) -> None:
    engine, wanted = change.engine, change.wanted
    try:
        change.pulled(engine.upgrade_plugin(change.name, change.remote, change.found.offered, wanted.login))
    except (EngineUnreachableError, UnansweredError):
        change.uncertain = True
        raise
    change.upgraded = True
    plugin, start = there(change, "upgrade"), start_of(change)
    _check_pulled(change, plugin, f"Cannot upgrade the plugin '{change.name}' to '{change.remote}'")
    if plugin.id != start.plugin_id or parse_reference(plugin.reference).recorded != change.remote.recorded:
        raise EngineError(
            f"Cannot upgrade the plugin '{change.name}' to '{change.remote}'",
            f"the engine said yes, and then has '{plugin.reference}'",
            "Look for somebody else who changes plugins on this host",
        )


def _set(change: Change, _step: Step) -> None:
    # Which settings a plugin has is known only once it is pulled, so those of a fresh one are looked at here.
    wanted, found, plugin = change.wanted, change.found, there(change, "set")
    sources = found.installed.sources
    if found.plugin is None:
        # Fresh from the registry, they are what it says.
        sources = sources_of(plugin.raw)
    elif change.upgraded:
        sources = change.sources
    kept = kept_settings(found, plugin, upgraded=change.upgraded)
    wanted_settings = SettingsWanted(wanted.settings or {}, kept, wanted.settings_exact)
    settings = changed_settings(change.name, wanted_settings, plugin.raw, sources)
    if settings:
        change.engine.set_plugin(change.name, settings)
        _verify(change, settings)


def _verify(change: Change, settings: dict[str, str]) -> None:
    plugin = there(change, "set")
    now = current_settings(plugin.raw)
    differ = [key for key, value in settings.items() if now.get(key) != value]
    devices = [key for key in differ if catalog(plugin.raw)[key].kind == "device"]
    if devices:
        # The engine then changes only what a fresh install would run with (20.10 to 28.5).
        raise EngineError(
            f"Cannot set {', '.join(devices)} of the plugin '{change.name}'",
            "the engine changes a device only before its first restart and the first upgrade of the plugin after the"
            " install",
            "Remove the plugin, which needs its volumes to be removed first, and install it with this setting",
        )
    if differ:
        raise EngineError(
            f"Cannot set the plugin '{change.name}'",
            f"the engine said yes, and then has other values of {', '.join(differ)}",
            "Look for somebody else who changes plugins on this host",
        )


def _enable(change: Change, _step: Step) -> None:
    engine, wanted = change.engine, change.wanted
    plugin = there(change, "enable")
    change.stopped = True
    if wanted.state_files and change.found.plugin and not (change.noted or change.found.note):
        # One that was disabled may forget its volumes, too.
        state_files().keep(wanted.state_files)
        change.kept_state = True
    with with_last_words(change, plugin):
        engine.enable_plugin(change.name, wanted.enable_timeout)
        # A CSI driver only answers the swarm.
        if wanted.wait_ready and plugin.lists_volumes:
            _wait_ready(engine, change.name, wanted.wait_ready)
    change.came_up = True


def _wait_ready(engine: PluginEngine, name: str, seconds: int) -> None:
    ends = time.monotonic() + seconds
    why = "there was no time"
    while (left := ends - time.monotonic()) > 0:
        try:
            warnings = engine.volumes(name, seconds=left).warnings
        except EngineUnreachableError:
            raise
        except EngineError as exc:
            warnings = (exc.why,)
        if not warnings:
            return
        why = warnings[0]
        time.sleep(min(_PAUSE_SECONDS, max(ends - time.monotonic(), 0)))
    raise EngineError(
        f"Cannot use the plugin '{name}'",
        f"it was enabled, and then did not list its volumes within {seconds} s: {why}",
        "Look whether the storage behind it answers, and check its config file and settings",
    )


def _remove(change: Change, _step: Step) -> None:
    change.engine.remove_plugin(change.name, force=change.wanted.force and change.wanted.confirmed is not None)


_STEPS: dict[str, Callable[[Change, Step], None]] = {
    "pull": _pull,
    "note": _note,
    "try": _try,
    "disable": _disable,
    "upgrade": _upgrade,
    "set": _set,
    "enable": _enable,
    "remove": _remove,
    "unnote": unnote,
    "behind": _behind,
    "write": _write,
    "forget": _forget,
    "know": know,
    "canary": _canary,
}
