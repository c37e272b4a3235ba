# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where in an archive the content of a volume is: archives of others have it below folders of their own. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ansible_collections.voltainer.volumes.plugins.module_utils._errors import InvalidInputError, VolumesError

# The value of the option `strip` by which the archive itself tells.
AUTO = "auto"
# How many entries from its start are enough to tell.
SAMPLE = 1000

# The folder of a volume of the local driver, in the one with the volume's name, and what else lies around there.
_DATA = "_data"
_BESIDE_DATA = frozenset({"opts.json"})
_BESIDE_VOLUMES = frozenset({"metadata.db", "backingFsBlockDev"})
# Where offen/docker-volume-backup has all volumes mounted that it packs.
_BACKUP = "backup"
# How many folders an error names.
_NAMES = 10


# The parts of an entry's path, and whether it is known to be a folder.
_Entry = tuple[list[str], bool]


@dataclass(frozen=True)
class Layout:
    """Where the content is: below the folder `prefix`, without slashes around it; "" is all of the archive.

    `why` is for the reader. With `others`, what lies elsewhere in the archive is of other volumes, and is left out;
    without, it means that the layout was guessed wrongly. `hint` is a warning: what else could have been meant.
    """

    prefix: str
    why: str
    others: bool = False
    hint: str = ""

    def inside(self, path: str) -> str | None:
        """Return the path in the volume ("" for its own folder) of an entry, or None for one that is not of it.

        Raises VolumesError for an entry that leads out of the archive, or that there should not be.
        """
        parts = _parts(path)
        prefix = self._prefix
        if parts[: len(prefix)] == prefix:
            return "/".join(parts[len(prefix) :])
        if self.allows(parts):
            return None
        raise VolumesError(
            f"Cannot restore from the folder '{self.prefix}' of the archive",
            f"it was taken for the volume's, as {self.why}, and the archive also has '{path}'",
            "Say with the option 'strip' which folder of the archive is the volume's ('' for all of it)",
        )

    def allows(self, parts: list[str]) -> bool:
        """Return whether an archive of this layout may have the entry, given as the parts of its path."""
        prefix = self._prefix
        on_the_way = prefix[: len(parts)] == parts
        engines_own = prefix[-1:] == [_DATA] and set(parts[-1:]) <= _BESIDE_DATA | _BESIDE_VOLUMES
        return self.others or on_the_way or engines_own or parts[: len(prefix)] == prefix

    @property
    def _prefix(self) -> list[str]:
        return self.prefix.split("/") if self.prefix else []


def parse_strip(text: str) -> str:
    """Return the option `strip` as a prefix, or as `AUTO`. Raises InvalidInputError for what leads elsewhere."""
    if text == AUTO:
        return text
    try:
        return "/".join(_parts(text))
    except VolumesError:
        raise InvalidInputError(
            f"The option 'strip' has the invalid value {text!r}",
            "it leads out of the archive",
            f"Give a folder in the archive, or '{AUTO}'",
        ) from None


def layout(strip: str, sample: Sequence[str], volume: str, *, ours: bool) -> Layout:
    """Return where the content of the volume is in an archive that begins with the entries of `sample`.

    `strip` is the option, parsed. `ours` says that the archive has a manifest of this collection. Raises VolumesError
    where it cannot be told.
    """
    if strip != AUTO:
        return Layout(strip, "the option 'strip' says so", others=True)
    if ours:
        return Layout("", "this collection made the archive")
    return strip_prefix_for(sample, volume)


def strip_prefix_for(sample: Iterable[str], volume: str) -> Layout:
    """Return where the content of the volume most likely is, by the first entries of an archive of somebody else.

    Paths of folders end with a slash, as far as it is known. Known are copies of the engine's folder of volumes, and
    archives of offen/docker-volume-backup. Raises VolumesError where several folders could be meant.
    """
    paths = [(_parts(path), path.endswith("/")) for path in sample]
    entries = [entry for entry in paths if entry[0]]
    # What has an entry for its own top folder was packed from there, so that this is the volume's.
    wrapped = 0 < len(entries) == len(paths)
    found = _data_folder(entries) or _volumes_folder(entries, volume) or (_offen(entries, volume) if wrapped else None)
    if found is not None and all(found.allows(parts) for parts, _folder in entries):
        return found
    tops = {parts[0] for parts, _folder in entries}
    hint = ""
    if wrapped and len(tops) == 1 and any(len(parts) > 1 for parts, _folder in entries):
        top = tops.pop()
        hint = (
            f"All that is in the archive is below '{top}', which becomes a folder in the volume. If it is the volume's"
            f" own folder, set 'strip: {top}'"
        )
    return Layout("", "it has no layout that is known", hint=hint)


def nothing_found(archive: str, one: Layout) -> VolumesError:
    """Return the error for an archive that has nothing below the prefix."""
    return VolumesError(
        f"Cannot restore from the folder '{one.prefix}' of the archive '{archive}'",
        "there is no such folder in it",
        "Look with 'tar -t' what it has, and set 'strip' to the folder that is the volume's",
    )


def _parts(path: str) -> list[str]:
    """Return the parts of an entry's path, below the archive's top. Raises VolumesError for one that leads out."""
    parts = [part for part in path.split("/") if part not in {"", "."}]
    if ".." in parts:
        raise VolumesError(
            "Cannot restore from the archive",
            f"the entry {path!r} leads out of it",
            "Whoever made it may want to harm this host: find out where it comes from",
        )
    return parts


def _data_folder(entries: Sequence[_Entry]) -> Layout | None:
    """Return the layout of a copy of one volume's folder in the engine's data root."""
    tops = {parts[0] for parts, _folder in entries}
    if _DATA in tops and tops <= {_DATA, *_BESIDE_DATA}:
        return Layout(_DATA, "it is a copy of the volume's folder in the engine's data root", others=True)
    return None


def _volumes_folder(entries: Sequence[_Entry], volume: str) -> Layout | None:
    """Return the layout of a copy of the engine's folder of volumes, or of some of the folders in it."""
    # Counted from the top: volumes may hold folders of that name as well.
    root = next((parts[: parts.index(_DATA) - 1] for parts, _folder in entries if _DATA in parts[1:]), None)
    if root is None or any(parts[: len(root)] != root[: len(parts)] for parts, _folder in entries):
        return None
    below = [(parts[len(root) :], folder) for parts, folder in entries if len(parts) > len(root)]
    # The last folder of the sample may be one whose content only follows.
    volumes = {parts[0] for parts, folder in below if parts[1:2] == [_DATA] or (folder and len(parts) == 1)}
    strange = _DATA in volumes or any(
        parts[1] not in {_DATA, *_BESIDE_DATA} if parts[1:] else parts[0] not in volumes | _BESIDE_VOLUMES
        for parts, _folder in below
    )
    return None if strange else _one_of(volumes, volume, root, "it is a copy of the engine's folder of volumes", _DATA)


def _offen(entries: Sequence[_Entry], volume: str) -> Layout | None:
    """Return the layout of an archive by offen/docker-volume-backup."""
    if any(parts[0] != _BACKUP for parts, _folder in entries):
        return None
    inner = [(parts[1:], folder) for parts, folder in entries if parts[1:]]
    folders = {parts[0] for parts, folder in inner if parts[1:] or folder}
    why = "it is an archive of docker-volume-backup"
    if not folders or any(parts[0] not in folders for parts, _folder in inner):
        return Layout(_BACKUP, why)
    return _one_of(folders, volume, [_BACKUP], why)


def _one_of(folders: set[str], volume: str, root: Sequence[str], why: str, *below: str) -> Layout:
    if volume not in folders and len(folders) > 1:
        named = ", ".join("/".join([*root, folder, *below]) for folder in sorted(folders)[:_NAMES])
        raise VolumesError(
            f"Cannot tell which folder of the archive is that of the volume '{volume}'",
            f"{why}, and it has several: {named}",
            "Set 'strip' to one of them",
        )
    chosen = volume if volume in folders else next(iter(folders))
    return Layout("/".join([*root, chosen, *below]), why, others=volume in folders)
