# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a storage plugin should be, what it is, and the plan between the two. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from ansible_collections.voltainer.volumes.plugins.module_utils._errors import InvalidInputError, RefusedError
from ansible_collections.voltainer.volumes.plugins.module_utils._plan import ABSENT, Plan, Step
from ansible_collections.voltainer.volumes.plugins.module_utils._privileges import (
    ALL,
    Approved,
    Privilege,
    as_yaml,
    from_config,
    from_engine,
    not_approved,
    parse_approved,
    unapproved,
    unasked,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._reference import (
    Reference,
    parse_alias,
    parse_reference,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._secrets import MASK, mask, secret_keys
from ansible_collections.voltainer.volumes.plugins.module_utils._settings import (
    NO_EMPTY_ARGS,
    changed_settings,
    current_settings,
    empties_args,
    parse_settings,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._usage import Use, listed

State = Literal["present", "absent", "enabled", "disabled"]


@dataclass(frozen=True)
class PluginWanted:
    """What the task asks for. None means unspecified: not managed."""

    alias: str
    remote: Reference | None
    state: State
    settings: Mapping[str, str] | None = None
    secret_settings: tuple[str, ...] = ()
    approved: Approved = None
    enable_timeout: int = 0


@dataclass(frozen=True)
class Plugin:
    """A managed plugin as the engine's inspect shows it."""

    name: str
    reference: str
    enabled: bool
    raw: Mapping[str, Any]

    @classmethod
    def from_inspect(cls, raw: Mapping[str, Any]) -> Plugin:
        """Make a plugin of the engine's answer to `GET /plugins/{name}/json`."""
        return cls(raw["Name"], raw.get("PluginReference") or "", raw["Enabled"], raw)


@dataclass(frozen=True)
class PluginFound:
    """What was observed. `offered` is what the plugin asks for as the engine words it, looked up before an install.

    `uses` and `volumes` are looked up where the plan would stop or remove the plugin.
    """

    plugin: Plugin | None
    offered: tuple[Mapping[str, Any], ...] = ()
    uses: tuple[Use, ...] = ()
    volumes: tuple[str, ...] = ()


def parse_plugin(params: Mapping[str, Any]) -> PluginWanted:
    """Return what the options of a task ask for. Raises InvalidInputError."""
    remote, alias = params.get("remote"), params.get("alias")
    if not remote and not alias:
        raise InvalidInputError(
            "The options do not say which plugin is meant",
            "both 'remote' and 'alias' are missing",
            "Give 'remote', the reference in a registry, and if the local name is another, 'alias'",
        )
    reference = parse_reference(remote) if remote else None
    if params["enable_timeout"] < 0:
        raise InvalidInputError(
            "The option 'enable_timeout' is invalid", "it is below 0", "Give seconds, or 0 for no limit"
        )
    return PluginWanted(
        alias=parse_alias(alias) if alias else _name_of(cast("Reference", reference)),
        remote=reference,
        state=cast("State", params["state"]),
        settings=parse_settings(params.get("settings")),
        secret_settings=tuple(params.get("secret_settings") or ()),
        approved=parse_approved(params.get("privileges")),
        enable_timeout=params["enable_timeout"],
    )


def stops(wanted: PluginWanted, plugin: Plugin) -> bool:
    """Return whether the plan will disable or remove the plugin, and so needs to know who uses it."""
    return wanted.state == "absent" or (
        plugin.enabled and (wanted.state == "disabled" or bool(_changes(wanted, plugin)))
    )


def plan_plugin(wanted: PluginWanted, found: PluginFound) -> Plan:
    """Return what must be done. Raises InvalidInputError and RefusedError where it must not."""
    plugin = found.plugin
    if plugin is None:
        return Plan(ABSENT, ABSENT) if wanted.state == "absent" else _plan_install(wanted, found)
    _check_identity(wanted, plugin)
    if wanted.state == "absent":
        return _plan_remove(wanted, plugin, found)
    return _plan_change(wanted, plugin, found)


def shown_plugin(plugin: Plugin, secret_settings: Iterable[str]) -> dict[str, Any]:
    """Return the plugin as a diff shows it."""
    return {
        "exists": True,
        "name": plugin.name,
        "reference": plugin.reference,
        "enabled": plugin.enabled,
        "settings": mask(current_settings(plugin.raw), secret_settings),
    }


def masked_inspect(plugin: Plugin, secret_settings: Iterable[str]) -> dict[str, Any]:
    """Return the engine's inspect of the plugin with the values of secret variables and secret arguments hidden."""
    settings = dict(plugin.raw["Settings"])
    config = dict(plugin.raw["Config"])
    names = {env["Name"]: "" for env in config.get("Env") or ()}
    hidden = secret_keys(names, secret_settings)
    settings["Env"] = [_masked_env(text, hidden) for text in settings.get("Env") or ()]
    args = (config.get("Args") or {}).get("Name") or ""
    if settings.get("Args") and secret_keys({args: ""}, secret_settings):
        # Nobody can tell which of the words are secret, nor would Ansible know a word where it knows the whole text.
        settings["Args"] = [MASK]
    return {**plugin.raw, "Settings": settings}


def _masked_env(text: str, hidden: Iterable[str]) -> str:
    name, equals, value = text.partition("=")
    return f"{name}{equals}{MASK}" if name in hidden and value else text


def _name_of(reference: Reference) -> str:
    # What dockerd 26.1 calls a plugin that is pulled by digest and without an alias.
    return str(Reference(reference.domain, reference.path, reference.tag or "latest"))


def _changes(wanted: PluginWanted, plugin: Plugin) -> dict[str, str]:
    return changed_settings(plugin.name, wanted.settings, plugin.raw) if wanted.settings else {}


def _check_identity(wanted: PluginWanted, plugin: Plugin) -> None:
    if wanted.remote is None:
        return
    installed = parse_reference(plugin.reference) if plugin.reference else None
    if installed is not None and installed.recorded == wanted.remote.recorded:
        return
    what = f"Cannot bring the plugin '{plugin.name}' to state '{wanted.state}'"
    if installed is None or installed.repository != wanted.remote.repository:
        raise RefusedError(
            what,
            f"its name is taken by another plugin, installed from '{plugin.reference}', and not from '{wanted.remote}'",
            "Choose another 'alias', or remove the plugin that has the name first",
        )
    if wanted.state != "absent":
        raise RefusedError(
            what,
            f"'{plugin.reference}' is installed, and '{wanted.remote}' is wanted: that is an upgrade, which this module"
            " does not do",
            "Upgrade it with 'docker plugin upgrade' while it is disabled, or set 'remote' to what is installed",
        )


def _plan_install(wanted: PluginWanted, found: PluginFound) -> Plan:
    what = f"Cannot install the plugin '{wanted.alias}'"
    if wanted.remote is None:
        raise InvalidInputError(what, "it is not installed, and the option 'remote' is missing", "Give its reference")
    asked = from_engine(found.offered)
    if unapproved(asked, wanted.approved):
        raise not_approved(f"Cannot install the plugin '{wanted.remote}'", asked, wanted.approved)
    enable = wanted.state == "enabled"
    pull = Step("pull", f"Pull the plugin '{wanted.remote}' as '{wanted.alias}'", {"offered": found.offered})
    after = {
        "exists": True,
        "name": wanted.alias,
        "reference": wanted.remote.recorded,
        "enabled": enable,
        "settings": mask(wanted.settings or {}, wanted.secret_settings),
        "privileges": [privilege.as_result() for privilege in asked],
    }
    set_step, enable_step = _set_steps(wanted, wanted.settings or {}), _enable_steps(wanted, enable)
    return Plan(ABSENT, after, (pull, *set_step, *enable_step), _privilege_warnings(wanted, asked))


def _plan_change(wanted: PluginWanted, plugin: Plugin, found: PluginFound) -> Plan:
    changes = _changes(wanted, plugin)
    enabled_after = {"enabled": True, "disabled": False}.get(wanted.state, plugin.enabled)
    stop = plugin.enabled and (bool(changes) or not enabled_after)
    if stop:
        _check_unmounted(plugin, found, "disable" if not changes else "change the settings of")
    before = shown_plugin(plugin, wanted.secret_settings)
    settings = mask({**current_settings(plugin.raw), **changes}, wanted.secret_settings)
    return Plan(
        before=before,
        after={**before, "enabled": enabled_after, "settings": settings},
        steps=(
            *_disable_steps(plugin, stop),
            *_set_steps(wanted, changes),
            *_enable_steps(wanted, enabled_after and (stop or not plugin.enabled)),
        ),
        warnings=_granted_warnings(wanted, plugin) + _args_warnings(plugin, changes),
    )


def _plan_remove(wanted: PluginWanted, plugin: Plugin, found: PluginFound) -> Plan:
    what = f"Cannot remove the plugin '{plugin.name}'"
    if found.uses:
        raise RefusedError(
            what,
            f"containers use its volumes: {listed(found.uses)}",
            "Remove these containers and volumes first",
            users=[use.as_result() for use in found.uses],
        )
    if found.volumes:
        raise RefusedError(
            what,
            f"it still has {len(found.volumes)} volume(s): {', '.join(sorted(found.volumes))}",
            "Remove them first (this removes their data on most storage), or keep the plugin; without it they cannot be"
            " reached, and their names stay taken",
            volumes=sorted(found.volumes),
        )
    # Until its next start the engine refuses to remove a plugin that has volumes; afterwards it has forgotten them, and
    # nobody can list the volumes of a disabled plugin (26.1.5).
    unseen = (
        f"The plugin '{plugin.name}' is disabled, so its volumes cannot be listed. If it has any, they keep their data"
        " and their names, and can be reached again only with the plugin installed under the same name",
    )
    return Plan(
        before=shown_plugin(plugin, wanted.secret_settings),
        after=ABSENT,
        steps=(*_disable_steps(plugin, plugin.enabled), Step("remove", f"Remove the plugin '{plugin.name}'")),
        warnings=() if plugin.enabled else unseen,
    )


def _check_unmounted(plugin: Plugin, found: PluginFound, verb: str) -> None:
    mounted = [use for use in found.uses if use.mounted]
    if mounted:
        raise RefusedError(
            f"Cannot {verb} the plugin '{plugin.name}'",
            f"that stops it, and running containers have its volumes mounted: {listed(mounted)}",
            "Stop these containers first, and start them again afterwards",
            users=[use.as_result() for use in mounted],
        )


def _disable_steps(plugin: Plugin, disable: bool) -> tuple[Step, ...]:
    return (Step("disable", f"Disable the plugin '{plugin.name}'"),) if disable else ()


def _set_steps(wanted: PluginWanted, settings: Mapping[str, str]) -> tuple[Step, ...]:
    if not settings:
        return ()
    words = f"Set {', '.join(settings)} of the plugin '{wanted.alias}'"
    return (Step("set", words, {"settings": dict(settings)}),)


def _enable_steps(wanted: PluginWanted, enable: bool) -> tuple[Step, ...]:
    return (Step("enable", f"Enable the plugin '{wanted.alias}'"),) if enable else ()


def _privilege_warnings(wanted: PluginWanted, asked: tuple[Privilege, ...]) -> tuple[str, ...]:
    if wanted.approved == ALL and asked:
        return (f"The plugin '{wanted.remote}' is granted everything that it asks for:\n{as_yaml(asked)}",)
    spare = unasked(asked, wanted.approved)
    if spare:
        return (f"The plugin '{wanted.remote}' does not ask for these approved privileges:\n{as_yaml(spare)}",)
    return ()


def _granted_warnings(wanted: PluginWanted, plugin: Plugin) -> tuple[str, ...]:
    if not isinstance(wanted.approved, tuple):
        return ()
    beyond = unapproved(from_config(plugin.raw["Config"], fixed_only=True), wanted.approved)
    if not beyond:
        return ()
    return (f"The installed plugin '{plugin.name}' has privileges that the task does not approve:\n{as_yaml(beyond)}",)


def _args_warnings(plugin: Plugin, changes: Mapping[str, str]) -> tuple[str, ...]:
    return (f"Plugin '{plugin.name}': {NO_EMPTY_ARGS}",) if empties_args(changes, plugin.raw) else ()
