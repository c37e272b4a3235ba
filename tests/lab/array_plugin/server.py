# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The array simulator: a managed volume plugin that stands in for Pure's, run as `python3 -m array_plugin.server`.

What differs between builds is in BUILD. What a test wants to go wrong is in SWITCHES, on the host, read with each use.
"""

from __future__ import annotations

import json
import os
import socketserver
import sys
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, NoReturn

from .array import Array
from .checks import ArrayError, check_config

HOST = Path("/proc/1/root")
BUILD = Path("/etc/lab-build")
SWITCHES = HOST / "etc/array-simulator.json"
CONFIG = Path("/etc/pure-docker-plugin/pure.json")
SOCKETS = Path("/run/docker/plugins")
_POLL = 0.1


def say(message: str) -> None:
    """Tell the engine's log."""
    sys.stderr.write(f"array-simulator: {message}\n")
    sys.stderr.flush()


def give_up(message: str) -> NoReturn:
    say(message)
    os._exit(1)


class Switches:
    """What should go wrong: the build's own switches, and those that a file on the host holds at this moment."""

    def __init__(self, built_in: dict[str, Any], path: Path = SWITCHES) -> None:
        self._built_in = built_in
        self._path = path
        self._last: dict[str, Any] = {}

    def read(self) -> dict[str, Any]:
        try:
            found = json.loads(self._path.read_text())
            self._last = found if isinstance(found, dict) else {}
        except FileNotFoundError:
            self._last = {}
        except (OSError, ValueError):
            pass  # written at this very moment: what was there before still counts
        return self._built_in | self._last

    def apply(self, call: str) -> None:
        """Delay a call, keep it until nobody wants that any more, or let it fail."""
        now = self.read()
        time.sleep(float(now.get("slow", {}).get(call, 0)))
        if call in now.get("hang", []):
            say(f"{call} hangs")
            while call in self.read().get("hang", []):
                time.sleep(_POLL)
        message = now.get("fail", {}).get(call)
        if message is not None:
            raise ArrayError(message)

    def watch_age(self) -> None:
        """End this process once it is as old as it may become."""
        begun = time.monotonic()
        while True:
            limit = self.read().get("exit_after")
            if limit is not None and time.monotonic() - begun >= float(limit):
                give_up(f"ends {limit} s after its start, as exit_after asks")
            time.sleep(_POLL)

    def start(self) -> None:
        """Do not start, or start deaf, where that is wanted."""
        now = self.read()
        if now.get("exit_at_start"):
            give_up("cannot start: exit_at_start is set")
        if "refuse_start" in now:
            give_up(f"cannot start: {now['refuse_start']}")
        if now.get("deaf"):
            say("does not listen: deaf is set")
            while self.read().get("deaf"):
                time.sleep(_POLL)


class Driver:
    """Answers the engine's calls."""

    def __init__(self, implements: list[str], array: Array) -> None:
        self._implements = implements
        self._array = array

    def answer(self, method: str, request: dict[str, Any]) -> dict[str, Any]:
        calls: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "Plugin.Activate": lambda _request: {"Implements": self._implements},
        }
        if "VolumeDriver" in self._implements:
            calls |= {f"VolumeDriver.{name}": call for name, call in self._volume_calls().items()}
        if method not in calls:
            raise ArrayError(f"there is no {method}")
        return calls[method](request)

    def _volume_calls(self) -> dict[str, Callable[[dict[str, Any]], dict[str, Any]]]:
        return {
            "Capabilities": lambda _request: {"Capabilities": {"Scope": "global"}},
            "Create": self._create,
            "Remove": self._remove,
            "Mount": lambda request: {"Mountpoint": self._array.mount(request["Name"], request["ID"])},
            "Unmount": self._unmount,
            "Path": lambda request: {"Mountpoint": self._array.describe(request["Name"])["Mountpoint"]},
            "Get": lambda request: {"Volume": self._array.describe(request["Name"])},
            "List": lambda _request: {"Volumes": self._array.listing()},
        }

    def _create(self, request: dict[str, Any]) -> dict[str, Any]:
        self._array.create(request["Name"], request.get("Opts") or {})
        return {}

    def _remove(self, request: dict[str, Any]) -> dict[str, Any]:
        self._array.remove(request["Name"])
        return {}

    def _unmount(self, request: dict[str, Any]) -> dict[str, Any]:
        self._array.unmount(request["Name"], request["ID"])
        return {}


class Handler(BaseHTTPRequestHandler):
    """One connection of the engine."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        method = self.path.strip("/")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, answer = self.server.call(method, body)
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/vnd.docker.plugins.v1.2+json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Keep quiet: calls are logged where they are answered."""


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Takes the engine's connections, each in a thread of its own, so that a call that hangs stops no other."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, path: Path, driver: Driver, switches: Switches, debug: bool) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        super().__init__(str(path), Handler)
        self._driver = driver
        self._switches = switches
        self._debug = debug

    def call(self, method: str, body: bytes) -> tuple[HTTPStatus, dict[str, Any]]:
        """Answer a call, or tell why not."""
        begun = time.monotonic()
        try:
            request = json.loads(body or b"{}") or {}
            say(f"{method} {request.get('Name', '')}".rstrip() + (f" {body.decode()}" if self._debug else ""))
            self._switches.apply(method.partition(".")[2])
            answer = self._driver.answer(method, request)
        except (ArrayError, OSError, KeyError, ValueError) as error:
            message = str(error) if isinstance(error, ArrayError) else f"{type(error).__name__}: {error}"
            say(f"{method} failed: {message}")
            return HTTPStatus.INTERNAL_SERVER_ERROR, {"Err": message}
        if self._debug:
            say(f"{method} took {time.monotonic() - begun:.3f} s")
        return HTTPStatus.OK, answer | {"Err": ""}


def _check_config() -> None:
    try:
        problems = check_config(CONFIG.read_text())
    except (OSError, ValueError) as error:
        problems = [f"cannot be read: {error}"]
    if problems:
        give_up(f"cannot start: {CONFIG} {'; '.join(problems)}")


def main() -> None:
    build = json.loads(BUILD.read_text())
    switches = Switches(build.get("switches", {}))
    say(f"version {build['version']} starts")
    switches.start()
    if "VolumeDriver" in build["implements"]:
        _check_config()
    namespace = os.environ.get("PURE_DOCKER_NAMESPACE") or "docker"
    array = Array(HOST / "var/lib/array-simulator", Path("/mnt"), namespace)
    debug = os.environ.get("DEBUG", "").lower() == "true"
    server = Server(SOCKETS / build["socket"], Driver(build["implements"], array), switches, debug)
    threading.Thread(target=switches.watch_age, daemon=True).start()
    say("listens")
    server.serve_forever()


if __name__ == "__main__":
    main()
