# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The note of a change of a plugin that is under way, kept in the engine: a volume whose label says what was before.

A plugin cannot carry labels. Whatever is killed, the next task of the same plugin finds the note and finishes the
change. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ansible_collections.voltainer.volumes.plugins.module_utils._errors import InvalidInputError
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin import Installed, Plugin
from ansible_collections.voltainer.volumes.plugins.module_utils._reference import parse_reference
from ansible_collections.voltainer.volumes.plugins.module_utils._settings import catalog
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import (
    BEHIND,
    PLUGIN_CHANGE,
    PROTECTED,
    Volume,
)

# Of the ID as much as Docker's own client shows.
_SHORT = 12


@dataclass(frozen=True)
class Note:
    """What the plugin was before its change. No secrets: the engine keeps variables and arguments through an upgrade.

    `mounts` are the sources of its mounts by the keys of settings: those an upgrade puts back to their defaults.
    `backups` are the files that keep what its config files were, by their paths; "" where there was no file. `volumes`
    are the names of those it knew.
    """

    plugin_id: str
    name: str
    enabled: bool
    reference: str
    digest: str | None = None
    mounts: Mapping[str, str] = field(default_factory=dict)
    backups: Mapping[str, str] = field(default_factory=dict)
    volumes: tuple[str, ...] = ()

    @property
    def volume(self) -> str:
        """The name of the volume that holds the note."""
        return f"voltainer-plugin-change.{self.plugin_id[:_SHORT]}"

    @property
    def trial(self) -> str:
        """The name under which a new version is installed to try it, disabled."""
        return f"voltainer-plugin-trial:{self.plugin_id[:_SHORT]}"

    def is_about(self, plugin: Plugin) -> bool:
        """Return whether it tells of this plugin: no upgrade changes its name, or where it comes from."""
        there, before = (_repository(reference) for reference in (plugin.reference, self.reference))
        return (self.plugin_id, self.name, before) == (plugin.id, plugin.name, there)

    def labels(self) -> dict[str, str]:
        """Return the labels of the volume that holds the note."""
        return {PLUGIN_CHANGE: json.dumps(asdict(self), sort_keys=True), PROTECTED: "true"}


@dataclass(frozen=True)
class Behind:
    """That a plugin runs which has yet to read changed config files: noted before they were changed.

    `since` is when, in nanoseconds since 1970. `backups` are as in a Note: what the plugin runs with.
    """

    plugin_id: str
    name: str
    since: int
    backups: Mapping[str, str] = field(default_factory=dict)

    @property
    def volume(self) -> str:
        """The name of the volume that holds it. There may be several, of one change after the other."""
        return f"{BEHIND}{self.plugin_id[:_SHORT]}.{self.since}"

    def labels(self) -> dict[str, str]:
        """Return the labels of the volume that holds it."""
        return {PLUGIN_CHANGE: json.dumps(asdict(self), sort_keys=True), PROTECTED: "true"}


def note_of(
    plugin: Plugin,
    installed: Installed,
    backups: Mapping[str, str] | None = None,
    volumes: Iterable[str] = (),
) -> Note:
    """Return the note of what the plugin is now, and its config files are, and of the volumes that it knows."""
    mounts = {one.key: one.current or "" for one in catalog(plugin.raw).values() if one.kind == "mount"}
    return Note(
        plugin.id,
        plugin.name,
        plugin.enabled,
        plugin.reference,
        installed.digest,
        mounts,
        dict(backups or {}),
        tuple(volumes),
    )


def read_behind(volumes: Iterable[Volume], name: str) -> tuple[Behind, ...]:
    """Return what these volumes tell of config files that a plugin of that name has yet to read, oldest first.

    It may be one that was removed meanwhile, and whose name another has.
    """
    read = ((volume.name, _read_behind((volume.labels or {}).get(PLUGIN_CHANGE))) for volume in volumes)
    about = (one for volume, one in read if one and one.volume == volume and one.name == name)
    return tuple(sorted(about, key=lambda one: one.since))


def read_notes(volumes: Iterable[Volume]) -> tuple[Note, ...]:
    """Return the notes that these volumes hold. A damaged one is none: it says nothing that could be gone by.

    Neither is one in a volume of another name: that was made, or its labels copied, by somebody else.
    """
    read = ((volume.name, _read((volume.labels or {}).get(PLUGIN_CHANGE))) for volume in volumes)
    return tuple(note for name, note in read if note and note.volume == name)


def _repository(reference: str) -> str:
    try:
        return parse_reference(reference).repository
    except InvalidInputError:
        return reference


def _read(text: str | None) -> Note | None:
    try:
        record: Any = json.loads(text or "null")
        mounts = _texts(record["mounts"])
        digest = record["digest"]
        return Note(
            str(record["plugin_id"]),
            str(record["name"]),
            record["enabled"] is True,
            str(record["reference"]),
            None if digest is None else str(digest),
            mounts,
            _texts(record.get("backups", {})),
            tuple(str(name) for name in record.get("volumes", [])),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _read_behind(text: str | None) -> Behind | None:
    try:
        record: Any = json.loads(text or "null")
        return Behind(str(record["plugin_id"]), str(record["name"]), int(record["since"]), _texts(record["backups"]))
    # OverflowError: JSON that Python reads has a word for what has no end.
    except (OverflowError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _texts(record: Mapping[Any, Any]) -> dict[str, str]:
    return {str(key): str(value) for key, value in record.items()}
