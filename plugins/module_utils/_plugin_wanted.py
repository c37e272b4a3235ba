# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task wants of a storage plugin. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, cast

from ansible_collections.voltainer.volumes.plugins.module_utils._errors import InvalidInputError
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin import Plugin
from ansible_collections.voltainer.volumes.plugins.module_utils._privileges import Approved, parse_approved
from ansible_collections.voltainer.volumes.plugins.module_utils._reference import (
    Reference,
    parse_alias,
    parse_reference,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._registry import Login, parse_login
from ansible_collections.voltainer.volumes.plugins.module_utils._settings import parse_settings
from ansible_collections.voltainer.volumes.plugins.module_utils._strings import option_strings

if TYPE_CHECKING:
    from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_canary import Canary
    from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_config import ConfigFile

State = Literal["present", "absent", "enabled", "disabled"]
Pull = Literal["missing", "changed", "always"]
OnChange = Literal["restart", "fail", "defer"]

# The words of community.docker's module for the same.
_STATES = {"enable": "enabled", "disable": "disabled"}


@dataclass(frozen=True)
class PluginWanted:
    """What the task asks for. None means unspecified: not managed.

    `drop_in` says that it is put in the words of community.docker's module, which grants all that a plugin asks for.
    `confirmed` is the name given with `confirm`.
    """

    alias: str
    remote: Reference | None
    state: State
    settings: Mapping[str, str] | None = None
    settings_exact: bool = False
    secret_settings: tuple[str, ...] = ()
    approved: Approved = None
    drop_in: bool = False
    pull: Pull = "missing"
    force: bool = False
    confirmed: str | None = None
    enable_timeout: int = 0
    wait_ready: int = 0
    login: Login | None = None
    config_files: tuple[ConfigFile, ...] = ()
    on_change: OnChange = "restart"
    canary: Canary | None = None
    state_files: tuple[str, ...] = ()


def parse_plugin(params: Mapping[str, Any]) -> PluginWanted:
    """Return what the options of a task ask for. Raises InvalidInputError."""
    remote = parse_reference(params["remote"]) if params["remote"] else None
    if params["plugin_name"]:
        remote = parse_reference(params["plugin_name"], "plugin_name")
    for option in ("enable_timeout", "wait_ready"):
        if params[option] < 0:
            raise InvalidInputError(f"The option '{option}' is invalid", "it is below 0", "Give seconds, or 0 for none")
    wanted = PluginWanted(
        alias=_alias(params["alias"], remote),
        remote=remote,
        state=cast("State", _STATES.get(params["state"], params["state"])),
        settings=parse_settings(_emptied(params["settings"]) if params["plugin_name"] else params["settings"]),
        settings_exact=params["settings_exact"],
        secret_settings=tuple(params["secret_settings"]),
        approved=parse_approved(params["privileges"]),
        drop_in=bool(params["plugin_name"]),
        pull=params["pull"],
        force=params["force"] or (params["force_remove"] and params["state"] == "absent"),
        confirmed=parse_alias(params["confirm"], "confirm") if params["confirm"] else None,
        enable_timeout=params["enable_timeout"],
        wait_ready=params["wait_ready"],
        login=parse_login(params["registry_username"], params["registry_password"]),
        config_files=_config_files(params),
        on_change=params["on_change"],
        canary=_canary(params["canary_options"]) if params["canary"] else None,
        state_files=_state_files(params["state_files"]),
    )
    if wanted.confirmed not in {None, wanted.alias}:
        raise InvalidInputError(
            "The option 'confirm' does not name the plugin that the task is about",
            f"it is '{params['confirm']}', and the plugin is '{wanted.alias}'",
            "Give the alias of the plugin, or leave it out",
        )
    return wanted


def installed_as(wanted: PluginWanted, plugin: Plugin | None) -> PluginWanted:
    """Return what is wanted of the plugin that is there: community.docker's module takes its local name, too.

    There `plugin_name` without `alias` is either, and what is installed is never compared with a registry by it.
    """
    if plugin is None or wanted.remote is None or not wanted.drop_in or wanted.alias != str(wanted.remote):
        return wanted
    installed = parse_reference(plugin.reference).repository if plugin.reference else ""
    return wanted if installed == wanted.remote.repository else replace(wanted, remote=None)


def _config_files(params: Mapping[str, Any]) -> tuple[ConfigFile, ...]:
    if not params["config_files"]:
        return ()
    # Not for every task: it brings the readers of all formats along.
    from ansible_collections.voltainer.volumes.plugins.module_utils import _plugin_config  # noqa: PLC0415

    return _plugin_config.parse_config_files(params["config_files"], removed=params["state"] == "absent")


def _state_files(paths: Iterable[str] | None) -> tuple[str, ...]:
    relative = [path for path in paths or () if not path.startswith("/")]
    if relative:
        raise InvalidInputError(
            "The option 'state_files' is invalid",
            f"'{relative[0]}' does not begin with a slash",
            "Give absolute paths on this host",
        )
    return tuple(paths or ())


def _canary(options: Mapping[str, Any] | None) -> Canary:
    from ansible_collections.voltainer.volumes.plugins.module_utils import _plugin_canary  # noqa: PLC0415

    return _plugin_canary.Canary(option_strings("canary_options", options) or {})


def _emptied(values: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the settings with nothing as an empty text, as community.docker's module takes it."""
    return None if values is None else {key: "" if value is None else value for key, value in values.items()}


def _alias(alias: str | None, remote: Reference | None) -> str:
    if alias:
        return parse_alias(alias)
    if remote:
        # What dockerd 26.1 calls a plugin that is pulled by digest and without an alias.
        return str(Reference(remote.domain, remote.path, remote.tag or "latest"))
    raise InvalidInputError(
        "The options do not say which plugin is meant",
        "both 'remote' and 'alias' are missing",
        "Give 'remote', the reference in a registry, and if the local name is another, 'alias'",
    )
