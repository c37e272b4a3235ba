# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A volume driver of the old kind, a socket in /run/docker/plugins, that hangs and fails on demand.

Usage: stuck_driver.py NAME FOLDER. While the file FOLDER/hang is there, no call is answered; while FOLDER/fail is
there, each call about volumes is answered with an error. FOLDER/removed tells which volumes were removed. It ends when
its socket is removed.
"""

from __future__ import annotations

import json
import socketserver
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

NAME, FOLDER = sys.argv[1], Path(sys.argv[2])
SOCKET = Path(f"/run/docker/plugins/{NAME}.sock")
VOLUMES: dict[str, dict[str, object]] = {}


def answer(call: str, name: str) -> dict[str, object]:
    """Return the answer to a call of the engine."""
    if call == "/Plugin.Activate":
        return {"Implements": ["VolumeDriver"]}
    if call == "/VolumeDriver.Capabilities":
        return {"Capabilities": {"Scope": "global"}}
    if (FOLDER / "fail").exists():
        return {"Err": "the array does not answer"}
    if call == "/VolumeDriver.List":
        return {"Volumes": [{"Name": volume["Name"], "Mountpoint": ""} for volume in VOLUMES.values()]}
    if call == "/VolumeDriver.Create":
        VOLUMES[name] = {"Name": name, "Mountpoint": f"/srv/{name}", "CreatedAt": "2026-01-02T03:04:05Z"}
        VOLUMES[name]["Status"] = {"array": "lab"}
    elif name not in VOLUMES:
        return {"Err": "no such volume"}
    elif call == "/VolumeDriver.Remove":
        del VOLUMES[name]
        with (FOLDER / "removed").open("a") as removed:
            removed.write(f"{name}\n")
    return {"Err": "", "Volume": VOLUMES.get(name), "Mountpoint": f"/srv/{name}"}


class Handler(BaseHTTPRequestHandler):
    """Answers the engine's calls, each a POST."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer one call, once it is allowed to."""
        asked = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "{}")
        while (FOLDER / "hang").exists():
            time.sleep(0.1)
        body = json.dumps(answer(self.path, asked.get("Name", ""))).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Say nothing: a unix socket has no address to log."""


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Serves several calls at once."""

    daemon_threads = True

    def handle_error(self, *_args: object) -> None:
        """Say nothing: the engine went away while it was left to wait."""


SOCKET.parent.mkdir(parents=True, exist_ok=True)
SOCKET.unlink(missing_ok=True)
threading.Thread(target=Server(str(SOCKET), Handler).serve_forever, daemon=True).start()
while SOCKET.exists():
    time.sleep(0.2)
