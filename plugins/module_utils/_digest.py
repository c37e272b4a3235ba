# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Digests of the content of files and of whole trees: equal for a folder, its archive, and what that is unpacked to.

They tell whether data arrived as it was. That of a tree is a sum, so that it needs no memory and no order; such sums
are no proof against somebody who may choose millions of entries at will. What must be proof is signed.
"""

from __future__ import annotations

import hashlib
from struct import Struct

from ansible_collections.voltainer.volumes.plugins.module_utils._entry import Entry, Keeper, Keeps

BLOCK = 65536
_ZEROS = bytes(BLOCK)
_SIZE = 32
_HOLE = Struct("<QQ")
_END = Struct("<Q32s")
_NO_HOLES = bytes(_SIZE)
_MODULUS = 1 << 512


class ContentHash:
    """Hashes the content of one file, the same whichever of its zeros are stored and whichever are holes.

    A block is 64 KiB at a multiple of 64 KiB, the last one what is left. A block of zeros counts as a hole. Hashed are
    the blocks that are not holes, one after the other, then 40 bytes: the size of the file and the hash of the list of
    holes (first block, block after the last; none touches another; zeros for an empty list). No two contents give the
    same input: its last 40 bytes tell the size and the holes, hence where each block before them belongs.
    """

    __slots__ = ("_begun", "_block", "_hash", "_holes", "_next", "_position")

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=_SIZE)
        self._holes: hashlib.blake2b | None = None
        # The block after the last one that was hashed; the block that is fed, and what of it has come.
        self._next = 0
        self._block = 0
        self._begun = bytearray()
        self._position = 0

    def feed(self, offset: int, data: bytes) -> None:
        """Take in `data` that is at `offset` (bytes); what was left out before it is zeros.

        Raises ValueError where the offset is before the end of what was fed.
        """
        if offset < self._position:
            raise ValueError(f"data at {offset} comes after data up to {self._position}")
        if offset > self._position:
            self._skip(offset)
        start = 0
        if self._begun:
            start = BLOCK - len(self._begun)
            self._begun += data[:start]
            if len(self._begun) == BLOCK:
                self._end_block()
        end = len(data) - (len(data) - start) % BLOCK
        if end > start:
            self._whole_blocks(data, start, end)
        if end < len(data) and end >= start:
            self._begun += data[end:] if end else data
        self._position = offset + len(data)

    def finish(self, size: int) -> bytes:
        """Return the hash of the content, 32 bytes, of a file of `size` bytes. Raises ValueError if more was fed."""
        if size < self._position:
            raise ValueError(f"a file of {size} bytes has data up to {self._position}")
        if size > self._position:
            self._skip(size)
        if self._begun:
            self._end_block()
        if self._block > self._next:
            self._hole(self._block)
        holes = self._holes.digest() if self._holes else _NO_HOLES
        self._hash.update(_END.pack(size, holes))
        return self._hash.digest()

    def _skip(self, offset: int) -> None:
        """Go on to the offset over zeros; whole blocks of them take no time."""
        if self._begun:
            left = min(BLOCK - len(self._begun), offset - self._position)
            self._begun += bytes(left)
            if len(self._begun) < BLOCK:
                return
            self._end_block()
        self._block, left = divmod(offset, BLOCK)
        self._begun += bytes(left)

    def _end_block(self) -> None:
        if self._begun != _ZEROS[: len(self._begun)]:
            self._data(self._block, self._block + 1, self._begun)
        self._block += 1
        # A new one: whoever holds a view on the old one would make clearing it fail.
        self._begun = bytearray()

    def _whole_blocks(self, data: bytes, start: int, end: int) -> None:
        """Hash whole blocks. Where none begins with a zero, as in most data, none is looked at for zeros."""
        first, count = self._block, (end - start) // BLOCK
        self._block = first + count
        if 0 not in data[start:end:BLOCK]:
            whole = start == 0 and end == len(data)
            self._data(first, first + count, data if whole else memoryview(data)[start:end])
            return
        view = memoryview(data)
        run = 0
        for number in range(count + 1):
            if number == count or data.startswith(_ZEROS, start + number * BLOCK):
                if number > run:
                    piece = view[start + run * BLOCK : start + number * BLOCK]
                    self._data(first + run, first + number, piece)
                run = number + 1

    def _data(self, block: int, after: int, data: bytes | bytearray | memoryview) -> None:
        if block > self._next:
            self._hole(block)
        self._next = after
        self._hash.update(data)

    def _hole(self, after: int) -> None:
        if self._holes is None:
            self._holes = hashlib.blake2b(digest_size=_SIZE)
        self._holes.update(_HOLE.pack(self._next, after))


def hash_of(data: bytes) -> bytes:
    """Return what ContentHash makes of a whole file's content. Small files take a shorter way."""
    if len(data) > BLOCK or not data or (data[0] == 0 and data == _ZEROS[: len(data)]):
        content = ContentHash()
        content.feed(0, data)
        return content.finish(len(data))
    return hashlib.blake2b(data + _END.pack(len(data), _NO_HOLES), digest_size=_SIZE).digest()


class TreeDigest:
    """Digest of the entries of a tree, in any order, without those and that of them which a place cannot keep.

    It is the hash of the sum, modulo 2**512, of the hashes of the entries' records. `files`, `bytes` (their sizes) and
    `entries` count what the digest is of. Raises ValueError for a "link" where links are not kept (see Keeper).
    """

    def __init__(self, keeps: Keeps) -> None:
        self.entries = 0
        self.files = 0
        self.bytes = 0
        self._keeper = Keeper(keeps)
        self._sum = 0

    def add(self, entry: Entry) -> None:
        """Add an entry; what does not count is left out."""
        kept = self._keeper.kept(entry)
        if kept is None:
            return
        self.entries += 1
        if kept.kind == "file":
            self.files += 1
            self.bytes += kept.size
        record = hashlib.blake2b(_record(kept)).digest()
        self._sum = (self._sum + int.from_bytes(record, "little")) % _MODULUS

    def hexdigest(self) -> str:
        """Return "v1:" and 64 hexadecimal digits. More entries may be added afterwards."""
        total = hashlib.blake2b(self._sum.to_bytes(64, "little"), digest_size=_SIZE)
        return f"v1:{total.hexdigest()}"


def _record(entry: Entry) -> bytes:
    """Return the entry as bytes that no other one has: the first line tells where each part after it ends."""
    path, kind, mode, uid, gid, mtime_ns, size, target, device, xattrs, content = entry
    lengths = "".join([f" {len(name)} {len(value)}" for name, value in xattrs]) if xattrs else ""
    line = (
        f"{kind} {mode} {uid} {gid} {mtime_ns} {size} {device[0]} {device[1]}"
        f" {len(path)} {len(target)} {len(content)}{lengths}\n"
    )
    parts = [line.encode(), path, target, content]
    for pair in xattrs:
        parts += pair
    return b"".join(parts)
