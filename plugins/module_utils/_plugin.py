# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A managed plugin as the engine has it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.voltainer.volumes.plugins.module_utils._secrets import MASK, mask, secret_keys
from ansible_collections.voltainer.volumes.plugins.module_utils._settings import current_settings

# What this collection manages: volume drivers, and CSI drivers, which hold the volumes of a swarm's cluster.
_VOLUME_DRIVER = "docker.volumedriver/"
_STORAGE = (_VOLUME_DRIVER, "docker.csicontroller/", "docker.csinode/")


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

    @property
    def id(self) -> str:
        """The engine's ID of the plugin: 64 hexadecimal digits that no upgrade changes."""
        return str(self.raw["Id"])

    @property
    def interfaces(self) -> tuple[str, ...]:
        """What the plugin serves, such as docker.volumedriver/1.0."""
        return tuple((self.raw["Config"].get("Interface") or {}).get("Types") or ())

    @property
    def is_storage(self) -> bool:
        """Whether it is a volume driver or a CSI driver."""
        return any(one.startswith(_STORAGE) for one in self.interfaces)

    @property
    def lists_volumes(self) -> bool:
        """Whether it is a volume driver: the engine asks CSI drivers only for the swarm's cluster volumes."""
        return any(one.startswith(_VOLUME_DRIVER) for one in self.interfaces)


@dataclass(frozen=True)
class Installed:
    """What the engine's own files tell of a plugin beyond inspect, to root on the engine's host.

    `digest` is that of the manifest, as registries have it; `sources` are the defaults of mounts and devices, by the
    keys of settings.
    """

    digest: str | None = None
    sources: Mapping[str, str] | None = None


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
    # Of a version that was upgraded, variables stay behind which the plugin no longer has.
    names |= {text.partition("=")[0]: "" for text in settings.get("Env") or ()}
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
