# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way to the data of volumes of an engine elsewhere: programs of its host in helper containers, by the API alone.

Each program is a container of its own, with its input and output attached to this process: it ends when this process
does, and the engine removes it then.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from ansible_collections.voltainer.volumes.plugins.module_utils._engine import told
from ansible_collections.voltainer.volumes.plugins.module_utils._entry import LEAST, Keeps
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import EngineError, RefusedError, VolumesError
from ansible_collections.voltainer.volumes.plugins.module_utils._guard import name_of
from ansible_collections.voltainer.volumes.plugins.module_utils._helper import TAR, held, let_go, mounts_of
from ansible_collections.voltainer.volumes.plugins.module_utils._helper_engine import HelperEngine, HelperMount
from ansible_collections.voltainer.volumes.plugins.module_utils._program import ProgramError
from ansible_collections.voltainer.volumes.plugins.module_utils._tar import PACK_OPTIONS, UNPACK_OPTIONS
from ansible_collections.voltainer.volumes.plugins.module_utils._transport import Attached, SilenceError

# The engine's frame around each piece of output: which stream, three bytes of nothing, and how many bytes follow.
_HEADER = 8
_STDOUT = 1
_PIECE = 1 << 20
# What is kept of what a program says.
_SAID = 4000
# File systems that keep all that a file has, by the names that stat has for them.
_FULL = frozenset({"ext2/ext3", "xfs", "btrfs"})
# Removes the attributes of a folder.
_BARE = (
    "import os, sys; "
    "[os.removexattr(sys.argv[1], name) for name in os.listxattr(sys.argv[1]) if name[:9] != 'security.']"
)
_FIND = "/usr/bin/find"
_NOT_DATA = ("-mindepth", "1", "-maxdepth", "1", "!", "-name", "lost+found")


class Output:
    """What a program in a container writes: `read` returns its standard output, `said` is what it says on the other."""

    def __init__(self, attached: Attached, what: str, seconds: float, runs: Callable[[], bool]) -> None:
        """Take what `attach` returned."""
        self._attached = attached
        self._what = what
        self._seconds = seconds
        self._runs = runs
        self._left = 0
        self._kind = _STDOUT
        self._errors = bytearray()

    @property
    def said(self) -> str:
        """What the program said on standard error."""
        return self._errors.decode("utf-8", "backslashreplace").strip()

    def read(self, size: int = _PIECE) -> bytes:
        """Return up to `size` bytes of the program's standard output, b"" at its end. Raises EngineUnreachableError."""
        while True:
            if not self._left and not self._next():
                return b""
            piece = self._some(min(size, self._left))
            self._left -= len(piece)
            if self._kind == _STDOUT:
                return piece
            self._errors += piece[: _SAID - len(self._errors)]

    def drain(self) -> None:
        """Read to the end."""
        while self.read():
            pass

    def _next(self) -> bool:
        """Read the next header of a frame that is not empty; return whether there is one."""
        while not self._left:
            header = self._header()
            if not header:
                return False
            self._kind, self._left = header[0], int.from_bytes(header[4:], "big")
        return True

    def _header(self) -> bytes:
        header = b""
        while len(header) < _HEADER:
            piece = self._received(_HEADER - len(header))
            if not piece and not header:
                return b""
            if not piece:
                raise VolumesError(self._what, "the engine's output broke off", "Look at the engine's log")
            header += piece
        return header

    def _some(self, size: int) -> bytes:
        piece = self._received(size)
        if not piece:
            raise VolumesError(self._what, "the engine's output broke off", "Look at the engine's log")
        return piece

    def _received(self, size: int) -> bytes:
        with told(self._what, self._seconds):
            piece = self._heard(size)
            while piece is None:
                piece = self._heard(size)
        return piece

    def _heard(self, size: int) -> bytes | None:
        """Return what came, None where the program has nothing to say for long, as on a slow disk, and still runs."""
        try:
            return self._attached.read(size)
        except SilenceError:
            if not self._runs():
                raise
        return None


class Input:
    """What a program in a container reads."""

    def __init__(self, attached: Attached, what: str, seconds: float) -> None:
        """Take what `attach` returned."""
        self._attached = attached
        self._what = what
        self._seconds = seconds
        self.ended = False

    def write(self, data: bytes) -> None:
        """Write all of it. Raises EngineUnreachableError, and then the program has `ended`."""
        try:
            with told(self._what, self._seconds):
                self._attached.write(data)
        except VolumesError:
            self.ended = True
            raise


@dataclass
class Remote:
    """Volumes of an engine elsewhere; `places` has the path in the containers of each, by name.

    `image` is the ID of that of the container which holds them.
    """

    engine: HelperEngine
    image: str
    mounts: tuple[HelperMount, ...]
    places: Mapping[str, str] = field(init=False)

    def __post_init__(self) -> None:
        """Find the places."""
        self.places = {mount.volume: mount.path for mount in self.mounts}

    # As Helper has them

    def has_data(self, volume: str) -> bool:
        """Return whether there is anything in the volume."""
        found = self._run(
            f"Cannot look into the volume '{volume}'", [_FIND, self.places[volume], *_NOT_DATA, "-print", "-quit"]
        )
        return bool(found)

    def empty(self, volume: str, *, besides: str = "") -> None:
        """Remove all that is in the volume but the file `besides`, and the root's ACLs, which are inherited."""
        what, place = f"Cannot empty the volume '{volume}'", self.places[volume]
        others = [*_NOT_DATA, *(["!", "-name", besides] if besides else [])]
        self._run(what, [_FIND, place, *others, *("-exec", "rm", "-rf", "--one-file-system", "--", "{}", "+")])
        try:
            self._run(what, ["/usr/bin/python3", "-I", "-c", _BARE, place])
        except (EngineError, ProgramError):
            # Without Python on that host, the ACLs go by a copy of an empty folder that each container has.
            self._run(what, ["/usr/bin/cp", "-R", "--preserve=mode", "-T", "/dev/shm", place])  # noqa: S108

    def keeps(self, volume: str, *, may_write: bool) -> Keeps:
        """Return what the file system of the volume can keep: of one that is not known to keep all, the least."""
        del may_write
        what = f"Cannot look into the volume '{volume}'"
        found = self._run(what, ["/usr/bin/stat", "--file-system", "--format=%T", self.places[volume]])
        return Keeps() if found.strip().decode("ascii", "replace") in _FULL else LEAST

    def guard(self, volume: str, nonce: str) -> None:
        """Say that the content of the volume is not complete."""
        self._run(
            f"Cannot write to the volume '{volume}'", ["/usr/bin/touch", f"{self.places[volume]}/{name_of(nonce)}"]
        )

    def is_guarded(self, volume: str, nonce: str) -> bool:
        """Return whether `guard` said so."""
        what = f"Cannot look into the volume '{volume}'"
        argv = [
            _FIND,
            self.places[volume],
            *("-mindepth", "1", "-maxdepth", "1", "-name", name_of(nonce), "-print", "-quit"),
        ]
        return bool(self._run(what, argv))

    def unguard(self, volume: str, nonce: str) -> None:
        """Say that it is complete."""
        self._run(f"Cannot write to the volume '{volume}'", ["/usr/bin/rm", f"{self.places[volume]}/{name_of(nonce)}"])

    def sync(self, volume: str) -> None:
        """Have what is in the volume on the disk."""
        self._run(f"Cannot write the data of '{volume}' to the disk", ["/usr/bin/sync", "-f", self.places[volume]])

    @contextmanager
    def packed(self, volume: str) -> Iterator[Output]:
        """Yield a tar file of the volume, as it is read. Raises ProgramError where tar fails."""
        argv = [TAR, *PACK_OPTIONS, "--file=-", f"--directory={self.places[volume]}", "."]
        with ExitStack() as stack:
            what = f"Cannot pack the volume '{volume}'"
            output, _input = stack.enter_context(self._started(what, argv, accept=(0, 1)))
            yield output

    @contextmanager
    def unpacking(self, volume: str, more: Sequence[str] = ()) -> Iterator[Input]:
        """Yield what unpacks a tar file that is written to it into the volume; `more` are options and names for tar.

        Raises ProgramError where tar fails.
        """
        argv = [TAR, *UNPACK_OPTIONS, "--file=-", f"--directory={self.places[volume]}", *more]
        with ExitStack() as stack:
            _output, into = stack.enter_context(self._started(f"Cannot unpack into the volume '{volume}'", argv))
            yield into

    # Inside

    def _run(self, what: str, argv: Sequence[str]) -> bytes:
        with self._started(what, argv) as (output, _input):
            # In as many pieces as it may come.
            return b"".join(iter(output.read, b""))

    @contextmanager
    def _started(self, what: str, argv: Sequence[str], accept: Sequence[int] = (0,)) -> Iterator[tuple[Output, Input]]:
        """Run a program; at the end its output is read to the end, and its exit code must be one of `accept`."""
        engine = self.engine
        with ExitStack() as stack:
            container = engine.create_helper(self.image, self.mounts, list(argv), powers=True)
            stack.callback(let_go, engine, container)
            attached = engine.attach(container, output=True)
            stack.callback(attached.close)
            waiting = _Waiting(engine, container)
            waiting.start()
            waiting.wait_for_engine()
            engine.start_helper(container)
            output = Output(attached, what, engine.silence, lambda: _runs(engine, container))
            into = Input(attached, what, engine.silence)
            broken: VolumesError | None = None
            try:
                yield output, into
            except VolumesError as exc:
                if not into.ended:
                    # It waits for input that does not come, or goes on with output that nobody reads.
                    raise
                # A program that failed says why, and the pipe to it only broke.
                broken = exc
            output.drain()
            code = waiting.code()
            if code not in accept:
                name = argv[0].rpartition("/")[2]
                said = "; ".join(output.said.splitlines()[:5]) or f"it ended with the code {code}, and said nothing"
                raise ProgramError(what, f"{name} failed: {said}", code=code) from broken
            if broken:
                raise broken


def _runs(engine: HelperEngine, container: str) -> bool:
    found = engine.inspect_helper(container)
    return bool(found and found["State"]["Running"])


class _Waiting(threading.Thread):
    """Waits for the exit code of a container, on a connection of its own."""

    def __init__(self, engine: HelperEngine, container: str) -> None:
        super().__init__(daemon=True)
        self._engine = engine
        self._container = container
        self._code: int | None = None
        self._error: VolumesError | None = None
        self._began = threading.Event()

    def run(self) -> None:
        try:
            self._code = self._engine.wait_removed(self._container, self._began.set)
        except VolumesError as exc:
            self._error = exc
        finally:
            self._began.set()

    def wait_for_engine(self) -> None:
        """Wait until the engine waits: a program may end sooner than a request takes to arrive."""
        self._began.wait(self._engine.timeout)

    def code(self) -> int:
        self.join()
        if self._error:
            raise self._error
        if self._code is None:
            raise RefusedError("Cannot wait for the helper container", "its exit code is unknown", "Run the task again")
        return self._code


@contextmanager
def remote(engine: HelperEngine, volumes: Mapping[str, bool]) -> Iterator[Remote]:
    """Hold the volumes, by name and whether they are written to, and yield the way to them through the engine's API."""
    mounts = mounts_of(volumes)
    with held(engine, mounts, powers=True) as hold:
        yield Remote(engine, hold.image, mounts)
