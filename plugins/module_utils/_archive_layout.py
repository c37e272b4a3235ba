# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where in an archive the content of a volume is: archives of others have it below folders of their own. Pure.

All entries decide, not only the first ones: which volume's content is restored depends on it. An outline takes in each
entry while the archive is read, and remembers only the folders that may be volumes', at most `MOST` of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Union

from ansible_collections.voltainer.volumes.plugins.module_utils._entry import Entry, shown
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import InvalidInputError, RefusedError

# The value of the option `strip` by which the archive itself tells.
AUTO = "auto"
# How many folders that may be volumes' are remembered of an archive.
MOST = 10_000

# The folder of a volume of the local driver, in the one with the volume's name, and what else lies around there.
_DATA = "_data"
_BESIDE_DATA = "opts.json"
_BESIDE_VOLUMES = frozenset({"metadata.db", "backingFsBlockDev"})
# Where offen/docker-volume-backup has all volumes mounted that it packs.
_BACKUP = "backup"
# How many names an error tells.
_NAMES = 10
_CANNOT_TELL = "Cannot tell which folder of the archive is the volume's"


@dataclass
class Amount:
    """How much lies below a folder: how many entries, itself among them, how many files, and these files' sizes."""

    entries: int = 0
    files: int = 0
    bytes: int = 0

    def add(self, entry: Entry) -> None:
        """Count an entry."""
        self.entries += 1
        if entry.kind == "file":
            self.files += 1
            self.bytes += entry.size


@dataclass(frozen=True)
class Layout:
    """Where the content is: below the folder `prefix`, without slashes around it; "" is all of the archive.

    `why` is for the reader, `hint` a warning: what else could have been meant. `amount` is what lies there.
    """

    prefix: str
    why: str
    hint: str = ""
    amount: Amount = field(default_factory=Amount)


def parse_strip(text: str) -> str | None:
    """Return the option `strip` as a prefix, or None for `AUTO`. Raises InvalidInputError for what leads elsewhere."""
    if text == AUTO:
        return None
    parts = _parts(text)
    if ".." in parts:
        raise InvalidInputError(
            f"The option 'strip' has the invalid value {text!r}",
            "it leads out of the archive",
            f"Give a folder in the archive, or '{AUTO}'",
        )
    return "/".join(parts)


class GivenOutline:
    """The outline of an archive of which the task says which folder is the volume's."""

    def __init__(self, prefix: str) -> None:
        self._prefix = _parts(prefix)
        self._amount = Amount()
        self._tops: set[str] = set()

    def add(self, entry: Entry) -> None:
        """Take in the next entry."""
        parts = _parts(os.fsdecode(entry.path))
        if len(self._tops) < _NAMES:
            self._tops.update(parts[:1])
        if parts[: len(self._prefix)] == self._prefix and (len(parts) > len(self._prefix) or _is_folder(entry)):
            self._amount.add(entry)

    def layout(self) -> Layout:
        """Return where the content is. Raises RefusedError where there is no such folder."""
        one = Layout("/".join(self._prefix), "the option 'strip' says so", amount=self._amount)
        return _not_empty(one, self._tops)


class GuessedOutline:
    """The outline of an archive of somebody else, which tells by itself where the content of the volume is.

    Known are copies of the engine's folder of volumes, and archives of offen/docker-volume-backup.
    """

    def __init__(self, volume: str) -> None:
        self._volume = volume
        self._all = Amount()
        self._tops: set[str] = set()
        self._deep = False
        self._rooted = False
        self._data = _DataFolder(volume)
        self._volumes = _VolumesFolder(volume)
        self._offen = _Offen(volume)

    def add(self, entry: Entry) -> None:
        """Take in the next entry."""
        parts = _parts(os.fsdecode(entry.path))
        self._all.add(entry)
        if not parts:
            self._rooted = True
            return
        self._deep = self._deep or len(parts) > 1
        if len(self._tops) < _NAMES:
            self._tops.add(parts[0])
        for known in (self._data, self._volumes, self._offen):
            known.add(parts, entry)

    def layout(self) -> Layout:
        """Return where the content is. Raises RefusedError where that cannot be told, or where nothing is there."""
        # What has an entry for its own top folder was packed from there, and not by docker-volume-backup.
        possible: list[_Known] = [self._data, self._volumes, *([] if self._rooted else [self._offen])]
        found = next((one for one in (known.layout() for known in possible) if one), None)
        if found is not None:
            return _not_empty(found, self._tops)
        for known in possible:
            known.refuse_mixture()
        return _not_empty(Layout("", "it has no layout that is known", self._hint(), self._all), self._tops)

    def _hint(self) -> str:
        if self._rooted or len(self._tops) != 1 or not self._deep:
            return ""
        top = _text(*self._tops)
        return (
            f"All that is in the archive is below '{top}', which becomes a folder in the volume. If it is the volume's"
            f" own folder, set 'strip: {top if top != AUTO else './' + top}'"
        )


Outline = Union[GivenOutline, GuessedOutline]


def outline_of(strip: str | None, volume: str, *, ours: bool) -> Outline | None:
    """Return the outline of an archive, to be filled with its entries; None where all of it is the volume's.

    `strip` is the option, parsed. `ours` says that the archive has a manifest of this collection.
    """
    if strip is not None:
        return GivenOutline(strip)
    return None if ours else GuessedOutline(volume)


class _Known:
    """A layout that is known, which an archive has as long as it has no `stranger`.

    `found` are the folders that may be volumes', by name. `named` is the one with the name of the volume; it is
    remembered in any case, since then it is not clear what else the archive is.
    """

    why = ""

    def __init__(self, volume: str) -> None:
        self.volume = volume
        self.found: dict[str, Amount] = {}
        self.stranger = ""
        self.named = ""
        self.crowded = False

    def add(self, parts: list[str], entry: Entry) -> None:
        """Take in the next entry, which is not that of the archive's top."""
        raise NotImplementedError

    def layout(self) -> Layout | None:
        """Return the layout; None where the archive has another one. Raises RefusedError where it cannot be told."""
        raise NotImplementedError

    def refuse_mixture(self) -> None:
        """Raise RefusedError where the archive has the folder of the volume, and also what is not of this layout."""
        if self.named:
            raise RefusedError(
                _CANNOT_TELL,
                f"it has '{self.named}' as if {self.why}, and also '{self.stranger}', which would not be there then",
                f"Set 'strip: {self.named}', or 'strip: \"\"' if all of the archive is the volume's",
            )

    def _put(self, name: str, entry: Entry) -> None:
        amount = self.found.get(name)
        if amount is None:
            if len(self.found) >= MOST and name != self.volume:
                self.crowded = True
                return
            amount = self.found[name] = Amount()
        amount.add(entry)

    def _one_of(self, root: Iterable[str], *below: str) -> Layout:
        names = self.found
        if self.volume not in names and (len(names) > 1 or self.crowded):
            some = ", ".join(_text("/".join([*root, name, *below])) for name in sorted(names)[:_NAMES])
            raise RefusedError(
                _CANNOT_TELL,
                f"{self.why}, and it has several, but none of '{self.volume}': {some}",
                "Set 'strip' to the one that is meant",
            )
        chosen = self.volume if self.volume in names else next(iter(names))
        return Layout("/".join([*root, chosen, *below]), self.why, amount=names[chosen])


class _DataFolder(_Known):
    """A copy of one volume's folder in the engine's data root."""

    why = "it is a copy of the volume's folder in the engine's data root"

    def add(self, parts: list[str], entry: Entry) -> None:
        """See _Known."""
        if parts[0] == _DATA and (len(parts) > 1 or _is_folder(entry)):
            self._put(_DATA, entry)
        elif parts != [_BESIDE_DATA]:
            self.stranger = self.stranger or shown(entry.path)

    def layout(self) -> Layout | None:
        """See _Known."""
        if self.stranger or not self.found:
            return None
        return Layout(_DATA, self.why, amount=self.found[_DATA])


class _VolumesFolder(_Known):
    """A copy of the engine's folder of volumes, or of some of the folders in it.

    Where that folder is, the first `_data` tells. What is beside such is kept until the end, as far as it may be there.
    """

    why = "it is a copy of the engine's folder of volumes"

    def __init__(self, volume: str) -> None:
        super().__init__(volume)
        self._root: list[str] | None = None
        # Paths of folders, and of files of the engine's own.
        self._beside: set[tuple[bool, tuple[str, ...]]] = set()
        self._full = False

    def add(self, parts: list[str], entry: Entry) -> None:
        """See _Known."""
        # Counted from the top: volumes may hold folders of that name as well.
        at = parts.index(_DATA, 1) if _DATA in parts[1:] else 0
        inside = at > 0 and (at < len(parts) - 1 or _is_folder(entry))
        if inside and parts[at - 1] == self.volume:
            self.named = self.named or _text("/".join(parts[: at + 1]))
        if self.stranger:
            return
        if inside:
            root, name = parts[: at - 1], parts[at - 1]
            self._root = root if self._root is None else self._root
            if root == self._root and name != _DATA:
                self._put(name, entry)
                return
        elif _is_folder(entry) or parts[-1] in _BESIDE_VOLUMES or parts[-1] == _BESIDE_DATA:
            if len(self._beside) < MOST:
                self._beside.add((_is_folder(entry), tuple(parts)))
            else:
                self._full = True
            return
        self.stranger = shown(entry.path)
        self._beside.clear()

    def layout(self) -> Layout | None:
        """See _Known."""
        if self._root is None or self.stranger:
            return None
        root = tuple(self._root)
        strange = next((parts for folder, parts in self._beside if not self._belongs(root, parts, folder)), None)
        if strange:
            self.stranger = _text("/".join(strange))
            return None
        if self._full:
            raise RefusedError(
                _CANNOT_TELL,
                f"it seems that {self.why}, but it has more than {MOST} folders, which are too many to tell",
                "Set 'strip' to the one that is the volume's ('' for all of the archive)",
            )
        for folder, parts in self._beside:
            # One that has no data, or whose data was left out.
            if folder and len(parts) == len(root) + 1:
                self.found.setdefault(parts[-1], Amount())
        return self._one_of(root, _DATA)

    @staticmethod
    def _belongs(root: tuple[str, ...], parts: tuple[str, ...], folder: bool) -> bool:
        depth = len(parts) - len(root)
        if folder and depth <= 0:
            return parts == root[: len(parts)]
        if parts[: len(root)] != root or parts[-1] == _DATA:
            return False
        if folder:
            return depth == 1
        return depth == (2 if parts[-1] == _BESIDE_DATA else 1)


class _Offen(_Known):
    """An archive by offen/docker-volume-backup."""

    why = "it is an archive of docker-volume-backup"

    def __init__(self, volume: str) -> None:
        super().__init__(volume)
        self._all = Amount()
        # A file that is in no volume's folder: then the folder around is that of the only volume.
        self._loose = ""

    def add(self, parts: list[str], entry: Entry) -> None:
        """See _Known."""
        inner = parts[1:]
        inside = len(inner) > 1 or (bool(inner) and _is_folder(entry))
        if inside and parts[0] == _BACKUP and inner[0] == self.volume:
            self.named = f"{_BACKUP}/{self.volume}"
        if self.stranger:
            return
        if parts[0] != _BACKUP or not (inner or _is_folder(entry)):
            self.stranger = shown(entry.path)
            return
        self._all.add(entry)
        if inside:
            self._put(inner[0], entry)
        elif inner:
            self._loose = self._loose or shown(entry.path)

    def layout(self) -> Layout | None:
        """See _Known."""
        if self.stranger or not self._all.entries:
            return None
        if self._loose and self.named:
            self.stranger = self._loose
            return None
        if self._loose or not self.found:
            return Layout(_BACKUP, self.why, amount=self._all)
        return self._one_of([_BACKUP])


def _not_empty(one: Layout, tops: Iterable[str]) -> Layout:
    """Return the layout. Raises RefusedError where nothing is there: it would empty the volume."""
    if one.amount.entries:
        return one
    if not one.prefix:
        raise RefusedError(
            "Cannot restore from the archive", "there is nothing in it", "Take another backup. Nothing was changed"
        )
    names = ", ".join(f"'{_text(name)}'" for name in sorted(tops)) or "nothing"
    raise RefusedError(
        "Cannot restore from the archive",
        f"there is no folder '{_text(one.prefix)}' in it, which should be the volume's ({one.why}); at its top it has"
        f" {names}",
        "Look with 'tar -t' what it has, and set 'strip' to the folder that is the volume's. Nothing was changed",
    )


def _text(path: str) -> str:
    """Return a path as an error tells it: names in archives may be any bytes."""
    return shown(os.fsencode(path))


def _is_folder(entry: Entry) -> bool:
    return entry.kind == "directory"


def _parts(path: str) -> list[str]:
    """Return the parts of an entry's path, below the archive's top."""
    return [part for part in path.split("/") if part not in {"", "."}]
