# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Docker Engine, and the one place for its quirks.

Every method raises EngineError or EngineUnreachableError from `_errors`, with the object and the action in it, and
nothing else; what is missing becomes None.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException
from typing import Any
from urllib.parse import quote

from ansible_collections.voltainer.volumes.plugins.module_utils._errors import (
    DriverUnavailableError,
    EngineError,
    EngineUnreachableError,
    InvalidInputError,
    UnansweredError,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._reference import driver_key
from ansible_collections.voltainer.volumes.plugins.module_utils._transport import (
    AnswerError,
    BrokenError,
    Request,
    SilenceError,
    SocketTransport,
    Transport,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._usage import (
    ServiceUse,
    Users,
    service_uses,
    uses,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import HELPER, LOCAL, Volume

# Create and Mount of a driver may take 2 minutes, other driver calls 1 minute (20.10 to 28.5), registries as long.
SLOW_CALL_SECONDS = 180
_LONGEST_TIMEOUT = 7 * 24 * 3600


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


@dataclass(frozen=True)
class Listing:
    """Volumes as the engine lists them, and what it could not list, in its words."""

    volumes: tuple[Volume, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Node:
    """The host of the engine: its `time` (RFC 3339), and whether it is a worker of a swarm, which knows no services."""

    time: str
    worker: bool


def connect(connection: Connection) -> Engine:
    """Return the engine. Raises EngineUnreachableError, InvalidInputError and SdkMissingError."""
    return Engine(reach(connection))


def reach(connection: Connection) -> Transport:
    """Return the way to the engine. Raises as `connect` does."""
    check(connection)
    scheme, _colon, path = connection.docker_host.partition("://")
    if scheme != "unix" or not path.startswith("/"):
        # The SDK takes more time to load than all else of a task, so only what needs it does.
        from ansible_collections.voltainer.volumes.plugins.module_utils import _sdk  # noqa: PLC0415

        return _sdk.connect(connection)
    try:
        return SocketTransport(path, connection.timeout, connection.api_version)
    except (OSError, HTTPException) as exc:
        raise unreachable(f"Cannot reach the Docker Engine at {connection.docker_host}", exc) from exc


class Engine:
    """One Docker Engine and its volumes. Typed results; no state but the connection, and what was made over it.

    `own_helpers` are the IDs of the helper containers: their label anybody's may carry.
    """

    def __init__(self, transport: Transport) -> None:
        """Take a connection."""
        self._transport = transport
        self.own_helpers: set[str] = set()

    @property
    def transport(self) -> Transport:
        """The connection, for what asks other things of the same engine."""
        return self._transport

    @property
    def is_here(self) -> bool:
        """Whether the engine is reached by a socket of this host."""
        return self._transport.is_here

    @property
    def timeout(self) -> int:
        """How many seconds the engine has for an answer that no driver must give."""
        return self._transport.timeout

    # Volumes

    def volume(self, name: str, *, seconds: float | None = None) -> Volume | None:
        """Return the volume `name`, or None. Raises DriverUnavailableError where only its driver does not answer.

        Its driver has `seconds` to answer, or as long as for any call of a driver.
        """
        what = f"Cannot inspect the volume '{name}'"
        try:
            return Volume.from_inspect(
                self._ask(what, Request("GET", path_of("volumes", name)), slow=True, seconds=seconds)
            )
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
        body = {"Name": name, "Driver": driver, "DriverOpts": options, "Labels": labels}
        given = {key: value for key, value in body.items() if value is not None}
        raw = self._ask(f"Cannot create the volume '{name}'", Request("POST", "/volumes/create", body=given), slow=True)
        if driver_key(raw["Driver"]) == LOCAL:
            # For the local driver this is what inspect says (20.10 to 28.5).
            return Volume.from_inspect(raw)
        created = self.volume(name)
        if created is None:
            raise EngineError(f"Cannot create the volume '{name}'", "the engine said yes, and then has no such volume")
        return created

    def remove_volume(self, name: str) -> bool:
        """Remove the volume, never by force; return whether it was still there."""
        try:
            self._ask(f"Cannot remove the volume '{name}'", Request("DELETE", path_of("volumes", name)), slow=True)
        except EngineError as exc:
            if exc.status == HTTPStatus.NOT_FOUND and not _names_driver(exc.why):
                return False
            raise
        return True

    def volumes(self, driver: str, *, label: str | None = None, seconds: float | None = None) -> Listing:
        """Return the volumes that `driver` has (its full name), those with the label `label` where it is given.

        No other driver is asked. Their `Status` is missing, and of a plugin's volumes CreatedAt and Mountpoint, too.
        The driver has `seconds` to answer, or as long as for any call of a driver.
        """
        # The filter takes the full name only: "pure" matches nothing where the engine says "pure:latest".
        filters = {"driver": [driver], **({"label": [label]} if label else {})}
        what = f"Cannot list the volumes of '{driver}'"
        answer = self._ask(what, Request("GET", "/volumes", _filters(filters)), slow=True, seconds=seconds)
        volumes = tuple(Volume.from_inspect(raw) for raw in answer.get("Volumes") or ())
        return Listing(volumes, tuple(answer.get("Warnings") or ()))

    def volume_drivers(self) -> tuple[str, ...]:
        """Return the full names of all volume drivers that can be asked: local, enabled plugins, and legacy ones."""
        managed = [plugin["Name"] for plugin in self._volume_plugins() if plugin["Enabled"]]
        return tuple(dict.fromkeys([LOCAL, *managed, *self._legacy_drivers()]))

    def disabled_drivers(self) -> tuple[str, ...]:
        """Return the full names of the volume plugins that are disabled, whose volumes nobody can list."""
        return tuple(plugin["Name"] for plugin in self._volume_plugins() if not plugin["Enabled"])

    def info(self) -> Mapping[str, Any]:
        """Return what the engine says of itself, as GET /info has it."""
        return self._info()

    def node(self) -> Node:
        """Return what the engine says of its host."""
        info = self._info()
        swarm = info.get("Swarm") or {}
        worker = swarm.get("LocalNodeState") == "active" and not swarm.get("ControlAvailable")
        return Node(str(info.get("SystemTime") or ""), worker)

    def users(self, volume: str | None = None) -> Users:
        """Return who mounts `volume`, or any volume: containers, running or not, and on a swarm's manager services."""
        of = f"the volume '{volume}'" if volume else "volumes"
        query = {"all": 1, **(_filters({"volume": [volume]}) if volume else {})}
        containers = self._ask(
            f"Cannot look for the containers that use {of}", Request("GET", "/containers/json", query)
        )
        containers = [one for one in containers if not _is_abandoned(one)]
        found = Users(uses(containers), self._service_uses(f"Cannot look for the services that use {of}"))
        # The engine's own filter also matches mount paths.
        return found.of(volume) if volume else found

    def driver_ready(self, driver: str) -> bool:
        """Return whether volumes of `driver` can be made now, as far as can be told without asking the driver."""
        if driver_key(driver) == LOCAL:
            return True
        enabled = self._plugin_enabled(driver)
        if enabled is not None:
            return enabled
        return driver in self._legacy_drivers()

    # Inside

    def _volume_plugins(self) -> list[Mapping[str, Any]]:
        plugins = self._ask("Cannot list the plugins", Request("GET", "/plugins"))
        return [plugin for plugin in plugins if _is_volume_driver(plugin)]

    def _legacy_drivers(self) -> tuple[str, ...]:
        # Of all plugins, /info lists the legacy ones only (20.10 to 28.5).
        return tuple((self._info().get("Plugins") or {}).get("Volume") or ())

    def _info(self) -> Mapping[str, Any]:
        info: Mapping[str, Any] = self._ask("Cannot read the engine's information", Request("GET", "/info"))
        return info

    def _service_uses(self, what: str) -> tuple[ServiceUse, ...]:
        try:
            # With the status, the tasks of global services are counted (API 1.41).
            return service_uses(self._ask(what, Request("GET", "/services", {"status": "true"})))
        except EngineError as exc:
            if exc.status == HTTPStatus.SERVICE_UNAVAILABLE and "not a swarm manager" in exc.why:
                return ()
            raise

    def _plugin_enabled(self, name: str) -> bool | None:
        try:
            found = self._ask(f"Cannot inspect the plugin '{name}'", Request("GET", path_of("plugins", name) + "/json"))
            return bool(found["Enabled"])
        except EngineError as exc:
            if exc.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    def _ask(self, what: str, request: Request, *, slow: bool = False, seconds: float | None = None) -> Any:
        """Return the answer; `slow` requests are those that a driver must answer, unless `seconds` limits them."""
        seconds = seconds or self._patience(slow=slow)
        with told(what, seconds):
            return self._transport.ask(request, seconds)

    def _patience(self, *, slow: bool) -> int:
        return max(self._transport.timeout, SLOW_CALL_SECONDS if slow else 0)


@contextmanager
def told(what: str, seconds: float) -> Iterator[None]:
    """Raise what a transport raises as an error that names the action, for one that had `seconds`."""
    try:
        yield
    except AnswerError as exc:
        raise EngineError(what, exc.why, status=exc.status) from exc
    except SilenceError as exc:
        raise unanswered(what, seconds) from exc
    except BrokenError as exc:
        raise broken(what, exc) from exc


def unanswered(what: str, seconds: float) -> UnansweredError:
    """Return the error for an engine that did not answer in time."""
    return UnansweredError(
        what,
        f"the engine did not answer within {round(seconds, 1):g} seconds",
        "Look at the engine's log: a driver or a registry may hang. The option 'timeout' gives more time",
    )


def broken(what: str, exc: BrokenError) -> EngineUnreachableError:
    """Return the error for a connection that broke."""
    return EngineUnreachableError(what, f"the connection to the engine broke: {exc}", "Look at the engine's log")


def check(connection: Connection) -> None:
    """Raise InvalidInputError for options of the connection that cannot be meant."""
    if not re.match(r"(?:auto|[0-9]+\.[0-9]+)\Z", connection.api_version):
        raise InvalidInputError(
            "The option 'api_version' is invalid",
            f"'{connection.api_version}' is no version of the API",
            "Give one such as 1.41, or 'auto'",
        )
    if not 1 <= connection.timeout <= _LONGEST_TIMEOUT:
        why = "it is below 1" if connection.timeout < 1 else "it is more than a week"
        raise InvalidInputError("The option 'timeout' is invalid", why, "Give seconds")


def unreachable(what: str, exc: Exception) -> EngineUnreachableError:
    """Return the error for an engine that was not reached, with the system's reason."""
    cause = root(exc)
    # Told by type and not by errno: that of an SSLError is OpenSSL's own.
    if isinstance(cause, PermissionError):
        return EngineUnreachableError(
            what, "permission denied", "Run the task as root ('become: true'), or as a user of the group 'docker'"
        )
    if isinstance(cause, (FileNotFoundError, ConnectionRefusedError)):
        why = "there is no such socket" if isinstance(cause, FileNotFoundError) else "nothing listens there"
        return EngineUnreachableError(what, why, "Install and start Docker on this host, or correct 'docker_host'")
    return EngineUnreachableError(
        what, first_line(cause), "Check 'docker_host', the TLS options, and that the engine runs"
    )


def root(exc: BaseException) -> BaseException:
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


def first_line(exc: BaseException) -> str:
    """Return the first line of the error's text, or its name where it has none."""
    lines = str(exc).strip().splitlines()
    return lines[0] if lines else type(exc).__name__


def path_of(kind: str, name: str) -> str:
    """Return the path of one of the engine's objects."""
    return f"/{kind}/{quote(name, safe='/:')}"


def _filters(filters: Mapping[str, Any]) -> dict[str, str]:
    return {"filters": json.dumps(filters)}


def _is_volume_driver(plugin: Mapping[str, Any]) -> bool:
    types = (plugin["Config"].get("Interface") or {}).get("Types") or ()
    return any(one.startswith("docker.volumedriver/") for one in types)


def _names_driver(why: str) -> bool:
    # A volume that is not there is told as "get x: no such volume", on a swarm's manager as "volume x not found" (26.1,
    # 28.5). One whose plugin is gone: "error while checking if volume "x" exists in driver "p": error looking up volume
    # plugin p: plugin "p" not found".
    return "looking up volume plugin" in why or "exists in driver" in why


def _is_abandoned(container: Mapping[str, Any]) -> bool:
    """Whether it is a helper container of a task that was killed: whoever it is in the way of, removes it."""
    label = (container.get("Labels") or {}).get(HELPER)
    if label is None:
        return False
    # Few tasks meet one.
    from ansible_collections.voltainer.volumes.plugins.module_utils._holder import has_ended  # noqa: PLC0415

    return has_ended(label)
