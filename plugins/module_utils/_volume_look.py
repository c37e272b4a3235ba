# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Observe the volumes of a task, with as few requests as it takes."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from functools import cached_property

from ansible_collections.voltainer.volumes.plugins.module_utils import _folders
from ansible_collections.voltainer.volumes.plugins.module_utils._engine import Engine
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import EngineError
from ansible_collections.voltainer.volumes.plugins.module_utils._usage import Users
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import (
    CHANGE,
    LOCAL,
    STAGING_SUFFIX,
    Change,
    Volume,
    change_of,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._volume_change import check_settling
from ansible_collections.voltainer.volumes.plugins.module_utils._volume_plan import (
    Intent,
    VolumeFound,
    blockers,
    change_for,
    intent,
    settled,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._volume_wanted import VolumeWanted

# From so many names on, one list of all local volumes is cheaper than looking up each.
_MANY = 8
_POLL_SECONDS = 0.5


class Look:
    """What the engine says of the volumes that a task names. Nothing is looked up that no plan needs."""

    def __init__(self, engine: Engine, items: Sequence[VolumeWanted]) -> None:
        """Remember what to look for."""
        self._engine = engine
        self._names = tuple(name for item in items for name in item.names)
        self._many = len(self._names) > _MANY
        self._began = time.monotonic()
        self._users: Users | None = None
        self._found_changes: tuple[tuple[Change, Volume], ...] | None = None
        self._ready_drivers: dict[str, bool] = {}

    def found(self, wanted: VolumeWanted) -> VolumeFound:
        """Return what is to be known for the plan of one volume. Raises VolumesError."""
        volume = self._volume(wanted.name)
        source = self._volume(wanted.rename_from) if wanted.rename_from else None
        changes = self._changes(volume or source)
        touching = [one for one in changes if {one[0].name, one[0].source}.intersection(wanted.names)]
        unfinished = tuple(change for change, _staging in touching)
        for change, staging in touching:
            named = {change.name: self._volume(change.name), change.source: self._volume(change.source)}
            check_settling(change, *named.values(), staging, engine_is_here=self._engine.is_here)
            used = change.renames and bool(self._engine.users(change.name).containers)
            after = settled(change, named, used=used)
            volume = after.get(wanted.name, volume)
            source = after.get(wanted.rename_from or "", source)
        doing = intent(wanted, volume, source)
        current = source or volume
        planned = change_for(wanted, current) if current and doing in {"recreate", "rename"} else None
        return VolumeFound(
            volume,
            source,
            users=self._users_for(wanted, doing) if doing in {"remove", "recreate", "rename"} else Users(),
            driver_ready=self._ready(wanted, doing, planned),
            # A volume that is gone in the middle of a change will be beside its staging volume.
            unreachable=self._unreachable(planned, current, *(staging for _change, staging in touching)),
            unfinished=unfinished,
        )

    @cached_property
    def _local(self) -> dict[str, Volume]:
        """All local volumes, where it is worth it to list them, and as far as the engine does."""
        if not self._many:
            return {}
        try:
            listing = self._engine.volumes(LOCAL, seconds=self._engine.timeout)
        except EngineError as exc:
            if exc.status is not None:
                raise
            # A legacy driver that the engine meets only after its start, and that hangs then, keeps even the list of
            # the local volumes back (20.10 to 28.5). Each by its name is told at once.
            self._many = False
            return {}
        return {volume.name: volume for volume in listing.volumes}

    def _changes(self, beside: Volume | None) -> tuple[tuple[Change, Volume], ...]:
        """Return the unfinished changes with their staging volumes; `beside` is a volume that is there."""
        if self._found_changes is None:
            staging = ((change_of(one), one) for one in self._staging(beside))
            self._found_changes = tuple((change, volume) for change, volume in staging if change)
        return self._found_changes

    def _staging(self, beside: Volume | None) -> Iterable[Volume]:
        if self._local and self._many:
            return self._local.values()
        # The folders tell without the engine, which asks each driver for a name that it does not know, and may keep the
        # list back as well: one driver that hangs must not keep a local volume from being looked at.
        names = None
        if beside and beside.definition.is_local and self._engine.is_here:
            names = _folders.names_beside(beside.mountpoint, STAGING_SUFFIX)
        if names is None:
            return self._engine.volumes(LOCAL, label=CHANGE, seconds=self._engine.timeout).volumes
        return [volume for volume in map(self._engine.volume, names) if volume]

    def _volume(self, name: str) -> Volume | None:
        # What is not listed is looked up: it may be another driver's, or of a plugin that was disabled or removed.
        return self._local[name] if name in self._local else self._engine.volume(name)

    def _users_for(self, wanted: VolumeWanted, doing: Intent) -> Users:
        if self._users is None:
            self._users = self._look_for_users()
        while True:
            users = self._users.of(*wanted.names)
            left = self._began + wanted.wait - time.monotonic()
            if left <= 0 or not blockers(wanted, doing, users):
                return users
            time.sleep(min(_POLL_SECONDS, left))
            self._users = self._look_for_users()

    def _look_for_users(self) -> Users:
        return self._engine.users(self._names[0] if len(self._names) == 1 else None)

    def _ready(self, wanted: VolumeWanted, doing: Intent, change: Change | None) -> bool | None:
        if doing == "create" and wanted.driver is not None:
            return self._driver_ready(wanted.driver)
        if change and not change.renames:
            return self._driver_ready(change.target.driver)
        return None

    def _driver_ready(self, driver: str) -> bool:
        if driver not in self._ready_drivers:
            self._ready_drivers[driver] = self._engine.driver_ready(driver)
        return self._ready_drivers[driver]

    def _unreachable(self, change: Change | None, *volumes: Volume | None) -> str:
        if change is not None and change.data == "copy":
            # Few changes need it, and it takes time to load.
            from ansible_collections.voltainer.volumes.plugins.module_utils import _volume_copy  # noqa: PLC0415

            return _volume_copy.why_unreachable(self._engine)
        if change is None or change.data != "move":
            return ""
        mountpoint = next((one.mountpoint for one in volumes if one and one.mountpoint), "")
        return _folders.why_unreachable(mountpoint, engine_is_here=self._engine.is_here)
