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
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import PLUGIN_CHANGE, PROTECTED, Volume

# Of the ID as much as Docker's own client shows.
_SHORT = 12


@dataclass(frozen=True)
class Note:
    """What the plugin was before its change. No secrets: the engine keeps variables and arguments through an upgrade.

    `mounts` are the sources of its mounts by the keys of settings: those an upgrade puts back to their defaults.
    """

    plugin_id: str
    name: str
    enabled: bool
    reference: str
    digest: str | None = None
    mounts: Mapping[str, str] = field(default_factory=dict)

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


def note_of(plugin: Plugin, installed: Installed) -> Note:
    """Return the note of what the plugin is now."""
    mounts = {one.key: one.current or "" for one in catalog(plugin.raw).values() if one.kind == "mount"}
    return Note(plugin.id, plugin.name, plugin.enabled, plugin.reference, installed.digest, mounts)


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
        mounts = {str(key): str(source) for key, source in record["mounts"].items()}
        digest = record["digest"]
        return Note(
            str(record["plugin_id"]),
            str(record["name"]),
            record["enabled"] is True,
            str(record["reference"]),
            None if digest is None else str(digest),
            mounts,
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
