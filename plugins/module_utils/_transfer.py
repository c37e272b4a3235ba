# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring the content of one volume to another, with all that the other can keep, and compare the two.

The host's own cp and rsync do it, inside a helper container; what they made is compared entry by entry, and byte by
byte.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from ansible_collections.voltainer.volumes.plugins.module_utils._entry import Keeps, shown
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import RefusedError, VolumesError
from ansible_collections.voltainer.volumes.plugins.module_utils._helper import Helper
from ansible_collections.voltainer.volumes.plugins.module_utils._program import ProgramError
from ansible_collections.voltainer.volumes.plugins.module_utils._progress import Progress, Watcher
from ansible_collections.voltainer.volumes.plugins.module_utils._size import size_words
from ansible_collections.voltainer.volumes.plugins.module_utils._tree import (
    Measured,
    changed_since,
    compare,
    differences,
    measure,
    remove_sockets,
    strip,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._volume_facts import some

# How many names of entries a result or an error holds.
_NAMES = 20
# Bytes of a path in a volume: programs have 4,095 for a path, with that of the volume before.
_LONGEST_PATH = 4000
# After how many entries that are wrong it is not worth it to look for more.
_DIFFERENCES = 100
# The kernel's clock for files lags behind by a tick.
_TICK_NS = 20_000_000
RSYNC = "/usr/bin/rsync"


@dataclass
class Report:
    """What was seen on the way, for the result of a task: times in seconds, sizes in bytes."""

    seconds: float = 0.0
    verify_seconds: float = 0.0
    bytes: int = 0
    files: int = 0
    sockets: int = 0
    not_kept: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    unverified: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass
class Transfer:
    """The content of the volume `source`, to be brought to other volumes.

    `hot` says that somebody may write to it meanwhile, and remove files. What changes is told, and is no difference.
    `at_rest` says that its users were just brought to rest.
    """

    source: str
    hot: bool = False
    at_rest: bool = False
    verify: bool = True
    report: Report = field(default_factory=Report)
    progress: Progress = field(default_factory=lambda: Progress(None))
    began_ns: int = 0

    def bring(self, at: Helper, target: str, *, update: bool = False) -> None:
        """Copy the content into the empty volume `target`; with `update`, make the volume equal to the source.

        Raises RefusedError where there is no space, or the target cannot keep whole kinds of entries, and ProgramError.
        """
        here, there = at.open(self.source), at.open(target)
        measured = measure(here)
        keeps = at.keeps(target, may_write=True)
        check_kept(measured, keeps, target)
        check_space(measured, there, target, holes=keeps.sparse, taken=measure(there).allocated if update else 0)
        self.report.bytes, self.report.files = measured.bytes, measured.files
        self.report.sockets = measured.sockets_count
        self.report.not_kept = lost(measured, keeps)
        self.report.warnings += lost_words(self.report.not_kept, target)
        if self.at_rest:
            # What they wrote right before they came to rest did not change meanwhile.
            time.sleep(_TICK_NS / 1e9)
        self.began_ns = time.time_ns() - _TICK_NS
        began = time.monotonic()
        source, place = at.places[self.source], at.places[target]
        if not update:
            strip(there)
            self._run(at, target, cp_argv(source, place, keeps, xattrs=measured.xattrs), measured.bytes)
        else:
            self._run(at, target, rsync_argv(source, place, keeps, xattrs=measured.xattrs), measured.bytes)
            # By size and time first, since to read all takes its time. What differs all the same, only reading finds.
            if compare(here, there, keeps, fast=True):
                self._run(
                    at, target, rsync_argv(source, place, keeps, xattrs=measured.xattrs, checksum=True), measured.bytes
                )
        if measured.sockets_count:
            remove_sockets(there)
        self.report.seconds = time.monotonic() - began
        changed = itertools.islice(changed_since(here, self.began_ns), _NAMES)
        self.report.changed = [shown(path) for path in changed]

    def check(self, at: Helper, target: str, *, besides: str = "") -> None:
        """Compare the volume `target`, apart from the file `besides`, with the source.

        Raises VolumesError where they differ.
        """
        if not self.verify:
            return
        here, there = at.open(self.source), at.open(target)
        began = time.monotonic()
        keeps = at.keeps(target, may_write=True)
        self.progress.phase(self.source, "verify", self.report.bytes or None)
        left_out, changed, wrong = os.fsencode(besides), 0, []
        for one in differences(here, there, keeps, on_bytes=self.progress.advance):
            if one.path == left_out:
                continue
            # Those who were at rest are at work again, and others may always have been.
            if _is_newer(here, one.path, self.began_ns):
                changed += 1
                self.report.unverified += [shown(one.path)] if changed <= _NAMES else []
                continue
            wrong.append(one)
            if len(wrong) == _DIFFERENCES:
                break
        self.report.verify_seconds = time.monotonic() - began
        # Whoever was at rest may well go on then, and the copy is what it was when they came to rest.
        if changed and not self.at_rest:
            self.report.warnings.append(
                f"{changed} entries of the volume '{self.source}' changed after they were copied, and could not be"
                f" compared: {some(self.report.unverified)}"
            )
        if wrong:
            first = "; ".join(f"'{shown(one.path)}': {one.what}" for one in wrong[:3])
            raise VolumesError(
                f"The copy of the volume '{self.source}' in '{target}' is not equal to it",
                f"{len(wrong)}{' or more' if len(wrong) == _DIFFERENCES else ''} entries differ: {first}",
                "Look whether somebody else writes to the copy, and at the disks",
            )

    def _run(self, at: Helper, target: str, argv: list[str], size: int) -> None:
        what = f"Cannot copy the volume '{self.source}' to '{target}'"
        program = at.start(argv)
        try:
            self.progress.phase(self.source, "copy", size)
            with Watcher(self.progress, program.bytes_written):
                try:
                    program.wait(what)
                except ProgramError as exc:
                    if not (self.hot and only_vanished(program.said)):
                        raise out_of_space(exc, target) from exc
        finally:
            program.stop()


def cp_argv(source: str, target: str, keeps: Keeps, *, xattrs: bool | None) -> list[str]:
    """Return the command that copies what is in the folder `source` into the folder `target`.

    `xattrs` says whether there are any in the source; None where its file system has none.
    """
    # cp takes ACLs for a part of the mode, and fails where it cannot ask for them (rclone 1.60): there, files are made
    # with the mode of the source.
    kept = [("mode", keeps.mode and xattrs is not None), ("ownership", keeps.owner)]
    kept += [
        ("timestamps", keeps.times or keeps.times_seconds),
        ("links", keeps.links),
        ("xattr", keeps.xattrs and bool(xattrs)),
    ]
    preserve = ",".join(name for name, yes in kept if yes)
    sparse = "auto" if keeps.sparse else "never"
    full = ["--preserve=" + preserve] if preserve else []
    return [
        "/usr/bin/cp",
        "-R",
        "--no-dereference",
        *full,
        f"--sparse={sparse}",
        "--reflink=auto",
        "-T",
        source,
        target,
    ]


def rsync_argv(source: str, target: str, keeps: Keeps, *, xattrs: bool | None, checksum: bool = False) -> list[str]:
    """Return the command that makes the folder `target` equal to the folder `source`, in place; `xattrs` as for cp.

    Files of the same size and time are taken for equal, unless their `checksum` is to be compared.
    """
    # What the source has none of, the target may still have, and then it goes.
    asks = keeps.xattrs and xattrs is not None
    kept = [
        ("--perms", keeps.mode),
        ("--owner", keeps.owner),
        ("--group", keeps.owner),
        ("--times", keeps.times or keeps.times_seconds),
        # Else it takes times within one second for the same, and leaves them (3.1.3 and later know it).
        ("--modify-window=-1", keeps.times),
        ("--hard-links", keeps.links),
        ("--acls", asks),
        ("--xattrs", asks),
        ("--sparse", keeps.sparse),
        ("--devices", keeps.special),
        ("--specials", keeps.special),
        ("--links", keeps.symlinks),
        ("--checksum", checksum),
    ]
    options = [name for name, yes in kept if yes]
    # lost+found belongs to the file system, on either side.
    start = [RSYNC, "--recursive", "--delete", "--numeric-ids", "--no-inc-recursive", "--exclude=/lost+found/"]
    return [*start, *options, "--", f"{source}/", f"{target}/"]


def _is_newer(folder: int, path: bytes, since_ns: int) -> bool:
    """Whether the entry was changed, or made under this name, or is gone, since then."""
    root = b"/proc/self/fd/%d/" % folder
    for one in (path, os.path.dirname(path)):
        # Of one that is there, its own time tells all: a new name is a change. A folder's tells of any name in it.
        with contextlib.suppress(OSError):
            return os.stat(root + one, follow_symlinks=False).st_ctime_ns >= since_ns
    return True


def only_vanished(said: str) -> bool:
    """Whether a program says of nothing but files that were removed while it worked."""
    lines = [line for line in said.splitlines() if line.strip()]
    return bool(lines) and all(line.endswith(("No such file or directory", "Stale file handle")) for line in lines)


def out_of_space(exc: ProgramError, target: str) -> VolumesError:
    """Return the error with a way out, where a disk was full."""
    if "No space left on device" in exc.why or "Disk quota exceeded" in exc.why:
        exc.way_out = f"Make more space behind the volume '{target}', and run the task again"
    return exc


def check_space(measured: Measured, folder: int, volume: str, *, holes: bool, taken: int = 0) -> None:
    """Raise RefusedError where what was measured does not fit behind the volume, of which `taken` bytes get free.

    `holes` says that its file system has holes in files.
    """
    # A place without holes needs the space of all that they stand for.
    needed = measured.allocated if holes else max(measured.allocated, measured.bytes)
    free = os.fstatvfs(folder)
    bytes_free = free.f_bavail * free.f_frsize + taken
    if free.f_blocks and needed > bytes_free:
        raise RefusedError(
            f"There is not enough space for the copy in the volume '{volume}'",
            f"{size_words(needed)} are needed, and {size_words(bytes_free)} are free",
            "Make more space, or take a larger volume",
        )
    # File systems in user space leave it at 0 (rclone).
    if free.f_ffree and measured.entries > free.f_ffree + (measured.entries if taken else 0):
        raise RefusedError(
            f"There are not enough inodes for the copy in the volume '{volume}'",
            f"{measured.entries} entries are to be made, and {free.f_ffree} are free",
            "Take a volume with more inodes",
        )


def check_kept(measured: Measured, keeps: Keeps, volume: str) -> None:
    """Raise RefusedError where whole entries would get lost, since the volume cannot have any of their kind."""
    kinds = [
        (measured.symlinks, keeps.symlinks, "symbolic links"),
        (measured.special, keeps.special, "named pipes or devices"),
    ]
    if measured.longest_path > _LONGEST_PATH:
        raise RefusedError(
            f"The volume '{volume}' cannot take the copy",
            f"there are paths of {measured.longest_path} bytes, and no program goes beyond {_LONGEST_PATH} here",
            "Move these files up before",
        )
    lacking = [f"{number} {words}" for number, kept, words in kinds if number and not kept]
    if lacking:
        raise RefusedError(
            f"The volume '{volume}' cannot take the copy",
            f"its file system has no such thing as the {' and '.join(lacking)} that there are",
            "Remove them first, or take a volume of another driver. A backup keeps them",
        )


def lost(measured: Measured, keeps: Keeps) -> list[str]:
    """Return what the volume cannot keep, in words, as far as there is any of it."""
    kinds = [
        (True, keeps.owner, "owners"),
        (True, keeps.mode, "modes"),
        (True, keeps.times, "times in fractions of seconds" if keeps.times_seconds else "times of change"),
        (measured.xattrs, keeps.xattrs, "extended attributes and ACLs"),
        (measured.links, keeps.links, "hard links, which become files of their own"),
        (measured.sparse, keeps.sparse, "holes in files, which take space then"),
    ]
    return [words for there, kept, words in kinds if there and not kept]


def check_fits(at: Helper, source: str, target: str) -> list[str]:
    """Return warnings of what would get lost of `source` in `target`, whose content goes before.

    Raises RefusedError where there is no space, or whole entries would get lost.
    """
    here, there = at.open(source), at.open(target)
    measured, keeps = measure(here), at.keeps(target, may_write=True)
    check_kept(measured, keeps, target)
    check_space(measured, there, target, holes=keeps.sparse, taken=measure(there).allocated)
    return lost_words(lost(measured, keeps), target)


def lost_words(not_kept: Iterable[str], target: str) -> list[str]:
    """Return the warning of what the volume does not keep, if there is any."""
    words = ", ".join(not_kept)
    return [f"The file system of the volume '{target}' does not keep: {words}"] if words else []
