# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the entries of tar archives from a stream, as they will be once GNU tar has unpacked them.

Understood are archives of GNU tar in its formats posix, gnu, oldgnu, ustar and v7, of Go and of Python; in them the
attributes that GNU tar and star write (SCHILY.xattr). Lists of access control come as attributes (PACK_OPTIONS): what
other options write of them (SCHILY.acl) has names of users, is not unpacked by UNPACK_OPTIONS, and not read either.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Protocol

from ansible_collections.voltainer.volumes.plugins.module_utils._digest import ContentHash, hash_of
from ansible_collections.voltainer.volumes.plugins.module_utils._entry import (
    LOST_AND_FOUND,
    Entry,
    Kind,
    counts_as_xattr,
    shown,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import VolumesError
from ansible_collections.voltainer.volumes.plugins.module_utils._tar_header import (
    BLOCK,
    FormatError,
    Header,
    OldPieces,
    check_pieces,
    decimal,
    pairs,
    parse_header,
    parse_records,
    parse_size,
    parse_time,
    xattr_name,
)

# With these GNU tar 1.34 and 1.35 keep all of an entry. The same tree makes the same bytes, but for sparse files, with
# which 1.34 writes its process's ID. Add `-C FOLDER -f FILE .`.
# --xattrs-include=*: without it only attributes of the namespace `user` are unpacked; with it, lists of access control
# and capabilities come as bytes, which need no names of users, so that --acls would only write them a second time.
# exthdr.name: the default of 1.34 has the process's ID in it.
PACK_OPTIONS = (
    "--create",
    "--format=posix",
    "--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime",
    "--sort=name",
    "--numeric-owner",
    "--xattrs",
    "--xattrs-include=*",
    "--xattrs-exclude=security.selinux",
    "--sparse",
    "--one-file-system",
    "--warning=no-file-ignored",
)
# For root; into an empty folder that was stripped (`strip`): new files would inherit a default list of access control.
# Names that are absolute or climb, and what lies behind symbolic links of the archive, are kept inside by tar itself.
# Paths from 4096 bytes on cannot be unpacked (`Measured.longest_path` tells).
UNPACK_OPTIONS = (
    "--extract",
    "--same-permissions",
    "--same-owner",
    "--numeric-owner",
    "--xattrs",
    "--xattrs-include=*",
    "--xattrs-exclude=security.selinux",
    "--warning=no-timestamp",
)

_CHUNK = 1 << 20
_BUFFER = 1 << 18
_ZEROS = bytes(BLOCK)
# More is no extended header, but a size that is damaged: attributes take 64 KiB each, lists of pieces 20 bytes a piece.
_HEADER_AT_MOST = 1 << 26
_TYPE = slice(156, 157)
_KINDS: dict[bytes, Kind] = {
    b"\0": "file",
    b"0": "file",
    b"7": "file",
    b"S": "file",
    b"1": "link",
    b"2": "symlink",
    b"3": "character",
    b"4": "block",
    b"5": "directory",
    b"D": "directory",
    b"6": "fifo",
}
# Kinds that have no target and no effect; the path of the root is empty.
_HARMLESS = frozenset({"file", "directory"})
_SUSPECT = frozenset({b"", b"/"})
# A component that is "." or empty.
_UNCLEAN = re.compile(rb"(?:^|/)\.?(?:/|\Z)")
_XATTR = b"SCHILY.xattr."
_SPARSE = b"GNU.sparse."


class Stream(Protocol):
    """What archives are read from."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, none only at the end."""


class DamagedArchiveError(VolumesError):
    """The archive is cut off or damaged: at the byte `at`, or in what begins there, `after` the path of an entry."""

    def __init__(self, why: str, at: int, after: bytes | None) -> None:
        last = "before its first entry" if after is None else f"after '{shown(after)}'"
        super().__init__("Cannot read the archive", f"{why} (at byte {at}, {last})")
        self.at = at
        self.after = after


def read_tar(
    stream: Stream, *, content: bool = True, links: bool = True, on_bytes: Callable[[int], None] | None = None
) -> Iterator[Entry]:
    """Yield the entries of an archive, in its order; that of PACK_OPTIONS is canonical. Read the stream to its end.

    Without `content`, content is not hashed. Without `links`, hard links come as files of their own, for which all
    files are remembered: some 500 bytes each. `on_bytes` is called with the bytes read from the stream. Paths are
    cleaned of "." and empty components, not of what `dangers` tells; one that comes twice was appended later, and the
    last one is what is unpacked. Raises DamagedArchiveError.
    """
    held: Entry | None = None
    for entry in _Archive(_Source(stream, on_bytes), content=content, links=links).entries():
        if held is not None:
            # Nothing in it follows: it came with the file system.
            if entry.path.startswith(LOST_AND_FOUND + b"/"):
                yield held
            held = None
        if entry.path == LOST_AND_FOUND and entry.kind == "directory":
            held = entry
        else:
            yield entry


def dangers(entry: Entry) -> str | None:
    """Return why an entry of somebody else's archive had better not be unpacked, None if nothing speaks against it.

    Symbolic links are followed by their text only: whoever unpacks must not write through links of the archive.
    """
    path, target = entry.path, entry.target
    if entry.kind in _HARMLESS and b".." not in path and b"\0" not in path and path[:1] not in _SUSPECT:
        # Most entries of most archives.
        return None
    climbs = b".." in target.split(b"/")
    reasons = (
        (b"\0" in path + target, "a name has a NUL in it"),
        (path.startswith(b"/"), "its path is absolute"),
        (b".." in path.split(b"/"), "its path climbs with '..'"),
        (not path and entry.kind != "directory", "it takes the place of the root"),
        (entry.kind == "link" and (target[:1] in {b"/", b""} or climbs), "it is a hard link to what is outside"),
        (entry.kind == "symlink" and _leaves(path, target), "it is a symbolic link to what is outside"),
        (entry.kind in {"character", "block"}, "it is a device"),
    )
    return next((why for applies, why in reasons if applies), None)


def _leaves(path: bytes, target: bytes) -> bool:
    if target.startswith(b"/"):
        return True
    depth = path.count(b"/")
    for part in target.split(b"/"):
        if part == b"..":
            depth -= 1
        elif part not in {b"", b"."}:
            depth += 1
        if depth < 0:
            return True
    return False


class _Source:
    """The stream, read in large pieces. `last` is the path of the last entry, for errors."""

    def __init__(self, stream: Stream, on_bytes: Callable[[int], None] | None) -> None:
        self._stream = stream
        self._on_bytes = on_bytes
        self._buffer = b""
        self._used = 0
        self._before = 0
        self.last: bytes | None = None

    @property
    def position(self) -> int:
        """The bytes that were taken so far."""
        return self._before + self._used

    def block(self) -> bytes:
        """Return the next block."""
        start = self._used
        end = start + BLOCK
        if end > len(self._buffer):
            return self.take(BLOCK)
        self._used = end
        return self._buffer[start:end]

    def take(self, size: int) -> bytes:
        """Return so many bytes; few, since they are held at once."""
        if self._used + size > len(self._buffer):
            self._fill(size)
        start = self._used
        self._used = start + size
        return self._buffer[start : self._used]

    def pieces(self, size: int) -> Iterator[bytes]:
        """Yield so many bytes as they come."""
        there = min(size, len(self._buffer) - self._used)
        if there:
            size -= there
            yield self.take(there)
        while size:
            data = self._read(min(_CHUNK, size))
            if not data:
                raise self._cut_off()
            size -= len(data)
            self._before += len(data)
            yield data

    def skip(self, size: int) -> None:
        """Leave out so many bytes."""
        for _piece in self.pieces(size):
            pass

    def drain(self) -> None:
        """Read to the end of the stream."""
        while self._read(_CHUNK):
            pass

    def _cut_off(self) -> DamagedArchiveError:
        return DamagedArchiveError("it ends too early", self.position, self.last)

    def _fill(self, size: int) -> None:
        parts = [self._buffer[self._used :]]
        there = len(parts[0])
        self._before += self._used
        self._buffer, self._used = parts[0], 0
        while there < size:
            data = self._read(max(_BUFFER, size - there))
            if not data:
                self._used = there
                raise self._cut_off()
            parts.append(data)
            there += len(data)
        self._buffer = b"".join(parts)

    def _read(self, size: int) -> bytes:
        data = self._stream.read(size)
        if data and self._on_bytes is not None:
            self._on_bytes(len(data))
        return data


class _Archive:
    """Reads one entry after the other. Extended headers and long names apply to the entry that follows them."""

    def __init__(self, source: _Source, *, content: bool, links: bool) -> None:
        self._source = source
        self._content = content
        self._seen: dict[bytes, Entry] | None = None if links else {}
        self._global: dict[bytes, bytes] = {}
        self._records: list[tuple[bytes, bytes]] = []
        self._name: bytes | None = None
        self._linkname: bytes | None = None

    def entries(self) -> Iterator[Entry]:
        """Yield the entries up to the end of the archive."""
        source = self._source
        while True:
            begun = source.position
            block = source.block()
            if block == _ZEROS:
                if source.block() != _ZEROS:
                    raise DamagedArchiveError(
                        "only one of the two blocks of zeros of its end is there", begun, source.last
                    )
                source.drain()
                return
            try:
                if block[_TYPE] not in _KINDS:
                    self._extend(block)
                    continue
                entry = self._entry(parse_header(block), block)
            except FormatError as exc:
                raise DamagedArchiveError(str(exc), begun, source.last) from exc
            self._records, self._name, self._linkname = [], None, None
            source.last = entry.path
            yield entry

    def _extend(self, block: bytes) -> None:
        """Take in what a header says of the next one, together with the data that follow it."""
        size, kind = parse_size(block), block[_TYPE]
        if kind == b"V":
            # The label of an archive.
            return
        if kind not in b"xXgLK":
            raise FormatError(f"it has an entry of a type that is not known, {kind!r}")
        if size > _HEADER_AT_MOST:
            raise FormatError("an extended header is too large")
        data = self._source.take(size + -size % BLOCK)[:size]
        if kind == b"L":
            self._name = data.split(b"\0", 1)[0]
        elif kind == b"K":
            self._linkname = data.split(b"\0", 1)[0]
        elif kind == b"g":
            self._global.update(parse_records(data))
        else:
            self._records = parse_records(data)

    def _entry(self, header: Header, block: bytes) -> Entry:
        known, xattrs, pieces = self._known()
        path = known.get(b"path") or self._name or header.name
        path = known.get(b"GNU.sparse.name") or path
        linkname = known.get(b"linkpath") or self._linkname or header.linkname
        stored = decimal(known[b"size"]) if known.get(b"size") else header.size
        kind = _KINDS[header.kind]
        if kind == "file" and path.endswith(b"/"):
            # Old programs had no other sign for folders.
            kind = "directory"
        size, content = 0, b""
        if kind == "file":
            size, content = self._file(header, block, known, pieces, stored)
        elif header.kind in b"D70\0":
            self._source.skip(stored + -stored % BLOCK)
        path = _clean(path)
        if kind == "link":
            return self._link(path, _clean(linkname))
        mtime = known.get(b"mtime")
        entry = Entry(
            path,
            kind,
            header.mode,
            decimal(known[b"uid"]) if known.get(b"uid") else header.uid,
            decimal(known[b"gid"]) if known.get(b"gid") else header.gid,
            parse_time(mtime) if mtime else header.mtime * 10**9,
            size,
            linkname if kind == "symlink" else b"",
            header.device,
            xattrs,
            content,
        )
        if self._seen is not None and kind in {"file", "symlink"}:
            self._seen[path] = entry
        return entry

    def _known(self) -> tuple[dict[bytes, bytes], tuple[tuple[bytes, bytes], ...], list[bytes]]:
        """Return the records that apply, the attributes among them, and the numbers of sparse format 0.0."""
        if not self._records:
            return self._global, (), []
        known, xattrs = dict(self._global), {}
        numbers = []
        for name, value in self._records:
            if name.startswith(_XATTR):
                attribute = xattr_name(name[len(_XATTR) :])
                if counts_as_xattr(attribute):
                    xattrs[attribute] = value
            elif name in {b"GNU.sparse.offset", b"GNU.sparse.numbytes"}:
                numbers.append(value)
            else:
                known[name] = value
        return known, tuple(sorted(xattrs.items())) if xattrs else (), numbers

    def _link(self, path: bytes, target: bytes) -> Entry:
        if self._seen is None:
            return Entry(path, "link", target=target)
        first = self._seen.get(target)
        if first is None:
            raise FormatError(f"'{shown(path)}' is a hard link to '{shown(target)}', which does not come before it")
        return first._replace(path=path)

    def _file(
        self, header: Header, block: bytes, known: dict[bytes, bytes], numbers: list[bytes], stored: int
    ) -> tuple[int, bytes]:
        """Read a file's content; return its size and its hash."""
        source = self._source
        padding = -stored % BLOCK
        if header.kind == b"S":
            old = OldPieces(block)
            while old.more:
                old.add(source.block())
            size, pieces = old.size, old.pieces
        elif numbers or any(name.startswith(_SPARSE) for name in known):
            size, pieces, stored = self._sparse(known, numbers, stored)
        elif self._content and stored <= _BUFFER:
            # Most files of most archives.
            return stored, hash_of(source.take(stored + padding)[:stored])
        else:
            size, pieces = stored, [(0, stored)]
        check_pieces(pieces, size, stored)
        if not self._content:
            source.skip(stored)
            content = b""
        else:
            content = self._hash(pieces, size)
        source.skip(padding)
        return size, content

    def _hash(self, pieces: list[tuple[int, int]], size: int) -> bytes:
        content = ContentHash()
        for start, length in pieces:
            offset = start
            for data in self._source.pieces(length):
                content.feed(offset, data)
                offset += len(data)
        return content.finish(size)

    def _sparse(
        self, known: dict[bytes, bytes], numbers: list[bytes], stored: int
    ) -> tuple[int, list[tuple[int, int]], int]:
        """Return size, pieces and stored bytes of a sparse file in one of the three formats of extended headers."""
        size = known.get(b"GNU.sparse.realsize") or known.get(b"GNU.sparse.size")
        if size is None:
            raise FormatError("a sparse file has no size")
        if known.get(b"GNU.sparse.major") == b"1":
            lines, taken = self._lines(stored)
            return decimal(size), list(pairs(lines)), stored - taken
        if b"GNU.sparse.map" in known:
            numbers = known[b"GNU.sparse.map"].split(b",") if known[b"GNU.sparse.map"] else []
        return decimal(size), list(pairs(numbers)), stored

    def _lines(self, stored: int) -> tuple[list[bytes], int]:
        """Return the numbers of format 1.0, which are lines before the data, and the bytes of their blocks."""
        lines: list[bytes] = []
        rest, taken, wanted = b"", 0, 1
        while len(lines) < wanted:
            if taken + BLOCK > stored:
                raise FormatError("the list of a sparse file's pieces is longer than its data")
            *whole, rest = (rest + self._source.block()).split(b"\n")
            taken += BLOCK
            lines += whole
            if wanted == 1 and lines:
                wanted = 1 + 2 * decimal(lines[0])
        return lines[1:wanted], taken


def _clean(path: bytes) -> bytes:
    """Return the path without "." and empty components. One that is absolute, or climbs, stays so."""
    rest = path[2:] if path.startswith(b"./") else path
    if rest and not _UNCLEAN.search(rest):
        return rest
    parts = [part for part in path.split(b"/") if part and part != b"."]
    clean = b"/".join(parts)
    return b"/" + clean if path.startswith(b"/") else clean
