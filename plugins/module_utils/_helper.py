# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A helper container that has volumes mounted through their own drivers, and the way to them from the engine's host.

The container does nothing but hold the volumes, and lives as long as this process: nobody can remove them meanwhile,
and nothing is left where the process is killed. Programs of the host work inside its mount namespace: they see the
host's /usr and the volumes, and nothing else, whatever links there are in a volume or are put there meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from subprocess import PIPE, Popen, TimeoutExpired
from typing import IO, Any

from ansible_collections.voltainer.volumes.plugins.module_utils._entry import LEAST, Keeps
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import (
    EngineError,
    EngineUnreachableError,
    RefusedError,
    VolumesError,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._guard import guard, is_guarded, unguard
from ansible_collections.voltainer.volumes.plugins.module_utils._helper_engine import (
    VOLUMES_FOLDER,
    HelperEngine,
    HelperMount,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._holder import has_ended
from ansible_collections.voltainer.volumes.plugins.module_utils._probe import FULL, probe
from ansible_collections.voltainer.volumes.plugins.module_utils._program import SETPRIV, Program, ProgramError, start
from ansible_collections.voltainer.volumes.plugins.module_utils._tar import (
    PACK_OPTIONS,
    UNPACK_OPTIONS,
    DamagedArchiveError,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._tree import Measured, empty, has_data, strip
from ansible_collections.voltainer.volumes.plugins.module_utils._volume_steps import changed_meanwhile

# Ends with its input, which ends with the process that is attached to it.
_HOLD = ["/usr/bin/cat"]
_TRIES = 5
# A volume that is made with the helper container, on the engine's own file system, and goes with it.
_SCRATCH = ""
# File systems that may share the data of two files. With smaller files on average, reading them takes no longer.
_SHARING = frozenset({"btrfs", "xfs"})
_WORTH_SHARING = 262144
# What the engine says of a container whose image is not there (20.10 to 28.5).
_NO_IMAGE = "No such image"
# How long after an image was made nobody makes a container of it any more, who does not have one already.
_FORSAKEN_SECONDS = 3600
_GONE_SECONDS = 30
# How long a program may take to end whose output is at an end.
_SOON_SECONDS = 2
_NSENTER = "/usr/bin/nsenter"
TAR = "/usr/bin/tar"


def why_not_here(engine: HelperEngine) -> str:
    """Return why the data of this engine's volumes cannot be reached from this process; "" if it may be."""
    if not engine.is_here:
        return "the module does not run on the host of the engine"
    if os.geteuid() != 0:
        return "the module does not run as root ('become: true')"
    lacking = [program for program in (_NSENTER, SETPRIV) if not os.access(program, os.X_OK)]
    if lacking:
        return f"{' and '.join(lacking)} (of the package util-linux) is missing on the host"
    return ""


@dataclass
class Helper:
    """A helper container at work: `places` has the path in it of each volume, by name."""

    places: Mapping[str, str]
    pid: int
    _stack: ExitStack = field(repr=False)
    _opened: dict[str, int] = field(default_factory=dict, repr=False)

    def open(self, volume: str) -> int:
        """Return a file descriptor of the folder that is the volume; it is closed with the helper."""
        if volume in self._opened:
            return self._opened[volume]
        with _told(f"Cannot look into the volume '{volume}'"):
            folder = os.open(self.folder_of(volume), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._stack.callback(os.close, folder)
        self._opened[volume] = folder
        return folder

    def folder_of(self, volume: str) -> str:
        """Return the path of the volume's folder, as this process sees it."""
        return f"/proc/{self.pid}/root{self.places[volume]}"

    def overlap(self, one: str, other: str) -> bool:
        """Return whether one of the volumes is the other, or a folder in it: both may refer to folders of this host."""
        first, second = self._mount(one), self._mount(other)
        if first is None or second is None or first[0] != second[0]:
            return False
        shorter, longer = sorted((first[1].rstrip("/"), second[1].rstrip("/")), key=len)
        return longer == shorter or longer.startswith(f"{shorter}/")

    def _mount(self, volume: str) -> tuple[str, str] | None:
        """Return the device that the volume is on, and the folder of that file system which it is."""
        found = [fields for fields in self._mounts() if fields[4] == self.places[volume]]
        return (found[-1][2], found[-1][3]) if found else None

    def _mounts(self) -> list[list[str]]:
        with open(f"/proc/{self.pid}/mountinfo", encoding="utf-8", errors="surrogateescape") as mounts:
            return [line.split() for line in mounts]

    # As Remote has them

    def has_data(self, volume: str) -> bool:
        """Return whether there is anything in the volume."""
        return has_data(self.open(volume))

    def empty(self, volume: str, *, besides: str = "") -> None:
        """Remove all that is in the volume but the file `besides`, and the attributes of its root.

        What comes next would inherit its ACLs.
        """
        folder = self.open(volume)
        empty(folder, os.fsencode(besides))
        strip(folder)

    def keeps(self, volume: str, *, may_write: bool) -> Keeps:
        """Return what the file system of the volume can keep. Where that must be tried and may not be, the least."""
        if self.file_system(volume) in FULL:
            return Keeps()
        with _told(f"Cannot write to the volume '{volume}'"):
            return probe(self.open(volume)) if may_write else LEAST

    def guard(self, volume: str, nonce: str) -> None:
        """Say that the content of the volume is not complete."""
        with _told(f"Cannot write to the volume '{volume}'"):
            guard(self.open(volume), nonce)

    def is_guarded(self, volume: str, nonce: str) -> bool:
        """Return whether `guard` said so."""
        return is_guarded(self.open(volume), nonce)

    def unguard(self, volume: str, nonce: str) -> None:
        """Say that it is complete."""
        with _told(f"Cannot write to the volume '{volume}'"):
            unguard(self.open(volume), nonce)

    def sync(self, volume: str) -> None:
        """Have what is in the volume on the disk."""
        self.run(f"Cannot write the data of '{volume}' to the disk", ["/usr/bin/sync", "-f", self.places[volume]])

    @contextmanager
    def packed(self, volume: str) -> Iterator[IO[bytes]]:
        """Yield a tar file of the volume, as it is read. Raises ProgramError where tar fails."""
        argv = [TAR, *PACK_OPTIONS, "--file=-", f"--directory={self.places[volume]}", "."]
        with ExitStack() as stack:
            process = stack.enter_context(
                self._working(f"Cannot pack the volume '{volume}'", argv, accept=(0, 1), stdout=PIPE)
            )
            if process.stdout:
                yield process.stdout

    @contextmanager
    def unpacking(self, volume: str) -> Iterator[IO[bytes]]:
        """Yield what unpacks a tar file that is written to it into the volume. Raises ProgramError where tar fails."""
        argv = [TAR, *UNPACK_OPTIONS, "--file=-", f"--directory={self.places[volume]}"]
        with ExitStack() as stack:
            process = stack.enter_context(self._working(f"Cannot unpack into the volume '{volume}'", argv, stdin=PIPE))
            if process.stdin:
                yield process.stdin
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.close()

    @contextmanager
    def _working(
        self, what: str, argv: Sequence[str], accept: Sequence[int] = (0,), **pipes: Any
    ) -> Iterator[Popen[bytes]]:
        program = self.start(argv, **pipes)
        broken: BrokenPipeError | None = None
        try:
            try:
                yield program.process
            except BrokenPipeError as exc:
                # The program has ended, and says why.
                broken = exc
            except DamagedArchiveError:
                # It may have ended too early. One that goes on waits for somebody to read what it writes.
                with contextlib.suppress(TimeoutExpired):
                    program.process.wait(_SOON_SECONDS)
                    program.wait(what, accept)
                raise
            program.wait(what, accept)
            if broken:
                raise VolumesError(what, f"{program.name} ended too early", "Run the task again") from broken
        finally:
            program.stop()

    def file_system(self, volume: str) -> str:
        """Return the type of the file system that the volume is on, such as ext4 or fuse.rclone."""
        # The fields behind the lone dash are the type, the source, and the options of the file system.
        found = [fields[fields.index("-") + 1] for fields in self._mounts() if fields[4] == self.places[volume]]
        return found[-1] if found else ""

    def snapshot(self, volume: str, measured: Measured) -> Helper | None:
        """Return the way to a copy of the volume which shares its data with it, and goes with the helper.

        None where there is no room for one, or no sense in one, or no way to make it (XFS without reflinks, and Linux
        before 5.18, to which two mounts of one file system are two).
        """
        small = measured.allocated < _WORTH_SHARING * measured.entries
        if _SCRATCH not in self.places or self.file_system(volume) not in _SHARING or small:
            return None
        place = self.places[_SCRATCH]
        argv = ["/usr/bin/cp", "-a", "--reflink=always", "--no-target-directory", self.places[volume], place]
        try:
            self.run(f"Cannot make a snapshot of the volume '{volume}'", argv)
        except ProgramError:
            return None
        return replace(self, places={volume: place}, _opened={})

    def start(self, argv: Sequence[str], *, stdin: Any = None, stdout: Any = None) -> Program:
        """Start a program of the host's /usr inside; it ends with this process, and with the helper.

        That there is none of that name is told when it is waited for.
        """
        # No --wd: that would be the host's root, from which all of the host could be reached. With the container's own
        # /proc, and its processes only: without any, the C library cannot set the mode of what may be a link (before
        # glibc 2.39). nsenter has a child there, which is to end together with it.
        inside = [_NSENTER, "--target", str(self.pid), "--mount", "--pid", "--"]
        child = [SETPRIV, "--pdeathsig", "KILL", "--"]
        program = start([*inside, *child, *argv], stdin=stdin, stdout=stdout, name=os.path.basename(argv[0]))
        self._stack.callback(program.stop)
        return program

    def run(self, what: str, argv: Sequence[str], accept: Sequence[int] = (0,)) -> int:
        """Run a program to its end and return its exit code. Raises ProgramError."""
        program = self.start(argv)
        try:
            return program.wait(what, accept)
        finally:
            program.stop()


@contextmanager
def helper(engine: HelperEngine, volumes: Mapping[str, bool], *, scratch: bool = False) -> Iterator[Helper]:
    """Hold the volumes, by name and whether they are written to, and yield the way to their data from this host.

    With `scratch`, there is room for a snapshot. Raises RefusedError where that way is not open, and EngineError.
    """
    mounts = mounts_of(volumes)
    if scratch:
        mounts = (*mounts, HelperMount(_SCRATCH, f"{VOLUMES_FOLDER}/scratch", read_only=False))
    with ExitStack() as stack:
        hold = stack.enter_context(held(engine, mounts, powers=False))
        pid = _pid(engine, hold.container, mounts)
        yield Helper({mount.volume: mount.path for mount in mounts}, pid, stack)


@contextmanager
def _told(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        why = exc.strerror or str(exc)
        raise VolumesError(what, why, "Look at the file system that the volume is on, and at its driver") from exc


def mounts_of(volumes: Mapping[str, bool]) -> tuple[HelperMount, ...]:
    """Return where a helper container has the volumes, which are given by name and whether they are written to."""
    return tuple(
        HelperMount(name, f"{VOLUMES_FOLDER}/{number}", read_only=not writable)
        for number, (name, writable) in enumerate(volumes.items())
    )


@dataclass(frozen=True)
class Hold:
    """A running helper container that holds volumes, and its image, which nobody can remove meanwhile; by their IDs."""

    container: str
    image: str


@contextmanager
def held(engine: HelperEngine, mounts: tuple[HelperMount, ...], *, powers: bool) -> Iterator[Hold]:
    """Yield a running helper container, which is gone with its hold on the volumes, and its image, afterwards.

    Raises RefusedError where a volume is not there, or not any more: the engine makes an empty one in its place.
    """
    sweep(engine)
    names = [mount.volume for mount in mounts if mount.volume != _SCRATCH]
    before = [_identity(engine, name) for name in names]
    with _made(engine, mounts, powers=powers) as made:
        hold = engine.attach(made.container, output=False)
        try:
            engine.start_helper(made.container)
            if [_identity(engine, name) for name in names] != before:
                raise changed_meanwhile(" or ".join(names))
            yield made
        except EngineError as exc:
            if "no such file or directory" in exc.why and "exec" in exc.why:
                exc.way_out = (
                    "The engine's host has no /usr/bin/cat: this way to the data needs an ordinary Linux there"
                )
            raise
        finally:
            hold.close()


def _identity(engine: HelperEngine, name: str) -> tuple[Any, ...]:
    """Return what differs between a volume and another one that is made in its place, as far as anybody can tell."""
    volume = engine.volume(name)
    if volume is None:
        raise RefusedError(
            f"Cannot reach the data of the volume '{name}'", "there is no such volume", "Find out who removed it"
        )
    folder = None
    if engine.is_here and volume.definition.is_local:
        # Not the time of its creation as the engine has it, which is that of the last change of its content (20.10).
        with contextlib.suppress(OSError):
            status = os.lstat(os.path.dirname(volume.mountpoint))
            folder = (status.st_ino, status.st_ctime_ns)
    return volume.driver, volume.options or {}, volume.labels or {}, folder


@contextmanager
def _made(engine: HelperEngine, mounts: tuple[HelperMount, ...], *, powers: bool) -> Iterator[Hold]:
    """Yield a helper container that is not started; it and its image are gone afterwards."""
    made = _create(engine, mounts, powers=powers)
    try:
        yield made
    finally:
        try:
            let_go(engine, made.container)
        finally:
            _remove_image(engine, made.image)


def _create(engine: HelperEngine, mounts: tuple[HelperMount, ...], *, powers: bool) -> Hold:
    # Each has an image of its own, so that no task takes that of another one away.
    for _try in range(_TRIES):
        image = engine.import_helper_image()
        try:
            return Hold(engine.create_helper(image, mounts, _HOLD, powers=powers), image)
        except BaseException as exc:
            _remove_image(engine, image)
            # Somebody may remove all images at this moment that no container has.
            if not (isinstance(exc, EngineError) and exc.status == HTTPStatus.NOT_FOUND and _NO_IMAGE in exc.why):
                raise
    raise RefusedError(
        "Cannot make a helper container", "its image is removed as soon as it is made", "Run the task again"
    )


def _remove_image(engine: HelperEngine, image: str) -> None:
    # Where the engine is gone, what went wrong is told already, and the next task removes it.
    with contextlib.suppress(EngineUnreachableError):
        engine.remove_helper_image(image)


def sweep(engine: HelperEngine) -> None:
    """Remove the helper containers of processes that have ended, and their images.

    One that was not started yet the engine does not remove, and with any other it takes its time.
    """
    for container, label in engine.helpers():
        if has_ended(label):
            let_go(engine, container)
    for image in engine.helper_images():
        # Of a process elsewhere nobody here can tell whether it has ended. One with a container keeps its image anyway.
        if has_ended(image.label) or image.created < time.time() - _FORSAKEN_SECONDS:
            # It is in nobody's way, and the next task tries again.
            with contextlib.suppress(EngineError):
                engine.remove_helper_image(image.id)


def let_go(engine: HelperEngine, container: str) -> None:
    """Remove a helper container, and wait until it is gone."""
    # Where the engine is gone, the container is, too, and what went wrong is told already.
    with contextlib.suppress(EngineUnreachableError):
        _let_go(engine, container)


def _let_go(engine: HelperEngine, container: str) -> None:
    # The engine removes it by itself as well, and says that it is at it: what counts is that it is gone.
    with contextlib.suppress(EngineError):
        engine.remove_container(container)
    ends = time.monotonic() + _GONE_SECONDS
    while engine.inspect_helper(container) is not None:
        if time.monotonic() > ends:
            raise EngineError(
                f"Cannot remove the helper container '{container[:12]}'",
                f"it is still there after {_GONE_SECONDS} seconds",
                "Look at the engine's log, and remove it",
            )
        time.sleep(0.05)


def _pid(engine: HelperEngine, container: str, mounts: tuple[HelperMount, ...]) -> int:
    """Return the number that the container's process has here."""
    found = engine.inspect_helper(container) or {}
    pid = int((found.get("State") or {}).get("Pid") or 0)
    why = ""
    if not pid:
        why = "the helper container ended as soon as it was started"
    else:
        try:
            # A process of another host may have the same number.
            with open(f"/proc/{pid}/root/etc/hostname", encoding="utf-8") as name:
                if name.read().strip() != container[:12]:
                    why = "the process of the helper container is on another host"
            for mount in mounts:
                os.stat(f"/proc/{pid}/root{mount.path}")
        except OSError as exc:
            why = f"the helper container cannot be looked into: {exc.strerror}"
    if why:
        raise RefusedError(
            "Cannot reach the data of the volumes from here", why, "Run the task as root on the host of the engine"
        )
    return pid
