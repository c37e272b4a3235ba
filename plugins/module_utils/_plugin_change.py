# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One change of a storage plugin while it is carried out, and what all who do so need of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ansible_collections.voltainer.volumes.plugins.module_utils._errors import EngineError, RefusedError, VolumesError
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin import Plugin
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_engine import PluginEngine
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_note import Note
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_plan import PluginFound
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_wanted import PluginWanted
from ansible_collections.voltainer.volumes.plugins.module_utils._reference import Reference
from ansible_collections.voltainer.volumes.plugins.module_utils._registry import Pulled
from ansible_collections.voltainer.volumes.plugins.module_utils._secrets import hide, leaves, secret_values
from ansible_collections.voltainer.volumes.plugins.module_utils._settings import current_settings
from ansible_collections.voltainer.volumes.plugins.module_utils._usage import Use


@dataclass
class Change:
    """One change of one plugin, and what came of it so far: what the registry told, and what the reader must know.

    `sources` are the defaults of the mounts and devices of the version that was tried. `uncertain` says that nobody
    knows whether the engine goes on with the upgrade. `stopped` says that the plugin did not run for a while, so that
    it may have read new config files, `kept` are the backups that were made, `canary` is what came of the test,
    `behind` the note that it runs on with old files. `known` are the volumes that it knew right before it was
    stopped, None where that is not known; `kept` says that its state files were kept then, and `came_up` that it
    answered after it was enabled. `back` is what it was brought back from.
    """

    engine: PluginEngine
    wanted: PluginWanted
    found: PluginFound
    digest: str | None = None
    log: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    sources: Mapping[str, str] | None = None
    upgraded: bool = False
    uncertain: bool = False
    noted: bool = False
    stopped: bool = False
    kept: tuple[str, ...] = ()
    behind: str = ""
    canary: Mapping[str, Any] | None = None
    known: frozenset[str] | None = None
    kept_state: bool = False
    came_up: bool = False
    back: str = ""

    @property
    def name(self) -> str:
        """The full local name of the plugin."""
        return self.wanted.alias

    @property
    def remote(self) -> Reference:
        """The plugin in its registry. Only steps that need it ask."""
        if self.wanted.remote is None:
            raise RefusedError(f"Cannot pull the plugin '{self.name}'", "no reference was given", "Give 'remote'")
        return self.wanted.remote

    def pulled(self, pulled: Pulled) -> None:
        """Keep what a pull told."""
        self.digest, self.log = pulled.digest, (*self.log, *pulled.log)


def there(change: Change, verb: str) -> Plugin:
    """Return the plugin as it is now. Raises EngineError where it is gone."""
    plugin = change.engine.plugin(change.name)
    if plugin is None:
        raise EngineError(f"Cannot {verb} the plugin '{change.name}'", "it is gone: somebody else removed it")
    return plugin


def start_of(change: Change) -> Note:
    """Return the note of what the plugin was before its change. Raises EngineError where there is none."""
    start = change.found.start
    if start is None:
        raise EngineError(f"Cannot change the plugin '{change.name}'", "it is gone: somebody else removed it")
    return start


def who_mounts(change: Change) -> list[Use]:
    """Return the mounts of running containers that have a volume of the plugin."""
    return [use for use in change.engine.users_of_driver(change.name) if use.mounted]


def host_files() -> Any:
    """Return the module that reads and writes files, which few tasks need."""
    # Loaded only where there are config files.
    from ansible_collections.voltainer.volumes.plugins.module_utils import _host_files as files  # noqa: PLC0415

    return files


@contextmanager
def with_last_words(change: Change, plugin: Plugin) -> Iterator[None]:
    """Where the block fails, say in the error what the plugin itself last said."""
    try:
        yield
    except VolumesError as exc:
        # Secrets that only the files hold are none that Ansible knows of.
        exc.why = hide(exc.why, _config_secrets(change))
        said = change.engine.said_by(plugin.id, _secrets(change, plugin))
        if said:
            exc.why = f"{exc.why.rstrip()}\nThe plugin's own last words were:\n" + "\n".join(f"  {one}" for one in said)
            exc.details["plugin_log"] = list(said)
        raise


def _secrets(change: Change, plugin: Plugin) -> set[str]:
    listed, before = change.wanted.secret_settings, change.found.plugin or plugin
    return {
        value
        # The last lines may be of the plugin as it was set before.
        for settings in (current_settings(before.raw), current_settings(plugin.raw), change.wanted.settings or {})
        for value in leaves(list(secret_values(settings, listed)))
    } | _config_secrets(change)


def _config_secrets(change: Change) -> set[str]:
    if not change.found.files:
        return set()
    from ansible_collections.voltainer.volumes.plugins.module_utils import _plugin_config  # noqa: PLC0415 - as above

    return _plugin_config.secrets_in_files(change.found.files)
