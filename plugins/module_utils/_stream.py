# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The content of a volume as a stream, from one engine to another or on one elsewhere; it is never stored whole."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from ansible_collections.voltainer.volumes.plugins.module_utils._digest import TreeDigest
from ansible_collections.voltainer.volumes.plugins.module_utils._entry import Entry, Keeps
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import EngineUnreachableError, VolumesError
from ansible_collections.voltainer.volumes.plugins.module_utils._helper_engine import HelperEngine
from ansible_collections.voltainer.volumes.plugins.module_utils._progress import Progress
from ansible_collections.voltainer.volumes.plugins.module_utils._reach import Reach, Sink, Source, reach
from ansible_collections.voltainer.volumes.plugins.module_utils._tar import DamagedArchiveError, read_tar
from ansible_collections.voltainer.volumes.plugins.module_utils._transfer import Report


@dataclass
class StreamContent:
    """The content of the volume `source` of `engine`. `digest` is that of what was brought, or None before."""

    engine: HelperEngine
    source: str
    verify: bool = True
    elsewhere: bool = False
    report: Report = field(default_factory=Report)
    progress: Progress = field(default_factory=lambda: Progress(None))
    digest: TreeDigest | None = None
    keeps: Keeps = field(default_factory=Keeps)

    @property
    def sources(self) -> Mapping[str, bool]:
        """See Content."""
        return {} if self.elsewhere else {self.source: False}

    def bring(self, at: Reach, target: str, *, update: bool = False) -> None:
        """See Content."""
        if update:
            at.empty(target)
        began = time.monotonic()
        keeps = at.keeps(target, may_write=False)
        digest = TreeDigest(keeps)
        self.progress.phase(self.source, "copy")
        with self._source_at(at) as there, there.packed(self.source) as stream, at.unpacking(target) as sink:
            for entry in self._read(_Through(stream, sink, self.progress), keeps):
                if entry.kind == "socket":
                    self.report.sockets += 1
                digest.add(entry)
        self.digest, self.keeps = digest, keeps
        if keeps != Keeps():
            self.report.warnings.append(
                f"Only names, kinds and content of the files in '{target}' are compared: its file system may not keep"
                " owners, modes, times, links and attributes"
            )
        self.report.seconds = time.monotonic() - began
        self.report.files, self.report.bytes = digest.files, digest.bytes

    def check(self, at: Reach, target: str, *, besides: str = "") -> None:
        """See Content. What was read is compared: what somebody changed meanwhile is no difference."""
        if not self.verify or self.digest is None:
            return
        began = time.monotonic()
        self.progress.phase(self.source, "verify", self.report.bytes or None)
        found = digest_of(at, target, self.keeps, besides=besides, progress=self.progress)
        self.report.verify_seconds = time.monotonic() - began
        if found.hexdigest() != self.digest.hexdigest():
            raise VolumesError(
                f"The copy of the volume '{self.source}' in '{target}' is not equal to it",
                f"{self.digest.entries} entries with {self.digest.bytes} bytes were read, and {found.entries} with"
                f" {found.bytes} bytes are there, or they differ in other ways",
                "Look whether somebody else writes to the copy, and whether its file system keeps owners, modes, times,"
                " links and extended attributes",
            )

    def _read(self, through: _Through, keeps: Keeps) -> Iterator[Entry]:
        try:
            yield from read_tar(through, links=keeps.links)
        except DamagedArchiveError as exc:
            raise self._broke_off(exc) from exc
        except EngineUnreachableError as exc:
            # That of the target counts as gone, which keeps all as it is for the next run.
            if through.writes:
                raise
            raise self._broke_off(exc) from exc

    def _broke_off(self, exc: VolumesError) -> VolumesError:
        return VolumesError(
            f"Cannot copy the volume '{self.source}'",
            f"what came from its engine broke off: {exc.why}",
            "Look at that engine's log, and run the task again when it is back",
        )

    @contextmanager
    def _source_at(self, at: Reach) -> Iterator[Reach]:
        if not self.elsewhere:
            yield at
            return
        with ExitStack() as stack:
            try:
                there = stack.enter_context(reach(self.engine, {self.source: False}))
            except EngineUnreachableError as exc:
                raise self._broke_off(exc) from exc
            yield there


def digest_of(
    at: Reach, volume: str, keeps: Keeps, *, besides: str = "", progress: Progress | None = None
) -> TreeDigest:
    """Return the digest of what is in the volume, as far as it counts, apart from the file `besides`."""
    digest = TreeDigest(keeps)
    left_out = besides.encode()
    with at.packed(volume) as stream:
        for entry in read_tar(stream, links=keeps.links, on_bytes=progress.advance if progress else None):
            if entry.path != left_out or not left_out:
                digest.add(entry)
    return digest


class _Through:
    """A stream that writes to a sink all that is read from it."""

    def __init__(self, stream: Source, sink: Sink, progress: Progress) -> None:
        self._stream = stream
        self._sink = sink
        self._progress = progress
        self.writes = False

    def read(self, size: int = -1) -> bytes:
        piece = self._stream.read(size)
        if piece:
            self.writes = True
            write_all(self._sink, piece)
            self.writes = False
            self._progress.advance(len(piece))
        return piece


def write_all(sink: Sink, piece: bytes) -> None:
    """Write all of a piece: an unbuffered pipe takes less than it is given, and says how much."""
    written = sink.write(piece)
    while isinstance(written, int) and written < len(piece):
        piece = piece[written:]
        written = sink.write(piece)
