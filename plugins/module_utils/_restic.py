# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""restic: its command lines, what its output means, and its errors in our words (0.14 to 0.19). Pure.

Nothing secret is on a command line, which every user of the host can read: the repository's address, the file with its
password and the keys of its storage go into the environment.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote, unquote

from ansible_collections.voltainer.volumes.plugins.module_utils._backup_names import decode, encode
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import InvalidInputError, VolumesError
from ansible_collections.voltainer.volumes.plugins.module_utils._manifest import Origin
from ansible_collections.voltainer.volumes.plugins.module_utils._secrets import address_secrets, hide
from ansible_collections.voltainer.volumes.plugins.module_utils._strings import option_strings

Version = tuple[int, int, int]

# Exit code of a backup in which some files could not be read; the snapshot is there.
INCOMPLETE = 3

_SPARSE: Version = (0, 15, 0)

_VERSION = re.compile(r"restic ([0-9]+)\.([0-9]+)\.([0-9]+)")
_TIME = re.compile(r"([0-9-]{10}T[0-9:]{8})(?:\.([0-9]+))?(Z|[+-][0-9]{2}:[0-9]{2})\Z")
_ID = re.compile(r"[0-9a-f]{8,64}\Z")
_BACKEND = re.compile(r"[a-z][a-z0-9]*:.")
# What it says before it tries again, and how often and for how many seconds it may where only an answer is waited for.
# It goes on for 15 minutes (0.16 to 0.19), also where nothing will change.
_TRIAL = re.compile(r"returned error, retrying after [^:]*: (.*)")
_TRIALS, _TRIAL_SECONDS = 3, 10
_NO_BUCKET = "specified bucket does not exist"
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
# What options of ours say, and what would put a password where others may see it.
_OURS = {
    "RESTIC_REPOSITORY": "location",
    "RESTIC_REPOSITORY_FILE": "location",
    "RESTIC_PASSWORD": "password_file",
    "RESTIC_PASSWORD_COMMAND": "password_file",
    "RESTIC_PASSWORD_FILE": "password_file",
    "RESTIC_CACHE_DIR": "cache_dir",
    "RESTIC_HOST": "host",
}
# Shorter values, such as switches, are in any text.
_SHORTEST_SECRET = 4

_TAG = "voltainer."
_VOLUME_TAG = f"{_TAG}volume="
_DIGEST_TAG = "content-digest="


class NoRepositoryError(VolumesError):
    """There is no repository."""


class AlreadyMadeError(VolumesError):
    """There is a repository where one was to be made."""


class RepositoryLockedError(VolumesError):
    """Another restic uses the repository."""


@dataclass(frozen=True)
class Repository:
    """A repository of restic; the fields are the suboptions of the option `repository`."""

    location: str
    password_file: str
    cache_dir: str | None = None
    host: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    init: bool = False
    prune: bool = True

    @property
    def folder(self) -> str | None:
        """The folder on this host that it is in, or None where it is elsewhere."""
        path = self.location.removeprefix("local:")
        return path if path.startswith("/") else None


@dataclass(frozen=True)
class Snapshot:
    """A snapshot in a repository."""

    id: str
    time: datetime
    host: str
    paths: tuple[str, ...]
    tags: tuple[str, ...]

    @property
    def short(self) -> str:
        """Its ID as it is shown."""
        return self.id[:8]

    @property
    def origin(self) -> Origin | None:
        """The volume that it is of, as its tags tell; None for one that this collection did not make."""
        return _origin(self.tags)


@dataclass(frozen=True)
class BackedUp:
    """What restic tells of a backup: how many files and bytes it read, how many bytes the repository grew by.

    `unread` are the files that it could not read; the snapshot is there without them.
    """

    snapshot: str
    files: int
    content_bytes: int
    added_bytes: int
    unread: tuple[str, ...] = ()


def parse_repository(value: Mapping[str, Any]) -> Repository:
    """Return the repository that the option means. Raises InvalidInputError; no secret is shown."""
    location = value["location"]
    if address_secrets(location):
        raise InvalidInputError(
            "The option 'repository.location' has a password in it",
            "locations are shown in output and logs",
            "Give it in 'repository.environment' (RESTIC_REST_USERNAME and RESTIC_REST_PASSWORD for a REST server)",
        )
    if not location.isprintable() or not (location.removeprefix("local:").startswith("/") or _is_remote(location)):
        raise InvalidInputError(
            f"The option 'repository.location' has the invalid value {location!r}",
            "it is neither an absolute path nor an address as restic has them",
            "Give one such as /srv/restic, sftp:user@host:/srv/restic or s3:https://s3.example.com/bucket",
        )
    for name in ("password_file", "cache_dir"):
        if value.get(name) is not None and not os.path.isabs(value[name]):
            raise InvalidInputError(
                f"The option 'repository.{name}' has the invalid value {value[name]!r}",
                "it is no absolute path",
                "Give the whole path on the host that runs the module",
            )
    if value.get("host") is not None and not value["host"].strip():
        raise InvalidInputError(
            "The option 'repository.host' is empty", "snapshots have a host", "Leave it out to use the engine's"
        )
    return Repository(
        location=location,
        password_file=value["password_file"],
        cache_dir=value.get("cache_dir"),
        host=value.get("host"),
        environment=_variables(value.get("environment")),
        init=bool(value.get("init", False)),
        prune=bool(value.get("prune", True)),
    )


def environment(repository: Repository, base: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for restic, made of that of this process without what it says to restic."""
    given = {key: value for key, value in base.items() if not key.startswith("RESTIC_")}
    own = {"RESTIC_REPOSITORY": _address(repository), "RESTIC_PASSWORD_FILE": repository.password_file, "LC_ALL": "C"}
    if repository.cache_dir:
        own["RESTIC_CACHE_DIR"] = repository.cache_dir
    return {**given, **repository.environment, **own}


def _address(repository: Repository) -> str:
    """Return the location as restic gets it: before 0.16, a REST server's password can only stand in there."""
    user, password = (repository.environment.get(f"RESTIC_REST_{name}", "") for name in ("USERNAME", "PASSWORD"))
    start, slashes, rest = repository.location.partition("//")
    if not (start.startswith("rest:http") and password) or "@" in rest.partition("/")[0]:
        return repository.location
    return f"{start}{slashes}{quote(user, safe='')}:{quote(password, safe='')}@{rest}"


def parse_version(output: str) -> Version | None:
    """Return the version that `restic version` tells."""
    match = _VERSION.search(output)
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def look_command(*, lock: bool = False) -> list[str]:
    """Return the command that succeeds where the repository is there and the password opens it.

    With `lock`, only while no other restic needs it for itself alone.
    """
    return ["restic", "--json", *_locking(lock=lock), "cat", "config"]


def init_command() -> list[str]:
    """Return the command that makes a repository."""
    return ["restic", "--json", "init"]


def backup_command(host: str, tags: Iterable[str], folder: str) -> list[str]:
    """Return the command that backs up `folder`, a name in the working directory.

    A name and not a path: the snapshot then holds the folder, with its owner and mode, and none of those above it.
    """
    given = [part for tag in tags for part in ("--tag", tag)]
    return ["restic", "--json", "backup", "--host", host, *given, "--", folder]


def check_command(*, lock: bool) -> list[str]:
    """Return the command that checks the repository, without reading all data in it.

    With a lock, nobody can use the repository meanwhile. Without one, all is read, but a restic elsewhere that prunes
    the repository looks like damage.
    """
    return ["restic", "--json", *_locking(lock=lock), "check"]


def snapshots_command(volume: str | None = None, host: str | None = None) -> list[str]:
    """Return the command that lists all snapshots, or those of a volume, or of a host."""
    tag = [] if volume is None else ["--tag", volume_tag(volume)]
    return ["restic", "--json", "--no-lock", "snapshots", *tag, *([] if host is None else ["--host", host])]


def forget_command(ids: Sequence[str], *, prune: bool) -> list[str]:
    """Return the command that removes these very snapshots, and with `prune` the data that only they had.

    Not by a policy: versions differ in what one means, and a snapshot of the future would push all others out.
    """
    if not ids:
        raise ValueError("restic forget without IDs is about all snapshots")
    return ["restic", "--json", "forget", *(["--prune"] if prune else []), "--", *ids]


def restore_command(version: Version, snapshot: str, target: str, *, verify: bool) -> list[str]:
    """Return the command that puts a snapshot into the folder `target`; with `verify` it reads all back."""
    own = [*(["--sparse"] if version >= _SPARSE else []), *(["--verify"] if verify else [])]
    return ["restic", "--json", "restore", *own, "--target", target, "--", snapshot]


def restored_folders(target: str, snapshot: Snapshot) -> list[str]:
    """Return where the volume's folder is below `target` after a restore; the first one that is there is it.

    Backups of ours hold the folder itself, those that were made by its path hold all folders above it as well.
    """
    return [
        os.path.join(target, inside)
        for path in snapshot.paths[:1]
        for inside in (os.path.basename(path.rstrip("/")), path.strip("/"))
    ]


def volume_tag(volume: str) -> str:
    """Return the tag of all snapshots of a volume. restic takes a comma for the end of a tag; there is none in it."""
    return f"{_VOLUME_TAG}{encode(volume)}"


def tags(origin: Origin) -> list[str]:
    """Return the tags of a snapshot, from which `Snapshot.origin` reads it back."""
    told = [volume_tag(origin.volume), f"{_TAG}driver={_quoted(origin.driver)}"]
    told += [f"{_TAG}engine={_quoted(origin.engine)}"] if origin.engine else []
    told += [f"{_TAG}option.{_quoted(key)}={_quoted(value)}" for key, value in sorted((origin.options or {}).items())]
    told += [f"{_TAG}hidden={_quoted(key)}" for key in origin.hidden_options]
    told += [f"{_TAG}label.{_quoted(key)}={_quoted(value)}" for key, value in sorted((origin.labels or {}).items())]
    return [*told, *([f"{_DIGEST_TAG}{origin.content_digest}"] if origin.content_digest else [])]


def parse_snapshots(output: str, repository: Repository) -> list[Snapshot]:
    """Return the snapshots that restic lists, the oldest first. Raises VolumesError for what is no list of these."""
    try:
        found = [_snapshot(record) for record in json.loads(output) or ()]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise VolumesError(
            f"Cannot list the snapshots in {_shown(repository)}",
            "restic answered something else than a list of them",
            "Look at what 'restic snapshots --json' prints there",
        ) from None
    return sorted(found, key=lambda one: (one.time, one.id))


def is_hopeless(errors: str, seconds: float) -> bool:
    """Return whether a restic that has said this in so many seconds tries in vain, where only an answer is wanted."""
    trials = _trials(errors)
    return any(_NO_BUCKET in why for why in trials) or (len(trials) >= _TRIALS and seconds >= _TRIAL_SECONDS)


def parse_backup(what: str, repository: Repository, code: int | None, output: str, errors: str) -> BackedUp:
    """Return what a backup ended with. Raises VolumesError, about the action `what`, where there is no snapshot."""
    messages = list(_messages(output))
    summary = next((one for one in messages if one.get("message_type") == "summary"), {})
    try:
        if code not in {0, INCOMPLETE}:
            raise failure(what, repository, code, output, errors)
        done = BackedUp(
            snapshot=summary["snapshot_id"],
            files=int(summary["total_files_processed"]),
            content_bytes=int(summary["total_bytes_processed"]),
            added_bytes=int(summary["data_added"]),
            unread=tuple(sorted(_unread([*messages, *_messages(errors)]))),
        )
    except (KeyError, TypeError, ValueError):
        raise failure(what, repository, code, output, errors) from None
    return done


def failure(what: str, repository: Repository, code: int | None, output: str, errors: str) -> VolumesError:
    """Return the error for a restic that failed at the action `what` with this exit code and these outputs.

    The code is None where it was ended because it had no answer.
    """
    secrets = [value for value in repository.environment.values() if len(value) >= _SHORTEST_SECRET]
    # In an address, a password is written in another way.
    secrets += [quote(value, safe="") for value in secrets]
    said = hide("\n".join(_said(output, errors) if code is not None else _trials(errors)[-1:]), secrets)
    named = {"location": repository.location, "file": repository.password_file}
    for one in _FAILURES:
        match = one.pattern.search(said)
        if match or code in one.codes:
            detail = match.group("detail") or "" if match and "detail" in match.groupdict() else ""
            detail = detail.removeprefix("subprocess ssh: ").removeprefix("Fatal: ")
            return one.error(what, one.why.format(detail=detail, **named), one.way_out.format(**named))
    last = said.strip().rpartition("\n")[2].removeprefix("Fatal: ")
    if code is None:
        return VolumesError(what, f"{_shown(repository)} did not answer in time{last and ': '}{last}", _WAY_THERE)
    return VolumesError(what, f"restic failed at {_shown(repository)}: {last or f'it ended with the code {code}'}")


@dataclass(frozen=True)
class _Failure:
    """How a failure is told from others, by exit codes of 0.17 and later or by words, and how it is told."""

    pattern: re.Pattern[str]
    why: str
    way_out: str
    codes: frozenset[int] = frozenset()
    error: type[VolumesError] = VolumesError


_REPAIR = "Look at what 'restic check' prints, repair it as restic's documentation tells, and back up again"
_WAY_THERE = (
    "Look at the address and the way there, and for sftp: whether 'sftp' gets there without a question, as the user who"
    " runs the task"
)
_THERE = "the repository at '{location}'"
_FAILURES = (
    _Failure(
        re.compile(r"wrong password or no key found"),
        f"{_THERE} does not open with the password in '{{file}}'",
        "Give the file that has its password in 'repository.password_file'",
        frozenset({12}),
    ),
    _Failure(
        re.compile(r"config or key [0-9a-f]+ is damaged"),
        f"{_THERE} does not open, as its config and its keys do not belong together. So it is where two hosts made it"
        " at once",
        "If it is new, remove all of it, and have one host make it ('run_once: true') before the others use it",
    ),
    _Failure(
        re.compile(r"repository is already locked(?P<detail> (?:exclusively )?by .*)?"),
        f"{_THERE} is locked{{detail}}",
        "Wait for that restic to end; if it does not run any more, remove its lock with 'restic unlock'",
        frozenset({11}),
        RepositoryLockedError,
    ),
    _Failure(
        re.compile(r"Resolving password failed: (?:Fatal: )?(?P<detail>.*)"),
        "the password file '{file}' cannot be read: {detail}",
        "Put the repository's password there, readable for the user who runs the task",
    ),
    _Failure(
        re.compile(r"an empty password"),
        "the password file '{file}' is empty",
        "Put the repository's password there",
    ),
    _Failure(
        # What ssh says: the ways of proof that the server takes.
        re.compile(r"(?i)(?P<detail>.*permission denied \([a-z,-]+\).*)"),
        f"{_THERE} does not let us in: {{detail}}",
        "Name a key that it takes in the configuration of ssh (IdentityFile), readable for the user who runs the task",
    ),
    _Failure(
        re.compile(r"(?i)(?P<detail>.*(?:host key verification failed|host key for .* has changed).*)"),
        f"{_THERE} is on a host that ssh does not know: {{detail}}",
        "Put the host's key among those that ssh knows (ansible.builtin.known_hosts) for the user who runs the task",
    ),
    _Failure(
        re.compile(
            r"(?i)(?P<detail>.*(?:could not resolve hostname|no such host|server misbehaving|connection refused"
            r"|no route to host|timed out|timeout|deadline exceeded|network is unreachable|connection reset"
            r"|connection closed|x509: |unable to start the sftp session).*)"
        ),
        f"{_THERE} cannot be reached: {{detail}}",
        _WAY_THERE,
    ),
    _Failure(
        re.compile(
            r"(?i)(?P<detail>.*(?:no credentials found|access ?denied|signature ?does ?not ?match"
            r"|access key id|security token|403 forbidden|401 unauthorized).*)"
        ),
        f"{_THERE} does not let us in: {{detail}}",
        "Give the keys in 'repository.environment' (for s3: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, for rest:"
        " RESTIC_REST_USERNAME and RESTIC_REST_PASSWORD)",
    ),
    _Failure(
        re.compile(r"(?P<detail>.*permission denied.*)"),
        f"{_THERE} is not accessible for the user who runs the task: {{detail}}",
        "Run the task as a user who may write there ('become: true')",
    ),
    _Failure(
        re.compile(r"(?:no space left on device|quota exceeded)"),
        f"{_THERE} has no space left",
        "Make space there, for instance by 'keep' with fewer backups, and run 'restic prune'",
    ),
    _Failure(
        re.compile(rf"Is there a repository at the following location|{_NO_BUCKET}"),
        "there is no repository at '{location}'",
        "Give the right location, or have the backup make one there with 'repository.init: true'",
        frozenset({10}),
        NoRepositoryError,
    ),
    _Failure(
        re.compile(r"config file already exists|repository master key and config already initialized"),
        f"{_THERE} is there already",
        "Leave 'repository.init' out",
        error=AlreadyMadeError,
    ),
    _Failure(
        re.compile(r"no matching ID found|no snapshot found|failed to find snapshot"),
        f"{_THERE} has no such snapshot",
        "Choose one of those that 'restic snapshots' lists",
    ),
    _Failure(
        re.compile(r"(?P<detail>pack [0-9a-f]{8,}: .*)(?s:.*)repository contains errors"),
        f"{_THERE} is damaged: {{detail}}",
        _REPAIR,
    ),
    _Failure(re.compile(r"repository contains errors"), f"{_THERE} is damaged", _REPAIR),
    _Failure(
        re.compile(r"invalid backend"),
        "restic knows no repositories such as '{location}'",
        "Give a location that this version of restic knows, such as an absolute path, sftp: or s3:",
    ),
)


def _is_remote(location: str) -> bool:
    return bool(_BACKEND.match(location)) and not location.startswith("local:")


def _shown(repository: Repository) -> str:
    return f"the repository at '{repository.location}'"


def _variables(given: Mapping[str, Any] | None) -> dict[str, str]:
    values = option_strings("repository.environment", given) or {}
    for name, value in values.items():
        if not _VARIABLE.match(name) or "\0" in value:
            raise InvalidInputError(
                f"The option 'repository.environment' has the invalid key {name!r}",
                "it is no name of an environment variable, or its value has a NUL character",
                "Give names such as AWS_ACCESS_KEY_ID",
            )
        if name in _OURS:
            raise InvalidInputError(
                f"The option 'repository.environment' has the key '{name}'",
                f"that is what the option 'repository.{_OURS[name]}' is for",
                f"Use 'repository.{_OURS[name]}'",
            )
    return values


def _locking(*, lock: bool) -> list[str]:
    return [] if lock else ["--no-lock"]


def _quoted(text: str) -> str:
    return quote(text, safe="/:@+ ")


def _origin(told: Sequence[str]) -> Origin | None:
    known = [tag.partition("=") for tag in told if tag.startswith((_TAG, _DIGEST_TAG))]
    single = {key.removeprefix(_TAG): value for key, _equals, value in known}
    volume = decode(single.get("volume", ""))
    if volume is None:
        return None
    parts: dict[str, dict[str, str]] = {"option": {}, "label": {}}
    for key, _equals, value in known:
        kind, dot, name = key.removeprefix(_TAG).partition(".")
        if dot and kind in parts:
            parts[kind][unquote(name)] = unquote(value)
    return Origin(
        volume=volume,
        driver=unquote(single.get("driver", "")) or "local",
        options=parts["option"],
        hidden_options=tuple(sorted(unquote(value) for key, _equals, value in known if key == f"{_TAG}hidden")),
        labels=parts["label"],
        engine=unquote(single.get("engine", "")),
        content_digest=single.get(_DIGEST_TAG[:-1]),
    )


def _snapshot(record: Mapping[str, Any]) -> Snapshot:
    texts = [record["id"], record.get("hostname") or "", *(record.get("paths") or ()), *(record.get("tags") or ())]
    if not all(isinstance(text, str) for text in texts) or not _ID.match(record["id"]):
        raise TypeError
    return Snapshot(
        id=record["id"],
        time=parse_time(record["time"]),
        host=record.get("hostname") or "",
        paths=tuple(record.get("paths") or ()),
        tags=tuple(record.get("tags") or ()),
    )


def parse_time(text: str) -> datetime:
    """Return the time that restic tells. Raises ValueError for what is none."""
    match = _TIME.match(text)
    if not match:
        raise ValueError
    # Python 3.9 reads neither the Z nor nanoseconds.
    whole = datetime.fromisoformat(match[1] + match[3].replace("Z", "+00:00"))
    return (whole + timedelta(microseconds=int((match[2] or "0")[:6].ljust(6, "0")))).astimezone(timezone.utc)


def _messages(output: str) -> Iterator[dict[str, Any]]:
    for line in output.splitlines():
        if line.startswith("{"):
            try:
                message = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(message, dict):
                yield message


def _unread(messages: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for message in messages:
        # What only the estimate of the size did not find is told again where it was to be read.
        if message.get("message_type") == "error" and message.get("during") == "archival":
            yield str(message.get("item") or "")


def _trials(errors: str) -> list[str]:
    """Return why restic tried again, each time."""
    return [match[1] for line in errors.splitlines() for match in [_TRIAL.search(line)] if match]


def _said(output: str, errors: str) -> Iterator[str]:
    """Yield what restic says, the messages that are JSON as their text; what it tried again is left out."""
    for line in [*output.splitlines(), *errors.splitlines()]:
        if not line.startswith("{"):
            if "retrying after" not in line and not line.startswith("["):
                yield line
            continue
        for message in _messages(line):
            if message.get("message_type") in {"error", "exit_error"}:
                yield str(message.get("message") or message.get("error") or "")
