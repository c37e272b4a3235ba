# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils._entry import (
    Entry,
    Keeper,
    Keeps,
    counts_as_xattr,
    order,
    shown,
)

FILE = Entry(b"a/file", "file", 0o640, 1, 2, -1500000000, 5, xattrs=((b"user.a", b"1"),), content=b"c" * 32)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (b"", "."),
        (b"a/plain name", "a/plain name"),
        (b"caf\xc3\xa9", "café"),
        (b"caf\xe9", "caf\\xe9"),
        (b"a\nb\tc\x1b[0m\x7f", "a\\nb\\tc\\x1b[0m\\x7f"),
        (b"back\\slash", "back\\\\slash"),
        (b"not\xff\xfeUTF-8", "not\\xff\\xfeUTF-8"),
        ("a\u2028b\u0085c".encode(), "a\\u2028b\\x85c"),
        ("\U0001f4be".encode(), "\U0001f4be"),
    ],
)
def test_paths_are_shown_on_one_line(path, text):
    assert shown(path) == text
    assert shown(path).encode().decode() == text
    assert len(text.splitlines()) == 1


def test_different_paths_are_shown_differently():
    paths = [bytes([first, second]) for first in range(256) for second in (10, 92, 97, 110, 0xA9, 0xFF)]
    assert len({shown(path) for path in paths}) == len(paths)


def test_the_order_is_depth_first_by_bytes():
    wanted = [b"", b"A", b"a", b"a/inside", b"a/inside/deeper", b"a/z", b"a b", b"a!", b"a-b", b"a.b", b"a0", b"\xff"]
    assert sorted(reversed(wanted), key=order) == sorted(sorted(wanted), key=order) == wanted


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        (b"user.anything", True),
        (b"trusted.overlay.opaque", True),
        (b"security.capability", True),
        (b"security.selinux", False),
        (b"system.posix_acl_access", True),
        (b"system.posix_acl_default", True),
        (b"system.nfs4_acl", False),
        (b"system.richacl", False),
    ],
)
def test_which_attributes_are_part_of_a_tree(name, counts):
    assert counts_as_xattr(name) is counts


@pytest.mark.parametrize(
    ("keeps", "entry", "kept"),
    [
        (Keeps(), FILE, FILE),
        (Keeps(owner=False), FILE, FILE._replace(uid=0, gid=0)),
        (Keeps(mode=False), FILE, FILE._replace(mode=0)),
        (Keeps(times=False), FILE, FILE._replace(mtime_ns=0)),
        (Keeps(times_seconds=True), FILE, FILE._replace(mtime_ns=-2000000000)),
        (Keeps(xattrs=False), FILE, FILE._replace(xattrs=())),
        (Keeps(links=False, sparse=False, symlinks=False, special=False), FILE, FILE),
        # The root has no time.
        (Keeps(), Entry(b"", "directory", 0o755, mtime_ns=5), Entry(b"", "directory", 0o755)),
        (Keeps(), Entry(b"s", "socket"), None),
        # Nothing can set the mode of a symbolic link.
        (Keeps(), Entry(b"s", "symlink", 0o777, target=b"x"), Entry(b"s", "symlink", target=b"x")),
        (Keeps(symlinks=False), Entry(b"s", "symlink", target=b"x"), None),
        (Keeps(special=False), Entry(b"p", "fifo"), None),
        (Keeps(special=False), Entry(b"d", "block", device=(7, 1)), None),
        (Keeps(special=False), Entry(b"d", "character", device=(1, 3)), None),
        (Keeps(), Entry(b"p", "fifo", 0o600), Entry(b"p", "fifo", 0o600)),
        (Keeps(), Entry(b"l", "link", target=b"a"), Entry(b"l", "link", target=b"a")),
    ],
)
def test_what_counts_of_an_entry(keeps, entry, kept):
    assert Keeper(keeps).kept(entry) == kept


def test_links_to_what_is_left_out_are_left_out():
    keeper = Keeper(Keeps(symlinks=False))
    assert keeper.kept(Entry(b"a", "symlink", target=b"x")) is None
    assert keeper.kept(Entry(b"b", "link", target=b"a")) is None
    assert keeper.kept(Entry(b"c", "link", target=b"file")) == Entry(b"c", "link", target=b"file")


def test_a_link_where_links_are_not_kept_is_an_error_of_the_caller():
    with pytest.raises(ValueError, match="b: read with links=False"):
        Keeper(Keeps(links=False)).kept(Entry(b"b", "link", target=b"a"))
