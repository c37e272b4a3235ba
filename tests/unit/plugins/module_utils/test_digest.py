# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib
import itertools
import time

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils._digest import BLOCK, ContentHash, TreeDigest, hash_of
from ansible_collections.voltainer.volumes.plugins.module_utils._entry import Entry, Keeps
from hypothesis import example, given
from hypothesis import strategies as st

DATA = hashlib.shake_128(b"").digest(5 * BLOCK)
ENTRIES = [
    Entry(b"", "directory", 0o755, mtime_ns=1),
    Entry(b"a", "file", 0o644, 1, 2, 3, 5, content=b"c" * 32),
    Entry(b"b", "link", target=b"a"),
    Entry(b"c", "symlink", 0o777, target=b"a"),
    Entry(b"d", "character", 0o600, device=(1, 3)),
    Entry(b"e", "socket"),
]


def hashed(pieces, size):
    content = ContentHash()
    for offset, data in pieces:
        content.feed(offset, data)
    return content.finish(size)


def digest(entries, keeps=None):
    total = TreeDigest(keeps or Keeps())
    for entry in entries:
        total.add(entry)
    return total.hexdigest()


# Lengths around blocks and of many of them: what is data, and what is zeros, in turn.
LENGTHS = st.lists(st.sampled_from([0, 1, 511, 4096, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 100000]), max_size=6)


@given(LENGTHS, st.lists(st.integers(1, 5 * BLOCK), max_size=8), st.booleans())
@example([BLOCK, BLOCK], [], True)
@example([0, 2 * BLOCK, 1], [], True)
@example([4096, BLOCK], [10], False)
def test_holes_and_stored_zeros_and_pieces_make_no_difference(lengths, cuts, zeros_first):
    whole, stored = bytearray(), []
    for number, length in enumerate(lengths):
        if (number % 2 == 0) is zeros_first:
            whole += bytes(length)
        else:
            stored.append((len(whole), DATA[:length]))
            whole += DATA[:length]
    content = bytes(whole)
    wanted = hash_of(content)
    assert hashed([(0, content)], len(content)) == wanted
    assert hashed(stored, len(content)) == wanted
    places = [0, *sorted(cut for cut in cuts if cut < len(content)), len(content)]
    assert hashed([(a, content[a:b]) for a, b in itertools.pairwise(places)], len(content)) == wanted


def test_different_contents_have_different_hashes():
    contents = [bytes(size) for size in (0, 1, 2, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK)]
    block, other = DATA[:BLOCK], DATA[BLOCK : 2 * BLOCK]
    contents += [DATA[:size] for size in (1, 2, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK)]
    contents += [block + bytes(size) for size in (1, BLOCK, BLOCK + 1, 2 * BLOCK)]
    contents += [bytes(size) + block for size in (1, BLOCK, BLOCK + 1, 2 * BLOCK)]
    contents += [block + bytes(BLOCK) + other, other + bytes(BLOCK) + block, block + other + bytes(BLOCK)]
    assert len({hash_of(content) for content in contents}) == len(set(contents)) == len(contents)


def test_a_hole_of_ten_gib_takes_no_time():
    begun = time.monotonic()
    size = 10 << 30
    one = hashed([(0, b"start"), (size // 2 + 1, b"middle"), (size - 3, b"end")], size)
    other = hashed([(0, b"start" + bytes(5000)), (size // 2, b"\0middle\0"), (size - 100, bytes(97) + b"end")], size)
    assert one == other != hashed([(0, b"start")], size)
    assert time.monotonic() - begun < 1


def test_the_hash_is_the_same_as_ever():
    """What is kept with archives is compared with what later versions of this reckon."""
    assert hash_of(b"").hex() == "4a1931803561f431decab002e7425f0a8531d5e456a1a47fd9998a2530c0f800"
    assert hash_of(b"hello\n").hex() == "8f1c0b9475c56370caf2978deff9b14b089ac8065960747fd04966a76e924d6e"
    assert (
        hash_of(b"x" + bytes(3 * BLOCK) + b"y").hex()
        == "55940635ef9609737e8a8f026085b43fe063973cfeedbe204550b5e82504c42b"
    )
    assert digest(ENTRIES) == "v1:5e8ead93c5cb3186fb9416e4d2ae604ea97566338e83569117c53eac3707aca0"


@pytest.mark.parametrize(
    ("pieces", "size", "message"),
    [
        ([(0, b"abc"), (2, b"x")], 10, "data at 2 comes after data up to 3"),
        ([(0, b"abc")], 2, "a file of 2 bytes has data up to 3"),
    ],
)
def test_pieces_that_are_not_in_order_are_an_error(pieces, size, message):
    with pytest.raises(ValueError, match=message):
        hashed(pieces, size)


def test_the_digest_of_a_tree_needs_no_order_and_counts():
    wanted = digest(ENTRIES)
    assert wanted.startswith("v1:")
    assert len(wanted) == len("v1:") + 64
    for mixed in itertools.permutations(ENTRIES):
        assert digest(mixed) == wanted
    total = TreeDigest(Keeps())
    for entry in ENTRIES:
        total.add(entry)
    assert (total.entries, total.files, total.bytes) == (5, 1, 5)


@pytest.mark.parametrize(
    "change",
    [
        {"path": b"A"},
        {"kind": "fifo"},
        {"mode": 0o645},
        {"uid": 2},
        {"gid": 1},
        {"mtime_ns": 4},
        {"mtime_ns": -3},
        {"size": 6},
        {"content": b"d" * 32},
        {"xattrs": ((b"user.a", b""),)},
        {"device": (0, 1)},
    ],
)
def test_each_part_of_an_entry_changes_the_digest(change):
    root, file, *others = ENTRIES
    assert digest([root, file._replace(**change), *others]) != digest(ENTRIES)


def test_parts_do_not_run_into_each_other():
    entries = [
        Entry(b"ab", "symlink", target=b"c"),
        Entry(b"a", "symlink", target=b"bc"),
        Entry(b"a", "file", xattrs=((b"user.a", b"b"),)),
        Entry(b"a", "file", xattrs=((b"user.ab", b""),)),
        Entry(b"a", "file", xattrs=((b"user.a", b""), (b"b", b""))),
        Entry(b"a", "file", 11, 1),
        Entry(b"a", "file", 1, 11),
        Entry(b"a1", "file"),
        Entry(b"a\n", "file"),
    ]
    assert len({digest([entry]) for entry in entries}) == len(entries)
    assert digest(entries[:1] * 2) != digest(entries[:1])


def test_what_is_not_kept_changes_no_digest():
    keeps = Keeps(owner=False, times_seconds=True)
    changed = [entry._replace(uid=7, gid=8, mtime_ns=entry.mtime_ns + 5) for entry in ENTRIES if entry.kind != "link"]
    assert digest([*changed, ENTRIES[2]], keeps) == digest(ENTRIES, keeps)
