# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What programs share that kill a module at every step: runs of modules that end themselves, and the engine's API.

Runs as root on the host of an engine, in the folder into which pack.py's archive was unpacked. A step is a request that
may change the engine, a call that changes files, or the start of a program.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible.module_utils import basic

# What changes files and folders.
CHANGING = (
    *("rename", "replace", "link", "symlink", "mkdir", "rmdir", "unlink", "remove", "chmod", "chown", "utime"),
    *("fchmod", "fchown", "setxattr", "removexattr", "mkfifo", "mknod"),
)
# In the middle of a program: how long after its start.
BEFORE, AFTER, MIDDLE = "before", "after", "middle"
MIDDLE_SECONDS = 0.02
WRAPPERS = frozenset({"setpriv", "nsenter"})


class FoundError(Exception):
    """Something is not as it must be."""


# The engine, by its API and without the code that is tested


class _Connection(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect("/var/run/docker.sock")


def ask(method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Return the status and the answer of the engine; None where that is no JSON."""
    connection = _Connection("localhost")
    connection.request(
        method, path, json.dumps(body) if body is not None else None, {"Content-Type": "application/json"}
    )
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    try:
        return answer.status, json.loads(text) if text else None
    except ValueError:
        return answer.status, None


def do(method: str, path: str, body: Any = None) -> Any:
    """Return the answer of the engine, which must not be an error."""
    status, answer = ask(method, path, body)
    if status >= http.client.BAD_REQUEST:
        raise RuntimeError(f"{method} {path}: {status} {answer}")
    return answer


# Runs of a module


@dataclass
class Killer:
    """Counts the steps of this process, tells them to `pipe`, and kills it at one of them.

    Of calls that change files, those count whose paths are below `places`, or that are given by an open folder.
    """

    number: int
    moment: str
    pipe: int
    places: Sequence[str]
    count: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def install(self) -> None:
        """Put this around all that makes a step, whoever does it."""
        self.around_requests()
        self._around_programs()
        for name in CHANGING:
            setattr(os, name, self._around(name, getattr(os, name)))
        opened = os.open

        def counted_open(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
            number = self._counted("open", (path,), kwargs) if flags & os.O_CREAT else None
            handle = opened(path, flags, *args, **kwargs)
            self.end(number)
            return handle

        os.open = counted_open  # type: ignore[assignment]

    def around_requests(self) -> None:
        """Put this around the requests that may change the engine, and nothing else."""
        connection = http.client.HTTPConnection
        send, receive = connection.putrequest, connection.getresponse
        sent: dict[int, int] = {}
        killer = self

        def counted_send(self: Any, method: str, url: str, *args: Any, **kwargs: Any) -> None:
            if method not in {"GET", "HEAD"}:
                sent[id(self)] = killer.begin(f"{method} {url.partition('?')[0]}")
            send(self, method, url, *args, **kwargs)

        def counted_receive(self: Any, *args: Any, **kwargs: Any) -> Any:
            answer = receive(self, *args, **kwargs)
            killer.end(sent.pop(id(self), None))
            return answer

        connection.putrequest, connection.getresponse = counted_send, counted_receive  # type: ignore[method-assign]

    def _around_programs(self) -> None:
        begin = subprocess.Popen.__init__
        killer = self

        def counted(self: Any, argv: Any, *args: Any, **kwargs: Any) -> None:
            # What only tells its version changes nothing.
            number = None if "--version" in argv else killer.begin(f"start {_program(argv)}")
            begin(self, argv, *args, **kwargs)
            killer.end(number)
            if (number, MIDDLE) == (killer.number, killer.moment):
                time.sleep(MIDDLE_SECONDS)
                os.kill(os.getpid(), signal.SIGKILL)

        subprocess.Popen.__init__ = counted  # type: ignore[method-assign]

    def _around(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            number = self._counted(name, args, kwargs)
            result = function(*args, **kwargs)
            self.end(number)
            return result

        return counted

    def around(self, module: Any, name: str) -> None:
        """Put this around a function of a module that changes files in a way of its own."""
        setattr(module, name, self._around(name, getattr(module, name)))

    def _counted(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> int | None:
        paths = [os.fsdecode(arg) for arg in args if isinstance(arg, (str, bytes, os.PathLike))]
        ours = any(path.startswith(tuple(self.places)) for path in paths)
        opened = any(key.endswith("dir_fd") and value is not None for key, value in kwargs.items())
        return self.begin(f"{name} {' '.join(paths)}") if ours or opened or name.startswith("f") else None

    def begin(self, words: str) -> int:
        """Begin a step and return its number."""
        with self.lock:
            self.count += 1
            number = self.count
            os.write(self.pipe, f"{words}\n".encode())
        self._die_at(number, BEFORE)
        return number

    def end(self, number: int | None) -> None:
        """End a step."""
        self._die_at(number, AFTER)

    def _die_at(self, number: int | None, moment: str) -> None:
        if (number, moment) == (self.number, self.moment):
            os.kill(os.getpid(), signal.SIGKILL)


def _program(argv: Sequence[Any]) -> str:
    """Return the name of the program that all this starts in the end."""
    names = [os.path.basename(os.fsdecode(one)) for one in argv if os.fsdecode(one).startswith("/")]
    return next((name for name in names if name not in WRAPPERS), str(argv[0]))


@dataclass(frozen=True)
class Run:
    """What came of one run of a module."""

    killed: bool
    result: dict[str, Any]
    steps: list[str]

    @property
    def failed(self) -> bool:
        """Whether the module failed."""
        return bool(self.result.get("failed"))

    @property
    def changed(self) -> bool:
        """Whether the module said that it changed something."""
        return bool(self.result.get("changed"))

    def need(self, holds: bool, words: str) -> None:
        """Fail with what the module said, unless it holds."""
        if not holds:
            shown = {key: self.result.get(key) for key in ("msg", "changed", "actions", "drift", "volume")}
            raise FoundError(f"{words}: {json.dumps(shown)} after {self.steps}")


def run(
    main: Callable[[], None],
    options: Mapping[str, Any],
    install: Callable[[int], None] | None = None,
    *,
    check: bool = False,
) -> Run:
    """Run a module's `main` with `options` in a process of its own.

    `install` gets the pipe for the words of the steps, in that process and before the module begins.
    """
    reader, writer = os.pipe()
    with tempfile.TemporaryFile() as output:
        process = os.fork()
        if process == 0:
            os.dup2(output.fileno(), 1)
            _run_here(main, {**options, "_ansible_check_mode": check}, install, writer)
        os.close(writer)
        with os.fdopen(reader) as lines:
            steps = lines.read().splitlines()
        _process, status = os.waitpid(process, 0)
        output.seek(0)
        text = output.read().decode()
    if os.WIFSIGNALED(status):
        return Run(True, {}, steps)
    try:
        return Run(False, json.loads(text), steps)
    except ValueError:
        raise FoundError(f"the module said no JSON, but: {text}") from None


def _run_here(
    main: Callable[[], None], options: Mapping[str, Any], install: Callable[[int], None] | None, pipe: int
) -> None:
    """Run the module in this process, and end it."""
    code = 1
    try:
        basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": options}).encode()
        basic._ANSIBLE_PROFILE = "legacy"  # since ansible-core 2.19 the arguments come with the name of their encoding
        if install:
            install(pipe)
        main()
    except SystemExit as exc:
        code = int(exc.code or 0)
    except Exception:
        traceback.print_exc(file=sys.stdout)
        raise
    finally:
        sys.stdout.flush()
        os._exit(code)
