# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How requests reach the engine. Over its socket with Python's own HTTP client: loading the SDK alone takes longer."""

from __future__ import annotations

import codecs
import http.client
import json
import socket
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import urlencode

_PIECE = 64 * 1024
_JSON = json.JSONDecoder()
_NO_OBJECT = "its answer broke off, or is not JSON"


class AnswerError(Exception):
    """The engine answered, with an error: its HTTP status and its words."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


class SilenceError(Exception):
    """The engine did not answer in time."""


class BrokenError(Exception):
    """The connection to the engine broke."""


@dataclass(frozen=True)
class Request:
    """What the engine is asked: `path` without the API's version, `query` unquoted, `body` to become JSON.

    `archive` is a body that is a tar file, and with `wants_archive` the answer is one. Bodies hold secret settings, and
    headers passwords: neither is shown.
    """

    method: str
    path: str
    query: Mapping[str, Any] | None = None
    body: Any = field(default=None, repr=False)
    headers: Mapping[str, str] | None = field(default=None, repr=False)
    archive: bytes | None = field(default=None, repr=False)
    wants_archive: bool = False

    @property
    def all_headers(self) -> dict[str, str]:
        """The headers, with that which says what the body is."""
        kind = {} if self.archive is None else {"Content-Type": "application/x-tar"}
        return {**kind, **(self.headers or {})}


class Transport(Protocol):
    """What Engine needs of a connection."""

    timeout: int
    is_here: bool
    # The path of the engine's socket on this host; empty where it is not reached by one.
    socket_path: str

    @property
    def api_version(self) -> str:
        """The version of the API that is spoken, such as 1.41."""

    def ask(self, request: Request, seconds: float) -> Any:
        """Return the answer: a tar file as bytes, else parsed, or None for an empty one.

        Raises AnswerError, SilenceError, BrokenError.
        """

    def stream(
        self, request: Request, seconds: float, begun: Callable[[], None] | None = None
    ) -> Generator[dict[str, Any], None, None]:
        """Yield the JSON objects of an answer as they arrive, with `seconds` for each. Raises what `ask` does.

        `begun` is called when the engine has begun to answer. Whoever does not read it to its end must close it.
        """

    def attach(self, container: str, query: Mapping[str, Any], seconds: float) -> Attached:
        """Attach to a container's standard streams, on a connection of their own. Raises what `ask` does."""


class Attached(Protocol):
    """The standard streams of a container, raw: what is read has the engine's frames around each piece."""

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes of its output, b"" at the end. Raises BrokenError and SilenceError."""

    def write(self, data: bytes) -> None:
        """Write all of it to its input. Raises BrokenError and SilenceError."""

    def close(self) -> None:
        """Let go of it; a container with StdinOnce then finds its input at an end."""


class SocketTransport:
    """The engine behind a Unix socket: one connection for each thread, kept for all its requests."""

    is_here = True

    def __init__(self, path: str, timeout: int, api_version: str) -> None:
        """Connect, and find out the API's version where it is "auto". Raises OSError where nobody listens."""
        self.timeout = timeout
        self.socket_path = path
        self._threads = threading.local()
        self._connection.connect()
        self.api_version = self._newest() if api_version == "auto" else api_version

    def ask(self, request: Request, seconds: float) -> Any:
        """See Transport."""
        with self._answer(request, seconds) as response:
            answer = response.read()
        if request.wants_archive:
            return answer
        return json.loads(answer) if answer else None

    def stream(
        self, request: Request, seconds: float, begun: Callable[[], None] | None = None
    ) -> Generator[dict[str, Any], None, None]:
        """See Transport."""
        with self._answer(request, seconds) as response:
            if begun:
                begun()
            yield from objects(iter(lambda: response.read1(_PIECE), b""))

    def attach(self, container: str, query: Mapping[str, Any], seconds: float) -> Attached:
        """See Transport."""
        connection = UnixConnection(self.socket_path, seconds)
        url = f"/v{self.api_version}/containers/{container}/attach?{urlencode(query)}"
        try:
            connection.request("POST", url, headers={"Connection": "Upgrade", "Upgrade": "tcp"})
            response = connection.getresponse()
            refused = response.status != HTTPStatus.SWITCHING_PROTOCOLS
            said = words(response.status, response.read()) if refused else ""
        except (OSError, http.client.HTTPException) as exc:
            connection.close()
            raise _translated(exc) from exc
        if refused:
            connection.close()
            raise AnswerError(response.status, said)
        return _AttachedSocket(connection.sock, response)

    def close(self) -> None:
        """Close the connection of this thread."""
        self._connection.close()

    @property
    def _connection(self) -> UnixConnection:
        if not hasattr(self._threads, "connection"):
            self._threads.connection = UnixConnection(self.socket_path, self.timeout)
        connection: UnixConnection = self._threads.connection
        return connection

    def _newest(self) -> str:
        # As Docker's own client does: for /version the engine starts runc and others (20.10 to 28.5).
        self._connection.request("GET", "/_ping")
        response = self._connection.getresponse()
        response.read()
        return str(response.headers["Api-Version"])

    @contextmanager
    def _answer(self, request: Request, seconds: float) -> Iterator[http.client.HTTPResponse]:
        """Yield the answer to be read, which is no error."""
        query = f"?{urlencode(request.query)}" if request.query else ""
        url = f"/v{self.api_version}{request.path}{query}"
        sent = request.archive if request.body is None else json.dumps(request.body)
        headers = {**({"Content-Type": "application/json"} if request.body is not None else {}), **request.all_headers}
        connection = self._connection
        whole = False
        try:
            connection.wait(seconds)
            connection.request(request.method, url, sent, headers)
            response = connection.getresponse()
            # The engine redirects only a path that it takes for another one.
            if response.status >= HTTPStatus.MULTIPLE_CHOICES:
                said = words(response.status, response.read())
                whole = True
                raise AnswerError(response.status, said)
            yield response
            whole = response.isclosed()
        except (OSError, http.client.HTTPException) as exc:
            raise _translated(exc) from exc
        finally:
            # What was left of the answer would be taken for that to the next request. A response that breaks off counts
            # as closed, too.
            if not whole:
                connection.close()


class _AttachedSocket:
    """See Attached; over a socket that the HTTP client left at the first byte after the engine's answer."""

    def __init__(self, sock: socket.socket, response: http.client.HTTPResponse) -> None:
        self._socket = sock
        self._response = response

    def read(self, size: int) -> bytes:
        # Not by the response, which reads no more after a silence. It has read nothing ahead: the container was not
        # started yet when it came.
        with _translating():
            return self._socket.recv(size)

    def write(self, data: bytes) -> None:
        with _translating():
            self._socket.sendall(data)

    def close(self) -> None:
        self._response.close()
        self._socket.close()


@contextmanager
def _translating() -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise _translated(exc) from exc


def _translated(exc: Exception) -> SilenceError | BrokenError:
    if isinstance(exc, socket.timeout):
        return SilenceError()
    return BrokenError(str(exc) or type(exc).__name__)


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        try:
            self.sock.connect(self._path)
        except OSError:
            self.close()
            raise

    def wait(self, seconds: float) -> None:
        self.timeout = seconds
        if self.sock is not None:
            self.sock.settimeout(seconds)


def objects(pieces: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects that follow one another in `pieces`, wherever these begin and end. Raises BrokenError."""
    text = codecs.getincrementaldecoder("utf-8")("replace")
    rest = ""
    for piece in pieces:
        rest = (rest + text.decode(piece)).lstrip()
        while rest:
            try:
                found, end = _JSON.raw_decode(rest)
            except ValueError:
                # Its end is in a piece that is still to come.
                break
            if not isinstance(found, dict):
                raise BrokenError(_NO_OBJECT)
            yield found
            rest = rest[end:].lstrip()
    if rest:
        raise BrokenError(_NO_OBJECT)


def words(status: int, answer: bytes) -> str:
    """Return what the engine says in an answer that is an error."""
    text = answer.decode("utf-8", "replace").strip()
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text or f"HTTP status {status}"
