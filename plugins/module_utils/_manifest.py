# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifest that lies beside an archive: of which volume it is, how it was made, and how to prove it whole. Pure.

A manifest may come from anybody, so nothing in it counts before it was checked. Secrets among the driver's options are
not in it: who reads backups must not get the passwords of the storage as well.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import Any, NoReturn, get_args

from ansible_collections.voltainer.volumes.plugins.module_utils._archive_kind import Compression, Encryption
from ansible_collections.voltainer.volumes.plugins.module_utils._backup_names import ArchiveName, parse_archive
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import VolumesError
from ansible_collections.voltainer.volumes.plugins.module_utils._quiesce import Mode
from ansible_collections.voltainer.volumes.plugins.module_utils._reference import driver_key
from ansible_collections.voltainer.volumes.plugins.module_utils._secrets import mask
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import CHANGE, Volume

VERSION = 1
# No manifest is longer, so that no more need be read of a file that calls itself one.
MAX_BYTES = 4 * 1024 * 1024
# How many of the files that changed while they were read it names.
MAX_CHANGED = 100
# What a way to pack may or may not keep; of times, only the whole seconds where `times_seconds` is true.
KEPT = ("owner", "mode", "times", "times_seconds", "xattrs", "links", "sparse", "symlinks", "special")

# How much of a key an error shows.
_SHOWN = 80
_MAX_NUMBER = 2**63 - 1
_DIGITS = len(str(_MAX_NUMBER))
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_CONTENT = re.compile(r"v[0-9]{1,4}:[0-9a-f]{32,128}\Z")
_CREATED = "%Y-%m-%dT%H:%M:%SZ"
_DAMAGED = (
    "It was damaged or changed: take another backup, or move this file away to restore the archive without what only a"
    " manifest tells"
)


@dataclass(frozen=True)
class Origin:
    """The volume that a backup is of, and how it was made, as a manifest or the tags of a snapshot tell.

    `engine` is the ID of its engine. Secrets in `options` are masked, and `hidden_options` names their keys.
    """

    volume: str
    driver: str
    options: Mapping[str, str] | None
    hidden_options: tuple[str, ...]
    labels: Mapping[str, str] | None
    engine: str = ""
    content_digest: str | None = None

    def same_definition(self, other: Origin) -> bool:
        """Whether both were made in the same way, as far as it is told."""
        return (self.volume, driver_key(self.driver), self.hidden_options) == (
            other.volume,
            driver_key(other.driver),
            other.hidden_options,
        ) and all(dict(one or {}) == dict(two or {}) for one, two in self._pairs(other))

    def _pairs(self, other: Origin) -> tuple[tuple[Mapping[str, str] | None, Mapping[str, str] | None], ...]:
        return ((self.options, other.options), (self.labels, other.labels))


@dataclass(frozen=True)
class EngineFacts:
    """The engine that had the volume: its ID, the name of its host, its version and that of its API."""

    id: str
    name: str
    version: str
    api: str


@dataclass(frozen=True)
class Manifest:
    """A backup, as its manifest tells of it. All sizes are in bytes.

    `options` and `labels` are None where the engine had no record of them; secrets in `options` are masked, and
    `hidden_options` names their keys. `created` is in UTC (2026-01-31T23:59:59Z), and the time in the archive's name.
    `bytes` and `sha256` are those of the archive's file. `content_digest` is of what is packed, whatever packed it.
    `entries` counts files, folders and all else, `files` the regular files, and `content_bytes` is what these hold.
    `keeps` says of each of `KEPT` whether the archive has it. `changed_while_reading` names the first `MAX_CHANGED`
    files that were written to meanwhile; it and `sockets_skipped` are None where nobody could see that. `recipients`
    are the public keys of those who can decrypt it, as `recipients_of` returns them; None where that is unknown.
    """

    volume: str
    driver: str
    options: Mapping[str, str] | None
    hidden_options: tuple[str, ...]
    labels: Mapping[str, str] | None
    engine: EngineFacts
    host_os: str
    created: str
    archive: str
    compression: Compression
    encryption: Encryption
    bytes: int
    sha256: str
    content_digest: str
    files: int
    entries: int
    content_bytes: int
    tools: Mapping[str, str]
    keeps: Mapping[str, bool]
    quiesced: Mode
    changed_while_reading: tuple[str, ...] | None = ()
    sockets_skipped: int | None = 0
    recipients: tuple[str, ...] | None = None
    format: str = "tar"
    version: int = VERSION

    @property
    def name(self) -> ArchiveName:
        """The name of the archive, in its parts."""
        return ArchiveName(self.volume, parse_created(self.created), self.compression, self.encryption)

    @property
    def origin(self) -> Origin:
        """The volume that it is of."""
        return Origin(
            volume=self.volume,
            driver=self.driver,
            options=self.options,
            hidden_options=self.hidden_options,
            labels=self.labels,
            engine=self.engine.id,
            content_digest=self.content_digest,
        )

    def to_json(self) -> str:
        """Return the text of the file; the same for equal manifests."""
        return json.dumps(asdict(self), indent=2, sort_keys=True) + "\n"


def from_json(text: str, file: str) -> Manifest:
    """Return the manifest that is the text of `file`.

    Raises VolumesError, which names the file and the key, for whatever `to_json` would not have written.
    """
    record = _record(text, file)
    version = record.get("version")
    if isinstance(version, int) and not isinstance(version, bool) and version > VERSION:
        raise VolumesError(
            f"Cannot read the manifest '{file}'",
            f"it is of version {version}, and this collection knows versions up to {VERSION}",
            "Update the collection voltainer.volumes",
            manifest=file,
        )
    try:
        manifest = Manifest(**_checked({**_ADDED, **record}, _CHECKS, ""))
        _check_name(manifest)
    except _WrongError as exc:
        raise _damaged(file, f"the key '{exc.key}' {exc.why}") from None
    return manifest


def origin_of(volume: Volume, secret_options: Iterable[str], engine: str, content_digest: str | None = None) -> Origin:
    """Return what a backup of the volume tells of it, with secrets in its options masked."""
    options = None if volume.options is None else mask(volume.options, secret_options)
    hidden = [key for key, value in (volume.options or {}).items() if options and options[key] != value]
    # The record of an unfinished change holds secrets, and is of no use elsewhere.
    labels = None if volume.labels is None else {key: one for key, one in volume.labels.items() if key != CHANGE}
    return Origin(volume.name, volume.driver, options, tuple(sorted(hidden)), labels, engine, content_digest)


def some_changed(paths: Iterable[str]) -> tuple[str, ...]:
    """Return the paths that a manifest names, as text: a file's name may be any bytes but NUL."""
    listed = [path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace") for path in paths]
    return tuple(sorted(listed)[:MAX_CHANGED])


def recipients_of(given: Iterable[str]) -> tuple[str, ...]:
    """Return recipients as a manifest has them: their order means nothing."""
    return tuple(sorted(set(given)))


def created_text(time: datetime) -> str:
    """Return a time as a manifest has it."""
    return time.astimezone(timezone.utc).strftime(_CREATED)


def parse_created(text: str) -> datetime:
    """Return the time that a manifest means. Raises ValueError for another form."""
    time = datetime.strptime(text, _CREATED).replace(tzinfo=timezone.utc)
    if created_text(time) != text:
        raise ValueError
    return time


class _WrongError(Exception):
    """The value of a key is not what it should be."""

    def __init__(self, key: str, why: str) -> None:
        super().__init__(key, why)
        # It may be a megabyte of anything.
        self.key = key if key.isprintable() and len(key) <= _SHOWN else ascii(key[:_SHOWN])
        self.why = why


_Check = Callable[[str, Any], Any]


def _record(text: str, file: str) -> dict[str, Any]:
    if len(text) > MAX_BYTES:
        raise _damaged(file, f"it is longer than {MAX_BYTES} characters")
    try:
        record = json.loads(text, parse_int=_integer, parse_constant=_refused, object_pairs_hook=_once_each)
    except _WrongError as exc:
        raise _damaged(file, f"the key '{exc.key}' {exc.why}") from None
    # RecursionError: nested without end.
    except (ValueError, RecursionError):
        raise _damaged(file, "it is no JSON") from None
    if not isinstance(record, dict):
        raise _damaged(file, "it is no mapping")
    return record


def _damaged(file: str, why: str) -> VolumesError:
    return VolumesError(f"Cannot read the manifest '{file}'", why, _DAMAGED, manifest=file)


def _integer(digits: str) -> int:
    # To make a number of a million digits takes Python minutes.
    if len(digits) > _DIGITS:
        raise ValueError
    return int(digits)


def _refused(word: str) -> NoReturn:
    raise ValueError(word)


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record: dict[str, Any] = {}
    for key, value in pairs:
        if key in record:
            raise _WrongError(key, "stands there twice")
        record[key] = value
    return record


def _checked(record: Mapping[str, Any], checks: Mapping[str, _Check], prefix: str) -> dict[str, Any]:
    unknown = sorted(record.keys() - checks.keys())
    if unknown:
        raise _WrongError(f"{prefix}{unknown[0]}", "is unknown")
    lacking = next((key for key in checks if key not in record), None)
    if lacking is not None:
        raise _WrongError(f"{prefix}{lacking}", "is missing")
    return {key: check(f"{prefix}{key}", record[key]) for key, check in checks.items()}


def _text(key: str, value: Any) -> str:
    if not isinstance(value, str):
        raise _WrongError(key, "is no text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _WrongError(key, "is no text") from None
    return value


def _some_text(key: str, value: Any) -> str:
    if not _text(key, value):
        raise _WrongError(key, "is empty")
    return str(value)


def _number(key: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MAX_NUMBER:
        raise _WrongError(key, "is no number from 0 on")
    return value


def _number_or_none(key: str, value: Any) -> int | None:
    return None if value is None else _number(key, value)


def _texts(key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise _WrongError(key, "is no list")
    return tuple(_text(f"{key}[{number}]", one) for number, one in enumerate(value))


def _texts_or_none(key: str, value: Any) -> tuple[str, ...] | None:
    return None if value is None else _texts(key, value)


def _mapping(key: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _WrongError(key, "is no mapping")
    for one in value:
        _text(key, one)
    return value


def _strings(key: str, value: Any) -> dict[str, str]:
    return {one: _text(f"{key}.{one}", text) for one, text in _mapping(key, value).items()}


def _strings_or_none(key: str, value: Any) -> dict[str, str] | None:
    return None if value is None else _strings(key, value)


def _one_of(*words: Any) -> _Check:
    def check(key: str, value: Any) -> Any:
        # 1 and true are equal for Python.
        if type(value) is not type(words[0]) or value not in words:
            raise _WrongError(key, f"is none of {', '.join(map(str, words))}")
        return value

    return check


def _matching(pattern: re.Pattern[str], what: str) -> _Check:
    def check(key: str, value: Any) -> str:
        if not pattern.match(_text(key, value)):
            raise _WrongError(key, f"is no {what}")
        return str(value)

    return check


def _engine(key: str, value: Any) -> EngineFacts:
    checks = dict.fromkeys(("id", "name", "version", "api"), _text)
    return EngineFacts(**_checked(_mapping(key, value), checks, f"{key}."))


def _kept(key: str, value: Any) -> dict[str, bool]:
    return _checked(_mapping(key, value), dict.fromkeys(KEPT, _one_of(True, False)), f"{key}.")


def _time(key: str, value: Any) -> str:
    try:
        parse_created(_text(key, value))
    except ValueError:
        raise _WrongError(key, "is no time such as 2026-01-31T23:59:59Z") from None
    return str(value)


_CHECKS: Mapping[str, _Check] = {
    "version": _one_of(VERSION),
    "volume": _some_text,
    "driver": _some_text,
    "options": _strings_or_none,
    "hidden_options": _texts,
    "labels": _strings_or_none,
    "engine": _engine,
    "host_os": _text,
    "created": _time,
    "archive": _some_text,
    "format": _one_of("tar"),
    # No other programs are used to make archives here.
    "compression": _one_of("none", "gzip", "zstd"),
    "encryption": _one_of(*get_args(Encryption)),
    "bytes": _number,
    "sha256": _matching(_SHA256, "SHA-256 in hexadecimal digits"),
    "content_digest": _matching(_CONTENT, "digest of content"),
    "files": _number,
    "entries": _number,
    "content_bytes": _number,
    "tools": _strings,
    "keeps": _kept,
    "quiesced": _one_of(*get_args(Mode)),
    "changed_while_reading": _texts_or_none,
    "sockets_skipped": _number_or_none,
    "recipients": _texts_or_none,
}
# What the first manifests did not have.
_ADDED: Mapping[str, Any] = {"recipients": None}


def _check_name(manifest: Manifest) -> None:
    if parse_archive(manifest.archive) != manifest.name:
        raise _WrongError("archive", "does not say the same as 'volume', 'created', 'compression' and 'encryption'")
    if len(manifest.changed_while_reading or ()) > MAX_CHANGED:
        raise _WrongError("changed_while_reading", f"has more than {MAX_CHANGED} files")
    lacking = [key for key in manifest.hidden_options if key not in (manifest.options or {})]
    if lacking:
        raise _WrongError("hidden_options", f"names '{lacking[0]}', which 'options' does not have")
