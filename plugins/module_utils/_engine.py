# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Docker Engine, over the SDK's APIClient. The only file that imports docker, and the one place for engine quirks.

Works with docker 5.0.3 (Debian 12) to 7.x. Every method raises EngineError or EngineUnreachableError from `_errors`,
with the object and the action in it, and nothing else; what is missing becomes None.
"""

from __future__ import annotations

import re
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from ansible_collections.voltainer.volumes.plugins.module_utils._errors import (
    DriverUnavailableError,
    EngineError,
    EngineUnreachableError,
    InvalidInputError,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin import Plugin
from ansible_collections.voltainer.volumes.plugins.module_utils._reference import Reference, driver_key
from ansible_collections.voltainer.volumes.plugins.module_utils._usage import Use, uses_of_driver, uses_of_volume
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import LOCAL, Volume

try:
    import docker
    import requests
    import urllib3
except ImportError:
    SDK_IMPORT_ERROR: str | None = traceback.format_exc()
else:
    SDK_IMPORT_ERROR = None

    class _Client(docker.APIClient):
        """The SDK's client, which lets the environment choose the certificates only where no option does."""

        def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
            """Give the session's `verify` the say over REQUESTS_CA_BUNDLE, which requests lets win (2.28 to 2.34)."""
            chosen = self.verify if verify is None else verify
            return super().merge_environment_settings(url, proxies, stream, chosen, cert)


# Create and Mount of a driver may take 2 minutes, other driver calls 1 minute (20.10 to 28.5), registries as long.
SLOW_CALL_SECONDS = 180

# Where a plugin ends before it listens, enabling it fails after 12.6 s with "dial unix ...: no such file or directory".
# The engine has started it anew by itself meanwhile, and goes on with that for up to as long again. To enable it within
# that time fails, or goes wrong for good: the engine then kills and starts the plugin 100 times a minute, until it is
# disabled (26.1, 28.5; 20.10 enables it by itself, sooner or later). Measured with plugins that end after 0 to 10 s.
_ENDED = "dial unix"
_SETTLE_SECONDS = 14
_STILL_STARTING = ("id already in use", "cannot start a container that has stopped", "already exists", "file exists")

# Pulling a plugin by digest panics dockerd before these fixes (measured on 20.10.24; fixed in February 2024).
_DIGEST_SAFE = (25, 0, 3)


@dataclass(frozen=True)
class Connection:
    """How to reach the engine; the fields are the connection options of the modules."""

    docker_host: str
    api_version: str
    timeout: int
    tls: bool
    validate_certs: bool
    ca_path: str | None
    client_cert: str | None
    client_key: str | None
    tls_hostname: str | None
    use_ssh_client: bool


def connect(connection: Connection) -> Engine:
    """Return the engine at `connection`. Raises EngineUnreachableError and InvalidInputError."""
    what = f"Cannot reach the Docker Engine at {connection.docker_host}"
    _check(connection)
    try:
        client = _Client(
            base_url=_base_url(connection),
            version=connection.api_version,
            timeout=connection.timeout,
            tls=_tls_config(connection),
            use_ssh_client=connection.use_ssh_client,
        )
        if connection.api_version != "auto":
            # With "auto" the client has asked already; without, nothing has reached the engine yet.
            client.version()
    except docker.errors.TLSParameterError as exc:
        raise InvalidInputError(what, f"the TLS options are wrong: {_first_line(exc)}", "Correct them") from exc
    # ValueError: what Python's own parsers say of an address that is none.
    except (docker.errors.DockerException, requests.exceptions.RequestException, OSError, ValueError) as exc:
        raise _unreachable(what, exc) from exc
    except Exception as exc:
        # paramiko raises errors of its own, which need not be installed to be raised: told apart by their module.
        if type(exc).__module__.partition(".")[0] != "paramiko":
            raise
        raise _unreachable(what, exc) from exc
    return Engine(client)


class Engine:
    """One Docker Engine. Typed results; no state but the connection."""

    def __init__(self, client: docker.APIClient) -> None:
        """Take a connected client."""
        # Any: the stubs know neither the plugin calls nor what of the SDK is needed beyond its own methods.
        self._client: Any = client

    # Volumes

    def volume(self, name: str) -> Volume | None:
        """Return the volume `name`, or None. Raises DriverUnavailableError where only its driver does not answer."""
        what = f"Cannot inspect the volume '{name}'"
        try:
            with self._call(what, slow=True):
                return Volume.from_inspect(self._client.inspect_volume(name))
        except EngineError as exc:
            if exc.status == HTTPStatus.NOT_FOUND and not _names_driver(exc.why):
                return None
            # 409 is a disabled plugin; a removed one is 404 after 15 s with other words (20.10 to 28.5).
            if exc.status in {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}:
                raise DriverUnavailableError(
                    what,
                    f"it exists, but its driver does not answer: {exc.why}",
                    "Install and enable the plugin of this volume again: without it nobody can look at the volume",
                    status=exc.status,
                ) from exc
            raise

    def create_volume(
        self, name: str, driver: str | None, options: Mapping[str, str] | None, labels: Mapping[str, str] | None
    ) -> Volume:
        """Create a volume and return it as the engine then has it."""
        with self._call(f"Cannot create the volume '{name}'", slow=True):
            self._client.create_volume(
                name,
                driver=driver,
                driver_opts=dict(options) if options is not None else None,
                labels=dict(labels) if labels is not None else None,
            )
        created = self.volume(name)
        if created is None:
            raise EngineError(f"Cannot create the volume '{name}'", "the engine said yes, and then has no such volume")
        return created

    def remove_volume(self, name: str) -> bool:
        """Remove the volume, never by force; return whether it was still there."""
        try:
            with self._call(f"Cannot remove the volume '{name}'", slow=True):
                self._client.remove_volume(name)
        except EngineError as exc:
            if exc.status == HTTPStatus.NOT_FOUND and not _names_driver(exc.why):
                return False
            raise
        return True

    def users_of_volume(self, name: str) -> tuple[Use, ...]:
        """Return the containers, running or not, that mount the volume."""
        with self._call(f"Cannot look for the containers that use the volume '{name}'"):
            return uses_of_volume(self._client.containers(all=True, filters={"volume": [name]}), name)

    def driver_ready(self, driver: str) -> bool:
        """Return whether volumes of `driver` can be made now, as far as can be told without asking the driver."""
        if driver_key(driver) == LOCAL:
            return True
        plugin = self.plugin(driver)
        if plugin is not None:
            return plugin.enabled
        with self._call("Cannot read the engine's information"):
            # Of all plugins, /info lists the legacy ones only (20.10 to 28.5).
            return driver in ((self._client.info().get("Plugins") or {}).get("Volume") or ())

    # Plugins

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
        with self._call(f"Cannot list the volumes of '{plugin.name}'", slow=True):
            # The filter takes the full name only: "pure" matches nothing where the engine says "pure:latest".
            answer = self._client.volumes(filters={"driver": [plugin.name]})
        return tuple(volume["Name"] for volume in answer.get("Volumes") or ())

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

    # Inside

    @contextmanager
    def _call(self, what: str, *, slow: bool = False) -> Iterator[None]:
        before = self._client.timeout
        if slow:
            self._client.timeout = max(before, SLOW_CALL_SECONDS)
        try:
            yield
        except docker.errors.APIError as exc:
            raise EngineError(what, _explanation(exc), status=exc.status_code) from exc
        # What breaks inside a stream comes as urllib3's own: the SDK reads it past requests (5.0.3 to 7.x).
        except (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError) as exc:
            raise EngineError(
                what,
                f"the engine did not answer within {self._client.timeout} seconds",
                "Look at the engine's log: a driver or a registry may hang. The option 'timeout' gives more time",
            ) from exc
        except (
            requests.exceptions.RequestException,
            urllib3.exceptions.HTTPError,
            docker.errors.DockerException,
        ) as exc:
            if "Credentials store error" in str(exc):
                raise EngineError(
                    what,
                    f"the password for the registry cannot be read: {_first_line(_root(exc))}",
                    "Check the ~/.docker/config.json of the user who runs the task",
                ) from exc
            raise EngineUnreachableError(
                what, f"the connection to the engine broke: {_first_line(_root(exc))}", "Look at the engine's log"
            ) from exc
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


def _check(connection: Connection) -> None:
    if not re.match(r"(?:auto|[0-9]+\.[0-9]+)\Z", connection.api_version):
        raise InvalidInputError(
            "The option 'api_version' is invalid",
            f"'{connection.api_version}' is no version of the API",
            "Give one such as 1.41, or 'auto'",
        )
    if connection.timeout < 1:
        raise InvalidInputError("The option 'timeout' is invalid", "it is below 1", "Give seconds")


def _base_url(connection: Connection) -> str:
    if connection.tls or connection.validate_certs:
        return connection.docker_host.replace("tcp://", "https://", 1)
    return connection.docker_host


def _tls_config(connection: Connection) -> Any:
    if not (connection.tls or connection.validate_certs):
        return False
    pair = (connection.client_cert, connection.client_key)
    wanted: dict[str, Any] = {"verify": connection.validate_certs}
    if all(pair):
        wanted["client_cert"] = pair
    if connection.ca_path:
        wanted["ca_cert"] = connection.ca_path
    if connection.tls_hostname and connection.validate_certs:
        wanted["assert_hostname"] = connection.tls_hostname
    try:
        return docker.tls.TLSConfig(**wanted)
    except TypeError as exc:
        # docker 7 dropped assert_hostname.
        raise InvalidInputError(
            "The option 'tls_hostname' cannot be used",
            f"docker {docker.__version__} for Python on this host has no such check",
            "Leave it out, and use a docker_host that the engine's certificate names",
        ) from exc


def _unreachable(what: str, exc: Exception) -> EngineUnreachableError:
    root = _root(exc)
    # Told by type and not by errno: that of an SSLError is OpenSSL's own.
    if isinstance(root, PermissionError):
        return EngineUnreachableError(
            what, "permission denied", "Run the task as root ('become: true'), or as a user of the group 'docker'"
        )
    if isinstance(root, (FileNotFoundError, ConnectionRefusedError)):
        why = "there is no such socket" if isinstance(root, FileNotFoundError) else "nothing listens there"
        return EngineUnreachableError(what, why, "Install and start Docker on this host, or correct 'docker_host'")
    if isinstance(root, NameError):
        # With use_ssh_client, too, docker 5.0.3 to 7.x find their ssh adapter only where paramiko is.
        return EngineUnreachableError(
            what, "ssh:// needs the Python library paramiko", "Install it where the module runs (python3-paramiko)"
        )
    if isinstance(exc, docker.errors.APIError):
        return EngineUnreachableError(what, _explanation(exc), "Check 'api_version', 'docker_host' and the TLS options")
    if isinstance(exc, docker.errors.InvalidVersion):
        return EngineUnreachableError(what, _first_line(exc), "Correct 'api_version'")
    return EngineUnreachableError(
        what, _first_line(root), "Check 'docker_host', the TLS options, and that the engine runs"
    )


def _root(exc: BaseException) -> BaseException:
    """Return the error at the bottom: the SDK wraps urllib3's, which wraps the system's, partly in `args` only."""
    seen: set[int] = set()
    while id(exc) not in seen:
        seen.add(id(exc))
        nested = [arg for arg in exc.args if isinstance(arg, BaseException)]
        reason = getattr(exc, "reason", None)
        below = [exc.__cause__, reason, *nested, exc.__context__]
        # TypeError: urllib3 1.26 first calls Python's HTTPConnection in the way of Python 2, which says nothing here.
        exc = next((one for one in below if isinstance(one, BaseException) and not isinstance(one, TypeError)), exc)
    return exc


def _first_line(exc: BaseException) -> str:
    lines = str(exc).strip().splitlines()
    return lines[0] if lines else type(exc).__name__


def _explanation(exc: docker.errors.APIError) -> str:
    text = exc.explanation or ""
    return (text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)).strip() or _first_line(exc)


def _names_driver(why: str) -> bool:
    # A volume that is not there is told as "get x: no such volume", on a swarm's manager as "volume x not found" (26.1,
    # 28.5). One whose plugin is gone: "error while checking if volume "x" exists in driver "p": error looking up volume
    # plugin p: plugin "p" not found".
    return "looking up volume plugin" in why or "exists in driver" in why


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
