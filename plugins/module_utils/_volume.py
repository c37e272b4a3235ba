# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a volume should be, what it is, and the plan between the two. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from ansible_collections.voltainer.volumes.plugins.module_utils._errors import InvalidInputError, RefusedError
from ansible_collections.voltainer.volumes.plugins.module_utils._plan import ABSENT, Plan, Step
from ansible_collections.voltainer.volumes.plugins.module_utils._reference import driver_key
from ansible_collections.voltainer.volumes.plugins.module_utils._secrets import mask, mask_value, secret_keys
from ansible_collections.voltainer.volumes.plugins.module_utils._strings import label_strings, option_strings
from ansible_collections.voltainer.volumes.plugins.module_utils._usage import Use, listed

State = Literal["present", "absent"]

LOCAL = "local"

# The engine's rule for names (20.10 to 28.5): two characters or more.
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+\Z")
# Plugins make their own rules; some have folders in names.
_PLUGIN_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*(?:/[a-zA-Z0-9_.-]+)*\Z")


@dataclass(frozen=True)
class VolumeWanted:
    """What the task asks for. None means unspecified: not managed."""

    name: str
    state: State
    driver: str | None = None
    driver_options: Mapping[str, str] | None = None
    labels: Mapping[str, str] | None = None
    secret_options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Volume:
    """A volume as the engine's inspect shows it; `options` is None where the engine has no record of them."""

    name: str
    driver: str
    options: Mapping[str, str] | None
    labels: Mapping[str, str] | None
    raw: Mapping[str, Any]

    @classmethod
    def from_inspect(cls, raw: Mapping[str, Any]) -> Volume:
        """Make a volume of the engine's answer to `GET /volumes/{name}`."""
        return cls(raw["Name"], raw["Driver"], raw.get("Options"), raw.get("Labels"), raw)


@dataclass(frozen=True)
class VolumeFound:
    """What was observed: the volume or None, its users, and whether the wanted driver is there (None: not looked)."""

    volume: Volume | None
    users: tuple[Use, ...] = ()
    driver_ready: bool | None = None


def parse_volume(params: Mapping[str, Any]) -> VolumeWanted:
    """Return what the options of a task ask for. Raises InvalidInputError."""
    driver = params.get("driver")
    if driver is not None and not driver.strip():
        raise InvalidInputError(
            "The option 'driver' is empty",
            "a volume has a driver",
            f"Leave the option out to use the engine's default ('{LOCAL}')",
        )
    state = cast("State", params["state"])
    return VolumeWanted(
        name=_checked_name(params["name"], driver, state),
        state=state,
        driver=driver,
        driver_options=option_strings("driver_options", params.get("driver_options")),
        labels=label_strings("labels", params.get("labels")),
        secret_options=tuple(params.get("secret_options") or ()),
    )


def plan_volume(wanted: VolumeWanted, found: VolumeFound) -> Plan:
    """Return what must be done. Raises RefusedError where the plan would harm somebody."""
    if wanted.state == "absent":
        return _plan_absent(wanted, found)
    if found.volume is None:
        return _plan_create(wanted, found)
    shown = shown_volume(found.volume, wanted.secret_options)
    drift = tuple(differences(wanted, found.volume))
    return Plan(
        before=shown,
        after=shown,
        drift=drift,
        warnings=_drift_warnings(wanted.name, drift) + _unknown_warnings(wanted, found.volume),
    )


def differences(wanted: VolumeWanted, volume: Volume) -> Iterable[dict[str, Any]]:
    """Yield each difference as {"what", "wanted", "found"}, secrets hidden. Only what is wanted is compared."""
    if wanted.driver is not None and driver_key(wanted.driver) != driver_key(volume.driver):
        yield {"what": "driver", "wanted": wanted.driver, "found": volume.driver}
    yield from _mapping_differences(
        "driver_options", wanted.driver_options, _record(volume, volume.options), wanted.secret_options
    )
    yield from _mapping_differences("labels", wanted.labels, _record(volume, volume.labels))


def shown_volume(volume: Volume, secret_options: Iterable[str]) -> dict[str, Any]:
    """Return the volume as a diff shows it."""
    return _shown(volume.name, volume.driver, volume.options, volume.labels, secret_options)


def masked_inspect(volume: Volume, secret_options: Iterable[str]) -> dict[str, Any]:
    """Return the engine's inspect of the volume with the secrets in its options hidden."""
    raw = dict(volume.raw)
    if volume.options:
        raw["Options"] = mask(volume.options, secret_options)
    return raw


def in_use(name: str, users: Iterable[Use]) -> RefusedError:
    """Return the error for a volume that cannot be removed because containers use it."""
    users = tuple(users)
    return RefusedError(
        f"Cannot remove the volume '{name}'",
        f"it is in use by {len({use.container_id for use in users})} container(s): {listed(users)}",
        "Remove these containers first (a stopped container still holds its volumes)",
        users=[use.as_result() for use in users],
    )


def _shown(
    name: str,
    driver: str,
    options: Mapping[str, str] | None,
    labels: Mapping[str, str] | None,
    secret_options: Iterable[str],
) -> dict[str, Any]:
    return {
        "exists": True,
        "name": name,
        "driver": driver,
        "driver_options": mask(options or {}, secret_options),
        "labels": dict(labels or {}),
    }


def _checked_name(name: str, driver: str | None, state: State) -> str:
    if not name:
        # The engine would make an anonymous volume, a new one each time.
        raise InvalidInputError("The option 'name' is empty", "a volume needs a name", "Give one")
    managed_here = driver_key(driver or LOCAL) == LOCAL and (driver is not None or state == "present")
    pattern = _NAME if managed_here else _PLUGIN_NAME
    if not pattern.match(name) or ".." in name.split("/"):
        raise InvalidInputError(
            f"The option 'name' has the invalid value {name!r}",
            "a name has two or more characters: letters, digits, '_', '.', '-', the first a letter or digit",
            "Choose another name"
            if managed_here
            else "Choose another name (parts divided by '/' where the plugin has them)",
        )
    return name


def _plan_absent(wanted: VolumeWanted, found: VolumeFound) -> Plan:
    if found.volume is None:
        return Plan(ABSENT, ABSENT)
    if wanted.driver is not None and driver_key(wanted.driver) != driver_key(found.volume.driver):
        raise RefusedError(
            f"Cannot remove the volume '{wanted.name}'",
            f"it belongs to the driver '{found.volume.driver}', while the task names '{wanted.driver}'",
            "Correct the option 'driver', or leave it out to remove the volume whatever its driver is",
        )
    if found.users:
        raise in_use(wanted.name, found.users)
    return Plan(
        before=shown_volume(found.volume, wanted.secret_options),
        after=ABSENT,
        steps=(Step("remove", f"Remove the volume '{wanted.name}' of the driver '{found.volume.driver}'"),),
    )


def _plan_create(wanted: VolumeWanted, found: VolumeFound) -> Plan:
    driver = wanted.driver or LOCAL
    after = _shown(wanted.name, driver, wanted.driver_options, wanted.labels, wanted.secret_options)
    warnings = () if found.driver_ready is not False else (missing_driver_words(driver),)
    step = Step("create", f"Create the volume '{wanted.name}' with the driver '{driver}'")
    return Plan(before=ABSENT, after=after, steps=(step,), warnings=warnings)


def missing_driver_words(driver: str) -> str:
    """Return why a volume of `driver` cannot be made now, and what to do."""
    return (
        f"No enabled plugin of this engine is named '{driver}'. Install and enable it first, for example with"
        " voltainer.volumes.docker_volume_plugin_x"
    )


def _mapping_differences(
    what: str, wanted: Mapping[str, str] | None, found: Mapping[str, str] | None, secret: Iterable[str] = ()
) -> Iterable[dict[str, Any]]:
    if not wanted or found is None:
        return
    hidden = secret_keys(wanted, secret) if what == "driver_options" else frozenset()
    for key, value in wanted.items():
        if found.get(key) != value:
            there = None if key not in found else mask_value(key, found[key], key in hidden)
            yield {"what": f"{what}.{key}", "wanted": mask_value(key, value, key in hidden), "found": there}


def _record(volume: Volume, record: Mapping[str, str] | None) -> Mapping[str, str] | None:
    # For a plugin's volume that was made outside the engine, the record is null: unknown, and no difference. The local
    # driver's volumes are all made by the engine, which by version writes null or {} for "none" (20.10 to 28.5).
    return {} if record is None and driver_key(volume.driver) == LOCAL else record


def _unknown_warnings(wanted: VolumeWanted, volume: Volume) -> tuple[str, ...]:
    records = (("driver_options", wanted.driver_options, volume.options), ("labels", wanted.labels, volume.labels))
    unknown = [what for what, asked, record in records if asked and _record(volume, record) is None]
    if not unknown:
        return ()
    return (
        f"Whether the {' and '.join(unknown)} of the volume '{volume.name}' are as wanted is unknown: the engine has no"
        f" record of them, since the volume was made without any, or outside the engine by '{volume.driver}'",
    )


def _drift_warnings(name: str, drift: tuple[Mapping[str, Any], ...]) -> tuple[str, ...]:
    if not drift:
        return ()
    told = "; ".join(f"{one['what']} is {one['found']!r}, wanted {one['wanted']!r}" for one in drift)
    return (
        f"The volume '{name}' exists with another definition and was left as it is (Docker cannot change a volume):"
        f" {told}",
    )
