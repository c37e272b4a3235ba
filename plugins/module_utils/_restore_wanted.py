# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task wants of a restore, from its options. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ansible_collections.voltainer.volumes.plugins.module_utils._archive_layout import parse_strip
from ansible_collections.voltainer.volumes.plugins.module_utils._backup_names import parse_stamp
from ansible_collections.voltainer.volumes.plugins.module_utils._backup_wanted import NOBODY_RESTS
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import InvalidInputError
from ansible_collections.voltainer.volumes.plugins.module_utils._options import absolute, gathered, one_of
from ansible_collections.voltainer.volumes.plugins.module_utils._quiesce import QuiesceWanted, parse_quiesce
from ansible_collections.voltainer.volumes.plugins.module_utils._restic import Repository, parse_repository
from ansible_collections.voltainer.volumes.plugins.module_utils._strings import label_strings, option_strings
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import RESERVED
from ansible_collections.voltainer.volumes.plugins.module_utils._volume_wanted import volume_name

OnExisting = Literal["replace", "fail"]

# The snapshot, or the archive of a folder, that was made last.
LATEST = "latest"
SOURCES = ("path", "src", "repository")
# What the controller calls the archive that its action plugin has brought to `path`, in the task's environment.
SRC_VARIABLE = "VOLTAINER_RESTORE_SRC"

# restic's IDs, in full or their beginning.
_SNAPSHOT = re.compile(r"[0-9a-f]{8,64}\Z")


@dataclass(frozen=True)
class RestoreWanted:
    """What is wanted of one restore; the fields are the options of the module. None means unspecified.

    One of `path` and `repository` is given. `backup_of` is the volume whose backup is taken, where the task says so.
    `strip` is None where the archive itself is to tell which of its folders is the volume's.
    """

    name: str
    path: str | None = None
    repository: Repository | None = None
    snapshot: str = LATEST
    backup_of: str | None = None
    on_existing: OnExisting = "replace"
    keep_previous: bool = True
    confirm: str | None = None
    strip: str | None = None
    identity_file: str | None = None
    allow_devices: bool = False
    allow_links: bool = False
    verify: bool = True
    driver: str | None = None
    driver_options: Mapping[str, str] | None = None
    labels: Mapping[str, str] | None = None
    secret_options: tuple[str, ...] = ()
    quiesce: QuiesceWanted = NOBODY_RESTS
    timeout: int = 60

    @property
    def backed_up(self) -> str:
        """The name of the volume whose backup is taken."""
        return self.backup_of or self.name

    @property
    def confirmed(self) -> bool:
        """Whether the task names the volume a second time."""
        return self.confirm == self.name


def parse_restore(params: Mapping[str, Any]) -> RestoreWanted:
    """Return what the options of the task ask for. Raises InvalidInputError, or VolumesError that lists all errors."""
    repository, backup_of = params.get("repository"), params.get("backup_of")
    values = gathered(
        {
            "name": lambda: volume_name("name", params["name"], params.get("driver")),
            "path": lambda: absolute("path", params.get("path") or None),
            "repository": lambda: None if repository is None else parse_repository(repository),
            "snapshot": lambda: _checked_snapshot(params["snapshot"], restic=repository is not None),
            "backup_of": lambda: None if backup_of is None else volume_name("backup_of", backup_of),
            "strip": lambda: parse_strip(params["strip"]),
            "identity_file": lambda: absolute("identity_file", params.get("identity_file")),
            "driver": lambda: _checked_driver(params.get("driver")),
            "driver_options": lambda: option_strings("driver_options", params.get("driver_options")),
            "labels": lambda: _checked_labels(params.get("labels")),
            "quiesce": lambda: parse_quiesce(params),
        },
        [lambda: check_source(params), lambda: _check_uploaded(params)],
    )
    return RestoreWanted(
        **values,
        on_existing=params["on_existing"],
        keep_previous=params["keep_previous"],
        confirm=params.get("confirm"),
        allow_devices=params["allow_devices"],
        allow_links=params["allow_links"],
        verify=params["verify"],
        secret_options=tuple(params.get("secret_options") or ()),
        timeout=params["timeout"],
    )


def check_source(params: Mapping[str, Any]) -> None:
    """Raise InvalidInputError unless exactly one source is given. For the action plugin, too, before it uploads one."""
    one_of(params, SOURCES)
    if params.get("src") is not None and params.get("snapshot", LATEST) != LATEST:
        raise InvalidInputError(
            "The options 'src' and 'snapshot' are both given", "'src' is a single archive", "Leave 'snapshot' out"
        )


def _check_uploaded(params: Mapping[str, Any]) -> None:
    if params.get("src") is not None:
        raise InvalidInputError(
            f"The file '{params['src']}' of the controller is not on the host",
            "the action plugin of this module brings it there, and did not run",
            "Name the module in full (voltainer.volumes.docker_volume_x_restore), or copy the file and give its 'path'",
        )


def _checked_snapshot(text: str, *, restic: bool) -> str:
    if text == LATEST or (_SNAPSHOT.match(text) if restic else parse_stamp(text)):
        return text
    raise InvalidInputError(
        f"The option 'snapshot' has the invalid value {text!r}",
        "it is no ID of a snapshot, of eight hexadecimal digits or more"
        if restic
        else "it is no time as it stands in the names of archives",
        f"Give one such as {'1a2b3c4d' if restic else '20260131T235959Z'}, or '{LATEST}'",
    )


def _checked_driver(driver: str | None) -> str | None:
    if driver is not None and not driver.strip():
        raise InvalidInputError(
            "The option 'driver' is empty", "a volume has a driver", "Leave it out to use that of the backup"
        )
    return driver


def _checked_labels(labels: Mapping[str, Any] | None) -> Mapping[str, str] | None:
    checked = label_strings("labels", labels)
    reserved = [key for key in checked or {} if key.startswith(RESERVED)]
    if reserved:
        raise InvalidInputError(
            f"The option 'labels' has the label '{reserved[0]}'",
            f"labels that begin with '{RESERVED}' belong to this collection, and come back with the backup",
            "Choose another name",
        )
    return checked
