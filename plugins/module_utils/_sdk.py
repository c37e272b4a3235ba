# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Docker SDK, for connections over TCP, TLS and ssh, and for the passwords of registries. Only here it is imported.

Works with docker 5.0.3 (Debian 12) to 7.x.
"""

from __future__ import annotations

import socket
import traceback
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from http import HTTPStatus
from typing import Any

from ansible_collections.voltainer.volumes.plugins.module_utils._engine import (
    Connection,
    first_line,
    root,
    unreachable,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import (
    EngineUnreachableError,
    InvalidInputError,
    SdkMissingError,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._registry import Login
from ansible_collections.voltainer.volumes.plugins.module_utils._transport import (
    AnswerError,
    Attached,
    BrokenError,
    Request,
    SilenceError,
    objects,
    words,
)

try:
    import docker
    import docker.auth
    import docker.credentials
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

        def _retrieve_server_version(self) -> str:
            """Return the API's version, which the SDK calls this method for where it is to find it out ("auto").

            As Docker's own client, ask /_ping for it: for /version the engine starts runc and others (20.10 to 28.5).
            """
            answer: Any = self.get(f"{self.base_url}/_ping", timeout=self.timeout)
            answer.raise_for_status()
            return str(answer.headers["Api-Version"])


def connect(connection: Connection) -> SdkTransport:
    """Return a connection to the engine, whose options are checked.

    Raises EngineUnreachableError, InvalidInputError and SdkMissingError.
    """
    if SDK_IMPORT_ERROR:
        raise SdkMissingError(SDK_IMPORT_ERROR)
    what = f"Cannot reach the Docker Engine at {connection.docker_host}"
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
        raise InvalidInputError(what, f"the TLS options are wrong: {first_line(exc)}", "Correct them") from exc
    # ValueError: what Python's own parsers say of an address that is none.
    except (docker.errors.DockerException, requests.exceptions.RequestException, OSError, ValueError) as exc:
        raise _unreachable(what, exc) from exc
    except Exception as exc:
        # paramiko raises errors of its own, which need not be installed to be raised: told apart by their module.
        if type(exc).__module__.partition(".")[0] != "paramiko":
            raise
        raise _unreachable(what, exc) from exc
    return SdkTransport(client, is_here=connection.docker_host.startswith("unix://"))


class SdkTransport:
    """The engine behind the SDK's client."""

    socket_path = ""

    def __init__(self, client: docker.APIClient, *, is_here: bool) -> None:
        """Take a connected client. `is_here` says that it uses a socket of this host."""
        # Any: the stubs know neither the plugin calls nor what of the SDK is needed beyond its own methods.
        self.client: Any = client
        self.timeout: int = client.timeout
        self.is_here = is_here

    @property
    def api_version(self) -> str:
        """See Transport."""
        return str(self.client.api_version)

    def ask(self, request: Request, seconds: float) -> Any:
        """See Transport."""
        with self._answer(request, seconds) as answer:
            if request.wants_archive:
                return answer.content
            return answer.json() if answer.content else None

    def stream(
        self, request: Request, seconds: float, begun: Callable[[], None] | None = None
    ) -> Generator[dict[str, Any], None, None]:
        """See Transport."""
        with self._answer(request, seconds) as answer:
            if begun:
                begun()
            # Past requests, which tells of a silence in a stream as of a connection that broke (2.28 to 2.34).
            yield from objects(answer.raw.stream(None, decode_content=True))

    def attach(self, container: str, query: Mapping[str, Any], seconds: float) -> Attached:
        """See Transport."""
        with translated():
            answer = self.client.request(
                "POST",
                f"{self.client.base_url}/v{self.client._version}/containers/{container}/attach",
                params=query,
                headers={"Connection": "Upgrade", "Upgrade": "tcp"},
                timeout=seconds,
                stream=True,
                allow_redirects=False,
            )
        if answer.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            with translated(), closing(answer):
                raise AnswerError(answer.status_code, words(answer.status_code, answer.content))
        return _AttachedSocket(self.client._get_raw_response_socket(answer), answer, seconds)

    def close(self) -> None:
        """Close the connection."""
        self.client.close()

    @contextmanager
    def _answer(self, request: Request, seconds: float) -> Iterator[Any]:
        """Yield the answer to be read, which is no error; what is left of it then closes its connection."""
        with translated():
            sent = self.client.request(
                request.method,
                f"{self.client.base_url}/v{self.client._version}{request.path}",
                params=request.query,
                json=request.body,
                data=request.archive,
                headers=request.all_headers,
                timeout=seconds,
                stream=True,
                # To wherever it is sent, requests would take the header with the password along.
                allow_redirects=False,
            )
            with closing(sent) as answer:
                if answer.status_code >= HTTPStatus.MULTIPLE_CHOICES:
                    raise AnswerError(answer.status_code, words(answer.status_code, answer.content))
                yield answer


class _AttachedSocket:
    """See Attached. Nothing can have been read ahead of the socket, since the container is not started yet."""

    def __init__(self, found: Any, answer: Any, seconds: float) -> None:
        # The SDK has a reader around the socket for TCP, the socket for TLS, and a channel for ssh (5.0.3 to 7.x).
        self._socket = getattr(found, "_sock", found)
        self._socket.settimeout(seconds)
        self._answer = answer

    def read(self, size: int) -> bytes:
        with _translated_socket():
            received: bytes = self._socket.recv(size)
        return received

    def write(self, data: bytes) -> None:
        with _translated_socket():
            self._socket.sendall(data)

    def close(self) -> None:
        # What is the ssh command's pipe writes once more where it is closed, and may find nobody there.
        for part in (self._socket, self._answer):
            with suppress(OSError):
                part.close()


@contextmanager
def _translated_socket() -> Iterator[None]:
    try:
        yield
    except socket.timeout as exc:
        raise SilenceError from exc
    except OSError as exc:
        raise BrokenError(str(exc) or type(exc).__name__) from exc


class NoPasswordError(Exception):
    """The password for a registry cannot be read."""


def registry_auth(domain: str, login: Login | None) -> str | None:
    """Return the header X-Registry-Auth for a registry, of `login`, or else of the user's `docker login`, or None.

    Raises NoPasswordError and SdkMissingError.
    """
    if SDK_IMPORT_ERROR:
        raise SdkMissingError(SDK_IMPORT_ERROR)
    # Of Docker Hub's names, the SDK finds one only under which `docker login` keeps the password (5.0.3 to 7.x).
    registry = docker.auth.resolve_index_name(domain)
    if login:
        address = docker.auth.INDEX_URL if registry == docker.auth.INDEX_NAME else registry
        found = {"username": login.username, "password": login.password, "serveraddress": address}
    else:
        found = _kept_login(registry)
    return docker.auth.encode_header(found).decode("ascii") if found else None


def _kept_login(registry: str) -> Any:
    try:
        with warnings.catch_warnings():
            # docker 7 warns of a helper that is missing, and then raises it, too.
            warnings.simplefilter("ignore")
            return docker.auth.resolve_authconfig(docker.auth.load_config(), registry)
    # docker 5.0.3 to 7.x raise some of the helper's errors as they are, and others inside one of their own.
    except (docker.credentials.StoreError, docker.errors.DockerException) as exc:
        chain = (exc, exc.__cause__, exc.__context__)
        store = next((one for one in chain if isinstance(one, docker.credentials.StoreError)), exc)
        raise NoPasswordError(" ".join(str(store).split())) from exc
    except (ValueError, KeyError, TypeError, AttributeError):
        # Without the cause, which may quote what it could not read.
        raise NoPasswordError("what it is kept in is damaged") from None


@contextmanager
def translated() -> Iterator[None]:
    """Raise what the SDK raises as SilenceError or BrokenError."""
    try:
        yield
    # What breaks inside a stream comes as urllib3's own: it is read past requests.
    except (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError) as exc:
        raise SilenceError from exc
    except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, docker.errors.DockerException) as exc:
        raise BrokenError(first_line(root(exc))) from exc


def _unreachable(what: str, exc: Exception) -> EngineUnreachableError:
    root_cause = root(exc)
    if isinstance(root_cause, NameError):
        # With use_ssh_client, too, docker 5.0.3 to 7.x find their ssh adapter only where paramiko is.
        return EngineUnreachableError(
            what, "ssh:// needs the Python library paramiko", "Install it where the module runs (python3-paramiko)"
        )
    if isinstance(exc, docker.errors.APIError):
        return EngineUnreachableError(what, explanation(exc), "Check 'api_version', 'docker_host' and the TLS options")
    if isinstance(exc, docker.errors.InvalidVersion):
        return EngineUnreachableError(what, first_line(exc), "Correct 'api_version'")
    return unreachable(what, exc)


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


def explanation(exc: docker.errors.APIError) -> str:
    """Return what the engine said."""
    text = exc.explanation or ""
    return (text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)).strip() or first_line(exc)
