# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pack a volume into an archive, read an archive back, and unpack one into a volume.

GNU tar reads and writes the volumes, inside a helper container; compression and encryption are the host's programs.
The bytes go from program to program. Where the compressed form has a checksum of its own (zstd, gzip), this process
looks at them only when the archive is read back, so that the volume is read as fast as the programs can.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import IO, Any

from ansible_collections.voltainer.volumes.plugins.module_utils._archive_kind import (
    PACKAGES,
    ArchiveKind,
    compress_command,
    decompress_command,
    decrypt_command,
    encrypt_command,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._beside import beside
from ansible_collections.voltainer.volumes.plugins.module_utils._digest import TreeDigest
from ansible_collections.voltainer.volumes.plugins.module_utils._entry import Entry, Keeps, shown
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import RefusedError, VolumesError
from ansible_collections.voltainer.volumes.plugins.module_utils._helper import TAR, Helper
from ansible_collections.voltainer.volumes.plugins.module_utils._program import Program, ProgramError, find, start
from ansible_collections.voltainer.volumes.plugins.module_utils._progress import Progress, Watcher
from ansible_collections.voltainer.volumes.plugins.module_utils._reach import Reach, Source, packed_by
from ansible_collections.voltainer.volumes.plugins.module_utils._tar import (
    PACK_OPTIONS,
    UNPACK_OPTIONS,
    DamagedArchiveError,
    dangers,
    read_tar,
)

_PIECE = 1 << 20
# tar ends with it where a file changed while it was read.
_CHANGED = 1
# How many dangerous entries are remembered.
_SOME = 20
# Seconds that a program has to end that reads what another one wrote to its end.
_SOON = 2
# The home folder is where gpg has its keyring.
_HOME = ("HOME", "GNUPGHOME")


@dataclass(frozen=True)
class Packing:
    """How an archive is made: see the options of the module."""

    kind: ArchiveKind
    level: int = 3
    threads: int = 0
    recipients: tuple[str, ...] = ()
    verify: bool = True

    @property
    def blindly(self) -> bool:
        """Whether the bytes need not be looked at on the way: reading back tells all, by the compression's checksum.

        What is encrypted nobody can read here, and without compression nothing tells what tar wrote.
        """
        return self.verify and self.kind.encryption == "none" and self.kind.compression != "none"


@dataclass
class Packed:
    """What was seen while packing. `sha256` and `digest` are None where only reading back tells them."""

    seconds: float = 0.0
    sha256: str | None = None
    digest: TreeDigest | None = None


@dataclass
class Checked:
    """What an archive is, found by reading all of it. `digest` is that of its content.

    `unpacked` is how many bytes its tar file has, which has no holes: other than the sizes of files, that is what they
    take.
    """

    sha256: str = ""
    size: int = 0
    unpacked: int = 0
    digest: TreeDigest = field(default_factory=lambda: TreeDigest(Keeps()))
    dangers: list[str] = field(default_factory=list)
    devices: list[str] = field(default_factory=list)


def pack(at: Reach, volume: str, out: int, packing: Packing, progress: Progress) -> Packed:
    """Write an archive of the volume to the open file `out`. Raises ProgramError and VolumesError."""
    commands = _found(
        f"Cannot pack the volume '{volume}'",
        compress_command(packing.kind.compression or "none", packing.level, packing.threads),
        encrypt_command(packing.kind.encryption, packing.recipients),
    )
    began = time.monotonic()
    with ExitStack() as stack:
        if isinstance(at, Helper) and packing.blindly:
            packed = _packed_blindly(at, volume, commands, out, progress)
        else:
            stream: Source = stack.enter_context(packed_by(at, volume))
            packed = _packed_looking(_Tee(stream, lambda piece: progress.advance(len(piece))), commands, out, stack)
    packed.seconds = time.monotonic() - began
    return packed


def check_recipients(volume: str, packing: Packing) -> None:
    """Encrypt nothing for the recipients: who has no key cannot be told by looking. Raises VolumesError."""
    what = f"Cannot encrypt the backup of the volume '{volume}'"
    for command in _found(what, encrypt_command(packing.kind.encryption, packing.recipients)):
        program = start(command, environment=_environment())
        try:
            program.wait(what)
        except ProgramError as exc:
            exc.way_out = "Correct 'recipients'; for gpg, import their public keys before. Nothing was changed"
            raise
        finally:
            program.stop()


def read_back(  # noqa: PLR0913 - an archive, how that is read, and who else looks at it
    archive: int,
    kind: ArchiveKind,
    progress: Progress,
    *,
    identity_file: str | None = None,
    packed: bool = True,
    on_entry: Callable[[Entry], None] | None = None,
) -> Checked:
    """Read all of an archive, from its first byte on; where it is not `packed`, only its bytes, which are encrypted.

    `on_entry` is called with each entry. Raises DamagedArchiveError, ProgramError and VolumesError.
    """
    checked = Checked()
    hashing = _Hashing(archive)
    hashing.start()
    try:
        if packed:
            with _opened(archive, kind, identity_file) as stream:
                _look_at(stream, checked, progress, on_entry)
    finally:
        hashing.join()
    checked.sha256, checked.size = hashing.hexdigest(), hashing.size
    return checked


@contextmanager
def synced(archive: int) -> Iterator[None]:
    """Have the archive on the disk at the end of the block, which may read it. Raises VolumesError where it is not."""
    with beside(lambda: _to_the_disk(archive)):
        yield


def _to_the_disk(archive: int) -> None:
    try:
        os.fsync(archive)
    except OSError as exc:
        why = exc.strerror or str(exc)
        raise VolumesError(_CANNOT_WRITE, why, "Make more space in the folder, and look at its disk") from exc


def _look_at(stream: Source, checked: Checked, progress: Progress, on_entry: Callable[[Entry], None] | None) -> None:
    def on_bytes(count: int) -> None:
        checked.unpacked += count
        progress.advance(count)

    for entry in map(_relative, read_tar(stream, on_bytes=on_bytes)):
        checked.digest.add(entry)
        danger = dangers(entry)
        if danger and entry.kind in {"character", "block"}:
            _remember(checked.devices, f"'{shown(entry.path)}': {danger}")
        elif danger:
            _remember(checked.dangers, f"'{shown(entry.path)}': {danger}")
        if on_entry is not None:
            on_entry(entry)


def _relative(entry: Entry) -> Entry:
    """Return the entry as tar unpacks it, which leaves out the slashes that names in an archive begin with."""
    if not entry.path.startswith(b"/"):
        return entry
    target = entry.target.lstrip(b"/") if entry.kind == "link" else entry.target
    return entry._replace(path=entry.path.lstrip(b"/"), target=target)


def entries_below(
    archive: int, kind: ArchiveKind, *, identity_file: str | None = None, prefix: bytes = b"", links: bool = True
) -> Iterator[Entry]:
    """Yield the entries of an archive that are below the folder `prefix`, with the paths that `unpack` gives them.

    Raises what `read_back` does. `links` is that of `read_tar`.
    """
    start = prefix + b"/"
    with ExitStack() as stack:
        stream = stack.enter_context(_opened(archive, kind, identity_file))
        for entry in map(_relative, read_tar(stream, links=links)):
            if not prefix:
                yield entry
            elif entry.path.startswith(start):
                linked = entry.target[len(start) :] if entry.kind == "link" else entry.target
                yield entry._replace(path=entry.path[len(start) :], target=linked)


def unpack(  # noqa: PLR0913 - a place, an archive, and how that is read
    at: Reach, volume: str, archive: int, kind: ArchiveKind, *, identity_file: str | None = None, prefix: bytes = b""
) -> None:
    """Unpack an archive, or what is below the folder `prefix` in it, into the empty volume. Raises ProgramError."""
    more: list[str] = []
    if prefix:
        more = _only_below(prefix, _first_name(archive, kind, identity_file))
    with _opened(archive, kind, identity_file) as stream:
        if isinstance(at, Helper):
            _unpack_here(at, volume, stream, more)
            return
        with at.unpacking(volume, more) as sink:
            for piece in iter(lambda: stream.read(_PIECE), b""):
                sink.write(piece)


def _only_below(prefix: bytes, first_name: str) -> list[str]:
    """Return the options by which tar unpacks what is below a folder, and gives the folder's own status to the root.

    --strip-components would leave that out. Hard links lead to the new names, symbolic links stay as they are.
    `first_name` is that of the archive's first entry.
    """
    folder = os.fsdecode(_SPECIAL.sub(rb"\\\g<0>", prefix))
    # tar takes names as the archive has them: with "./", with "/", or with nothing in front.
    front = next((text for text in ("./", "/") if first_name.startswith(text)), "")
    member = front + os.fsdecode(prefix)
    return [f"--transform=flags=rhS;s,^(\\.?/)?{folder}(/|$),./,x", "--no-wildcards", "--", member]


def _unpack_here(at: Helper, volume: str, stream: IO[bytes], more: list[str]) -> None:
    tar = at.start([TAR, *UNPACK_OPTIONS, "--file=-", f"--directory={at.places[volume]}", *more], stdin=stream)
    try:
        tar.wait(f"Cannot unpack the archive into the volume '{volume}'")
    finally:
        tar.stop()


def _first_name(archive: int, kind: ArchiveKind, identity_file: str | None) -> str:
    with ExitStack() as stack:
        stream = stack.enter_context(_opened(archive, kind, identity_file, whole=False))
        program = start([TAR, "--list", "--file=-"], stdin=stream, stdout=-1)
        stack.callback(program.stop)
        return program.process.stdout.readline().decode("utf-8", "surrogateescape") if program.process.stdout else ""


def open_archive(path: str) -> int:
    """Open an archive to be read, which is a file and no link. Raises VolumesError."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as exc:
        raise RefusedError(f"Cannot read the archive '{path}'", exc.strerror or str(exc), "Correct its path") from exc
    if not os.path.isfile(f"/proc/self/fd/{handle}"):
        os.close(handle)
        raise RefusedError(f"Cannot read the archive '{path}'", "it is no file", "Correct its path")
    return handle


def _found(what: str, *commands: list[str] | None) -> list[list[str]]:
    """Return the commands that there are, with the paths of their programs. Raises RefusedError for a missing one."""
    found = []
    for command in commands:
        if not command:
            continue
        path = find(command[0])
        if path is None:
            package = PACKAGES.get(command[0], command[0])
            raise RefusedError(what, f"{command[0]} is missing on the host", f"Install the package {package} there")
        found.append([path, *command[1:]])
    return found


def _environment() -> dict[str, str]:
    return {name: os.environ[name] for name in _HOME if name in os.environ}


def _packed_blindly(at: Helper, volume: str, commands: Sequence[list[str]], out: int, progress: Progress) -> Packed:
    """Pack with nothing between tar and the program that compresses, so that the volume is read as fast as can be."""
    tar = at.start([TAR, *PACK_OPTIONS, "--file=-", f"--directory={at.places[volume]}", "."], stdout=-1)
    with ExitStack() as stack, Watcher(progress, tar.bytes_written):
        stack.callback(tar.stop)
        _wait_for(list(_chained(tar.process.stdout, commands, out, stack)))
        tar.wait(f"Cannot pack the volume '{volume}'", (0, _CHANGED))
    return Packed()


# What has a meaning in an extended regular expression, or ends it.
_SPECIAL = re.compile(rb"[\\.\[\]*^$+?(){}|,]")
_CANNOT_WRITE = "Cannot write the archive"


def _packed_looking(reading: Source, commands: Sequence[list[str]], out: int, stack: ExitStack) -> Packed:
    """Pack with this process between tar and the first program, and behind the last one."""
    digest = TreeDigest(Keeps())
    writing = _Writing(out)
    if not commands:
        for entry in read_tar(_Tee(reading, writing.write)):
            digest.add(entry)
        return Packed(sha256=writing.hexdigest(), digest=digest)
    entry_read, entry_write = os.pipe()
    programs = list(_chained(entry_read, commands, -1, stack))
    os.close(entry_read)
    last = programs[-1].process.stdout
    taking = threading.Thread(target=writing.take, args=(last,), daemon=True)
    taking.start()
    try:
        with os.fdopen(entry_write, "wb", 0) as sink:
            for entry in read_tar(_Tee(reading, lambda piece: _write_all(sink.fileno(), piece))):
                digest.add(entry)
    except BrokenPipeError:
        # The program has ended, and says why.
        pass
    _wait_for(programs)
    taking.join()
    writing.raise_error()
    return Packed(sha256=writing.hexdigest(), digest=digest)


def _wait_for(programs: Sequence[Program]) -> None:
    """Wait for all. The last one that failed says why: those before only found nobody who reads."""
    errors = [error for error in map(_error_of, programs) if error]
    if errors:
        raise errors[-1]


def _error_of(program: Program) -> ProgramError | None:
    try:
        program.wait(_CANNOT_WRITE)
    except ProgramError as exc:
        return exc
    return None


def _chained(source: Any, commands: Sequence[list[str]], out: int, stack: ExitStack) -> Iterator[Program]:
    """Start programs, each of which reads what the one before writes; the last writes to `out`, or a pipe for -1."""
    for number, command in enumerate(commands):
        last = number == len(commands) - 1
        program = start(command, stdin=source, stdout=out if last else -1, environment=_environment())
        stack.callback(program.stop)
        # The pipe is the program's now: it must see its end when the one before ends.
        if hasattr(source, "close"):
            source.close()
        source = program.process.stdout
        yield program


@contextmanager
def _opened(archive: int, kind: ArchiveKind, identity_file: str | None, *, whole: bool = True) -> Iterator[IO[bytes]]:
    """Yield the tar file that is in an archive, of which the `whole` is read.

    Raises DamagedArchiveError and ProgramError where it cannot be read.
    """
    what = "Cannot read the archive"
    decrypt = decrypt_command(kind.encryption, identity_file) if kind.encryption != "none" else None
    commands = _found(what, decrypt, decompress_command(kind))
    # Each reader has a place of its own in the file.
    with open(f"/proc/self/fd/{archive}", "rb", 0) as file, ExitStack() as stack:
        if not commands:
            yield file
            return
        programs = list(_chained(os.dup(file.fileno()), commands, -1, stack))
        stream = programs[-1].process.stdout
        if stream is None:
            return
        try:
            yield stream
        except DamagedArchiveError as exc:
            # What the programs say comes first: the tar file ends too early because of it.
            said = [f"{program.name}: {program.said.splitlines()[0]}" for program in programs if _ended_badly(program)]
            exc.why = "; ".join([*said, exc.why])
            raise
        try:
            for program in programs if whole else ():
                program.wait(what)
        except ProgramError as exc:
            exc.way_out = _OTHER
            raise


_OTHER = "Take another backup: this one is damaged, or was changed"


def _ended_badly(program: Program) -> bool:
    """Whether the program failed by itself: one that still runs waits for somebody to read what it writes."""
    ends = time.monotonic() + _SOON
    while program.process.poll() is None and time.monotonic() < ends:
        time.sleep(0.01)
    return program.process.returncode not in {None, 0} and bool(program.said)


def _remember(texts: list[str], text: str) -> None:
    if len(texts) < _SOME:
        texts.append(text)


def _write_all(handle: int, piece: bytes) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[os.write(handle, rest) :]


class _Tee:
    """A stream that hands on each piece that is read from it."""

    def __init__(self, stream: Source, hand_on: Callable[[bytes], None]) -> None:
        self._stream = stream
        self._hand_on = hand_on

    def read(self, size: int = -1) -> bytes:
        piece = self._stream.read(size)
        if piece:
            self._hand_on(piece)
        return piece


class _Writing:
    """What is written to the archive, and hashed on the way."""

    def __init__(self, out: int) -> None:
        self._out = out
        self._hash = hashlib.sha256()
        self._error: OSError | None = None

    def write(self, piece: bytes) -> None:
        self._hash.update(piece)
        try:
            _write_all(self._out, piece)
        except OSError as exc:
            raise VolumesError(_CANNOT_WRITE, exc.strerror or str(exc), "Make more space in the folder") from exc

    def take(self, stream: IO[bytes]) -> None:
        """Write all that comes; an error is kept for `raise_error`, and what still comes is thrown away."""
        while True:
            piece = stream.read(_PIECE)
            if not piece:
                return
            if self._error is None:
                self._hash.update(piece)
                try:
                    _write_all(self._out, piece)
                except OSError as exc:
                    self._error = exc

    def raise_error(self) -> None:
        if self._error:
            why = self._error.strerror or str(self._error)
            raise VolumesError(_CANNOT_WRITE, why, "Make more space in the folder") from self._error

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


class _Hashing(threading.Thread):
    """The sha256 of a file, found beside all else: hashlib lets other threads work."""

    def __init__(self, archive: int) -> None:
        super().__init__(daemon=True)
        self._archive = archive
        self._hash = hashlib.sha256()
        self._error: OSError | None = None
        self.size = 0

    def run(self) -> None:
        try:
            while True:
                piece = os.pread(self._archive, _PIECE, self.size)
                if not piece:
                    return
                self._hash.update(piece)
                self.size += len(piece)
        except OSError as exc:
            self._error = exc

    def hexdigest(self) -> str:
        if self._error:
            raise VolumesError(
                "Cannot read the archive", self._error.strerror or str(self._error), "Look at the disk it is on"
            )
        return self._hash.hexdigest()
