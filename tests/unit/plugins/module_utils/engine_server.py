# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small HTTP server that answers as engines do, for tests that go through the real SDK."""

from __future__ import annotations

import contextlib
import json
import socketserver
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote_plus

from ansible_collections.voltainer.volumes.plugins.module_utils._engine import Connection

VOLUME = {"Name": "reports", "Driver": "local", "Options": None, "Labels": None, "Mountpoint": "/m", "Scope": "local"}


def connection(**changes):
    options = {
        "docker_host": "unix:///nowhere.sock",
        "api_version": "auto",
        "timeout": 5,
        "tls": False,
        "validate_certs": False,
        "ca_path": None,
        "client_cert": None,
        "client_key": None,
        "tls_hostname": None,
        "use_ssh_client": False,
    }
    return Connection(**{**options, **changes})


def message(text):
    return {"message": text}


@dataclass
class Broken:
    """A stream that sends `first` and then breaks off, or hangs for `rest` seconds before."""

    first: bytes
    rest: float | None


@dataclass
class Pieces:
    """A stream that comes in these pieces, each in a chunk of its own."""

    pieces: tuple[bytes, ...]


class Answers:
    """An HTTP server that answers "METHOD /path" from a table of (status, body).

    Where the table has "METHOD /path?query" (unquoted), that counts. A body of bytes is sent as it is, in chunks, as
    the engine streams; an answer None breaks the connection, a number of seconds hangs. `requests` are those after the
    connection was made, `headers` theirs, `passwords` those named X-Registry-Auth, and `archives` the tar files that
    were sent; `connections` is how many there were in all.
    """

    connections = 0

    def answer_from(self, answers):
        self.answers = answers
        self.requests, self.passwords, self.headers, self.archives = [], [], [], []


class TcpAnswers(Answers, ThreadingHTTPServer):
    """On the loopback address."""


class UnixAnswers(Answers, socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """On a Unix socket."""

    daemon_threads = True


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self):
        super().setup()
        self.server.connections += 1

    def address_string(self):
        """Return nothing: the other end of a Unix socket has no address."""
        return ""

    def answer(self):
        path = self.path.replace("/v1.41", "")
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        packed = self.headers.get("Content-Type") == "application/x-tar"
        self.server.requests.append(f"{self.command} {path} {'' if packed else sent.decode()}".strip())
        if packed:
            self.server.archives.append(sent)
        self.server.headers.append(dict(self.headers))
        self.server.passwords.append(self.headers.get("X-Registry-Auth"))
        answers = self.server.answers
        asked = f"{self.command} {unquote_plus(path)}"
        answer = answers[asked if asked in answers else asked.partition("?")[0]]
        if isinstance(answer, Broken):
            self._start(200)
            self.wfile.write(b"%x\r\n%s\r\n" % (len(answer.first), answer.first))
            answer = answer.rest
        if not isinstance(answer, tuple):
            time.sleep(answer or 0)
            self.close_connection = True
            return
        status, content = answer
        if not isinstance(content, Pieces):
            content = Pieces((content if isinstance(content, bytes) else json.dumps(content).encode(),))
        self._start(status)
        for piece in (*filter(None, content.pieces), b""):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))

    def _start(self, status):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Api-Version", "1.41")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815  # the names that http.server looks for

    def log_message(self, *_args):
        """Say nothing."""


@contextlib.contextmanager
def serving(answers, version="20.10.24+dfsg1", socket=None):
    """Run a server with these answers, and one to the question for the engine's version; on the socket, or on TCP."""
    server = UnixAnswers(str(socket), Handler) if socket else TcpAnswers(("127.0.0.1", 0), Handler)
    known = {"GET /version": (200, {"Version": version, "ApiVersion": "1.41"}), "GET /_ping": (200, "OK")}
    server.answer_from({**known, **answers})
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
