# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan between what a volume is and what it should be. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ansible_collections.voltainer.volumes.plugins.module_utils._errors import RefusedError
from ansible_collections.voltainer.volumes.plugins.module_utils._plan import ABSENT, Plan, Step
from ansible_collections.voltainer.volumes.plugins.module_utils._reference import driver_key
from ansible_collections.voltainer.volumes.plugins.module_utils._secrets import mask_value, secret_keys
from ansible_collections.voltainer.volumes.plugins.module_utils._usage import WHEN_TASKS_END, Users
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import (
    LOCAL,
    PROTECTED,
    RESERVED,
    Change,
    ChangeData,
    Definition,
    Volume,
    shown_volume,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._volume_wanted import VolumeWanted

# File systems that are empty each time they are mounted.
_IN_MEMORY = frozenset({"tmpfs", "ramfs"})

Intent = Literal["nothing", "create", "remove", "recreate", "rename"]


@dataclass(frozen=True)
class VolumeFound:
    """What was observed.

    `source` is the volume to be renamed. `users` (of both) are looked up where the plan may remove one, `driver_ready`
    where a driver is needed (None: not looked), and `unreachable` says why the folder of the data cannot be renamed
    from here, where that is needed. `unfinished` changes are to be settled first; `volume` and `source` are what there
    will be then.
    """

    volume: Volume | None
    source: Volume | None = None
    users: Users = field(default_factory=Users)
    driver_ready: bool | None = None
    unreachable: str = ""
    unfinished: tuple[Change, ...] = ()


def intent(wanted: VolumeWanted, volume: Volume | None, source: Volume | None) -> Intent:
    """Return what is to be done, before anybody looked whether it can be. Raises RefusedError."""
    if wanted.state == "absent":
        return "remove" if volume else "nothing"
    if volume is None:
        return "rename" if source else "create"
    if source is not None:
        raise RefusedError(
            f"Cannot rename the volume '{source.name}' to '{wanted.name}'",
            "both exist",
            "Find out which of them has the data that is needed, and remove or rename the other",
        )
    changed = wanted.recreate == "always" or (
        wanted.recreate == "options-changed" and bool(list(differences(wanted, volume)))
    )
    return "recreate" if changed else "nothing"


def change_for(wanted: VolumeWanted, current: Volume) -> Change:
    """Return the change that makes what is wanted of `current`. Raises RefusedError where its data cannot be kept."""
    target = target_of(wanted, current)
    data: ChangeData = "discard"
    if wanted.data == "keep" or wanted.name != current.name:
        data = _way_to_keep(wanted, current, target)
    return Change(wanted.name, current.name, data, current.definition, target)


def plan_volume(wanted: VolumeWanted, found: VolumeFound) -> Plan:
    """Return what must be done. Raises RefusedError where the plan would harm somebody."""
    plan = _plan_rest(wanted, found)
    return replace(plan, steps=(*map(settle_step, found.unfinished), *plan.steps))


def settle_step(change: Change) -> Step:
    """Return the step that brings an interrupted change to an end."""
    return Step("settle", f"Finish or undo the interrupted {change.words}", {"change": change})


def settled(change: Change, volumes: Mapping[str, Volume | None], *, used: bool) -> dict[str, Volume | None]:
    """Return the volumes of an interrupted change, by their names, as they will be once it is settled.

    A rename is undone as long as the old volume is there, unless the new one is `used` already.
    """
    named = volumes[change.name]
    gone = all(volume is None for volume in volumes.values())
    if gone or (named and not change.renames and change.foreign(named)):
        target = change.target
        raw = {"Name": change.name, "Driver": target.driver, "Options": target.options, "Labels": target.labels}
        return {**volumes, change.name: Volume.from_inspect(raw)}
    source = volumes[change.source]
    if change.renames and named and source:
        return {change.source: None if used else source, change.name: named if used else None}
    return dict(volumes)


def _plan_rest(wanted: VolumeWanted, found: VolumeFound) -> Plan:
    doing = intent(wanted, found.volume, found.source)
    if doing == "remove" and found.volume:
        return _plan_remove(wanted, found, found.volume)
    if doing == "create":
        return _plan_create(wanted, found)
    current = found.source or found.volume
    if doing in {"recreate", "rename"} and current:
        return _plan_change(wanted, found, current)
    if found.volume is None:
        return Plan(ABSENT, ABSENT)
    return _plan_nothing(wanted, found.volume)


def target_of(wanted: VolumeWanted, volume: Volume | None) -> Definition:
    """Return the definition that the volume is to have. What is not managed stays."""
    if volume is None:
        here, same_driver = Definition(wanted.driver or LOCAL, {}, {}), True
    else:
        here = volume.definition
        same_driver = wanted.driver is None or driver_key(wanted.driver) == driver_key(here.driver)
    kept = {key: value for key, value in here.labels.items() if key.startswith(RESERVED)}
    # A driver's options say nothing to another one.
    options = _merged(wanted, here.options if same_driver else {}, wanted.driver_options)
    labels = {**_merged(wanted, here.labels, wanted.labels), **kept}
    if wanted.protected is False:
        labels.pop(PROTECTED, None)
    elif wanted.protected:
        labels[PROTECTED] = "true"
    return Definition(here.driver if same_driver else str(wanted.driver), options, labels)


def differences(wanted: VolumeWanted, volume: Volume) -> Iterable[dict[str, Any]]:
    """Yield each difference as {"name", "what", "wanted", "found"}, secrets hidden. Only what is wanted is compared."""
    target = target_of(wanted, volume)
    hidden = secret_keys({**target.options, **(volume.options or {})}, wanted.secret_options)
    if driver_key(target.driver) != driver_key(volume.driver):
        yield _difference(volume, "driver", target.driver, volume.driver)
    options, labels = _record(volume, volume.options), _record(volume, volume.labels)
    for key in _compared(wanted, wanted.driver_options, options):
        values = (target.options.get(key), (options or {}).get(key))
        if values[0] != values[1]:
            shown = [value if value is None else mask_value(key, value, key in hidden) for value in values]
            yield _difference(volume, f"driver_options.{key}", *shown)
    for key in _compared(wanted, wanted.labels, labels):
        if target.labels.get(key) != (labels or {}).get(key):
            yield _difference(volume, f"labels.{key}", target.labels.get(key), (labels or {}).get(key))
    if wanted.protected is not None and wanted.protected != volume.protected and labels is not None:
        yield _difference(volume, "protected", str(wanted.protected).lower(), str(volume.protected).lower())


def in_use(action: str, name: str, users: Users, *, waits: bool = True) -> RefusedError:
    """Return the error for a volume that cannot be removed because of its users. `action` is such as "remove".

    `waits` says that the module has the option 'wait'.
    """
    way_out = "Remove these containers first (a stopped container still holds its volumes)"
    if users.are_tasks:
        way_out = WHEN_TASKS_END
    elif users.services:
        way_out = (
            "Remove these containers and services first, or let the services go without the volume"
            if users.containers
            else "Remove these services, or let them go without the volume"
        )
    return RefusedError(
        f"Cannot {action} the volume '{name}'",
        f"it is in use by {users}",
        f"{way_out}. The option 'wait' waits until they are gone" if waits else way_out,
        users=users.as_result(),
    )


def blockers(wanted: VolumeWanted, doing: Intent, users: Users) -> Users:
    """Return those of `users` that forbid to do it.

    The engine removes no volume that a container has. A service could start a task meanwhile, for which the engine
    would make an empty volume; one that is scaled to 0 cannot, and loses nothing where the data stays.
    """
    if doing not in {"remove", "recreate", "rename"}:
        return Users()
    if loses_data(wanted, doing):
        services = () if wanted.confirmed else users.services
    else:
        services = tuple(use for use in users.services if use.tasks)
    return Users(users.containers, services)


def loses_data(wanted: VolumeWanted, doing: Intent) -> bool:
    """Return whether the data goes with the volume."""
    return doing == "remove" or (doing == "recreate" and wanted.data == "discard")


def missing_driver_words(driver: str) -> str:
    """Return why a volume of `driver` cannot be made now, and what to do."""
    return (
        f"No enabled plugin of this engine is named '{driver}'. Install and enable it first, for example with"
        " voltainer.volumes.docker_volume_plugin_x"
    )


def _merged(wanted: VolumeWanted, here: Mapping[str, str], given: Mapping[str, str] | None) -> dict[str, str]:
    if given is None:
        return dict(here)
    return dict(given) if wanted.comparison == "exact" else {**here, **given}


def _compared(wanted: VolumeWanted, given: Mapping[str, str] | None, record: Mapping[str, str] | None) -> Iterable[str]:
    """Return the keys that count: the given ones, and where they are to be exactly these, all others that are there."""
    if given is None or record is None:
        return ()
    others = [key for key in record if not key.startswith(RESERVED)] if wanted.comparison == "exact" else []
    return dict.fromkeys([*given, *others])


def _difference(volume: Volume, what: str, wanted: str | None, found: str | None) -> dict[str, Any]:
    return {"name": volume.name, "what": what, "wanted": wanted, "found": found}


def _record(volume: Volume, record: Mapping[str, str] | None) -> Mapping[str, str] | None:
    # For a plugin's volume that was made outside the engine, the record is null: unknown, and no difference. The local
    # driver's volumes are all made by the engine, which by version writes null or {} for "none" (20.10 to 28.5).
    return {} if record is None and driver_key(volume.driver) == LOCAL else record


def _way_to_keep(wanted: VolumeWanted, current: Volume, target: Definition) -> Literal["move", "repoint", "copy"]:
    here = current.definition
    if here.movable and target.movable:
        return "move"
    if here.owner_kind == target.owner_kind == "referenced":
        return "repoint"
    if target.is_local and target.options.get("type") in _IN_MEMORY:
        raise RefusedError(
            f"Cannot change the volume '{current.name}' and keep its data",
            f"it is to be a file system in memory ({target.options['type']}), which loses all with the last container",
            "Give 'data: discard' if the data is not needed",
        )
    if wanted.name == current.name:
        return "copy"
    raise RefusedError(
        f"Cannot rename the volume '{current.name}' and keep its data",
        f"{_why_copy(here, target)}, which takes a copy",
        "Copy it with voltainer.volumes.docker_volume_x_copy, and remove the old volume then",
    )


def _why_copy(here: Definition, target: Definition) -> str:
    if not here.is_local:
        return f"its data belongs to the driver '{here.driver}', which can neither rename nor change a volume"
    if not target.is_local:
        return f"its data is to go from the driver '{here.driver}' to '{target.driver}'"
    if here.owner_kind == target.owner_kind:
        return "the option 'size' puts its folder under a quota of its own"
    if here.owner_kind == "owned":
        return "it has its data itself, and is to refer to other data"
    return "it refers to its data, and is to have data itself"


def _plan_remove(wanted: VolumeWanted, found: VolumeFound, volume: Volume) -> Plan:
    if wanted.driver is not None and driver_key(wanted.driver) != driver_key(volume.driver):
        raise RefusedError(
            f"Cannot remove the volume '{wanted.name}'",
            f"it belongs to the driver '{volume.driver}', while the task names '{wanted.driver}'",
            "Correct the option 'driver', or leave it out to remove the volume whatever its driver is",
        )
    _check_harm(wanted, "remove", found, volume)
    return Plan(
        before=shown_volume(volume, wanted.secret_options),
        after=ABSENT,
        steps=(_remove_step(volume),),
    )


def _plan_create(wanted: VolumeWanted, found: VolumeFound) -> Plan:
    target = target_of(wanted, None)
    warnings = [missing_driver_words(target.driver)] if found.driver_ready is False else []
    if wanted.rename_from:
        warnings.append(
            f"Neither the volume '{wanted.rename_from}' exists, which was to be renamed, nor '{wanted.name}': an empty"
            f" volume '{wanted.name}' is created"
        )
    return Plan(
        before=ABSENT,
        after=target.shown(wanted.name, wanted.secret_options),
        steps=(_create_step(wanted.name, target),),
        warnings=tuple(warnings),
    )


def _plan_change(wanted: VolumeWanted, found: VolumeFound, current: Volume) -> Plan:
    change = change_for(wanted, current)
    doing: Intent = "rename" if change.renames else "recreate"
    _check_harm(wanted, doing, found, current)
    if change.data in {"move", "copy"} and found.unreachable:
        raise RefusedError(
            f"Cannot {_ACTIONS[doing]} the volume '{current.name}' and keep its data",
            found.unreachable,
            "" if change.renames else "Where the data is not needed, give 'data: discard'",
        )
    if found.driver_ready is False:
        raise RefusedError(
            f"Cannot {_ACTIONS[doing]} the volume '{current.name}'",
            "the driver that it is to have is not there",
            missing_driver_words(change.target.driver),
        )
    return Plan(
        before=shown_volume(current, wanted.secret_options),
        after=change.target.shown(wanted.name, wanted.secret_options),
        steps=tuple(_change_steps(change, current)),
    )


def _change_steps(change: Change, current: Volume) -> Iterable[Step]:
    staging = change.staging
    yield Step("stage", f"Create the staging volume '{staging}'", {"change": change})
    if not change.renames and change.data in {"move", "copy"}:
        yield _move_step(current.name, staging) if change.moves else _copy_step(current.name, staging)
    if change.data == "copy":
        yield Step("complete", f"Create the volume '{change.mark}', which tells that all data is in '{staging}'")
    if not change.renames:
        yield _remove_step(current, keeps=change.data != "discard")
    yield _create_step(change.name, change.target)
    if change.data == "move":
        yield _move_step(current.name if change.renames else staging, change.name)
    if change.data == "copy":
        yield _move_step(staging, change.name) if change.target.movable else _copy_step(staging, change.name)
    if change.renames:
        yield _remove_step(current, keeps=True)
    yield Step("unstage", f"Remove the staging volume '{staging}'", {"change": change})


def _create_step(name: str, target: Definition) -> Step:
    words = f"Create the volume '{name}' with the driver '{target.driver}'"
    return Step("create", words, {"name": name, "target": target})


def _remove_step(volume: Volume, *, keeps: bool = False) -> Step:
    words = f"Remove the volume '{volume.name}' of the driver '{volume.driver}'"
    if keeps:
        words += ", whose data stays"
    return Step("remove", words, {"name": volume.name})


def _move_step(source: str, target: str) -> Step:
    return Step("move", f"Move the data of '{source}' to '{target}'", {"source": source, "target": target})


def _copy_step(source: str, target: str) -> Step:
    words = f"Copy the data of '{source}' to '{target}', and compare the two"
    return Step("copy", words, {"source": source, "target": target})


def _plan_nothing(wanted: VolumeWanted, volume: Volume) -> Plan:
    shown = shown_volume(volume, wanted.secret_options)
    drift = tuple(differences(wanted, volume))
    told = drift_words(wanted.name, drift) if drift else ""
    if drift and wanted.drift == "fail":
        raise RefusedError(
            f"The volume '{wanted.name}' is not as it should be",
            _told(drift),
            "Correct the task, or give 'recreate: options-changed' to have the volume changed",
            drift=[dict(one) for one in drift],
        )
    warnings = (told,) if told and wanted.drift == "warn" else ()
    return Plan(shown, shown, drift=drift, warnings=warnings + _unknown_warnings(wanted, volume))


_ACTIONS: Mapping[Intent, str] = {"remove": "remove", "recreate": "change", "rename": "rename"}


def _check_harm(wanted: VolumeWanted, doing: Intent, found: VolumeFound, volume: Volume) -> None:
    if volume.protected and loses_data(wanted, doing) and not wanted.confirmed:
        raise RefusedError(
            f"Cannot {'remove' if doing == 'remove' else 'discard the data of'} the volume '{volume.name}'",
            "it is protected",
            f"If it is really meant, say so with 'confirm: {volume.name}'",
        )
    users = blockers(wanted, doing, found.users)
    if not users:
        return
    error = in_use(_ACTIONS[doing], volume.name, users)
    if not users.containers and loses_data(wanted, doing):
        error.way_out += f". If its data is to go nevertheless, say so with 'confirm: {volume.name}'"
    raise error


def _unknown_warnings(wanted: VolumeWanted, volume: Volume) -> tuple[str, ...]:
    records = (("driver_options", wanted.driver_options, volume.options), ("labels", wanted.labels, volume.labels))
    exact = wanted.comparison == "exact"
    unknown = [
        what
        for what, asked, record in records
        if (asked or (exact and asked is not None)) and _record(volume, record) is None
    ]
    if not unknown:
        return ()
    return (
        f"Whether the {' and '.join(unknown)} of the volume '{volume.name}' are as wanted is unknown: the engine has no"
        f" record of them, since the volume was made without any, or outside the engine by '{volume.driver}'",
    )


def _told(drift: Iterable[Mapping[str, Any]]) -> str:
    return "; ".join(f"{one['what']} is {one['found']!r}, wanted {one['wanted']!r}" for one in drift)


def drift_words(name: str, drift: Iterable[Mapping[str, Any]]) -> str:
    """Return the warning of a volume that is not as wanted, and stays so."""
    return (
        f"The volume '{name}' exists with another definition and was left as it is ('recreate: options-changed' changes"
        f" it): {_told(drift)}"
    )
