# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One entry of a tree of files, described in the same way whether it is in a folder or in an archive.

The canonical order is depth first, each directory before what is in it, and the entries of a directory by the bytes of
their names. That is the order of `order(path)`, and the one in which `tar --sort=name` writes.

What is not part of a tree, wherever it is read from: the times of access and of change, the time of modification of the
root, the mode of symbolic links (nothing can set it), an empty `lost+found` in the root (file systems bring it along),
the label of SELinux (the host's policy gives it), and attributes of the kernel's own other than access control lists.
Sockets are described, so that they can be told of, but they do not count: the process that listens makes them anew.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

Kind = Literal["file", "directory", "symlink", "fifo", "character", "block", "socket", "link"]

LOST_AND_FOUND = b"lost+found"
_LISTS = frozenset({b"system.posix_acl_access", b"system.posix_acl_default"})
_SPECIAL = frozenset({"fifo", "character", "block"})
# Where Python puts bytes that are not UTF-8; nothing else that is unprintable lies above.
_NO_TEXT = 0xDC00
# What would move a terminal's cursor, break a line or read as an escape of `shown` itself.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\udc80-\udcff\\]")


class Entry(NamedTuple):
    """One entry. What does not apply to its kind is 0 or empty; of a "link" all but its path and target."""

    # Relative to the root, components joined by "/"; b"" is the root itself.
    path: bytes
    # "link" is a further name of a file or symbolic link that came before under its first name.
    kind: Kind
    # The lowest twelve bits of st_mode.
    mode: int = 0
    uid: int = 0
    gid: int = 0
    mtime_ns: int = 0
    # Bytes; of files only.
    size: int = 0
    # A symbolic link's text; of a "link" the path of its first name.
    target: bytes = b""
    # Major and minor number.
    device: tuple[int, int] = (0, 0)
    # Names and values, sorted by name.
    xattrs: tuple[tuple[bytes, bytes], ...] = ()
    # What `ContentHash` makes of a file's content; empty where it was not asked for.
    content: bytes = b""


@dataclass(frozen=True)
class Keeps:
    """What a place for files can keep. What it cannot keep is left out of comparisons and digests."""

    owner: bool = True
    mode: bool = True
    times: bool = True
    # Only whole seconds of times survive; the rest is cut off.
    times_seconds: bool = False
    xattrs: bool = True
    # Where hard links are not kept, each name is a file of its own: read both sides with `links=False`.
    links: bool = True
    # For whoever writes files. It changes no comparison: holes read as zeros.
    sparse: bool = True
    symlinks: bool = True
    # Named pipes and devices.
    special: bool = True


# What any place for files keeps: names, folders and content.
LEAST = Keeps(
    owner=False,
    mode=False,
    times=False,
    times_seconds=False,
    xattrs=False,
    links=False,
    sparse=False,
    symlinks=False,
    special=False,
)


class Keeper:
    """Reduces entries to what counts where not all is kept. Needs a "link" after its first name, as all readers do."""

    def __init__(self, keeps: Keeps) -> None:
        self.keeps = keeps
        # Hard links to symbolic links that are left out are left out as well: only paths of such are remembered.
        self._left_out: set[bytes] | None = None if keeps.symlinks else set()
        self._all = keeps == Keeps()

    def kept(self, entry: Entry) -> Entry | None:
        """Return the entry with all that does not count emptied, or None where it does not count at all.

        Raises ValueError for a "link" where links are not kept: what it is a name of is not known here.
        """
        kind = entry.kind
        if self._all and kind == "file" and entry.path:
            # Most entries of most trees.
            return entry
        if kind == "link":
            if not self.keeps.links:
                raise ValueError(f"{shown(entry.path)}: read with links=False where hard links are not kept")
            return None if self._left_out and entry.target in self._left_out else entry
        if kind == "socket" or (kind in _SPECIAL and not self.keeps.special):
            return None
        if kind == "symlink" and self._left_out is not None:
            self._left_out.add(entry.path)
            return None
        changes = self._emptied(entry)
        return entry._replace(**changes) if changes else entry

    def _emptied(self, entry: Entry) -> dict[str, Any]:
        keeps = self.keeps
        changes: dict[str, Any] = {}
        if not keeps.owner:
            changes.update(uid=0, gid=0)
        if not keeps.mode or entry.kind == "symlink":
            changes["mode"] = 0
        if not keeps.xattrs:
            changes["xattrs"] = ()
        if not keeps.times or not entry.path:
            changes["mtime_ns"] = 0
        elif keeps.times_seconds:
            changes["mtime_ns"] = entry.mtime_ns // 10**9 * 10**9
        return changes


def order(path: bytes) -> list[bytes]:
    """Return the key by which paths are in canonical order. The root comes first."""
    return path.split(b"/") if path else []


def counts_as_xattr(name: bytes) -> bool:
    """Tell whether the extended attribute is part of a tree."""
    return name in _LISTS if name.startswith(b"system.") else name != b"security.selinux"


def shown(path: bytes) -> str:
    """Return the path as text that is safe to print on one line; the root is ".".

    Control characters, line ends, backslashes and what is not UTF-8 are escaped as in Python: "a\\nb", "caf\\xe9".
    """
    return _UNPRINTABLE.sub(_escaped, path.decode("utf-8", "surrogateescape")) or "."


def _escaped(match: re.Match[str]) -> str:
    char = match.group()
    code = ord(char)
    if code > _NO_TEXT:
        return f"\\x{code - _NO_TEXT:02x}"
    return char.encode("unicode_escape").decode()
