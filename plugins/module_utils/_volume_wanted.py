# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task wants of volumes, from its options. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from ansible_collections.voltainer.volumes.plugins.module_utils._errors import InvalidInputError, together
from ansible_collections.voltainer.volumes.plugins.module_utils._reference import driver_key
from ansible_collections.voltainer.volumes.plugins.module_utils._strings import label_strings, option_strings
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import (
    COPIED_SUFFIX,
    FILL_OLD_SUFFIX,
    FILL_SUFFIX,
    FILLED_SUFFIX,
    LOCAL,
    QUIESCE_SUFFIX,
    RESERVED,
    STAGING_SUFFIX,
)

State = Literal["present", "absent"]
Comparison = Literal["subset", "exact"]
Recreate = Literal["never", "options-changed", "always"]
Data = Literal["keep", "discard"]
Drift = Literal["warn", "fail", "ignore"]

# The engine's rule for names (20.10 to 28.5): two characters or more.
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+\Z")
# Plugins make their own rules; some have folders in names.
_PLUGIN_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*(?:/[a-zA-Z0-9_.-]+)*\Z")
# Volumes of this collection, which it makes and removes by itself: what they are, and what brings them to their end.
_STAGING = (
    "staging volumes of this collection",
    "Name the volume that the change is about: the next task for that one brings it to an end",
)
_FILL = (
    "the volumes with which this collection fills other volumes",
    "Name the volume that is filled: the next task that copies or restores it brings that to an end",
)
_OWN = {
    # It may hold the only data of a volume whose change goes on, or was interrupted.
    STAGING_SUFFIX: _STAGING,
    COPIED_SUFFIX: _STAGING,
    FILL_SUFFIX: _FILL,
    FILLED_SUFFIX: _FILL,
    FILL_OLD_SUFFIX: _FILL,
    # Without it, nobody knows which containers and services are to be started again.
    QUIESCE_SUFFIX: (
        "the volumes in which this collection notes whom it brought to rest",
        "Name the volume whose users are at rest: the next task that uses its data brings them back",
    ),
}


@dataclass(frozen=True)
class VolumeWanted:
    """What is wanted of one volume; the fields are the options of the module. None means unspecified: not managed."""

    name: str
    state: State
    driver: str | None = None
    driver_options: Mapping[str, str] | None = None
    labels: Mapping[str, str] | None = None
    secret_options: tuple[str, ...] = ()
    comparison: Comparison = "subset"
    recreate: Recreate = "never"
    data: Data = "keep"
    drift: Drift = "warn"
    protected: bool | None = None
    confirm: str | None = None
    wait: int = 0
    rename_from: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all volumes that this may change."""
        return (self.name, self.rename_from) if self.rename_from else (self.name,)

    @property
    def confirmed(self) -> bool:
        """Whether the task names the volume a second time."""
        return self.confirm == self.name


@dataclass(frozen=True)
class VolumesWanted:
    """What a task wants: of a single volume, given by the option `name`, or of the many in `volumes`."""

    items: tuple[VolumeWanted, ...]
    single: bool


def parse_volumes(params: Mapping[str, Any]) -> VolumesWanted:
    """Return what the options of a task ask for. Raises InvalidInputError, which lists all that is wrong."""
    items = params.get("volumes")
    if items is None:
        return VolumesWanted((_parse(params, ""),), single=True)
    parsed, errors = [], []
    for number, item in enumerate(items):
        given = {key: value for key, value in item.items() if value is not None}
        try:
            parsed.append(_parse({**params, **given}, f" of volumes[{number}]"))
        except InvalidInputError as exc:
            errors.append(exc)
    if not errors:
        errors += _named_twice(parsed)
    if errors:
        raise together("Nothing was changed", errors)
    return VolumesWanted(tuple(parsed), single=False)


def parse_volume(params: Mapping[str, Any]) -> VolumeWanted:
    """Return the volume that a task wants to be there, of a module that has only the options of its definition.

    Raises InvalidInputError.
    """
    others = {
        "state": "present",
        "comparison": "subset",
        "recreate": "never",
        "data": "keep",
        "drift": "warn",
        "wait": 0,
    }
    return _parse({**others, **params}, "")


def volume_name(option: str, name: str, driver: str | None = None) -> str:
    """Return the name of a volume that an option gives, of any driver where none is said. Raises InvalidInputError."""
    return _checked_name(option, name, driver, "absent", "")


def _parse(params: Mapping[str, Any], where: str) -> VolumeWanted:
    driver, state, name = params.get("driver"), cast("State", params["state"]), params["name"]
    if driver is not None and not driver.strip():
        raise InvalidInputError(
            f"The option 'driver'{where} is empty",
            "a volume has a driver",
            f"Leave the option out to use the engine's default ('{LOCAL}')",
        )
    wanted = VolumeWanted(
        name=_checked_name("name", name, driver, state, where),
        state=state,
        driver=driver,
        driver_options=option_strings("driver_options", params.get("driver_options"), where),
        labels=label_strings("labels", params.get("labels"), where),
        secret_options=tuple(params.get("secret_options") or ()),
        comparison=params["comparison"],
        recreate=params["recreate"],
        data=params["data"],
        drift=params["drift"],
        protected=params.get("protected"),
        confirm=params.get("confirm"),
        wait=params["wait"],
        rename_from=params.get("rename_from"),
    )
    _check_rules(wanted, where)
    return wanted


def _check_rules(wanted: VolumeWanted, where: str) -> None:
    reserved = [key for key in wanted.labels or {} if key.startswith(RESERVED)]
    if reserved:
        raise InvalidInputError(
            f"The option 'labels'{where} has the label '{reserved[0]}'",
            f"labels that begin with '{RESERVED}' belong to this collection",
            "Choose another name; for the protection of a volume there is the option 'protected'",
        )
    if wanted.wait < 0:
        raise InvalidInputError(f"The option 'wait'{where} is invalid", "it is below 0", "Give seconds")
    if wanted.rename_from is None:
        return
    if wanted.state == "absent":
        raise InvalidInputError(
            f"The options{where} contradict each other",
            "a volume cannot be renamed ('rename_from') and removed (state 'absent') at once",
            "To remove it, name it as it is called now",
        )
    _checked_name("rename_from", wanted.rename_from, wanted.driver, "absent", where)
    if wanted.rename_from == wanted.name:
        raise InvalidInputError(
            f"The option 'rename_from'{where} is '{wanted.name}'", "that is the new name, too", "Give the old name"
        )


def _checked_name(option: str, name: str, driver: str | None, state: State, where: str) -> str:
    if not name:
        # The engine would make an anonymous volume, a new one each time.
        raise InvalidInputError(f"The option '{option}'{where} is empty", "a volume needs a name", "Give one")
    managed_here = driver_key(driver or LOCAL) == LOCAL and (driver is not None or state == "present")
    pattern = _NAME if managed_here else _PLUGIN_NAME
    if not pattern.match(name) or {".", ".."} & set(name.split("/")):
        raise InvalidInputError(
            f"The option '{option}'{where} has the invalid value {name!r}",
            "a name has two or more characters: letters, digits, '_', '.', '-', the first a letter or digit",
            "Choose another name"
            if managed_here
            else "Choose another name (parts divided by '/' where the plugin has them)",
        )
    for suffix, (what, way_out) in _OWN.items():
        if name.endswith(suffix):
            raise InvalidInputError(
                f"The option '{option}'{where} has the invalid value {name!r}",
                f"names that end in '{suffix}' are those of {what}",
                way_out,
            )
    return name


def _named_twice(items: Iterable[VolumeWanted]) -> list[InvalidInputError]:
    seen: dict[str, int] = {}
    errors = []
    for number, item in enumerate(items):
        for name in item.names:
            if name in seen:
                errors.append(
                    InvalidInputError(
                        f"The volume '{name}' stands in both volumes[{seen[name]}] and volumes[{number}]",
                        "one task can bring a volume to one state only",
                        "Take one of them away",
                    )
                )
            seen[name] = number
    return errors
