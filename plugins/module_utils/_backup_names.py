# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The names of backups, and of volumes that keep what was there before a restore. Pure.

An archive is named `<volume>-<time>.tar[.zst|.gz][.age|.gpg]`, and its manifest like it with `.json` at the end. Names
are read from their end: all before the last time is the volume, whose own name may hold times and hyphens.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from urllib.parse import quote, unquote

from ansible_collections.voltainer.volumes.plugins.module_utils._archive_kind import Compression, Encryption
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import InvalidInputError
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import name_beside

MANIFEST_ENDING = ".json"
PARTIAL_ENDING = ".partial"

_TIME = "%Y%m%dT%H%M%SZ"
_COMPRESSIONS: dict[str, Compression] = {"": "none", ".gz": "gzip", ".zst": "zstd"}
_ENCRYPTIONS: dict[str, Encryption] = {"": "none", ".age": "age", ".gpg": "gpg"}
_ARCHIVE = re.compile(
    r"(?P<volume>.+)-(?P<time>[0-9]{8}T[0-9]{6}Z)\.tar(?P<compression>\.gz|\.zst|)(?P<encryption>\.age|\.gpg|)\Z",
    re.DOTALL,
)
_BEFORE = re.compile(r"(?P<volume>.+)\.before-(?P<time>[0-9]{8}T[0-9]{6}Z)\Z", re.DOTALL)
# What file systems take for a name, in bytes.
_NAME_MAX = 255


@dataclass(frozen=True)
class ArchiveName:
    """The name of an archive. `time` is that of the backup, in UTC, without fractions of a second."""

    volume: str
    time: datetime
    compression: Compression = "none"
    encryption: Encryption = "none"

    def __str__(self) -> str:
        """Return the name of the file."""
        compression = next(ending for ending, one in _COMPRESSIONS.items() if one == self.compression)
        encryption = next(ending for ending, one in _ENCRYPTIONS.items() if one == self.encryption)
        return f"{encode(self.volume)}-{stamp(self.time)}.tar{compression}{encryption}"

    @property
    def manifest(self) -> str:
        """The name of the file with its manifest."""
        return f"{self}{MANIFEST_ENDING}"


def encode(volume: str) -> str:
    """Return the volume's name as a part of a file's name: what is none in a file's name is written as %XX.

    Plugins have folders in names (`a/b` is `a%2Fb`). Reversible: see `decode`.
    """
    text = quote(volume, safe="")
    # It must not look hidden, like an option, or like a name of a partial file.
    return f"%{ord(text[0]):02X}{text[1:]}" if text[:1] in {".", "-", "~"} else text


def decode(text: str) -> str | None:
    """Return the volume whose name was encoded, or None for what is no such thing."""
    try:
        volume = unquote(text, errors="strict")
    except UnicodeDecodeError:
        return None
    return volume if volume and encode(volume) == text else None


def stamp(time: datetime) -> str:
    """Return a time as it stands in names, in UTC: 20260131T235959Z."""
    return time.astimezone(timezone.utc).strftime(_TIME)


def parse_stamp(text: str) -> datetime | None:
    """Return the time that stands in a name, or None for what is none, such as the 31st of February."""
    try:
        time = datetime.strptime(text, _TIME).replace(tzinfo=timezone.utc)
    except ValueError:
        return None
    return time if stamp(time) == text else None


def name_archive(
    volume: str, now: datetime, compression: Compression, encryption: Encryption, taken: Iterable[ArchiveName] = ()
) -> ArchiveName:
    """Return the name for an archive that is made `now`: with a time that no other archive of the volume has.

    Raises InvalidInputError for a volume whose name is too long for file names.
    """
    times = {one.time for one in taken if one.volume == volume}
    name = ArchiveName(volume, _free_time(now, lambda time: time in times), compression, encryption)
    if len(partial(name.manifest)) > _NAME_MAX:
        raise InvalidInputError(
            f"Cannot name an archive of the volume '{volume}'",
            f"the names of its files would be longer than {_NAME_MAX} bytes",
            "Use the option 'repository', or move its data to a volume with a shorter name",
        )
    return name


def parse_archive(file: str) -> ArchiveName | None:
    """Return what the name of an archive says, or None for a file that has another kind of name."""
    match = _ARCHIVE.match(file)
    if not match:
        return None
    volume, time = decode(match["volume"]), parse_stamp(match["time"])
    if volume is None or time is None:
        return None
    return ArchiveName(volume, time, _COMPRESSIONS[match["compression"]], _ENCRYPTIONS[match["encryption"]])


def archives_of(volume: str, files: Iterable[str]) -> list[ArchiveName]:
    """Return the archives of this very volume among the files of a folder, the oldest first."""
    parsed = (parse_archive(file) for file in files)
    return sorted((one for one in parsed if one and one.volume == volume), key=lambda one: (one.time, str(one)))


def partial(file: str) -> str:
    """Return the name that a file has while it is written."""
    return f".{file}{PARTIAL_ENDING}"


def whole_of(partial_file: str) -> str:
    """Return the name that a partial file gets when it is complete."""
    return partial_file[1:].removesuffix(PARTIAL_ENDING)


def partials_of(volume: str, files: Iterable[str]) -> list[str]:
    """Return the partial files of this very volume among the files of a folder: of runs that go on, or were killed."""
    found = []
    for file in files:
        if file.startswith(".") and file.endswith(PARTIAL_ENDING):
            name = parse_archive(whole_of(file).removesuffix(MANIFEST_ENDING))
            if name and name.volume == volume:
                found.append(file)
    return sorted(found)


def kept_name(volume: str, now: datetime, taken: Iterable[str] = ()) -> str:
    """Return the name of the volume that keeps what `volume` held until `now`; none of the names that are taken."""
    names = frozenset(taken)
    return _before(volume, _free_time(now, lambda time: _before(volume, time) in names))


def parse_kept(name: str) -> tuple[str, datetime] | None:
    """Return the volume whose previous content is kept under the name, and since when; None for another volume.

    Of a volume whose name the engine's own driver does not take, it is what stands in its place.
    """
    match = _BEFORE.match(name)
    time = parse_stamp(match["time"]) if match else None
    return (match["volume"], time) if match and time else None


def _before(volume: str, time: datetime) -> str:
    return name_beside(volume, f".before-{stamp(time)}")


def _free_time(now: datetime, is_taken: Callable[[datetime], bool]) -> datetime:
    """Return the full second of `now`, or the next one that is not taken: two backups may be made within one."""
    time = now.astimezone(timezone.utc).replace(microsecond=0)
    while is_taken(time):
        time += timedelta(seconds=1)
    return time
