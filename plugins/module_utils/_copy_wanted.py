# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task wants copied, from its options. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from ansible_collections.voltainer.volumes.plugins.module_utils._errors import InvalidInputError
from ansible_collections.voltainer.volumes.plugins.module_utils._quiesce import QuiesceWanted, parse_quiesce
from ansible_collections.voltainer.volumes.plugins.module_utils._volume_wanted import (
    VolumeWanted,
    parse_volume,
    volume_name,
)

OnExisting = Literal["fail", "replace", "sync"]


@dataclass(frozen=True)
class CopyWanted:
    """What is wanted; the fields are the options of the module. `target` is the volume `name` and its definition."""

    source: str
    source_host: str | None
    target: VolumeWanted
    on_existing: OnExisting
    verify: bool
    quiesce: QuiesceWanted


def parse_copy(params: Mapping[str, Any]) -> CopyWanted:
    """Return what the options of a task ask for. Raises InvalidInputError."""
    target = parse_volume(params)
    source = volume_name("source", params["source"])
    source_host = params.get("source_docker_host")
    if source == target.name and source_host is None:
        raise InvalidInputError(
            "The options 'source' and 'name' are the same", f"'{source}' cannot be copied to itself", "Change one"
        )
    return CopyWanted(
        source=source,
        source_host=source_host,
        target=target,
        on_existing=cast("OnExisting", params["on_existing"]),
        verify=params["verify"],
        quiesce=parse_quiesce(params),
    )
