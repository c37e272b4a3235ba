# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring a storage plugin to what is wanted: observe, plan, apply, observe. Whatever fails, nothing half-done stays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from ansible_collections.voltainer.volumes.plugins.module_utils._errors import EngineError, VolumesError
from ansible_collections.voltainer.volumes.plugins.module_utils._plan import Outcome, Plan, Step
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin import (
    Plugin,
    PluginFound,
    PluginWanted,
    masked_inspect,
    plan_plugin,
    stops,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_engine import PluginEngine
from ansible_collections.voltainer.volumes.plugins.module_utils._privileges import from_config, from_engine
from ansible_collections.voltainer.volumes.plugins.module_utils._secrets import mask
from ansible_collections.voltainer.volumes.plugins.module_utils._settings import (
    NO_EMPTY_ARGS,
    changed_settings,
    current_settings,
    empties_args,
)


def converge_plugin(engine: PluginEngine, wanted: PluginWanted, check_mode: bool) -> Outcome:
    """Bring one plugin to what is wanted, or in check mode only tell what would be done."""
    found = observe_plugin(engine, wanted)
    plan = plan_plugin(wanted, found)
    plugin = found.plugin
    if plan.steps and not check_mode:
        plugin = apply_plugin(engine, wanted, found, plan)
    return Outcome(plan, _values(wanted, plugin, found))


def observe_plugin(engine: PluginEngine, wanted: PluginWanted) -> PluginFound:
    """Look at the plugin by its name, and only where the plan needs it, at the registry or at who uses it."""
    plugin = engine.plugin(wanted.alias)
    if plugin is None:
        if wanted.state == "absent" or wanted.remote is None:
            return PluginFound(None)
        return PluginFound(None, offered=engine.privileges(wanted.remote))
    if not stops(wanted, plugin):
        return PluginFound(plugin)
    volumes = engine.volumes_of(plugin) if wanted.state == "absent" else ()
    return PluginFound(plugin, uses=engine.users_of_driver(plugin.name), volumes=volumes)


def apply_plugin(engine: PluginEngine, wanted: PluginWanted, found: PluginFound, plan: Plan) -> Plugin | None:
    """Carry the plan out; return the plugin as it then is."""
    steps = plan.steps
    if steps[0].verb == "pull" and wanted.remote is not None:
        # Not yet within the undoing: where the pull fails, a plugin of that name is somebody else's.
        engine.pull_plugin(wanted.remote, wanted.alias, steps[0].arguments["offered"])
        steps = steps[1:]
    with _undoing(engine, wanted, found.plugin):
        for step in steps:
            _apply_step(engine, wanted, step)
    return engine.plugin(wanted.alias)


def _apply_step(engine: PluginEngine, wanted: PluginWanted, step: Step) -> None:
    if step.verb == "set":
        _set(engine, wanted, step)
    elif step.verb == "enable":
        engine.enable_plugin(wanted.alias, wanted.enable_timeout)
    elif step.verb == "disable":
        _disable(engine, wanted)
    elif step.verb == "remove":
        engine.remove_plugin(wanted.alias)


def _set(engine: PluginEngine, wanted: PluginWanted, step: Step) -> None:
    # Which settings a plugin has is known only once it is pulled, so a fresh one is checked here, before any is set.
    plugin = _there(engine, wanted)
    changes = changed_settings(wanted.alias, step.arguments["settings"], plugin.raw)
    if changes:
        engine.set_plugin(wanted.alias, changes)


def _disable(engine: PluginEngine, wanted: PluginWanted) -> None:
    try:
        engine.disable_plugin(wanted.alias)
    except EngineError as exc:
        if exc.status != HTTPStatus.CONFLICT:
            raise
        # The engine counts volumes that no container uses, too. The plan made sure that nothing has one mounted; a
        # container that came in between would lose its mount, so look again right before.
        mounted = [use for use in engine.users_of_driver(wanted.alias) if use.mounted]
        if mounted:
            raise
        engine.disable_plugin(wanted.alias, force=True)


@contextmanager
def _undoing(engine: PluginEngine, wanted: PluginWanted, before: Plugin | None) -> Iterator[None]:
    """Where the block fails, bring the plugin back to `before` (None: not installed), and say so in the error."""
    try:
        yield
    except Exception as exc:
        second = _restore_error(engine, wanted, before)
        if not isinstance(exc, VolumesError):
            raise
        if second is not None:
            why = f"{exc.why}. Bringing back what was before failed, too: {second}"
            raise VolumesError(exc.what, why, exc.way_out, **exc.details) from exc
        told = "The plugin was removed again" if before is None else "The plugin is again as it was before"
        raise VolumesError(exc.what, exc.why, f"{told}. {exc.way_out}".strip(), **exc.details) from exc


def _restore_error(engine: PluginEngine, wanted: PluginWanted, before: Plugin | None) -> VolumesError | None:
    try:
        _restore(engine, wanted, before)
    except VolumesError as exc:
        return exc
    return None


def _restore(engine: PluginEngine, wanted: PluginWanted, before: Plugin | None) -> None:
    now = engine.plugin(wanted.alias)
    if now is None:
        return
    if before is None:
        if now.enabled:
            engine.disable_plugin(wanted.alias)
        engine.remove_plugin(wanted.alias)
        return
    old, new = current_settings(before.raw), current_settings(now.raw)
    changed = {key: value for key, value in old.items() if new.get(key) != value}
    if changed and now.enabled:
        engine.disable_plugin(wanted.alias, force=True)
    if changed:
        engine.set_plugin(wanted.alias, changed)
    if before.enabled and (changed or not now.enabled):
        _enable_again(engine, wanted, emptied=empties_args(changed, before.raw))


def _enable_again(engine: PluginEngine, wanted: PluginWanted, *, emptied: bool) -> None:
    try:
        engine.enable_plugin(wanted.alias, wanted.enable_timeout)
    except EngineError as exc:
        if not emptied:
            raise
        why = f"{exc.why} ({NO_EMPTY_ARGS})"
        way_out = "Set arguments that the plugin takes, or remove and install it"
        raise EngineError(exc.what, why, way_out, status=exc.status) from exc


def _there(engine: PluginEngine, wanted: PluginWanted) -> Plugin:
    plugin = engine.plugin(wanted.alias)
    if plugin is None:
        raise EngineError(f"Cannot set the plugin '{wanted.alias}'", "it is gone: somebody else removed it")
    return plugin


def _values(wanted: PluginWanted, plugin: Plugin | None, found: PluginFound) -> dict[str, Any]:
    privileges = from_config(plugin.raw["Config"]) if plugin else from_engine(found.offered)
    settings = current_settings(plugin.raw) if plugin else {}
    return {
        "plugin": masked_inspect(plugin, wanted.secret_settings) if plugin else None,
        "reference": plugin.reference if plugin else (wanted.remote.recorded if wanted.remote else None),
        "privileges": [privilege.as_result() for privilege in privileges],
        "settings": mask(settings, wanted.secret_settings),
    }
