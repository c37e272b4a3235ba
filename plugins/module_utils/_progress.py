# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a module tells of long work while it goes on: a small file on the host, which the action plugin reads.

Pure but for that file and /proc. Nothing here may fail or slow the work that it tells of.
"""

from __future__ import annotations

import atexit
import json
import os
import stat
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

PROGRESS_SPEC: dict[str, dict[str, Any]] = {"progress_interval": {"type": "float", "default": 5.0}}

# Where the file is to be; the action plugin sets it in the task's environment where it is going to read the file.
VARIABLE = "VOLTAINER_PROGRESS_FILE"

_QUIET = 2.0  # seconds without a file: most tasks end before, and the action plugin does not look before 5 s
_EVERY = 0.5  # seconds between two writes
_SIZE = 512  # bytes of the file, always the same: each write replaces all of the one before
_LONGEST = 128  # characters of a label or verb; a quoted one takes two bytes, and the line fits


class Progress:
    """The file that tells how far the work is; with no path, nothing happens.

    It is made when the work has taken a while, and removed by `close`, or at the end of a `with`.
    """

    def __init__(self, path: str | None, *, quiet: float = _QUIET, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._file: int | None = None
        self._lock = threading.Lock()  # a watcher and the module may both write
        self._begun = self._opens = clock() + quiet
        self._due = self._opens
        self._label, self._verb, self._total = "", "", None  # type: tuple[str, str, int | None]
        self._phase = 0
        self.done = 0

    @classmethod
    def from_environment(cls) -> Progress:
        """Return the progress of this task, the same each time: what the action plugin asked for, or none.

        Its file is removed when the module ends, if nobody closed it before.
        """
        path = os.environ.pop(VARIABLE, "")  # not for the programs that the module starts
        if path:
            _of_task[:] = [cls(path if os.path.isabs(path) else None)]
            atexit.register(_of_task[0]._close_in, os.getpid())
        return _of_task[0]

    @property
    def on(self) -> bool:
        """Tell whether somebody looks."""
        return self._path is not None

    def phase(self, label: str, verb: str, total: int | None = None) -> None:
        """Begin a phase: `label` is the volume's name, `verb` what happens to it, `total` its bytes where known."""
        self._label, self._verb, self._total = _plain(label), _plain(verb)[:32], total
        self._phase += 1
        self.done = 0
        self._begun = self._clock()
        self._write(self._begun)

    def advance(self, count: int) -> None:
        """Add bytes to what is done; may be called for each block."""
        self.set(self.done + count)

    def set(self, done: int) -> None:
        """Say how many bytes of this phase are done."""
        self.done = done
        if self._path is None:
            return
        now = self._clock()
        if now >= self._due:
            self._write(now)

    def finish(self) -> None:
        """End the phase: nothing is shown until the next one."""
        self._verb = ""
        self._write(self._clock())

    def close(self) -> None:
        """Remove the file."""
        with self._lock:
            path, self._path = self._path, None
            if self._file is None or path is None:
                return
            file, self._file = self._file, None
            try:
                mine = os.fstat(file).st_ino == os.lstat(path).st_ino
                os.close(file)
                if mine:
                    os.unlink(path)
            except OSError:
                pass

    def _close_in(self, process: int) -> None:
        if os.getpid() == process:  # and not at the end of a fork
            self.close()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _write(self, now: float) -> None:
        if self._path is None or now < self._opens:
            return
        self._due = now + _EVERY
        with self._lock:
            try:
                if self._path is not None:
                    self._replace(self._path, now)
            except (OSError, ValueError):
                # A full disk may have room the next time; a file that cannot be made never will be.
                if self._file is None:
                    self._path = None

    def _replace(self, path: str, now: float) -> None:
        if self._file is None:
            self._file = _create(path)
        state = {
            "label": self._label,
            "verb": self._verb,
            "done": self.done,
            "total": self._total,
            "at": round(now - self._begun, 3),
            "phase": self._phase,
        }
        os.pwrite(self._file, json.dumps(state).encode("ascii").ljust(_SIZE - 1) + b"\n", 0)


def _plain(text: str) -> str:
    return "".join(char if " " <= char <= "~" else "?" for char in text[:_LONGEST])


def _create(path: str) -> int:
    """Make the file. The folder may be one where all users write: what is there is neither followed nor written to."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(path, flags, 0o600)
    except FileExistsError:
        # ssh lost its connection, and Ansible starts the module a second time: the first one's file tells nothing.
        there = os.lstat(path)
        if not stat.S_ISREG(there.st_mode) or (there.st_uid, there.st_size) != (os.geteuid(), _SIZE):
            raise
        os.unlink(path)
        return os.open(path, flags, 0o600)


_of_task = [Progress(None)]


class Watcher(threading.Thread):
    """Ask how many bytes another program has done, twice a second, and tell the progress, within a `with`.

    `count` is of what runs within the `with`: it is added to what was done of the phase before.
    """

    def __init__(self, progress: Progress, count: Callable[[], int], every: float = _EVERY) -> None:
        super().__init__(daemon=True, name="progress")
        self._progress = progress
        self._count = count
        self._every = every
        self._before = progress.done
        self._ended = threading.Event()

    def run(self) -> None:
        """Look until the end."""
        while not self._ended.wait(self._every):
            self._look()

    def _look(self) -> None:
        try:
            count = self._count()
        except Exception:  # noqa: BLE001 - to tell of work must never fail it
            return
        if not self._ended.is_set():
            self._progress.set(self._before + count)

    def __enter__(self) -> Watcher:
        if self._progress.on:
            self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        if self.ident is not None:
            # With a limit: the count may ask a file system that hangs.
            self.join(timeout=1)


def watch_process(progress: Progress, processes: Iterable[int], *, reads: bool = False) -> Watcher:
    """Return a watcher of what processes write, or read, by their IDs."""
    return Watcher(progress, io_counter(processes, reads=reads))


def io_counter(processes: Iterable[int], *, reads: bool = False) -> Callable[[], int]:
    """Return a function that tells how many bytes processes have written, or read, so far."""
    counts = {process: IoCount(process, reads=reads) for process in processes}
    return lambda: sum(count() for count in counts.values())


class IoCount:
    """How many bytes one process has written, or read, so far; what has ended keeps what it had.

    The kernel counts the bytes of a call when it returns, and one copy_file_range of `cp` may take 2 GiB. What such a
    call has done meanwhile is known from the bytes that were set on their way to a disk, a page at least for each file.
    """

    def __init__(self, process: int, *, reads: bool = False) -> None:
        self._process = process
        self._reads = reads
        self._returned = 0  # bytes of calls that have returned
        self._disk_then = 0  # bytes for the disk when the last of these did
        self._most = 0

    def __call__(self) -> int:
        """Look, and return the count."""
        counts = _io(self._process)
        if self._reads:
            self._most = max(self._most, counts.get("rchar", 0))
        else:
            self._most = max(self._most, self.written(counts.get("wchar", 0), counts.get("write_bytes", 0)))
        return self._most

    def written(self, returned: int, disk: int) -> int:
        """Return what these two counters of the kernel come to, after those before."""
        if returned != self._returned:
            self._returned, self._disk_then = returned, disk
        both = returned + max(0, disk - self._disk_then)
        # An overlay file system counts copy_file_range twice; pipes, tmpfs and FUSE have no bytes for a disk.
        return min(both, disk) if disk >= returned / 4 else both


def _io(process: int) -> dict[str, int]:
    try:
        with open(f"/proc/{process}/io", encoding="ascii") as file:
            return {name: int(value) for name, value in (line.split(": ") for line in file)}
    except (OSError, ValueError):
        return {}
