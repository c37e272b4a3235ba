# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of the host at work for this process: they end with it, and errors have their own words."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

from ansible_collections.voltainer.volumes.plugins.module_utils._errors import VolumesError
from ansible_collections.voltainer.volumes.plugins.module_utils._progress import IoCount

SETPRIV = "/usr/bin/setpriv"
PATH = "/usr/bin:/usr/sbin:/bin:/sbin:/usr/local/bin"
# What is kept of what a program says on standard error.
_SAID = 4000
_LINES = 5
# The most that the kernel allows everybody, and 16 times what a pipe has otherwise: who reads is woken less often.
# Python has a name for this command from 3.10 on.
_PIPE = 1 << 20
_SET_PIPE_SIZE = 1031


class ProgramError(VolumesError):
    """A program failed; `code` is its exit code, and negative for a signal."""

    def __init__(self, what: str, why: str, way_out: str = "", *, code: int) -> None:
        super().__init__(what, why, way_out)
        self.code = code


@dataclass
class Program:
    """A program at work. `process` has its pipes; `name` is what errors call it.

    One with a `grace` is asked to end (SIGINT), and has so many seconds for it.
    """

    name: str
    process: subprocess.Popen[bytes]
    errors: IO[bytes]
    grace: float = 0.0
    counts: dict[int, IoCount] = field(default_factory=dict)

    @property
    def said(self) -> str:
        """What it said on standard error, shortened in the middle."""
        self.errors.seek(0)
        text = self.errors.read(1 << 20).decode("utf-8", "backslashreplace").strip()
        return text if len(text) <= _SAID else f"{text[: _SAID // 2]}\n[...]\n{text[-_SAID // 2 :]}"

    def bytes_written(self) -> int:
        """Return how many bytes it has written, or its child where it only waits for that; 0 where nobody can tell."""
        for pid in (self.process.pid, *_children(self.process.pid)):
            self.counts.setdefault(pid, IoCount(pid))
        return max(count() for count in self.counts.values())

    def wait(self, what: str, accept: Sequence[int] = (0,)) -> int:
        """Wait for its end and return its exit code. Raises ProgramError where that is not one of `accept`."""
        code = self.process.wait()
        if code not in accept:
            silent = (
                f"it was ended by signal {-code}" if code < 0 else f"it ended with the code {code}, and said nothing"
            )
            said = "; ".join(self.said.split("\n")[:_LINES]) or silent
            raise ProgramError(what, f"{self.name} failed: {said}", code=code)
        return code

    def stop(self) -> None:
        """End it, if it still runs."""
        if self.process.poll() is None:
            if self.grace:
                self._end_with_children()
            self.process.kill()
            self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.errors):
            if pipe:
                # A pipe whose other end is gone cannot be flushed.
                with contextlib.suppress(OSError):
                    pipe.close()

    def _end_with_children(self) -> None:
        """Ask it to end, and kill what it has started: an ssh that waits for a host outlives who started it."""
        handles = []
        try:
            for pid in _children(self.process.pid):
                with contextlib.suppress(OSError):
                    handles.append(os.pidfd_open(pid))
            self.process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(self.grace)
            for handle in handles:
                with contextlib.suppress(OSError):
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
        finally:
            for handle in handles:
                os.close(handle)


def start(  # noqa: PLR0913 - what a process has, by name
    argv: Sequence[str],
    *,
    stdin: Any = None,
    stdout: Any = None,
    environment: Mapping[str, str] | None = None,
    folder: str | None = None,
    name: str = "",
    grace: float = 0.0,
) -> Program:
    """Start a program, which the kernel ends together with this process. `environment` is all of its environment, and
    `folder` its working directory. With a `grace` it is asked to end and not killed, for which it then has that many
    seconds, and it has no terminal that it could ask for a password.

    Must be called by the thread that lives as long as the program is to. Raises VolumesError where it cannot start.
    """
    errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the program, which outlives this function
    try:
        process = subprocess.Popen(  # noqa: S603 - no shell, and nothing of an option's is taken for a program
            [SETPRIV, "--pdeathsig", "INT" if grace else "KILL", "--", *argv],
            stdin=subprocess.DEVNULL if stdin is None else stdin,
            stdout=subprocess.DEVNULL if stdout is None else stdout,
            stderr=errors,
            env={"PATH": PATH, "LC_ALL": "C", **(environment or {})},
            bufsize=0,
            cwd=folder,
            # What a program makes has the mode that it asks for.
            umask=0,
            # Out of the reach of who kills all of the task's processes at once.
            start_new_session=bool(grace),
        )
    except OSError as exc:
        errors.close()
        raise VolumesError(
            f"Cannot start {argv[0]}", exc.strerror or str(exc), "Install the package util-linux on the host"
        ) from exc
    if process.stdout:
        # For those without privileges the kernel may allow less.
        with contextlib.suppress(OSError):
            fcntl.fcntl(process.stdout, _SET_PIPE_SIZE, _PIPE)
    return Program(name or os.path.basename(argv[0]), process, errors, grace)


def _children(pid: int) -> list[int]:
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:
            return [int(child) for child in children.read().split()]
    except (OSError, ValueError):
        return []


def find(program: str) -> str | None:
    """Return the path of a program, or None where the host does not have it."""
    paths = (os.path.join(folder, program) for folder in PATH.split(":"))
    return next((path for path in paths if os.access(path, os.X_OK)), None)
