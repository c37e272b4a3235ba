# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Docker Engine's plugins. A file of its own, so that modules for volumes need not load it.

Each task compiles what it loads, as Ansible brings source along.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from ansible_collections.voltainer.volumes.plugins.module_utils import _sdk
from ansible_collections.voltainer.volumes.plugins.module_utils._engine import (
    SLOW_CALL_SECONDS,
    Connection,
    Engine,
    broken,
    check,
    unanswered,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import EngineError
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin import Plugin
from ansible_collections.voltainer.volumes.plugins.module_utils._reference import Reference
from ansible_collections.voltainer.volumes.plugins.module_utils._sdk import SdkTransport
from ansible_collections.voltainer.volumes.plugins.module_utils._transport import (
    AnswerError,
    BrokenError,
    SilenceError,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._usage import Use, uses_of_driver

# Where a plugin ends before it listens, enabling it fails after 12.6 s with "dial unix ...: no such file or directory".
# The engine has started it anew by itself meanwhile, and goes on with that for up to as long again. To enable it within
# that time fails, or goes wrong for good: the engine then kills and starts the plugin 100 times a minute, until it is
# disabled (26.1, 28.5; 20.10 enables it by itself, sooner or later). Measured with plugins that end after 0 to 10 s.
_ENDED = "dial unix"
_SETTLE_SECONDS = 14
_STILL_STARTING = ("id already in use", "cannot start a container that has stopped", "already exists", "file exists")

# Pulling a plugin by digest panics dockerd before these fixes (measured on 20.10.24; fixed in February 2024).
_DIGEST_SAFE = (25, 0, 3)


def connect(connection: Connection) -> PluginEngine:
    """Return the engine. Raises EngineUnreachableError, InvalidInputError and SdkMissingError."""
    check(connection)
    return PluginEngine(_sdk.connect(connection))


class PluginEngine(Engine):
    """One Docker Engine, its volumes and plugins. Through the SDK, which knows the passwords of registries."""

    def __init__(self, transport: SdkTransport) -> None:
        """Take a connection."""
        super().__init__(transport)
        self._client = transport.client

    def plugin(self, name: str) -> Plugin | None:
        """Return the managed plugin `name`, or None."""
        try:
            with self._call(f"Cannot inspect the plugin '{name}'"):
                return Plugin.from_inspect(self._client.inspect_plugin(name))
        except EngineError as exc:
            if exc.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    def users_of_driver(self, driver: str) -> tuple[Use, ...]:
        """Return the containers, running or not, that mount volumes of the driver."""
        with self._call(f"Cannot look for the containers that use volumes of '{driver}'"):
            return uses_of_driver(self._client.containers(all=True), driver)

    def volumes_of(self, plugin: Plugin) -> tuple[str, ...]:
        """Return the names of the volumes of the plugin. Those of a disabled plugin are not known to anybody."""
        if not plugin.enabled:
            return ()
        return tuple(volume.name for volume in self.volumes(plugin.name).volumes)

    def privileges(self, remote: Reference) -> tuple[Mapping[str, Any], ...]:
        """Return what the plugin in the registry asks for, in the engine's words and order."""
        what = f"Cannot look up the privileges of the plugin '{remote}'"
        if remote.digest:
            self._refuse_digest(what)
        with self._call(what, slow=True):
            answer = self._client.plugin_privileges(str(remote))
        if answer is None:
            return ()
        if not answer:
            # A reference that cannot be resolved answers 200 and an empty list, a plugin that needs nothing null.
            self._explain_unresolved(what, remote)
        return tuple(answer)

    def pull_plugin(self, remote: Reference, alias: str, offered: Iterable[Mapping[str, Any]]) -> None:
        """Install the plugin, disabled, under `alias`, with the privileges `offered` by `privileges`."""
        what = f"Cannot pull the plugin '{remote}'"
        with self._call(what, slow=True):
            # The body must be a list, in the order offered; errors arrive inside the 200 stream, up to its end.
            for event in self._client.pull_plugin(str(remote), [dict(one) for one in offered], alias):
                if "error" in event:
                    raise EngineError(what, str(event["error"]), _registry_way_out(remote, str(event["error"])))

    def set_plugin(self, name: str, settings: Mapping[str, str]) -> None:
        """Set settings of a disabled plugin. Not atomic in the engine: check the names before."""
        with self._call(f"Cannot set {', '.join(settings)} of the plugin '{name}'"):
            self._client.configure_plugin(name, [f"{key}={value}" for key, value in settings.items()])

    def enable_plugin(self, name: str, timeout: int) -> None:
        """Start the plugin; that it was started by somebody else meanwhile is as good.

        After a failure the plugin can be enabled again at once: this waits until the engine is done with it.
        """
        what = f"Cannot enable the plugin '{name}'"
        try:
            with self._call(what, slow=True):
                self._client.enable_plugin(name, timeout)
        except EngineError as exc:
            if exc.status == HTTPStatus.CONFLICT:
                return
            if _ENDED in exc.why:
                time.sleep(_SETTLE_SECONDS)
            raise EngineError(what, exc.why, _enable_way_out(exc.why), status=exc.status) from exc

    def disable_plugin(self, name: str, *, force: bool = False) -> None:
        """Stop the plugin; the engine asks for `force` as soon as one volume of it is known."""
        with self._call(f"Cannot disable the plugin '{name}'", slow=True):
            # Not client.disable_plugin: docker 5.0.3 has no `force` there.
            url = self._client._url("/plugins/{0}/disable", name)
            self._client._raise_for_status(self._client._post(url, params={"force": force}))

    def remove_plugin(self, name: str) -> None:
        """Remove a disabled plugin, never by force."""
        what = f"Cannot remove the plugin '{name}'"
        try:
            with self._call(what, slow=True):
                self._client.remove_plugin(name)
        except EngineError as exc:
            if exc.status != HTTPStatus.CONFLICT:
                raise
            way_out = "It has volumes, which cannot be listed while it is disabled: enable it and remove them first"
            raise EngineError(what, exc.why, way_out, status=exc.status) from exc

    @contextmanager
    def _call(self, what: str, *, slow: bool = False) -> Iterator[None]:
        before = self._client.timeout
        if slow:
            self._client.timeout = max(before, SLOW_CALL_SECONDS)
        try:
            with _sdk.translated():
                yield
        except AnswerError as exc:
            raise EngineError(what, exc.why, status=exc.status) from exc
        except SilenceError as exc:
            raise unanswered(what, self._client.timeout) from exc
        except _sdk.NoPasswordError as exc:
            raise EngineError(
                what,
                f"the password for the registry cannot be read: {exc}",
                "Check the ~/.docker/config.json of the user who runs the task",
            ) from exc
        except BrokenError as exc:
            raise broken(what, exc) from exc
        finally:
            self._client.timeout = before

    def _refuse_digest(self, what: str) -> None:
        version = str(self._client.version()["Version"])
        numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:3])
        if numbers < _DIGEST_SAFE:
            raise EngineError(
                what,
                f"the engine's version {version} would crash: pulling a plugin by digest panics before 25.0.3",
                "Use a tag, or upgrade the engine",
            )

    def _explain_unresolved(self, what: str, remote: Reference) -> None:
        try:
            with self._call(what, slow=True):
                self._client.inspect_distribution(str(remote))
        except EngineError as exc:
            raise EngineError(what, exc.why, _registry_way_out(remote, exc.why), status=exc.status) from exc
        raise EngineError(
            what, f"the registry {remote.domain} has '{remote}', but it is no plugin", "Check the option 'remote'"
        )


def _registry_way_out(remote: Reference, why: str) -> str:
    words = why.lower()
    if "already exists" in words:
        return "Somebody else installed it at the same moment: run the task again"
    if "unauthorized" in words or "denied" in words or "no basic auth" in words:
        return f"Log in to {remote.domain} with the right password ('docker login', as the user who runs the task)"
    if "unknown" in words or "not found" in words:
        return "Check the option 'remote': repository and tag"
    return f"Check that this host reaches the registry {remote.domain}, and trusts its certificate"


def _enable_way_out(why: str) -> str:
    if any(words in why for words in _STILL_STARTING):
        return "The engine is still busy with an earlier start of the plugin: run the task again in half a minute"
    if "no such file or directory" in why.lower() and _ENDED not in why:
        return "Make the mount sources of the plugin first: the engine never makes them"
    return (
        "The plugin does not answer: look at the engine's log for what it said, and check its config file and settings"
    )
