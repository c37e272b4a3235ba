# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a volume is: its definition, whose its data is, and the labels that this collection puts on volumes. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from ansible_collections.voltainer.volumes.plugins.module_utils._reference import driver_key
from ansible_collections.voltainer.volumes.plugins.module_utils._secrets import MASK, mask

OwnerKind = Literal["owned", "referenced"]
ChangeData = Literal["move", "repoint", "copy", "discard"]

LOCAL = "local"

# Labels that begin so belong to this collection.
RESERVED = "voltainer.volumes."
PROTECTED = f"{RESERVED}protected"
# On the staging volume of a change: what is to be done, as JSON. It holds the options of the volume, secrets included.
CHANGE = f"{RESERVED}change"
# On the volume that notes what a plugin was before a change of it.
PLUGIN_CHANGE = f"{RESERVED}plugin-change"
# How the names of volumes begin that carry the same label and note that a plugin has yet to read config files.
BEHIND = "voltainer-plugin-behind."
# On the volume, the containers and the image with which a plugin is tested: the name of the plugin.
CANARY = f"{RESERVED}canary"
# How the names of those volumes begin.
CANARY_PREFIX = "voltainer-canary-"
STAGING_SUFFIX = ".voltainer-change"
# How the name of the volume ends that tells that the staging volume of a change has a complete copy of the data.
COPIED_SUFFIX = ".voltainer-copied"
# On the volumes that tell of a fill of another volume (see `_fill`), as JSON, and how their names end.
FILL = f"{RESERVED}fill"
FILL_SUFFIX = ".voltainer-fill"
FILLED_SUFFIX = ".voltainer-filled"
# How the name of the volume ends that holds the content of before until such a fill is done.
FILL_OLD_SUFFIX = ".voltainer-fill-old"
# On the volume that notes whom a run brought to rest while it reads or writes the data of other volumes, as JSON.
QUIESCED = f"{RESERVED}quiesced"
QUIESCE_SUFFIX = ".voltainer-quiesce"
# Labels that hold definitions, with the secrets in their options.
_HIDDEN_LABELS = frozenset({CHANGE, FILL})
# On the helper containers through which the data of volumes is reached, and on their image.
HELPER = f"{RESERVED}helper"

# The engine puts it on a volume that it made up a name for (23.0 and later); before, only the name tells.
_ANONYMOUS = "com.docker.volume.anonymous"
_ANONYMOUS_NAME = re.compile(r"[0-9a-f]{64}\Z")
# What a file system takes as the name of a folder, which the local driver makes for each volume.
_LONGEST_NAME = 255
_DIGEST = 16
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_.-]")
# What makes a volume of the local driver refer to data elsewhere: a file system, a folder, a share.
_REFERRING = ("type", "device")


def name_beside(volume: str, suffix: str) -> str:
    """Return the name of a volume of the engine's own driver that goes with another one: that name and the suffix.

    What the driver does not take is left out: volumes of plugins may have slashes in their names, and long ones. Such
    names differ where the volumes do, by a digest, and one can still see whose they are.
    """
    plain = _NOT_IN_NAMES.sub("_", volume)
    if plain != volume or len(volume) + len(suffix) > _LONGEST_NAME:
        kept = _LONGEST_NAME - len(suffix) - _DIGEST - 1
        plain = f"{plain[:kept]}-{hashlib.sha256(volume.encode()).hexdigest()[:_DIGEST]}"
    return f"{plain}{suffix}"


@dataclass(frozen=True)
class Definition:
    """What a volume is made with. Docker cannot change any of it afterwards."""

    driver: str
    options: Mapping[str, str]
    labels: Mapping[str, str]

    @property
    def is_local(self) -> bool:
        """Whether it is of the engine's own driver."""
        return driver_key(self.driver) == LOCAL

    @property
    def owner_kind(self) -> OwnerKind:
        """Whether the data goes with the volume: a plugin's volume owns its data until told otherwise."""
        refers = self.options and self.is_local and any(self.options.get(key) for key in _REFERRING)
        return "referenced" if refers else "owned"

    @property
    def movable(self) -> bool:
        """Whether the data is a folder that can be moved to a volume of the same kind. A quota keeps it where it is."""
        return self.is_local and self.owner_kind == "owned" and "size" not in self.options

    def as_record(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return {"driver": self.driver, "options": dict(self.options), "labels": dict(self.labels)}

    def shown(self, name: str, secret_options: Iterable[str]) -> dict[str, Any]:
        """Return a volume of this definition as a diff shows it."""
        return {
            "exists": True,
            "name": name,
            "driver": self.driver,
            "driver_options": mask(self.options, secret_options),
            "labels": shown_labels(self.labels),
        }


@dataclass(frozen=True)
class Volume:
    """A volume as the engine's inspect shows it; `options` is None where the engine has no record of them."""

    name: str
    driver: str
    options: Mapping[str, str] | None
    labels: Mapping[str, str] | None
    raw: Mapping[str, Any]

    @classmethod
    def from_inspect(cls, raw: Mapping[str, Any]) -> Volume:
        """Make a volume of the engine's answer to `GET /volumes/{name}`."""
        return cls(raw["Name"], raw["Driver"], raw.get("Options"), raw.get("Labels"), raw)

    @property
    def definition(self) -> Definition:
        """What the engine has on record; what is unknown counts as nothing here."""
        return Definition(self.driver, self.options or {}, self.labels or {})

    def made_as(self, target: Definition) -> bool:
        """Whether it has this definition, as far as the engine knows: null is unknown for a plugin's volume."""
        return driver_key(self.driver) == driver_key(target.driver) and all(
            (record is None and not target.is_local) or dict(record or {}) == dict(wanted)
            for record, wanted in ((self.options, target.options), (self.labels, target.labels))
        )

    @property
    def mountpoint(self) -> str:
        """Where the engine has the data, exactly as the engine says it: the path of another system, it may be."""
        return str(self.raw.get("Mountpoint") or "")

    @property
    def protected(self) -> bool:
        """Whether the volume is only to be removed by those who name it."""
        return (self.labels or {}).get(PROTECTED) == "true"

    @property
    def anonymous(self) -> bool:
        """Whether the engine made up the name, as it does for a container that asks for no particular volume."""
        return _ANONYMOUS in (self.labels or {}) or bool(_ANONYMOUS_NAME.match(self.name))


def shown_volume(volume: Volume, secret_options: Iterable[str]) -> dict[str, Any]:
    """Return the volume as a diff shows it."""
    return volume.definition.shown(volume.name, secret_options)


def masked_inspect(volume: Volume, secret_options: Iterable[str]) -> dict[str, Any]:
    """Return the engine's inspect of the volume with the secrets in its options and its change hidden."""
    hidden: dict[str, Any] = {}
    if volume.options:
        hidden["Options"] = mask(volume.options, secret_options)
    if volume.labels and not _HIDDEN_LABELS.isdisjoint(volume.labels):
        hidden["Labels"] = shown_labels(volume.labels)
    return {**volume.raw, **hidden}


def shown_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Return labels as they may be shown to anybody."""
    return {key: MASK if key in _HIDDEN_LABELS else value for key, value in labels.items()}


@dataclass(frozen=True)
class Change:
    """A change of a volume that takes several steps, as the staging volume carries it from the first to the last.

    `source` is the volume that becomes `name`: another one for a rename, and the same for a recreation. `data` is what
    happens to its data: it moves along, only the reference changes, it is copied by way of the staging volume (or moved
    where one side allows that), or it goes with the volume. The volume is made as
    `before`, and is to be made as `target`. `inode` is that of the folder which holds the data that moves.
    """

    name: str
    source: str
    data: ChangeData
    before: Definition
    target: Definition
    inode: int | None = None

    @property
    def renames(self) -> bool:
        """Whether the volume gets another name."""
        return self.name != self.source

    @property
    def staging(self) -> str:
        """The name of the staging volume."""
        return name_beside(self.name, STAGING_SUFFIX)

    @property
    def mark(self) -> str:
        """The name of the volume that tells that the staging volume has a complete copy."""
        return name_beside(self.name, COPIED_SUFFIX)

    @property
    def moves(self) -> bool:
        """Whether the folder with the data moves to the staging volume, or to the new one of a rename."""
        return self.data == "move" or (self.data == "copy" and self.before.movable)

    @property
    def labels(self) -> dict[str, str]:
        """The labels of the staging volume."""
        record = {
            "name": self.name,
            "source": self.source,
            "data": self.data,
            "inode": self.inode,
            "before": self.before.as_record(),
            "target": self.target.as_record(),
        }
        # The volume's own labels, too: who prunes by labels, and knows nothing of this, must not mistake the data.
        own = {key: value for key, value in self.before.labels.items() if key != _ANONYMOUS}
        return {**own, CHANGE: json.dumps(record, sort_keys=True)}

    def with_inode(self, inode: int | None) -> Change:
        """Return the change with the inode of the folder that moves."""
        return replace(self, inode=inode)

    def foreign(self, volume: Volume) -> bool:
        """Whether somebody else made the volume of the change's name, in the moment in which there was none."""
        # The new name of a rename was free before.
        own = (self.target,) if self.renames else (self.before, self.target)
        return not any(volume.made_as(one) for one in own)

    @property
    def words(self) -> str:
        """What the change is, for the reader; without secrets."""
        if self.renames:
            return f"rename of the volume '{self.source}' to '{self.name}'"
        return f"change of the volume '{self.name}'"


def change_of(volume: Volume) -> Change | None:
    """Return the change that `volume` is the staging volume of, or None where it is an ordinary volume."""
    text = (volume.labels or {}).get(CHANGE)
    if text is None:
        return None
    try:
        record = json.loads(text)
        before, target = definition_of(record["before"]), definition_of(record["target"])
        change = Change(record["name"], record["source"], record["data"], before, target, record["inode"])
    # RecursionError: JSON that is nested without end. The label may be anybody's.
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    known = change.data in get_args(ChangeData) and isinstance(change.inode, (int, type(None)))
    if not (known and isinstance(change.name, str) and isinstance(change.source, str)):
        return None
    # A volume that only carries a copy of the label is nobody's staging volume.
    return change if change.staging == volume.name else None


def definition_of(record: Mapping[str, Any]) -> Definition:
    """Return the definition of a record. Raises KeyError, TypeError and ValueError for one that is none."""
    definition = Definition(**record)
    if not isinstance(definition.driver, str):
        raise TypeError
    texts = [text for mapping in (definition.options, definition.labels) for pair in mapping.items() for text in pair]
    if not all(isinstance(text, str) for text in texts):
        raise TypeError
    return definition
