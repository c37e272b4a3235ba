# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring a storage plugin to what is wanted: observe, plan, apply, observe. Whatever fails, nothing half-done stays."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ansible_collections.voltainer.volumes.plugins.module_utils._errors import (
    AlreadyThereError,
    EngineError,
    EngineUnreachableError,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._plan import Outcome, Plan
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin import Installed, Plugin, masked_inspect
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_apply import apply_plugin
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_change import Change
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_engine import PluginEngine
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_known import names_known, seconds_to_list
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_note import (
    Behind,
    Note,
    read_behind,
    read_notes,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_plan import (
    PluginFound,
    asks_registry,
    check_identity,
    enabled_after,
    is_upgrade,
    plan_plugin,
    restarts_for,
    stops,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_wanted import PluginWanted, installed_as
from ansible_collections.voltainer.volumes.plugins.module_utils._privileges import from_config, from_engine
from ansible_collections.voltainer.volumes.plugins.module_utils._reference import parse_reference
from ansible_collections.voltainer.volumes.plugins.module_utils._secrets import mask
from ansible_collections.voltainer.volumes.plugins.module_utils._settings import current_settings
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import LOCAL, PLUGIN_CHANGE

if TYPE_CHECKING:
    from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_config import FileFound


@dataclass(frozen=True)
class _Look:
    """What was seen, and what follows from it."""

    wanted: PluginWanted
    found: PluginFound
    plan: Plan


def converge_plugin(engine: PluginEngine, wanted: PluginWanted, check_mode: bool) -> Outcome:
    """Bring one plugin to what is wanted, or in check mode only tell what would be done."""
    if check_mode:
        return _outcome_of(_look(engine, wanted))
    with engine.changing(wanted.alias):
        return _change(engine, wanted)


def _look(engine: PluginEngine, wanted: PluginWanted) -> _Look:
    plugin = engine.plugin(wanted.alias)
    wanted = installed_as(wanted, plugin)
    found = observe_plugin(engine, wanted, plugin)
    return _Look(wanted, found, plan_plugin(wanted, found))


def _outcome_of(look: _Look) -> Outcome:
    values = _values(look.wanted, look.found.plugin, look.found, look.found.installed, ())
    return Outcome(look.plan, {**values, "canary": None, **_file_values(look)})


def _file_values(look: _Look) -> dict[str, Any]:
    found, plan = look.found, look.plan
    runs = found.plugin is not None and found.plugin.enabled
    waits = runs and "disable" not in plan.verbs and look.wanted.on_change == "defer"
    return {
        "config_files": [
            {"path": file.path, "changed": file.changes, "keys": file.keys, "backup_file": _kept(file)}
            for file in found.files
        ],
        "restart": runs and "disable" in plan.verbs,
        "deferred": list(restarts_for(look.wanted, found)) if waits else [],
    }


def _kept(file: FileFound) -> str | None:
    return (file.backup or None) if file.now.content != file.after.content else None


def _change(engine: PluginEngine, wanted: PluginWanted) -> Outcome:
    look = _look(engine, wanted)
    if not look.plan.steps:
        return _outcome_of(look)
    change = Change(engine, look.wanted, look.found)
    try:
        apply_plugin(change, look.plan)
    except AlreadyThereError:
        # The engine goes on with the pull of a task that was killed (20.10 to 28.5): what it made is there now.
        if look.found.plugin is not None or engine.plugin(wanted.alias) is None:
            raise
        return _change(engine, wanted)
    plugin = engine.plugin(wanted.alias)
    # The engine's files have the digest of a plugin that was changed at once.
    installed = engine.installed(plugin) if plugin else Installed()
    installed = replace(installed, digest=installed.digest or change.digest)
    told = replace(look.plan, warnings=(*look.plan.warnings, *change.warnings))
    values = {**_values(look.wanted, plugin, look.found, installed, change.log), "canary": change.canary}
    return Outcome(told, {**values, **_file_values(look)})


def observe_plugin(engine: PluginEngine, wanted: PluginWanted, plugin: Plugin | None) -> PluginFound:
    """Look what there is to know beside the plugin, and only where the plan needs it, at the registry or at users."""
    # Asked of the local driver only: a look by name at a volume that is not there asks all drivers, and one may hang.
    notes = engine.volumes(LOCAL, label=PLUGIN_CHANGE).volumes
    note = next((one for one in read_notes(notes) if _is_about(one, wanted, plugin)), None)
    behind = read_behind(notes, plugin.name if plugin else wanted.alias)
    if plugin is None:
        found = PluginFound(None, note, files=_files(wanted, note.backups if note else {}), behind=behind)
        if wanted.state == "absent" or wanted.remote is None:
            return found
        return replace(found, offered=engine.privileges(wanted.remote, wanted.login))
    # What the plan refuses anyhow needs no more looks, at a registry in particular.
    check_identity(wanted, plugin)
    _check_state_files(wanted)
    of_it = tuple(one for one in behind if one.plugin_id == plugin.id)
    backups = _backups(note, of_it)
    reads_old = plugin.enabled and bool(of_it) and not _read_since(engine, plugin, of_it)
    found = PluginFound(
        plugin,
        note,
        engine.installed(plugin),
        files=_files(wanted, backups if reads_old or note else {}),
        behind=behind,
        reads_old=reads_old,
    )
    if asks_registry(wanted, found) and wanted.remote is not None:
        found = replace(found, newest=engine.registry_digest(wanted.remote, wanted.login))
    if is_upgrade(wanted, found) and wanted.remote is not None:
        offered = engine.privileges(wanted.remote, wanted.login)
        found = replace(found, offered=offered, no_way_back=_no_way_back(engine, wanted, found))
    if not stops(wanted, found):
        return found
    if wanted.state == "absent" or enabled_after(wanted, found):
        found = _look_for_volumes(engine, wanted, plugin, found)
    return replace(found, uses=engine.users_of_driver(plugin.name))


def _look_for_volumes(engine: PluginEngine, wanted: PluginWanted, plugin: Plugin, found: PluginFound) -> PluginFound:
    if wanted.state != "absent" and not plugin.lists_volumes:
        return found
    try:
        if wanted.state == "absent":
            return replace(found, volumes=engine.volumes_of(plugin))
        return replace(found, volumes=names_known(engine.volumes_of(plugin, seconds=seconds_to_list(wanted))))
    except EngineUnreachableError:
        raise
    except EngineError as exc:
        return replace(found, not_listed=exc.why)


def _check_state_files(wanted: PluginWanted) -> None:
    """Raise VolumesError for one that could not be kept, before anything is changed."""
    if wanted.state_files:
        from ansible_collections.voltainer.volumes.plugins.module_utils import _plugin_state  # noqa: PLC0415 - as below

        _plugin_state.check(wanted.state_files)


def _files(wanted: PluginWanted, backups: Mapping[str, str]) -> tuple[FileFound, ...]:
    if not wanted.config_files:
        return ()
    # Not for every task: it brings the readers of all formats along.
    from ansible_collections.voltainer.volumes.plugins.module_utils import _plugin_config  # noqa: PLC0415

    if wanted.state == "absent":
        return tuple(_plugin_config.observe_removal(file) for file in wanted.config_files)
    _plugin_config.check_different(wanted.config_files)
    moment = time.time()
    return tuple(_plugin_config.observe(file, moment, backups) for file in wanted.config_files)


def _backups(note: Note | None, behind: Iterable[Behind]) -> dict[str, str]:
    """Return where what the config files were is kept, by path; the oldest is what the plugin last worked with."""
    kept = dict(note.backups) if note else {}
    for one in behind:
        kept = {**one.backups, **kept}
    return kept


def _read_since(engine: PluginEngine, plugin: Plugin, behind: tuple[Behind, ...]) -> bool:
    """Return whether the plugin was started after its config files were last changed, perhaps by the engine."""
    started = engine.listens_since(plugin)
    paths = {path for one in behind for path in one.backups}
    return started is not None and started > max([one.since for one in behind] + [_changed_at(path) for path in paths])


def _changed_at(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def _is_about(note: Note, wanted: PluginWanted, plugin: Plugin | None) -> bool:
    return note.is_about(plugin) if plugin else note.name == wanted.alias


def _no_way_back(engine: PluginEngine, wanted: PluginWanted, found: PluginFound) -> str:
    """Return why the content that is installed could not be pulled again, as far as that is known."""
    start = found.start
    if start is None or wanted.remote is None:
        return ""
    before = parse_reference(start.reference)
    if before.digest or before.recorded != wanted.remote.recorded or wanted.pull == "always":
        return ""
    if start.digest is None:
        return f"'{before}' has moved on in its registry, and nobody can tell which content was installed"
    if not engine.digests_work():
        return f"'{before}' has moved on in its registry, and this engine cannot pull by digest"
    return ""


def _values(
    wanted: PluginWanted, plugin: Plugin | None, found: PluginFound, installed: Installed, log: tuple[str, ...]
) -> dict[str, Any]:
    privileges = from_config(plugin.raw["Config"]) if plugin else from_engine(found.offered)
    settings = current_settings(plugin.raw) if plugin else {}
    return {
        "plugin": masked_inspect(plugin, wanted.secret_settings) if plugin else None,
        "reference": plugin.reference if plugin else (wanted.remote.recorded if wanted.remote else None),
        "digest": installed.digest if plugin else (wanted.remote.digest if wanted.remote else None),
        "privileges": [privilege.as_result() for privilege in privileges],
        "settings": mask(settings, wanted.secret_settings),
        "pull_log": list(log),
    }
