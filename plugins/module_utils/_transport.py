# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How requests reach the engine. Over its socket with Python's own HTTP client: loading the SDK alone takes longer."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import urlencode


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
    """What the engine is asked: `path` without the API's version, `query` unquoted, `body` to become JSON."""

    method: str
    path: str
    query: Mapping[str, Any] | None = None
    body: Any = None


class Transport(Protocol):
    """What Engine needs of a connection."""

    timeout: int
    is_here: bool

    def ask(self, request: Request, seconds: float) -> Any:
        """Return the answer, parsed, or None for an empty one. Raises AnswerError, SilenceError, BrokenError."""


class SocketTransport:
    """The engine behind a Unix socket: one connection for each thread, kept for all its requests."""

    is_here = True

    def __init__(self, path: str, timeout: int, api_version: str) -> None:
        """Connect, and find out the API's version where it is "auto". Raises OSError where nobody listens."""
        self.timeout = timeout
        self._path = path
        self._threads = threading.local()
        self._connection.connect()
        self._version = self._newest() if api_version == "auto" else api_version

    def ask(self, request: Request, seconds: float) -> Any:
        """See Transport."""
        query = f"?{urlencode(request.query)}" if request.query else ""
        url = f"/v{self._version}{request.path}{query}"
        status, answer = self._exchange(request.method, url, request.body, seconds)
        # The engine redirects only a path that it takes for another one.
        if status >= HTTPStatus.MULTIPLE_CHOICES:
            raise AnswerError(status, _words(answer))
        return json.loads(answer) if answer else None

    def close(self) -> None:
        """Close the connection of this thread."""
        self._connection.close()

    @property
    def _connection(self) -> UnixConnection:
        if not hasattr(self._threads, "connection"):
            self._threads.connection = UnixConnection(self._path, self.timeout)
        connection: UnixConnection = self._threads.connection
        return connection

    def _newest(self) -> str:
        # As Docker's own client does: for /version the engine starts runc and others (20.10 to 28.5).
        self._connection.request("GET", "/_ping")
        response = self._connection.getresponse()
        response.read()
        return str(response.headers["Api-Version"])

    def _exchange(self, method: str, url: str, body: Any, seconds: float) -> tuple[int, bytes]:
        connection = self._connection
        sent = None if body is None else json.dumps(body)
        try:
            connection.wait(seconds)
            connection.request(method, url, sent, {"Content-Type": "application/json"} if sent else {})
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException) as exc:
            # What was left of the answer would be taken for that to the next request.
            connection.close()
            if isinstance(exc, socket.timeout):
                raise SilenceError from exc
            raise BrokenError(str(exc) or type(exc).__name__) from exc


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


def _words(answer: bytes) -> str:
    text = answer.decode("utf-8", "replace").strip()
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text
