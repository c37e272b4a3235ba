# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What there is to tell of a storage plugin beyond the engine's inspect. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ansible_collections.voltainer.volumes.plugins.module_utils._plugin import Installed, Plugin, masked_inspect
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_note import Note
from ansible_collections.voltainer.volumes.plugins.module_utils._privileges import from_config
from ansible_collections.voltainer.volumes.plugins.module_utils._reference import driver_key
from ansible_collections.voltainer.volumes.plugins.module_utils._secrets import mask
from ansible_collections.voltainer.volumes.plugins.module_utils._settings import catalog, current_settings
from ansible_collections.voltainer.volumes.plugins.module_utils._usage import Users

Kind = Literal["managed", "legacy"]


@dataclass(frozen=True)
class Health:
    """Whether a driver answers: None where that cannot be asked. `why` is empty where it does."""

    healthy: bool | None
    why: str = ""
    volumes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Newest:
    """What the registry has under the plugin's reference, where it was asked."""

    digest: str | None = None
    upgrade: bool | None = None


@dataclass(frozen=True)
class Driver:
    """A storage plugin of the engine: a managed one, or a legacy one, which only has a name and a file."""

    name: str
    plugin: Plugin | None = None
    file: str | None = None
    health: Health = field(default_factory=lambda: Health(None))
    installed: Installed = field(default_factory=Installed)
    newest: Newest = field(default_factory=Newest)

    @property
    def kind(self) -> Kind:
        """Whether the engine manages it."""
        return "managed" if self.plugin else "legacy"

    @property
    def enabled(self) -> bool:
        """Whether it can be asked: a legacy plugin cannot be disabled."""
        return self.plugin is None or self.plugin.enabled


def facts(driver: Driver, users: Users, note: Note | None, secret_settings: Iterable[str]) -> dict[str, Any]:
    """Return the plugin as a result key shows it."""
    plugin = driver.plugin
    raw = plugin.raw if plugin else None
    return {
        "name": driver.name,
        "driver_name": driver_key(driver.name),
        "kind": driver.kind,
        "enabled": driver.enabled,
        "healthy": driver.health.healthy,
        "unhealthy_reason": driver.health.why or None,
        "reference": plugin.reference if plugin else None,
        "digest": driver.installed.digest,
        "registry_digest": driver.newest.digest,
        "upgrade_available": driver.newest.upgrade,
        "privileges": [one.as_result() for one in from_config(raw["Config"])] if raw else [],
        "settings": mask(current_settings(raw), secret_settings) if raw else {},
        "defaults": _defaults(raw, driver.installed) if raw else {},
        "settings_changed": _changed(raw, driver.installed) if raw else [],
        "volumes": _volumes(driver, users),
        "unfinished": _unfinished(note) if note else None,
        "file": driver.file,
        "plugin": masked_inspect(plugin, secret_settings) if plugin else None,
    }


def _defaults(raw: Mapping[str, Any], installed: Installed) -> dict[str, str | None]:
    return {one.key: one.default for one in catalog(raw, installed.sources).values()}


def _changed(raw: Mapping[str, Any], installed: Installed) -> list[str]:
    settings = {one.key: one for one in catalog(raw, installed.sources).values()}
    known = (one for one in settings.values() if one.default is not None or one.kind == "env")
    return sorted(one.key for one in known if one.current != one.default)


def _volumes(driver: Driver, users: Users) -> list[dict[str, Any]]:
    # Volumes of a driver that does not list them are known where somebody uses them.
    used = {use.volume for use in users.containers if driver_key(use.driver) == driver_key(driver.name)}
    return [{"name": name, "users": users.of(name).as_result()} for name in sorted({*driver.health.volumes, *used})]


def _unfinished(note: Note) -> str:
    return (
        "a change of it was ended midway, or goes on at this moment; the next task of docker_volume_plugin_x for it"
        f" finishes it. Before, it was {'enabled' if note.enabled else 'disabled'}, of '{note.reference}'"
    )
