# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of a plugin: what can be set, what it is set to, what is wanted. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ansible_collections.voltainer.volumes.plugins.module_utils._errors import InvalidInputError
from ansible_collections.voltainer.volumes.plugins.module_utils._secrets import mask_value, secret_keys
from ansible_collections.voltainer.volumes.plugins.module_utils._strings import scalar_string

# Measured on 20.10, 26.1 and 28.5: `args=` becomes [""], and the plugin is started with one empty word.
NO_EMPTY_ARGS = (
    "the engine cannot take away the arguments of an installed plugin: it then starts the plugin with one empty word,"
    " which some plugins refuse"
)

Kind = Literal["env", "args", "mount", "device"]


@dataclass(frozen=True)
class Setting:
    """One setting. `key` is how results name it; `names` are the words that the engine takes for it.

    `current` is None for a variable or device that the plugin runs without: one that its version brought along, and
    that was not set since the upgrade, or that has no value at first (20.10 to 28.5). `default` is None where nobody
    knows it, that of a mount or device, which inspect shows as it was set; and for a variable that has no value.
    """

    key: str
    names: tuple[str, ...]
    kind: Kind
    current: str | None
    default: str | None
    settable: bool


@dataclass(frozen=True)
class SettingsWanted:
    """What settings shall be: `named` by any of their names, `kept` those not named, by key; others stay as they are.

    With `exact`, all that is not named gets its default.
    """

    named: Mapping[str, str]
    kept: Mapping[str, str]
    exact: bool = False


def parse_settings(values: Mapping[str, Any] | None) -> dict[str, str] | None:
    """Return the option `settings` with strings as values; a list is the words of `args`. Raises InvalidInputError."""
    if values is None:
        return None
    return {str(key): _setting_string(str(key), value) for key, value in values.items()}


def catalog(inspect: Mapping[str, Any], sources: Mapping[str, str] | None = None) -> dict[str, Setting]:
    """Return all settings of a plugin by every name, from the engine's `GET /plugins/{name}/json`.

    `sources` are the defaults of mounts and devices by the keys that results use, where they are known.
    What runs is `Settings.Env`, `Settings.Args` and `Settings.Devices`, but `Config.Mounts` (20.10 to 28.5).
    """
    config, settings = inspect["Config"], inspect["Settings"]
    found: dict[str, Setting] = {}
    for setting in (
        *_envs(config, settings),
        *_mounts(config, sources or {}),
        *_devices(config, settings, sources or {}),
        *_args(config, settings),
    ):
        for name in setting.names:
            # The first of a name is the one that the engine sets.
            found.setdefault(name, setting)
    return found


def current_settings(inspect: Mapping[str, Any]) -> dict[str, str]:
    """Return what each setting of the plugin is now, settable or not; those that it runs without are left out."""
    return {one.key: one.current for one in catalog(inspect).values() if one.current is not None}


def check_settings(plugin: str, wanted: Iterable[str], known: Mapping[str, Setting]) -> None:
    """Raise InvalidInputError for names that the plugin does not have or that cannot be set; all are named at once."""
    wanted = tuple(wanted)
    errors = [_error(name, known) for name in wanted if name not in known or not known[name].settable]
    twice = _named_twice(wanted, known)
    if errors or twice:
        choices = sorted({setting.key for setting in known.values() if setting.settable})
        raise InvalidInputError(
            f"Cannot set the plugin '{plugin}'",
            "; ".join([*errors, *twice]),
            f"It can be set: {', '.join(choices) if choices else 'nothing'}",
        )


def changed_settings(
    plugin: str, wanted: SettingsWanted, inspect: Mapping[str, Any], sources: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return what must be set, by the keys that results use. `sources` is what `catalog` takes.

    Raises InvalidInputError for what cannot be set, or has no known default.
    """
    known = catalog(inspect, sources)
    check_settings(plugin, wanted.named, known)
    named = {known[name].key: value for name, value in wanted.named.items()}
    others = [one for one in _each(known) if one.settable and one.key not in named]
    if wanted.exact:
        # The default of a variable without a value is that there is none, and nothing takes away one that was set.
        others = [one for one in others if one.kind != "env" or one.default is not None or one.current is not None]
        unknown = sorted(one.key for one in others if one.default is None and one.kind != "env")
        if unknown:
            raise InvalidInputError(
                f"Cannot set the plugin '{plugin}' to exactly what the task says",
                f"nobody but root on the engine's own host can tell the default of {', '.join(unknown)}",
                "Name them in 'settings', or run the task there as root over the engine's socket",
            )
        rest = {one.key: one.default or "" for one in others}
    else:
        rest = {one.key: wanted.kept[one.key] for one in others if one.key in wanted.kept}
    return {key: value for key, value in {**named, **rest}.items() if known[key].current != value}


def sources_of(inspect: Mapping[str, Any]) -> dict[str, str]:
    """Return the sources of mounts and the paths of devices by the keys that results use: those of a fresh plugin."""
    settings = catalog(inspect).values()
    return {one.key: one.current or "" for one in settings if one.kind in {"mount", "device"}}


def missing_defaults(inspect: Mapping[str, Any]) -> dict[str, str]:
    """Return the settings that the plugin runs without, and their defaults: an upgrade does not bring them along."""
    return {
        one.key: one.default
        for one in _each(catalog(inspect))
        if one.settable and one.current is None and one.default is not None
    }


def not_brought_along(old: Mapping[str, Any], fresh: Mapping[str, Any], secret_settings: Iterable[str]) -> list[str]:
    """Return, in words, what an upgrade of `old` cannot bring: what a plugin fixes, the engine takes from `old`.

    `fresh` is the new version as a new install of it is. The engine keeps variables and devices as they were, also
    those that nobody can set (20.10 to 28.5). What could be set before, and no more, may be a secret.
    """
    before, after = catalog(old), catalog(fresh)
    nameless = _nameless_devices(fresh["Config"]) - _nameless_devices({"Linux": old["Settings"]})
    secret = secret_keys(after, secret_settings)
    fixed = [one for one in _each(after) if one.kind == "device" or (one.kind == "env" and not one.settable)]
    told = [
        f"{one.key} stays {_shown(before[one.key], secret)!r} and does not become {_shown(one, secret)!r}"
        for one in fixed
        if one.key in before and not one.settable and before[one.key].current != one.current
    ]
    told += [f"{one.key} ({_shown(one, secret)!r}) is not added" for one in fixed if one.key not in before]
    return told + [f"the device {path} is not added" for path in sorted(nameless)]


def dropped_settings(old: Mapping[str, Any], fresh: Mapping[str, Any]) -> list[str]:
    """Return the settings of `old` that have another value than their default, and that `fresh` does not have."""
    after = catalog(fresh)
    return [one.key for one in _each(catalog(old)) if one.key not in after and one.current not in {None, one.default}]


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


def _shown(setting: Setting, secret: Iterable[str]) -> str | None:
    return setting.current and mask_value(setting.key, setting.current, setting.key in secret)


def _each(known: Mapping[str, Setting]) -> Iterable[Setting]:
    return {setting.key: setting for setting in known.values()}.values()


def _nameless_devices(config: Mapping[str, Any]) -> set[str]:
    devices = (config.get("Linux") or {}).get("Devices") or ()
    return {device.get("Path") or "" for device in devices if not device.get("Name")}


def _envs(config: Mapping[str, Any], settings: Mapping[str, Any]) -> Iterable[Setting]:
    running = dict(_pair(text) for text in settings.get("Env") or ())
    for env in config.get("Env") or ():
        name = env["Name"]
        yield Setting(name, (name, f"{name}.value"), "env", running.get(name), env.get("Value"), settable(env, "value"))


def _mounts(config: Mapping[str, Any], defaults: Mapping[str, str]) -> Iterable[Setting]:
    for mount in config.get("Mounts") or ():
        name = mount.get("Name")
        if name:
            key = f"{name}.source"
            source = mount.get("Source") or ""
            yield Setting(key, (key, name), "mount", source, defaults.get(key), settable(mount, "source"))


def _devices(config: Mapping[str, Any], settings: Mapping[str, Any], defaults: Mapping[str, str]) -> Iterable[Setting]:
    running = {device.get("Name"): device.get("Path") or "" for device in settings.get("Devices") or ()}
    for device in (config.get("Linux") or {}).get("Devices") or ():
        name = device.get("Name")
        if name:
            key = f"{name}.path"
            yield Setting(key, (key, name), "device", running.get(name), defaults.get(key), settable(device, "path"))


def _args(config: Mapping[str, Any], settings: Mapping[str, Any]) -> Iterable[Setting]:
    args = config.get("Args") or {}
    name = args.get("Name")
    if name:
        current, default = (" ".join(words or ()) for words in (settings.get("Args"), args.get("Value")))
        yield Setting(name, (name, f"{name}.value"), "args", current, default, settable(args, "value"))


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
