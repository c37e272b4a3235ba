# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Docker Engine's plugins. A file of its own, so that modules for volumes need not load it.

Each task compiles what it loads, as Ansible brings source along.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import replace
from functools import cached_property
from http import HTTPStatus
from typing import Any

from ansible_collections.voltainer.volumes.plugins.module_utils._container_engine import ContainerEngine
from ansible_collections.voltainer.volumes.plugins.module_utils._engine import (
    Connection,
    path_of,
    reach,
    told,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import AlreadyThereError, EngineError
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin import Installed, Plugin
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_files import read
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_legacy import Legacy, legacy_plugins
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_lock import FOLDER, WAIT_SECONDS, locked
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_log import tail
from ansible_collections.voltainer.volumes.plugins.module_utils._reference import Reference, parse_reference
from ansible_collections.voltainer.volumes.plugins.module_utils._registry import Login, Pulled
from ansible_collections.voltainer.volumes.plugins.module_utils._transport import Request
from ansible_collections.voltainer.volumes.plugins.module_utils._usage import Use, uses_of_driver

# Where a plugin ends before it listens, enabling it fails after 12.6 s with "dial unix ...: no such file or directory".
# The engine has started it anew by itself meanwhile, and goes on with that for up to as long again. To enable it within
# that time fails, or goes wrong for good: the engine then kills and starts the plugin 100 times a minute, until it is
# disabled (26.1, 28.5; 20.10 enables it by itself, sooner or later). Measured with plugins that end after 0 to 10 s.
_ENDED = "dial unix"
_SETTLE_SECONDS = 14
# How much longer to wait for the engine than it waits for a plugin.
_MARGIN_SECONDS = 30
_STILL_STARTING = ("id already in use", "cannot start a container that has stopped", "already exists", "file exists")

# Where the engine keeps everything, unless it was told otherwise.
_USUAL_ROOT = "/var/lib/docker"
# Where plugins make their sockets.
_SOCKETS = "/run/docker/plugins"

# Pulling a plugin by digest panics dockerd before these fixes (measured on 20.10.24; fixed in February 2024).
_DIGEST_SAFE = (25, 0, 3)

_DIGEST = re.compile(r"Digest: (sha256:[0-9a-f]{64})\Z")

# What the engine says where a registry call fails (20.10 to 28.5), in lower case and without addresses, and the way
# out. The first that fits counts: "unknown" comes late, as an unknown authority signs certificates.
_ALREADY_THERE = r"\Aplugin .*already exists"
_REGISTRY_WAYS_OUT = (
    (
        _ALREADY_THERE,
        "Somebody else installed it from {domain} at the same moment: run the task again",
    ),
    (
        r"\Aplugin .*not found|must be disabled",
        "Somebody else changed the plugin meanwhile: run the task again. The registry {domain} is not the cause",
    ),
    (
        r"incorrect privileges",
        "The plugin in the registry {domain} changed between look-up and pull: run the task again, and look at what it"
        " asks for now",
    ),
    (
        r"plugin config",
        "The registry {domain} has '{remote}', but it is no plugin: check the option 'remote'",
    ),
    (
        r"gave http response to https client|first record does not look like a tls handshake",
        "{domain} does not speak TLS there: correct the port in 'remote', or list the registry under"
        " 'insecure-registries' in the configuration of the engine",
    ),
    (
        r"timeout|timed out|deadline exceeded|connection re(?:fused|set)|no such host|no route to host|dial tcp",
        "See that the registry {domain} runs, and that the engine's host reaches it by this name and port",
    ),
    (
        r"x509|certificate|\btls:",
        "The engine does not trust the certificate of {domain}: on its host, it looks for the CA in"
        " /etc/docker/certs.d/{domain}/ca.crt, beside those of the system",
    ),
    (
        r"toomanyrequests|rate limit|429 too many",
        "The registry {domain} limits how often it is asked: wait, or log in to it",
    ),
    (
        r"unauthorized|denied|no basic auth|authorization failed|forbidden",
        "{login}",
    ),
    (
        r"unknown|not found",
        "The registry {domain} has no '{remote}': check repository and tag in the option 'remote'",
    ),
)


def connect(connection: Connection) -> PluginEngine:
    """Return the engine. Raises EngineUnreachableError, InvalidInputError and SdkMissingError."""
    return PluginEngine(reach(connection))


class PluginEngine(ContainerEngine):
    """One Docker Engine, its volumes and plugins.

    What asks a registry takes a `login`, without which the `docker login` of the task's user counts. It raises
    SdkMissingError, too: the Docker SDK is what finds that login, over whatever connection.
    """

    def plugin(self, name: str) -> Plugin | None:
        """Return the managed plugin `name`, or None."""
        try:
            raw = self._ask(f"Cannot inspect the plugin '{name}'", Request("GET", _of(name, "/json")))
        except EngineError as exc:
            if exc.status == HTTPStatus.NOT_FOUND:
                return None
            raise
        return Plugin.from_inspect(raw)

    def plugins(self) -> tuple[Plugin, ...]:
        """Return all managed plugins, whatever they serve."""
        listed = self._ask("Cannot list the plugins", Request("GET", "/plugins"))
        return tuple(Plugin.from_inspect(raw) for raw in listed or ())

    def users_of_driver(self, driver: str) -> tuple[Use, ...]:
        """Return the containers, running or not, that mount volumes of the driver."""
        what = f"Cannot look for the containers that use volumes of '{driver}'"
        return uses_of_driver(self._ask(what, Request("GET", "/containers/json", {"all": 1})), driver)

    def volumes_of(self, plugin: Plugin, *, seconds: float | None = None) -> tuple[str, ...]:
        """Return the names of the volumes of the plugin, which has `seconds` to tell, or as long as for any call of it.

        Those of a disabled plugin are not known to anybody.
        """
        if not plugin.enabled:
            return ()
        listing = self.volumes(plugin.name, seconds=seconds)
        if listing.warnings:
            # A driver that fails to list its volumes is a warning beside a list without them (20.10 to 28.5).
            raise EngineError(f"Cannot list the volumes of '{plugin.name}'", "; ".join(listing.warnings))
        return tuple(volume.name for volume in listing.volumes)

    def data_root(self) -> str:
        """Return the folder on the engine's host in which it keeps everything."""
        return str(self._info()["DockerRootDir"])

    def installed(self, plugin: Plugin) -> Installed:
        """Return what inspect does not tell. Of a plugin that was installed by digest everybody knows that."""
        pinned = parse_reference(plugin.reference).digest if plugin.reference else None
        if not self.is_here:
            return Installed(pinned)
        # The ID is unique, so the file of that name is the plugin's. To ask the engine for its folder is one call more.
        found = read(_USUAL_ROOT, plugin.id) or read(self.data_root(), plugin.id) or Installed()
        return Installed(pinned or found.digest, found.sources)

    def listens_since(self, plugin: Plugin) -> int | None:
        """Return when the plugin that runs was last started, in nanoseconds since 1970, where that can be told."""
        socket = (plugin.raw["Config"].get("Interface") or {}).get("Socket")
        if not self.is_here or not socket:
            return None
        try:
            # The plugin makes its socket anew at each start (20.10 to 28.5).
            return os.stat(f"{_SOCKETS}/{plugin.id}/{socket}").st_mtime_ns
        except OSError:
            return None

    def changing(self, name: str) -> AbstractContextManager[None]:
        """Return a context in which no other task on this host changes the plugin. Raises RefusedError."""
        if not self._transport.socket_path:
            return nullcontext()
        return locked(FOLDER, name, WAIT_SECONDS)

    def said_by(self, plugin_id: str, secrets: Iterable[str]) -> tuple[str, ...]:
        """Return the last lines that the plugin wrote, without secrets, where the engine's log can be read."""
        return tail(self._transport.socket_path, plugin_id, secrets) if self._transport.socket_path else ()

    def legacy_drivers(self) -> tuple[str, ...]:
        """Return the names of the volume drivers that are no managed plugins and that the engine has met, and local."""
        return self._legacy_drivers()

    def legacy_files(self) -> tuple[Legacy, ...]:
        """Return the legacy plugins, volume drivers or not, that files on the engine's host make known."""
        return legacy_plugins() if self.is_here else ()

    def digests_work(self) -> bool:
        """Return whether the engine can be asked for a plugin by its digest."""
        numbers = tuple(int(number) for number in re.findall(r"\d+", self._version)[:3])
        return numbers >= _DIGEST_SAFE

    def privileges(self, remote: Reference, login: Login | None = None) -> tuple[Mapping[str, Any], ...]:
        """Return what the plugin in the registry asks for, in the engine's words and order."""
        what = f"Cannot look up the privileges of the plugin '{remote}'"
        self._refuse_digest(what, remote)
        headers = _headers(what, remote, login)
        with _registry(what, remote, login):
            request = Request("GET", "/plugins/privileges", {"remote": str(remote)}, headers=headers)
            answer = self._ask(what, request, slow=True)
            if answer is None:
                return ()
            if not answer:
                # A reference that cannot be resolved answers 200 and an empty list, a plugin that needs nothing null
                # (20.10 to 28.5). Why it cannot, only this call tells.
                self._descriptor(what, remote, headers)
                raise EngineError(
                    what,
                    f"the registry {remote.domain} has '{remote}', but it is no plugin",
                    "Check the option 'remote'; if it is right, run the task again",
                )
        return tuple(answer)

    def registry_digest(self, remote: Reference, login: Login | None = None) -> str:
        """Return the digest of the manifest that the registry has now."""
        what = f"Cannot look up the digest of the plugin '{remote}'"
        with _registry(what, remote, login):
            return str(self._descriptor(what, remote, _headers(what, remote, login))["digest"])

    def pull_plugin(
        self, remote: Reference, alias: str, offered: Iterable[Mapping[str, Any]], login: Login | None = None
    ) -> Pulled:
        """Install the plugin, disabled, under `alias`, with the privileges `offered` by `privileges`."""
        what = f"Cannot pull the plugin '{remote}'"
        # The body must be a list, in the order offered.
        query = {"remote": str(remote), "name": alias}
        return self._pull(what, Request("POST", "/plugins/pull", query, [*map(dict, offered)]), remote, login)

    def upgrade_plugin(
        self, name: str, remote: Reference, offered: Iterable[Mapping[str, Any]], login: Login | None = None
    ) -> Pulled:
        """Put `remote` in the place of the disabled plugin, with the privileges `offered` by `privileges`."""
        what = f"Cannot upgrade the plugin '{name}' to '{remote}'"
        request = Request("POST", _of(name, "/upgrade"), {"remote": str(remote)}, [*map(dict, offered)])
        return self._pull(what, request, remote, login)

    def set_plugin(self, name: str, settings: Mapping[str, str]) -> None:
        """Set settings of a disabled plugin. Not atomic in the engine: check the names before."""
        pairs = [f"{key}={value}" for key, value in settings.items()]
        what = f"Cannot set {', '.join(settings)} of the plugin '{name}'"
        self._ask(what, Request("POST", _of(name, "/set"), body=pairs))

    def enable_plugin(self, name: str, timeout: int) -> None:
        """Start the plugin; that it was started by somebody else meanwhile is as good.

        After a failure the plugin can be enabled again at once: this waits until the engine is done with it.
        """
        what = f"Cannot enable the plugin '{name}'"
        try:
            # Without `timeout`, the engine answers 500 (20.10 to 28.5).
            seconds = max(self._patience(slow=True), timeout + _MARGIN_SECONDS if timeout else 0)
            self._ask(what, Request("POST", _of(name, "/enable"), {"timeout": timeout}), seconds=seconds)
        except EngineError as exc:
            if exc.status == HTTPStatus.CONFLICT:
                return
            if exc.status is None:
                raise
            if _ENDED in exc.why:
                time.sleep(_SETTLE_SECONDS)
            raise EngineError(what, exc.why, _enable_way_out(exc.why), status=exc.status) from exc

    def disable_plugin(self, name: str, *, force: bool = False) -> None:
        """Stop the plugin; the engine asks for `force` as soon as one volume of it is known."""
        request = Request("POST", _of(name, "/disable"), _force(force=force))
        self._ask(f"Cannot disable the plugin '{name}'", request, slow=True)

    def remove_plugin(self, name: str, *, force: bool = False) -> None:
        """Remove a plugin; the engine asks for `force` where it is enabled or has volumes, which then lack a driver."""
        what = f"Cannot remove the plugin '{name}'"
        try:
            self._ask(what, Request("DELETE", path_of("plugins", name), _force(force=force)), slow=True)
        except EngineError as exc:
            if exc.status != HTTPStatus.CONFLICT:
                raise
            way_out = "It has volumes, which cannot be listed while it is disabled: enable it and remove them first"
            if "is enabled" in exc.why:
                way_out = "Somebody else enabled it meanwhile: run the task again"
            raise EngineError(what, exc.why, way_out, status=exc.status) from exc

    # Inside

    @cached_property
    def _version(self) -> str:
        return str(self._ask("Cannot read the engine's version", Request("GET", "/version"))["Version"])

    def _refuse_digest(self, what: str, remote: Reference) -> None:
        if remote.digest and not self.digests_work():
            raise EngineError(
                what,
                f"the engine's version {self._version} would crash: pulling a plugin by digest panics before 25.0.3",
                "Use a tag, or upgrade the engine",
            )

    def _descriptor(self, what: str, remote: Reference, headers: Mapping[str, str]) -> Mapping[str, Any]:
        request = Request("GET", f"{path_of('distribution', str(remote))}/json", headers=headers)
        found: Mapping[str, Any] = self._ask(what, request, slow=True)["Descriptor"]
        return found

    def _pull(self, what: str, request: Request, remote: Reference, login: Login | None) -> Pulled:
        self._refuse_digest(what, remote)
        request = replace(request, headers=_headers(what, remote, login))
        with _registry(what, remote, login), self._events(what, request) as events:
            return _pulled(what, events)

    @contextmanager
    def _events(self, what: str, request: Request) -> Iterator[Iterable[Mapping[str, Any]]]:
        seconds = self._patience(slow=True)
        with told(what, seconds), closing(self._transport.stream(request, seconds)) as events:
            yield events


def _pulled(what: str, events: Iterable[Mapping[str, Any]]) -> Pulled:
    digest: str | None = None
    lines: dict[str, None] = {}
    for event in events:
        # Errors arrive inside the 200 stream, up to its end (20.10 to 28.5). "error" is deprecated for "errorDetail".
        if "error" in event or "errorDetail" in event:
            raise EngineError(what, str(event.get("error") or event["errorDetail"]["message"]))
        of, status = event.get("id"), str(event.get("status") or "")
        found = _DIGEST.match(status)
        digest = found.group(1) if found else digest
        # Each layer says many times a second how far it is, and its states come in no strict order (20.10 to 28.5).
        if status:
            lines[f"{of}: {status}" if of else status] = None
    return Pulled(digest, tuple(lines))


@contextmanager
def _registry(what: str, remote: Reference, login: Login | None) -> Iterator[None]:
    """Say the way out of what a registry call failed with, where it is not said yet."""
    try:
        yield
    except EngineError as exc:
        if exc.way_out:
            raise
        way_out = _registry_way_out(remote, login, exc.why)
        kind = AlreadyThereError if re.match(_ALREADY_THERE, exc.why) else EngineError
        raise kind(what, exc.why, way_out, status=exc.status) from exc


def _headers(what: str, remote: Reference, login: Login | None) -> dict[str, str]:
    # To load the SDK takes more time than the calls that need no registry.
    from ansible_collections.voltainer.volumes.plugins.module_utils import _sdk  # noqa: PLC0415

    try:
        header = _sdk.registry_auth(remote.domain, login)
    except _sdk.NoPasswordError as exc:
        raise EngineError(
            what,
            f"the password for the registry {remote.domain} cannot be read: {exc}",
            "Check the ~/.docker/config.json of the user who runs the task, or give 'registry_username' and"
            " 'registry_password'",
        ) from exc
    return {"X-Registry-Auth": header} if header else {}


def _registry_way_out(remote: Reference, login: Login | None, why: str) -> str:
    # A repository may be called whatever an error is: what has a slash in it is an address.
    said = re.sub(r"\S+/\S+", "", why.lower()).replace(remote.domain.lower(), "")
    for sign, way_out in _REGISTRY_WAYS_OUT:
        if re.search(sign, said):
            return way_out.format(domain=remote.domain, remote=remote, login=_login_way_out(remote, login))
    return f"Look at the log of the engine, and of the registry {remote.domain}"


def _login_way_out(remote: Reference, login: Login | None) -> str:
    # A registry that has no such repository may say the same, so that nobody learns which there are.
    if login:
        return (
            f"The registry {remote.domain} does not take the given 'registry_username' and 'registry_password', or has"
            f" no '{remote}' that this user may read: correct them"
        )
    return (
        f"Give 'registry_username' and 'registry_password' for {remote.domain}, or log in with 'docker login"
        f" {remote.domain}' as the user who runs the task; where it needs no password, check the option 'remote'"
    )


def _of(name: str, action: str) -> str:
    return path_of("plugins", name) + action


def _force(*, force: bool) -> dict[str, int]:
    return {"force": 1} if force else {}


def _enable_way_out(why: str) -> str:
    if any(words in why for words in _STILL_STARTING):
        return "The engine is still busy with an earlier start of the plugin: run the task again in half a minute"
    if "custom device" in why:
        return "Correct the path of this device in 'settings', or make the device on the engine's host"
    if "no such file or directory" in why.lower() and _ENDED not in why:
        return "Make the mount sources of the plugin first: the engine never makes them"
    return (
        "The plugin does not answer: look at the engine's log for what it said, and check its config file and settings"
    )
