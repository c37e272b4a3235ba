# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task wants of a backup, from its options. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.voltainer.volumes.plugins.module_utils._archive_kind import (
    Compression,
    Encryption,
    check_recipient,
    checked_level,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import InvalidInputError
from ansible_collections.voltainer.volumes.plugins.module_utils._options import absolute, gathered, one_of
from ansible_collections.voltainer.volumes.plugins.module_utils._quiesce import QuiesceWanted, parse_quiesce
from ansible_collections.voltainer.volumes.plugins.module_utils._restic import Repository, parse_repository
from ansible_collections.voltainer.volumes.plugins.module_utils._retention import Keep, parse_keep
from ansible_collections.voltainer.volumes.plugins.module_utils._volume_wanted import volume_name

# What the options mean where the task does not give them.
NOBODY_RESTS = QuiesceWanted("none", "none", 60)


@dataclass(frozen=True)
class BackupWanted:
    """What is wanted of one backup; the fields are the options of the module.

    One of `path` and `repository` is given. `level` is that of the compression, its default filled in. `timeout` is
    in seconds.
    """

    name: str
    path: str | None = None
    repository: Repository | None = None
    compression: Compression = "zstd"
    level: int = 3
    threads: int = 0
    encryption: Encryption = "none"
    recipients: tuple[str, ...] = ()
    unless_changed: bool = False
    keep: Keep = field(default_factory=Keep)
    verify: bool = True
    secret_options: tuple[str, ...] = ()
    quiesce: QuiesceWanted = NOBODY_RESTS
    timeout: int = 60

    @property
    def programs(self) -> tuple[str, ...]:
        """The programs that it needs, beside those that each host has."""
        if self.repository:
            return ("restic",)
        wanted = (self.compression if self.compression == "zstd" else None, self.encryption)
        return tuple(one for one in wanted if one and one != "none")


def parse_backup(params: Mapping[str, Any]) -> BackupWanted:
    """Return what the options of the task ask for. Raises InvalidInputError, or VolumesError that lists all errors."""
    repository = params.get("repository")
    values = gathered(
        {
            "name": lambda: volume_name("name", params["name"]),
            "path": lambda: absolute("path", params.get("path") or None),
            "repository": lambda: None if repository is None else parse_repository(repository),
            "level": lambda: checked_level(params["compression"], params.get("level")),
            "keep": lambda: parse_keep(params.get("keep")),
            "quiesce": lambda: parse_quiesce(params),
            "threads": lambda: _checked_threads(params["threads"]),
        },
        [
            lambda: one_of(params, ("path", "repository")),
            lambda: _check_encryption(params["encryption"], params.get("recipients") or ()),
            lambda: _check_for_restic(params),
        ],
    )
    return BackupWanted(
        **values,
        compression=params["compression"],
        encryption=params["encryption"],
        recipients=tuple(params.get("recipients") or ()),
        unless_changed=params["unless_changed"],
        verify=params["verify"],
        secret_options=tuple(params.get("secret_options") or ()),
        timeout=params["timeout"],
    )


def _checked_threads(threads: int) -> int:
    if threads < 0:
        raise InvalidInputError(
            f"The option 'threads' has the invalid value {threads}", "it is less than 0", "Give 0 for one for each core"
        )
    return threads


def _check_encryption(encryption: Encryption, recipients: tuple[str, ...] | list[str]) -> None:
    if encryption == "none":
        if recipients:
            # What was meant to be secret must not lie there for everybody to read.
            raise InvalidInputError(
                "The option 'recipients' is given, and 'encryption' is not",
                "the archive would not be encrypted",
                "Set 'encryption' to age or gpg, or leave the recipients out",
            )
        return
    if not recipients:
        raise InvalidInputError(
            f"The option 'encryption' is '{encryption}', and 'recipients' is not given",
            "nobody could decrypt the archive",
            "Give the public keys of those who may",
        )
    for recipient in recipients:
        check_recipient(encryption, recipient)


def _check_for_restic(params: Mapping[str, Any]) -> None:
    if params.get("repository") is None:
        return
    if params["encryption"] != "none":
        raise InvalidInputError(
            "The options 'encryption' and 'repository' are both given",
            "restic encrypts all that is in a repository, with the repository's own password",
            "Leave 'encryption' and 'recipients' out",
        )
    if params.get("fetch_to") is not None:
        raise InvalidInputError(
            "The options 'fetch_to' and 'repository' are both given",
            "there is no archive that could be fetched",
            "Use 'path', or leave 'fetch_to' out",
        )
