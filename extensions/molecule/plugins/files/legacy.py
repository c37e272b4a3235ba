# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A legacy plugin of one interface: legacy.py INTERFACE NAME. As a volume driver, it has one volume."""

from __future__ import annotations

import json
import socketserver
import sys
from http.server import BaseHTTPRequestHandler
from pathlib import Path


class Handler(BaseHTTPRequestHandler):
    """Answers the engine."""

    def do_POST(self) -> None:
        """Answer one call."""
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        activate = {"Implements": [sys.argv[1]]}
        answer = activate if self.path == "/Plugin.Activate" else {"Volumes": [{"Name": "leg1"}], "Err": ""}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/vnd.docker.plugins.v1.2+json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        """Return what a log calls the client, who has no address."""
        return "engine"


def main() -> None:
    """Serve until this is killed."""
    path = Path("/run/docker/plugins") / f"{sys.argv[2]}.sock"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    socketserver.ThreadingUnixStreamServer(str(path), Handler).serve_forever()


if __name__ == "__main__":
    main()
