# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the benchmarks need done on the host, over the engine's socket, by neither of the collections that are compared.

python3 - make PREFIX COUNT       create volumes PREFIX0, PREFIX1, ...
python3 - remove PREFIX           remove all volumes whose names begin so
python3 - fill NAME BYTES         create a volume and write a file of that many bytes into it
python3 - size NAME               print the bytes of that file
python3 - list TIMES              print, as JSON, how many seconds GET /volumes took each time, read and parsed
python3 - engine                  print the versions of engine and Python as JSON
"""

from __future__ import annotations

import http.client
import json
import os
import platform
import socket
import sys
import time
from pathlib import Path
from typing import Any

LABELS = {"voltainer-bench": "1"}
FILE = "content"
BLOCK = 1 << 20


class Engine(http.client.HTTPConnection):
    """The engine behind its socket."""

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect("/var/run/docker.sock")

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request, read the answer to its end, and parse it."""
        sent = None if body is None else json.dumps(body)
        self.request(method, path, sent, {"Content-Type": "application/json"})
        response = self.getresponse()
        answer = response.read()
        if response.status >= http.HTTPStatus.BAD_REQUEST:
            sys.exit(f"{method} {path}: {response.status} {answer.decode()}")
        return json.loads(answer) if answer else None


def make(engine: Engine, prefix: str, count: int) -> None:
    for number in range(count):
        engine.ask("POST", "/volumes/create", {"Name": f"{prefix}{number}", "Labels": LABELS})


def remove(engine: Engine, prefix: str) -> None:
    for volume in engine.ask("GET", "/volumes")["Volumes"] or ():
        if volume["Name"].startswith(prefix):
            engine.ask("DELETE", f"/volumes/{volume['Name']}")


def _file(engine: Engine, name: str) -> Path:
    return Path(engine.ask("GET", f"/volumes/{name}")["Mountpoint"]) / FILE


def fill(engine: Engine, name: str, size: int) -> None:
    engine.ask("POST", "/volumes/create", {"Name": name, "Labels": LABELS})
    block = os.urandom(BLOCK)  # no holes, and nothing that a file system could store smaller
    with _file(engine, name).open("wb") as stream:
        for _number in range(size // BLOCK):
            stream.write(block)
        stream.flush()
        os.fsync(stream.fileno())


def list_times(times: int) -> list[float]:
    seconds = []
    for _number in range(times):
        start = time.perf_counter()
        Engine("localhost").ask("GET", "/volumes")
        seconds.append(time.perf_counter() - start)
    return seconds


def main() -> None:
    """Do what the command line asks for."""
    engine = Engine("localhost")
    match sys.argv[1:]:
        case ["make", prefix, count]:
            make(engine, prefix, int(count))
        case ["remove", prefix]:
            remove(engine, prefix)
        case ["fill", name, size]:
            fill(engine, name, int(size))
        case ["size", name]:
            print(_file(engine, name).stat().st_size)
        case ["list", times]:
            print(json.dumps(list_times(int(times))))
        case ["engine"]:
            version = engine.ask("GET", "/version")["Version"]
            print(json.dumps({"engine": version, "python": platform.python_version()}))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
