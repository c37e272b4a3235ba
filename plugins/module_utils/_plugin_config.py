# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The config files of a storage plugin: what the task wants of them, what is there, and what differs.

A plugin reads them when it starts. So they change only while it is stopped, or it is told to be behind them. Their
content is secret: what is shown of a difference are keys and places.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ansible_collections.voltainer.volumes.plugins.module_utils import _config_data as data
from ansible_collections.voltainer.volumes.plugins.module_utils import _host_files as files
from ansible_collections.voltainer.volumes.plugins.module_utils._config_file import (
    ConfigFileError,
    can_read,
    problems,
    render,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import InvalidInputError, VolumesError
from ansible_collections.voltainer.volumes.plugins.module_utils._host_files import FileState
from ansible_collections.voltainer.volumes.plugins.module_utils._secrets import leaves, secret_keys

Strategy = Literal["replace", "merge"]

_MODE = re.compile(r"0?[0-7]{3}\Z")
_NO_MERGE = "Only files in the formats json, yaml, ini and toml have keys to merge: choose the strategy replace"
# Values that are shorter are found in any text; to hide them would blot out what has nothing to do with them.
_SHORTEST_SECRET = 4
# Neither is hidden what Ansible would then take for a secret in each result: these are its `changed`, and every null.
_NO_SECRETS = frozenset({"true", "false", "none", "null"})


@dataclass(frozen=True)
class ConfigFile:
    """A config file as it should be. Without `text` it is only known by its path, for its removal."""

    path: str
    text: str | None = field(default=None, repr=False)
    format: str = "raw"
    strategy: Strategy = "replace"
    initial: tuple[str, ...] = ()
    force: bool = True
    backup: bool = True
    mode: int = files.CLOSED
    owner: str | None = None
    group: str | None = None
    directory_mode: int = 0o700


@dataclass(frozen=True)
class FileFound:
    """A config file: what is there `now`, what was there `before` the change, and what is to be there.

    `before` differs from `now` where an earlier task changed the file and was killed, or left the plugin running as it
    was: it is what the plugin last worked with. `backup` is where that is kept, "" where there is no file to keep.
    `keys` are the words for what differs; `matters` tells whether a plugin that runs does not know it yet. `left` says
    that of a file to be removed, something is left beside it, `goes_back` that an earlier task noted what the plugin
    last worked with, and that it is to be that again.
    """

    wanted: ConfigFile
    now: FileState
    before: FileState
    after: FileState
    backup: str = ""
    keys: str = ""
    matters: bool = False
    left: bool = False
    goes_back: bool = False

    @property
    def path(self) -> str:
        """The path of the file."""
        return self.wanted.path

    @property
    def changes(self) -> bool:
        """Whether the file is to be written, or removed."""
        return self.now != self.after or self.left

    @property
    def words(self) -> str:
        """What is to be done, for the reader."""
        if not self.after.exists:
            return f"Remove the config file '{self.path}'"
        if not self.now.exists:
            return f"Write the config file '{self.path}'"
        return f"Change the config file '{self.path}' ({self.keys})"

    def shown(self, state: FileState, *, told: str = "") -> dict[str, Any]:
        """Return a state of the file as a diff shows it."""
        if not state.exists:
            return {"exists": False}
        content = {"content": told} if told else {}
        return {"exists": True, "mode": f"0{state.mode:o}", "owner": state.uid, "group": state.gid, **content}


def parse_config_files(entries: Iterable[Mapping[str, Any]], *, removed: bool = False) -> tuple[ConfigFile, ...]:
    """Return what the option `config_files` asks for. Raises InvalidInputError, with every fault of every file."""
    given = [{key: value for key, value in entry.items() if value is not None} for entry in entries]
    faults = problems([_checkable(entry) for entry in given], with_content=not removed, folders=())
    faults += [fault for entry in given for fault in _faults(entry)]
    if faults:
        raise InvalidInputError(
            "The option 'config_files' is invalid",
            "\n" + "\n".join(f"- {one}" for one in faults),
            "Nothing was changed",
        )
    return tuple(_parsed(entry, removed=removed) for entry in given)


def check_different(wanted: Iterable[ConfigFile]) -> None:
    """Raise InvalidInputError where two paths lead to one file, which could not say what both want."""
    seen: dict[str, str] = {}
    for one in wanted:
        other = seen.setdefault(os.path.realpath(one.path), one.path)
        if other != one.path:
            raise InvalidInputError(
                "The option 'config_files' is invalid",
                f"'{other}' and '{one.path}' are the same file, through a symbolic link",
                "Keep one of the entries",
            )


def secrets_of(entries: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the secrets in the contents of config files, so that they can be hidden wherever they turn up."""
    found: set[str] = set()
    for entry in entries:
        content = entry.get("content")
        if isinstance(content, str):
            found |= set(_secrets_in_text(content, str(entry.get("format"))))
        else:
            found |= set(_secrets_in(content))
    return {one for one in found if len(one) >= _SHORTEST_SECRET and one.lower() not in _NO_SECRETS}


def observe(wanted: ConfigFile, moment: float, backups: Mapping[str, str]) -> FileFound:
    """Look at a file at this `moment`. `backups` are where changes under way keep what was before them, by path."""
    now = files.look(wanted.path)
    before, backup = _before(wanted, now, moment, backups)
    after = _after(wanted, now)
    keys, matters = _differ(wanted, now, after)
    # Where what was noted is gone, nobody knows what the plugin worked with.
    goes_back = wanted.path in backups and files.look(backup).exists and before.content == after.content
    return FileFound(wanted, now, before, after, backup, keys, matters, goes_back=goes_back)


def seen_again(file: FileFound) -> FileFound:
    """Return the file as it is now, and what it is to be by that: a plugin may have renewed a token meanwhile."""
    now = files.look(file.path)
    if now == file.now:
        return file
    before = now if file.before == file.now else file.before
    return replace(file, now=now, before=before, after=_after(file.wanted, now))


def observe_removal(wanted: ConfigFile) -> FileFound:
    """Look at a file that is to be removed."""
    now = files.look(wanted.path)
    return FileFound(wanted, now, now, FileState(), left=bool(files.left_of(wanted.path)))


def secrets_in_files(found: Iterable[FileFound]) -> set[str]:
    """Return the secrets in the files as they were and as they are to be: a plugin may speak of any."""
    texts = [
        {"content": state.content.decode("utf-8", "replace"), "format": one.wanted.format}
        for one in found
        for state in (one.now, one.before, one.after)
        if state.content
    ]
    return secrets_of(texts)


def _before(wanted: ConfigFile, now: FileState, moment: float, backups: Mapping[str, str]) -> tuple[FileState, str]:
    noted = backups.get(wanted.path)
    if noted == "":
        return FileState(), ""
    if noted is not None and files.is_backup(wanted.path, noted):
        kept = files.look(noted)
        # Without a backup, whoever noted it did not come to change the file.
        return (replace(now, content=kept.content) if kept.exists else now), noted
    return now, files.new_backup_name(wanted.path, moment) if now.exists and wanted.backup else ""


def _after(wanted: ConfigFile, now: FileState) -> FileState:
    own = (now.uid, now.gid) if now.exists else (os.geteuid(), os.getegid())
    uid = own[0] if wanted.owner is None else files.user_id(wanted.owner)
    gid = own[1] if wanted.group is None else files.group_id(wanted.group)
    return FileState(_content(wanted, now), wanted.mode, uid, gid)


def _content(wanted: ConfigFile, now: FileState) -> bytes:
    text = (wanted.text or "").encode()
    # An empty file is what a task leaves that was killed before it wrote the content.
    if not now.content or not now.content.strip():
        return text
    if not wanted.force:
        return now.content
    if wanted.strategy == "replace":
        return text
    what = f"Cannot merge the config file '{wanted.path}'"
    try:
        current = data.read_text(now.content.decode(), wanted.format)
        merged = data.merge(current, data.read_text(wanted.text or "", wanted.format), wanted.initial)
        if not data.differences(current, merged):
            return now.content
        return render(merged, wanted.format, wanted.path).encode()
    except (data.UnreadableError, ConfigFileError, UnicodeDecodeError) as exc:
        why = "what is on the host is not UTF-8" if isinstance(exc, UnicodeDecodeError) else str(exc)
        raise VolumesError(
            what, f"what is on the host cannot be read or written key by key: {why}", "Correct it, or choose replace"
        ) from None


def _differ(wanted: ConfigFile, now: FileState, after: FileState) -> tuple[str, bool]:
    """Return the words for what differs, and whether a plugin that runs has to be started again for it."""
    if not now.exists:
        return "new", True
    told = [] if (now.mode, now.uid, now.gid) == (after.mode, after.uid, after.gid) else ["mode or owner"]
    if now.content == after.content:
        return "; ".join(told), False
    try:
        old, new = (
            data.read_text((one.content or b"").decode(), wanted.format) if (one.content or b"").strip() else {}
            for one in (now, after)
        )
    except (data.UnreadableError, UnicodeDecodeError):
        return "; ".join(["content", *told]), True
    keys = data.differences(old, new)
    return "; ".join([keys or "only how it is written", *told]), bool(keys)


def _faults(entry: Mapping[str, Any]) -> Iterator[str]:
    name = f"config file {entry.get('path')}"
    for option in ("mode", "directory_mode"):
        if isinstance(entry.get(option), str) and not _MODE.match(entry[option]):
            yield f"{name}: {option} must be three octal digits such as '0600'."
    if entry.get("strategy") == "merge" and entry.get("format") == "raw":
        yield f"{name}: {_NO_MERGE}."
    if entry.get("initial") and entry.get("strategy") != "merge":
        yield f"{name}: initial is for the strategy merge only."


def _checkable(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the entry as raw where it is a text that this host has no library to check: it is written as it is."""
    unreadable = isinstance(entry.get("content"), str) and not can_read(str(entry.get("format")))
    return {**entry, "format": "raw"} if unreadable and entry.get("strategy") != "merge" else entry


def _parsed(entry: Mapping[str, Any], *, removed: bool) -> ConfigFile:
    if removed:
        return ConfigFile(entry["path"])
    return ConfigFile(
        path=entry["path"],
        text=render(entry["content"], _checkable(entry)["format"], entry["path"]),
        format=entry["format"],
        strategy=entry.get("strategy", "replace"),
        initial=tuple(entry.get("initial", ())),
        force=entry.get("force", True),
        backup=entry.get("backup", True),
        mode=int(entry.get("mode", "0600"), 8),
        owner=entry.get("owner"),
        group=entry.get("group"),
        directory_mode=int(entry.get("directory_mode", "0700"), 8),
    )


def _secrets_in(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        hidden = secret_keys({str(key): "" for key in value})
        for key, one in value.items():
            yield from leaves(one) if str(key) in hidden else _secrets_in(one)
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from _secrets_in(one)


def _secrets_in_text(text: str, file_format: str) -> Iterator[str]:
    try:
        yield from _secrets_in(data.read_text(text, file_format))
    except data.UnreadableError:
        # Nobody can tell what of it is secret: each word after a sign that ends a name.
        for line in text.splitlines():
            yield line.strip()
            yield from (part.strip().strip("\"',") for part in re.split(r"[=:]", line)[1:])
