# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell about the storage plugins of an engine: one by its name, or all that match. Changes nothing."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.voltainer.volumes.plugins.module_utils._errors import EngineError, InvalidInputError
from ansible_collections.voltainer.volumes.plugins.module_utils._plan import Facts
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin import Plugin
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_engine import PluginEngine
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_facts import Driver, Health, Newest, facts
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_legacy import Legacy
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_note import read_notes
from ansible_collections.voltainer.volumes.plugins.module_utils._reference import (
    driver_key,
    parse_alias,
    parse_reference,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._registry import Login, parse_login
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import LOCAL, PLUGIN_CHANGE
from ansible_collections.voltainer.volumes.plugins.module_utils._volume_filter import condition, named

# Drivers that are asked at the same time.
_THREADS = 16
# So much must be left to ask a driver.
_TOO_SHORT = 0.05
_MANAGED, _LEGACY = "managed", "legacy"


@dataclass(frozen=True)
class PluginInfoWanted:
    """What is asked; the fields are the options of the module. `names` are patterns, None is no condition."""

    name: str | None
    names: tuple[str, ...]
    kind: str | None
    enabled: bool | None
    check_registry: bool
    secret_settings: tuple[str, ...]
    login: Login | None
    seconds: int

    def matches(self, driver: Driver) -> bool:
        """Return whether the plugin is asked for."""
        if self.name is not None:
            return driver_key(driver.name) == driver_key(self.name)
        return (
            (not self.names or any(named(one, self.names) for one in (driver.name, driver_key(driver.name))))
            and self.kind in {None, driver.kind}
            and self.enabled in {None, driver.enabled}
        )


def parse_plugin_info(params: Mapping[str, Any]) -> PluginInfoWanted:
    """Return what the options of the task ask for. Raises InvalidInputError."""
    filters = params["filters"] or {}
    if params["name"] is not None and filters:
        raise InvalidInputError(
            "The options 'name' and 'filters' exclude each other",
            f"the one plugin '{params['name']}' is asked for",
            "To filter by names, use 'filters.name'",
        )
    names = filters.get("name")
    return PluginInfoWanted(
        name=None if params["name"] is None else parse_alias(params["name"], "name"),
        names=() if names is None else condition("name", names),
        kind=filters.get("kind"),
        enabled=filters.get("enabled"),
        check_registry=params["check_registry"],
        secret_settings=tuple(params["secret_settings"]),
        login=parse_login(params["registry_username"], params["registry_password"]),
        seconds=params["timeout"],
    )


def look_at_plugins(engine: PluginEngine, wanted: PluginInfoWanted, _check_mode: bool) -> Facts:
    """Return what there is to know of the storage plugins. Changes nothing, in check mode or not."""
    ends = time.monotonic() + wanted.seconds
    files = {} if wanted.kind == _MANAGED else {one.name: one for one in engine.legacy_files()}
    drivers = [driver for driver in _drivers(engine, wanted, files) if wanted.matches(driver)]
    asked = _ask_all(engine, drivers, files, ends)
    warnings: list[str] = []
    if wanted.check_registry:
        _check_login(wanted, asked)
        asked = [_check_registry(engine, driver, wanted.login, warnings) for driver in asked]
    notes = {note.plugin_id: note for note in read_notes(engine.volumes(LOCAL, label=PLUGIN_CHANGE).volumes)}
    users = engine.users()
    shown = [
        facts(driver, users, notes.get(driver.plugin.id) if driver.plugin else None, wanted.secret_settings)
        for driver in asked
    ]
    values: dict[str, Any] = {"plugins": shown}
    if wanted.name is not None:
        values = {"exists": bool(shown), "plugin": shown[0]["plugin"] if shown else None, **values}
    return Facts(values, tuple(warnings))


def _drivers(engine: PluginEngine, wanted: PluginInfoWanted, files: Mapping[str, Legacy]) -> list[Driver]:
    if wanted.kind == _LEGACY:
        managed: list[Plugin] = []
    elif wanted.name is not None:
        one = engine.plugin(wanted.name)
        managed = [one] if one else []
    else:
        managed = list(engine.plugins())
    found = [Driver(plugin.name, plugin, installed=engine.installed(plugin)) for plugin in managed if plugin.is_storage]
    if wanted.kind != _MANAGED and not (wanted.name is not None and managed):
        # Those that the engine has met, and those that files on its host make known.
        met = set(engine.legacy_drivers()) - {LOCAL}
        found += [Driver(name, file=files[name].file if name in files else None) for name in {*met, *files}]
    return sorted(found, key=lambda driver: driver.name)


def _ask_all(engine: PluginEngine, drivers: list[Driver], files: Mapping[str, Legacy], ends: float) -> list[Driver]:
    if not drivers:
        return []
    # What the engine has met as a volume driver need not be asked what it is.
    met = {LOCAL} if all(driver.plugin for driver in drivers) else set(engine.legacy_drivers())
    others = {name: one for name, one in files.items() if name not in met}
    with ThreadPoolExecutor(min(len(drivers), _THREADS)) as threads:
        asked = [
            driver
            for driver in threads.map(
                lambda driver: _asked(engine, driver, None if driver.plugin else others.get(driver.name), ends),
                drivers,
            )
            if driver
        ]
    if all(driver.plugin for driver in asked):
        return asked
    # Of a legacy driver that does not answer, the engine lists nothing and warns of nothing, but it does not know it.
    met = set(engine.legacy_drivers())
    unknown = Health(False, "the engine cannot reach it as a volume driver")
    return [driver if driver.plugin or driver.name in met else replace(driver, health=unknown) for driver in asked]


def _asked(engine: PluginEngine, driver: Driver, unknown: Legacy | None, ends: float) -> Driver | None:
    # A plugin that says itself that it is something else is none of ours; one that says nothing may be dead.
    if unknown and unknown.is_volume_driver(_left(ends)) is False:
        return None
    return replace(driver, health=_health(engine, driver, ends))


def _left(ends: float) -> float:
    return max(ends - time.monotonic(), _TOO_SHORT)


def _health(engine: PluginEngine, driver: Driver, ends: float) -> Health:
    """Ask the driver for its volumes."""
    if not driver.enabled:
        return Health(False, "it is disabled")
    if driver.plugin and not driver.plugin.lists_volumes:
        # A CSI driver is asked by the swarm only.
        return Health(None)
    try:
        listing = engine.volumes(driver.name, seconds=_left(ends))
    except EngineError as exc:
        return Health(False, exc.why)
    volumes = tuple(one.name for one in listing.volumes if driver_key(one.driver) == driver_key(driver.name))
    return Health(not listing.warnings, "; ".join(listing.warnings), volumes)


def _check_login(wanted: PluginInfoWanted, drivers: list[Driver]) -> None:
    """Raise InvalidInputError where the password would go to a registry that it is not for."""
    references = [parse_reference(one.plugin.reference) for one in drivers if one.plugin and one.plugin.reference]
    domains = sorted({one.domain for one in references if not one.digest})
    if wanted.login and len(domains) > 1:
        raise InvalidInputError(
            "The options 'registry_username' and 'registry_password' are for one registry",
            f"the plugins are from several: {', '.join(domains)}",
            "Choose those of one registry with 'name' or 'filters', or log in to each with 'docker login'",
        )


def _check_registry(engine: PluginEngine, driver: Driver, login: Login | None, warnings: list[str]) -> Driver:
    if not driver.plugin or not driver.plugin.reference:
        return driver
    reference = parse_reference(driver.plugin.reference)
    if reference.digest:
        # Pinned: what it refers to never changes.
        return replace(driver, newest=Newest(reference.digest, False))
    try:
        digest = engine.registry_digest(reference, login)
    except EngineError as exc:
        warnings.append(f"Cannot tell whether there is an upgrade of '{driver.name}'. {exc}")
        return driver
    installed = driver.installed.digest
    return replace(driver, newest=Newest(digest, None if installed is None else digest != installed))
