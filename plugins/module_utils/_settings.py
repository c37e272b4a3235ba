# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of a plugin: what can be set, what it is set to, what is wanted. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ansible_collections.voltainer.volumes.plugins.module_utils._errors import InvalidInputError
from ansible_collections.voltainer.volumes.plugins.module_utils._strings import scalar_string

# Measured on 20.10, 26.1 and 28.5: `args=` becomes [""], and the plugin is started with one empty word.
NO_EMPTY_ARGS = (
    "the engine cannot take away the arguments of an installed plugin: it then starts the plugin with one empty word,"
    " which some plugins refuse"
)

Kind = Literal["env", "args", "mount", "device"]


@dataclass(frozen=True)
class Setting:
    """One setting. `key` is how results name it; `names` are the words that the engine takes for it."""

    key: str
    names: tuple[str, ...]
    kind: Kind
    current: str
    settable: bool


def parse_settings(values: Mapping[str, Any] | None) -> dict[str, str] | None:
    """Return the option `settings` with strings as values; a list is the words of `args`. Raises InvalidInputError."""
    if values is None:
        return None
    return {str(key): _setting_string(str(key), value) for key, value in values.items()}


def catalog(inspect: Mapping[str, Any]) -> dict[str, Setting]:
    """Return all settings of a plugin by every name, from the engine's `GET /plugins/{name}/json`.

    What runs is `Settings.Env`, `Settings.Args` and `Settings.Devices`, but `Config.Mounts` (20.10 to 28.5).
    """
    config, settings = inspect["Config"], inspect["Settings"]
    found: dict[str, Setting] = {}
    for setting in (
        *_envs(config, settings),
        *_mounts(config),
        *_devices(config, settings),
        *_args(config, settings),
    ):
        for name in setting.names:
            # The first of a name is the one that the engine sets.
            found.setdefault(name, setting)
    return found


def current_settings(inspect: Mapping[str, Any]) -> dict[str, str]:
    """Return what each setting of the plugin is now, settable or not."""
    return {setting.key: setting.current for setting in catalog(inspect).values()}


def changed_settings(plugin: str, wanted: Mapping[str, str], inspect: Mapping[str, Any]) -> dict[str, str]:
    """Return those of `wanted` that differ from what is set, by the keys that results use.

    Raises InvalidInputError for a setting that the plugin does not have or that cannot be set; all are named at once.
    """
    known = catalog(inspect)
    errors = [_error(name, known) for name in wanted if name not in known or not known[name].settable]
    twice = _named_twice(wanted, known)
    if errors or twice:
        choices = sorted({setting.key for setting in known.values() if setting.settable})
        raise InvalidInputError(
            f"Cannot set the plugin '{plugin}'",
            "; ".join([*errors, *twice]),
            f"It can be set: {', '.join(choices) if choices else 'nothing'}",
        )
    return {known[name].key: value for name, value in wanted.items() if known[name].current != value}


def empties_args(changes: Mapping[str, str], inspect: Mapping[str, Any]) -> bool:
    """Return whether `changes`, by the keys that results use, would take away the arguments of the plugin."""
    known = catalog(inspect)
    return any(value == "" and known[key].kind == "args" for key, value in changes.items())


def _setting_string(key: str, value: Any) -> str:
    what = f"The key '{key}' in the option 'settings' has an invalid value"
    text = scalar_string(value)
    if text is not None:
        return text
    if isinstance(value, list):
        words = [word for word in map(scalar_string, value) if word is not None]
        if any(" " in word for word in words):
            raise InvalidInputError(what, "a word has a space, and the engine divides words at spaces", "Avoid spaces")
        if len(words) == len(value):
            return " ".join(words)
    raise InvalidInputError(
        what, f"it is of type {type(value).__name__}", "Give a string, or a list of words; an empty string is a value"
    )


def _envs(config: Mapping[str, Any], settings: Mapping[str, Any]) -> Iterable[Setting]:
    running = dict(_pair(text) for text in settings.get("Env") or ())
    for env in config.get("Env") or ():
        name = env["Name"]
        current = running.get(name, env.get("Value") or "")
        yield Setting(name, (name, f"{name}.value"), "env", current, settable(env, "value"))


def _mounts(config: Mapping[str, Any]) -> Iterable[Setting]:
    for mount in config.get("Mounts") or ():
        name = mount.get("Name")
        if name:
            key = f"{name}.source"
            yield Setting(key, (key, name), "mount", mount.get("Source") or "", settable(mount, "source"))


def _devices(config: Mapping[str, Any], settings: Mapping[str, Any]) -> Iterable[Setting]:
    running = {device.get("Name"): device.get("Path") for device in settings.get("Devices") or ()}
    for device in (config.get("Linux") or {}).get("Devices") or ():
        name = device.get("Name")
        if name:
            key = f"{name}.path"
            current = running.get(name, device.get("Path")) or ""
            yield Setting(key, (key, name), "device", current, settable(device, "path"))


def _args(config: Mapping[str, Any], settings: Mapping[str, Any]) -> Iterable[Setting]:
    args = config.get("Args") or {}
    name = args.get("Name")
    if name:
        current = " ".join(settings.get("Args") or ())
        yield Setting(name, (name, f"{name}.value"), "args", current, settable(args, "value"))


def settable(item: Mapping[str, Any], field: str) -> bool:
    """Return whether the plugin lets `field` (value, source, path) of an item of its `Config` be set."""
    return field in (item.get("Settable") or ())


def _pair(text: str) -> tuple[str, str]:
    name, _equals, value = text.partition("=")
    return name, value


def _error(name: str, known: Mapping[str, Setting]) -> str:
    return f"'{name}' cannot be changed in this plugin" if name in known else f"it has no setting '{name}'"


def _named_twice(wanted: Iterable[str], known: Mapping[str, Setting]) -> list[str]:
    keys = [known[name].key for name in wanted if name in known]
    return [
        f"'{key}' is given more than once, under different names" for key in sorted(set(keys)) if keys.count(key) > 1
    ]
