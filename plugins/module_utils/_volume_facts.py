# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What there is to tell of a volume beyond the engine's inspect: users, risks, unfinished changes. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.voltainer.volumes.plugins.module_utils._fill import fill_of
from ansible_collections.voltainer.volumes.plugins.module_utils._reference import driver_key
from ansible_collections.voltainer.volumes.plugins.module_utils._usage import Users
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import (
    BEHIND,
    CHANGE,
    COPIED_SUFFIX,
    FILL,
    PLUGIN_CHANGE,
    QUIESCED,
    Change,
    Volume,
    change_of,
    masked_inspect,
)

NO_USERS = Users()

# File systems of the local driver whose data is on a server, which the volumes of other hosts may refer to as well.
_NETWORK = re.compile(r"nfs|cifs|smb|ceph|gluster|9p|lustre|ocfs|gfs|sshfs|fuse\.", re.IGNORECASE)
# How many names a warning holds before it only counts the rest.
_NAMES = 5


@dataclass(frozen=True)
class Survey:
    """All volumes that were found, and what was seen around them.

    `users` are those of each volume that has any. `unfinished` tells of each volume that an unfinished change is about
    what that is. `unseen` are the volumes that could only be listed, each with the reason; their state, creation time
    and mount point are not known.
    """

    volumes: tuple[Volume, ...]
    users: Mapping[str, Users]
    unfinished: Mapping[str, str]
    unseen: Mapping[str, str]
    warnings: tuple[str, ...] = ()

    def users_of(self, volume: Volume) -> Users:
        """Return who uses the volume."""
        # A volume of the cluster may have the name of another one, and is mounted in other ways.
        return NO_USERS if is_cluster(volume) else self.users.get(volume.name, NO_USERS)


def is_cluster(volume: Volume) -> bool:
    """Return whether it is a volume of the swarm's cluster (23.0 and later), which only the swarm's managers have."""
    return "ClusterVolume" in volume.raw


def unfinished_changes(volumes: Iterable[Volume]) -> dict[str, str]:
    """Return, for each volume that an unfinished change is about, what to tell of it."""
    told: dict[str, str] = {}
    marks: dict[str, str] = {}
    for volume in volumes:
        change = change_of(volume)
        labels = volume.labels or {}
        if change is not None:
            told |= _told(change)
        elif CHANGE in labels and volume.name.endswith(COPIED_SUFFIX) and volume.definition.is_local:
            marks[volume.name] = _MARK
        elif FILL in labels:
            told |= _told_of_fill(volume)
        elif CHANGE in labels:
            # Nothing that this collection made, or a label that was damaged: it is safer to take it for one.
            told.setdefault(
                volume.name, "it carries the label of a change's staging volume, and its record is unreadable"
            )
        elif PLUGIN_CHANGE in labels and volume.name.startswith(BEHIND):
            told[volume.name] = (
                "it notes that a plugin runs which has yet to read its changed config files; the next task of"
                " docker_volume_plugin_x that restarts the plugin removes it"
            )
        elif QUIESCED in labels:
            told[volume.name] = (
                "it says which containers and services are at rest while the data of a volume is used, or were left so;"
                " the next task that uses that data brings them back and removes it"
            )
        elif PLUGIN_CHANGE in labels:
            told[volume.name] = (
                "it notes what a plugin was before a change that was ended midway, or goes on at this moment; the next"
                " task of docker_volume_plugin_x for that plugin finishes the change and removes it"
            )
    # Without its staging volume, nothing else tells of it.
    return {**marks, **told}


def shared_risk(volume: Volume, users: Users) -> str | None:
    """Return why several may write to the volume at once, or None where they may not.

    On this host, that is; where other hosts reach the same data, there too.
    """
    across = _reaches_other_hosts(volume)
    services = {use.service_id: use for use in users.services if not use.read_only}
    known = {use.service_id for use in users.services}
    containers = {
        use.container_id: use.container
        for use in users.containers
        if use.mounted and not use.read_only and use.service_id not in known
    }
    # Each host has a volume of its own where the driver's are local, and one task of a global service.
    tasks = [use.tasks if across or use.mode != "global" else min(use.tasks, 1) for use in services.values()]
    if len(containers) + sum(tasks) <= 1:
        return None
    writers = [f"container {name}" for name in sorted(containers.values())]
    writers += sorted(f"service {use.service} ({use.tasks} task(s))" for use in services.values())
    ending = across or ("on this host, where the swarm may put all of its tasks" if services else "on this host")
    return f"several may write to it at once, {ending}: {', '.join(writers)}"


def whose_data(volume: Volume) -> str:
    """Return what becomes of the data when the volume is removed, in words."""
    if volume.definition.owner_kind == "referenced":
        return "only the reference goes, the data that it refers to stays"
    if volume.definition.is_local:
        return "its data goes with it"
    return f"the driver '{driver_key(volume.driver)}' removes its data, as far as it does so"


def facts(volume: Volume, survey: Survey, size: int | None, secret_options: Iterable[str]) -> dict[str, Any]:
    """Return the volume as a result key shows it."""
    users = survey.users_of(volume)
    return {
        "name": volume.name,
        "driver_name": driver_key(volume.driver),
        "owner_kind": volume.definition.owner_kind,
        "anonymous": volume.anonymous,
        "protected": volume.protected,
        "users": users.as_result() if users else [],
        "writers": users.writers if users else 0,
        "shared_risk": shared_risk(volume, users) if users else None,
        "unfinished": survey.unfinished.get(volume.name),
        "size": size,
        "volume": masked_inspect(volume, secret_options),
    }


def some(names: Iterable[str]) -> str:
    """Return names for a warning: a few, and how many more there are."""
    listed = sorted(names)
    rest = len(listed) - _NAMES
    return ", ".join(listed[:_NAMES]) + (f" and {rest} more" if rest > 0 else "")


def _told(change: Change) -> dict[str, str]:
    going_on = f"the {change.words} was ended midway, or goes on at this moment"
    again = f"the next task of docker_volume_x for the volume '{change.name}' finishes or undoes it"
    concerned = dict.fromkeys((change.name, change.source), f"{going_on}; {again}")
    staging = f"staging volume: {going_on}. It may hold all data, and must not be removed by hand; {again}"
    mark = f"it tells that all data of the volume '{change.name}' is in '{change.staging}': {going_on}; {again}"
    return {**concerned, change.staging: staging, **({change.mark: mark} if change.data == "copy" else {})}


_MARK = (
    "it told that all data of a volume is in the staging volume of its change, and that one is gone; where no such"
    " change is under way, it may be removed"
)


def _told_of_fill(volume: Volume) -> dict[str, str]:
    """Return what to tell of a volume with the label of a fill, and of those that this fill is about."""
    found = fill_of(volume)
    if found is None:
        return {volume.name: "it carries the label of a volume that marks a fill, and its record is unreadable"}
    fill = found[0]
    going_on = f"the {fill.words} into the volume '{fill.target}' was ended midway, or goes on at this moment"
    again = f"the next task that copies or restores the volume '{fill.target}' finishes or undoes it"
    told = {
        fill.target: f"{going_on}; {again}",
        fill.staging: f"staging volume: {going_on}. It may hold all content, and must not be removed by hand; {again}",
    }
    if fill.staged:
        told[fill.mark] = f"it tells that all new content is there: {going_on}; {again}"
    if fill.previous and (fill.way == "replace" or fill.keep):
        told[fill.previous] = f"it has the content from before: {going_on}. It must not be removed by hand; {again}"
    return told


def _reaches_other_hosts(volume: Volume) -> str | None:
    if volume.raw.get("Scope") == "global":
        return "also from other hosts, since its driver is of global scope"
    if volume.definition.owner_kind == "referenced" and _NETWORK.match((volume.options or {}).get("type", "")):
        return "also from other hosts, since its data is on a server"
    return None
