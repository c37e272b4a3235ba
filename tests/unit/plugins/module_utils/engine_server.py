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


@dataclass
class Broken:
    """A stream that sends `first` and then breaks off, or hangs for `rest` seconds before."""

    first: bytes
    rest: float | None


class Answers:
    """An HTTP server that answers "METHOD /path" from a table of (status, body).

    Where the table has "METHOD /path?query" (unquoted), that counts. A body of bytes is sent as it is, in chunks, as
    the engine streams; an answer None breaks the connection, a number of seconds hangs. `requests` are those after the
    connection was made.
    """

    def answer_from(self, answers):
        self.answers = answers
        self.requests = []


class TcpAnswers(Answers, ThreadingHTTPServer):
    """On the loopback address."""


class UnixAnswers(Answers, socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """On a Unix socket."""

    daemon_threads = True


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def address_string(self):
        """Return nothing: the other end of a Unix socket has no address."""
        return ""

    def answer(self):
        path = self.path.replace("/v1.41", "")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        self.server.requests.append(f"{self.command} {path} {body}".strip())
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
        chunk = content if isinstance(content, bytes) else json.dumps(content).encode()
        self._start(status)
        for piece in (chunk, b"") if chunk else (b"",):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))

    def _start(self, status):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Api-Version", "1.41")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    do_GET = do_POST = do_DELETE = answer  # noqa: N815  # the names that http.server looks for

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
