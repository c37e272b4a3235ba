# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The blocks of tar archives taken apart: headers of v7, ustar, star and GNU tar, extended records, lists of pieces.

Nothing here reads. What cannot be understood raises FormatError with the reason.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from struct import Struct
from typing import NamedTuple

BLOCK = 512
# name, mode, uid, gid, size, mtime, checksum, type, link's name, magic, major, minor, prefix
_FIELDS = Struct("100s8s8s8s12s12s8sc100s6s66x8s8s155s12x")
_SIZE = slice(124, 136)
_CHECKSUM = slice(148, 156)
# Eight spaces stand for the checksum while it is reckoned.
_SPACES = 8 * 0x20
_SIGN = 0x80
_NUMBER = re.compile(rb"[ \0]*([0-7]*)[ \0]*(?:\0.*)?\Z", re.DOTALL)
_DECIMAL = re.compile(rb"[0-9]{1,20}\Z")
_TIME = re.compile(rb"(-?)([0-9]{1,20})(?:\.([0-9]*))?\Z")
# Old GNU archives: four pieces in the header, whether more follow, the size of the file; 21 in each block after it.
_PIECES_IN_HEADER = (386, 4, 482)
_PIECES_IN_BLOCK = (0, 21, 504)
_REAL_SIZE = slice(483, 495)


class FormatError(Exception):
    """A part of an archive is not what it should be."""


class Header(NamedTuple):
    """A header as it stands in the archive. `name` has the prefix, `kind` is the byte that tells the type."""

    name: bytes
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    kind: bytes
    linkname: bytes
    device: tuple[int, int]


def parse_header(block: bytes) -> Header:
    """Take a header apart."""
    name, mode, uid, gid, size, mtime, checksum, kind, linkname, magic, major, minor, prefix = _FIELDS.unpack(block)
    if not _is_sum(block, checksum):
        raise FormatError("the checksum of a header is wrong")
    name = name.split(b"\0", 1)[0]
    if magic == b"ustar\0" and prefix[0]:
        # The archives of star have times after a shorter prefix.
        prefix = prefix[:131] if block[508:] == b"tar\0" else prefix
        name = prefix.split(b"\0", 1)[0] + b"/" + name
    bytes_after = _number(size)
    if bytes_after < 0:
        raise FormatError("a size is below zero")
    return Header(
        name,
        _number(mode) & 0o7777,
        _number(uid),
        _number(gid),
        bytes_after,
        _number(mtime),
        kind,
        linkname.split(b"\0", 1)[0],
        (_number(major), _number(minor)) if kind in b"34" else (0, 0),
    )


def parse_size(block: bytes) -> int:
    """Take of a header its size only, which is all that counts of one before extended records."""
    if not _is_sum(block, block[_CHECKSUM]):
        raise FormatError("the checksum of a header is wrong")
    size = _number(block[_SIZE])
    if size < 0:
        raise FormatError("a size is below zero")
    return size


def parse_records(data: bytes) -> list[tuple[bytes, bytes]]:
    """Return the names and values of extended (pax) records in their order: each is "length name=value\\n"."""
    records = []
    position, total = 0, len(data)
    while position < total:
        space = data.find(b" ", position, position + 12)
        end = position + decimal(data[position:space]) if space > 0 else 0
        equals = data.find(b"=", space, end)
        if not space < equals < end <= total or data[end - 1] != ord("\n"):
            raise FormatError("an extended header is no list of records")
        records.append((data[space + 1 : equals], data[equals + 1 : end - 1]))
        position = end
    return records


def parse_time(text: bytes) -> int:
    """Return the nanoseconds since 1970 of a time in seconds with a fraction: exactly, finer ones cut off."""
    match = _TIME.match(text)
    if match is None:
        raise FormatError("a time is not a number")
    sign, seconds, fraction = match.groups()
    ns = int(seconds) * 10**9 + int((fraction or b"")[:9].ljust(9, b"0"))
    return -ns if sign else ns


def decimal(text: bytes) -> int:
    """Return the number that the digits are."""
    if not _DECIMAL.match(text):
        raise FormatError("a number is none")
    return int(text)


def xattr_name(keyword: bytes) -> bytes:
    """Return the attribute's name: GNU tar escapes what would end it in a record."""
    return keyword.replace(b"%3D", b"=").replace(b"%25", b"%") if b"%" in keyword else keyword


class OldPieces:
    """The pieces of a sparse file in an old GNU archive, from its header and the blocks after it."""

    def __init__(self, header: bytes) -> None:
        self.size = _number(header[_REAL_SIZE])
        self.pieces: list[tuple[int, int]] = []
        self.more = self._add(header, *_PIECES_IN_HEADER)

    def add(self, block: bytes) -> None:
        """Take in the next block of them, while there are `more`."""
        self.more = self._add(block, *_PIECES_IN_BLOCK)

    def _add(self, block: bytes, start: int, count: int, more: int) -> bool:
        for position in range(start, start + count * 24, 24):
            if not block[position]:
                break
            self.pieces.append(
                (_number(block[position : position + 12]), _number(block[position + 12 : position + 24]))
            )
        return block[more] not in b"\0" + b"0"


def pairs(numbers: Iterable[bytes]) -> Iterator[tuple[int, int]]:
    """Yield two numbers at a time: offset and length of a piece."""
    values = [decimal(number) for number in numbers]
    if len(values) % 2:
        raise FormatError("a list of pieces is incomplete")
    yield from zip(values[::2], values[1::2])


def check_pieces(pieces: list[tuple[int, int]], size: int, stored: int) -> None:
    """Raise FormatError unless the pieces are in order, inside a file of that size, and as many bytes as are stored."""
    position = total = 0
    for offset, length in pieces:
        if offset < position or length < 0:
            raise FormatError("the pieces of a sparse file are not in order")
        position = offset + length
        total += length
    if position > size or total != stored:
        raise FormatError("the pieces of a sparse file do not fit its size")


# Modes, owners and times repeat.
@lru_cache(maxsize=1024)
def _number(field: bytes) -> int:
    """Return a number of a header: octal digits, or where the first bit is set, the bytes themselves."""
    if field[0] & _SIGN:
        # The second bit is the sign.
        return (
            int.from_bytes(field, "big", signed=True)
            if field[0] & 0x40
            else int.from_bytes(field, "big") - (_SIGN << (len(field) * 8 - 8))
        )
    digits = field.strip(b" \0")
    try:
        return int(digits, 8) if digits else 0
    except ValueError:
        match = _NUMBER.match(field)
        if match is None:
            raise FormatError("a number in a header is none") from None
        return int(match[1] or b"0", 8)


def _sum(block: bytes) -> int:
    # The lower half of an Adler-32 is one more than the sum of the bytes, exactly for up to 256 of them, and 20 times
    # as fast as sum().
    halves = (zlib.adler32(block[:256]) & 0xFFFF) + (zlib.adler32(block[256:]) & 0xFFFF) - 2
    return halves - sum(block[_CHECKSUM]) + _SPACES


def _is_sum(block: bytes, checksum: bytes) -> bool:
    try:
        wanted = _number(checksum)
    except FormatError:
        return False
    total = _sum(block)
    # Old programs took bytes for signed.
    return wanted == total or wanted == total - 256 * sum(byte >= _SIGN for byte in block[:148] + block[156:])
