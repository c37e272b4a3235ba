# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a tree with all that a Linux file system can hold, and list a tree so that `diff` tells two apart.

    torture.py make DIR [--small] [--without xattrs,special,...]
    torture.py list DIR [--without owner,mode,times,...] [--with-sockets]

It stands for itself, needs Python 3.9 and root, and shares no code with what it tests. The tree is the same each time.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import resource
import socket
import stat
import struct
import sys
from collections.abc import Iterator

PARTS = ("owner", "mode", "times", "xattrs", "links", "sparse", "special", "symlinks", "deep")
KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFCHR: "character",
    stat.S_IFBLK: "block",
    stat.S_IFSOCK: "socket",
}
PAGE = 4096
PATH_MAX = 4096
ZEROS = bytes(PAGE)
GIB = 1 << 30
MIB = 1 << 20
BIG_ID = 4294967294  # the largest that chown(2) takes
TRAVERSE = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW

NAMES = (
    b"plain",
    b"with space",
    b" leading and trailing ",
    b"new\nline",
    b"tab\tbell\x07escape\x1b[0m",
    b"-rf",
    b"--help",
    b"not\xff\xfeUTF-8",
    b"\xe9 latin",
    b"caf\xc3\xa9 NFC",
    b"cafe\xcc\x81 NFD",
    b"glob *?[a-z]{x,y}",
    b"back\\slash\\012\\n",
    b"quotes ' \" `id` $(id) $HOME",
    b"percent %d %s %25",
    b"equals=sign",
    b"~tilde",
    b"#hash",
    b"@at",
    b"...",
    b"..double",
    b"0",
    b"\xf0\x9f\x92\xbe",
    b"99 " + b"n" * 97,
    b"100" + b"n" * 97,
    b"101" + b"n" * 98,
    b"255" + b"n" * 252,
    b"lost+found",
)


class Maker:
    """Makes the tree inside the folder whose descriptor is given; times come last, since all else changes them."""

    def __init__(self, root: int, *, small: bool, without: set[str]) -> None:
        self.root = root
        self.small = small
        self.without = without
        self.random = random.Random(20380119)  # noqa: S311 - the same tree each time is what is wanted
        self.times: list[tuple[int, bytes, int]] = []

    def run(self) -> None:
        """Make all parts, then set the times, the deepest first."""
        self.names()
        self.order()
        self.modes()
        self.owners()
        self.contents()
        self.sparse()
        self.clock()
        self.xattrs()
        self.links()
        self.symlinks()
        self.special()
        self.deep()
        self.finish()

    def folder(self, name: bytes, mode: int = 0o755) -> int:
        os.mkdir(name, 0o700, dir_fd=self.root)
        fd = os.open(name, TRAVERSE, dir_fd=self.root)
        os.fchmod(fd, mode)
        return fd

    def file(self, fd: int, name: bytes, data: bytes = b"", mode: int = 0o644) -> None:
        handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=fd)
        try:
            os.write(handle, data)
            os.fchmod(handle, mode)
        finally:
            os.close(handle)

    def names(self) -> None:
        for kind in (b"names of files", b"names of folders"):
            fd = self.folder(kind)
            for name in NAMES:
                if kind.endswith(b"files"):
                    self.file(fd, name, name)
                else:
                    os.mkdir(name, 0o755, dir_fd=fd)
            os.close(fd)

    def order(self) -> None:
        """Make names that come in another order where whole paths are compared than where their components are."""
        fd = self.folder(b"order")
        for name in (b"a", b"a.b", b"a b"):
            os.mkdir(name, 0o755, dir_fd=fd)
            inside = os.open(name, TRAVERSE, dir_fd=fd)
            self.file(inside, b"inside", name)
            os.close(inside)
        for name in (b"a!", b"a-b", b"a0", b"A", b"B", b"b"):
            self.file(fd, name, name)
        os.close(fd)
        os.close(self.folder(b"empty folder"))

    def modes(self) -> None:
        fd = self.folder(b"modes")
        for mode in (0, 0o111, 0o222, 0o444, 0o600, 0o777, 0o4755, 0o2755, 0o1644, 0o6711, 0o7777, 0o4000):
            self.file(fd, b"file %04o" % mode, b"x", mode)
            name = b"folder %04o" % mode
            os.mkdir(name, dir_fd=fd)
            inside = os.open(name, TRAVERSE, dir_fd=fd)
            self.file(inside, b"inside", b"x")
            os.fchmod(inside, mode)
            os.close(inside)
        os.close(fd)

    def owners(self) -> None:
        fd = self.folder(b"owners")
        ids = (1, 999, 65534, 65535, 65536, 2097151, 2097152, 2147483647, 2147483648, BIG_ID)
        for number, uid in enumerate(ids):
            name = b"%d" % uid
            self.file(fd, name, name)
            os.chown(name, uid, ids[-1 - number], dir_fd=fd)
            # A change of the owner takes the set-id bits away.
            os.chmod(name, 0o6755, dir_fd=fd)  # noqa: S103 - such modes are what it is about
        os.mkdir(b"folder", dir_fd=fd)
        os.chown(b"folder", BIG_ID, BIG_ID, dir_fd=fd)
        os.close(fd)

    def contents(self) -> None:
        fd = self.folder(b"contents")
        for size in (0, 1, 511, 512, 513, 4095, 4096, 10240, 65535, 65536, 65537, 131072, 1048577):
            self.file(fd, b"random %d" % size, self.random.randbytes(size))
            self.file(fd, b"zeros %d" % size, bytes(size))
        self.file(fd, b"zeros in between", b"x" * 100 + bytes(3 * 65536) + b"y" * 100)
        self.file(fd, b"a tar header", b"file".ljust(257, b"\0") + b"ustar\x0000".ljust(255, b"\0") + bytes(1024))
        many = self.folder(b"many")
        for number in range(20 if self.small else 500):
            self.file(many, b"%d" % number, b"%d\n" % number)
        os.close(many)
        os.close(fd)

    def sparse(self) -> None:
        fd = self.folder(b"sparse")
        size = 64 * MIB if self.small else 10 * GIB
        middle = size // 2 + 12345
        self._holes(fd, b"huge", size, {0: b"start", middle: b"middle", size - 3: b"end"})
        self._holes(fd, b"trailing hole", MIB, {0: self.random.randbytes(5000)})
        self._holes(fd, b"leading hole", MIB, {MIB - 5000: self.random.randbytes(5000)})
        self._holes(fd, b"only a hole", 3 * MIB, {})
        self._holes(fd, b"odd hole", 3 * MIB + 17, {MIB + 17: b"x" * 70000})
        # More pieces than a header of the old sparse formats takes.
        count = 30 if self.small else 600
        self._holes(
            fd, b"many holes", count * 131072, {number * 131072 + 4096: b"%d" % number for number in range(count)}
        )
        os.close(fd)

    def _holes(self, fd: int, name: bytes, size: int, pieces: dict[int, bytes]) -> None:
        handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=fd)
        for offset, data in pieces.items():
            os.pwrite(handle, data, offset)
        os.ftruncate(handle, size)
        os.close(handle)

    def clock(self) -> None:
        fd = self.folder(b"times")
        seconds = (-2147483648, -86400, -2, -1, 0, 1, 1234567890, 2147483647, 2147483648, 4294967296, 8589934592)
        for second in seconds:
            for ns in (0, 1, 500000000, 999999999, 120000000):
                name = b"%d.%09d" % (second, ns)
                self.file(fd, name)
                os.utime(name, ns=(0, second * 10**9 + ns), dir_fd=fd)
        os.mkdir(b"folder", dir_fd=fd)
        os.utime(b"folder", ns=(0, -1500000000), dir_fd=fd)
        os.close(fd)

    def xattrs(self) -> None:
        if "xattrs" in self.without:
            return
        fd = self.folder(b"xattrs")
        everything = {
            b"user.plain": b"value",
            b"user.empty": b"",
            b"user.binary": bytes(range(256)),
            b"user.lines": b"a=b\n20 SCHILY.x=y\n\0\n",
            b"user.equals=sign": b"x",
            b"user.percent%3Dsign%25": b"x",
            b"user.space and \xc3\xa9": b"x",
            b"trusted.anything": b"\0\1\2",
        }
        for name in (b"file", b"program", b"folder", b"listed", b"listed folder", b"bare"):
            if name.endswith(b"folder"):
                os.mkdir(name, 0o755, dir_fd=fd)
            else:
                self.file(fd, name, b"x", 0o755)
        place = b"/proc/self/fd/%d/" % fd
        os.chown(b"program", 1000, 1000, dir_fd=fd)
        for name, value in everything.items():
            os.setxattr(place + b"file", name, value)
            os.setxattr(place + b"folder", name, value)
        os.setxattr(place + b"program", b"security.capability", struct.pack("<5I", 0x02000001, 1 << 10, 0, 0, 0))
        self._acls(place)
        if "symlinks" not in self.without:
            os.symlink(b"file", b"symlink", dir_fd=fd)
            os.setxattr(place + b"symlink", b"trusted.symlink", b"x", follow_symlinks=False)
        if "special" not in self.without:
            os.mkfifo(b"fifo", dir_fd=fd)
            os.setxattr(place + b"fifo", b"trusted.fifo", b"x")
        os.setxattr(fd, b"user.on the folder above", b"x")
        os.close(fd)
        os.setxattr(self.root, b"user.root", b"x")

    def _acls(self, place: bytes) -> None:
        access = _acl((1, 7, -1), (2, 6, 12345), (2, 4, BIG_ID), (4, 5, -1), (8, 7, 54321), (16, 7, -1), (32, 0, -1))
        default = _acl((1, 7, -1), (2, 7, 12345), (4, 5, -1), (16, 5, -1), (32, 5, -1))
        os.setxattr(place + b"listed", b"system.posix_acl_access", access)
        os.setxattr(place + b"listed folder", b"system.posix_acl_access", access)
        # What is inside was there before the default list, so it has none: it must not inherit one when it is restored.
        os.mkdir(place + b"listed folder/inside")
        with open(place + b"listed folder/inside/file", "xb"):
            pass
        with open(place + b"listed folder/file", "xb"):
            pass
        os.setxattr(place + b"listed folder", b"system.posix_acl_default", default)
        os.mkdir(place + b"listed folder/inherited")
        with open(place + b"listed folder/inherited/file", "xb"):
            pass

    def links(self) -> None:
        if "links" in self.without:
            return
        fd = self.folder(b"links")
        other = self.folder(b"a folder with other names")
        self.file(fd, b"middle", b"linked", 0o640)
        os.link(b"middle", b"first", src_dir_fd=fd, dst_dir_fd=fd)
        os.link(b"middle", b"zlast", src_dir_fd=fd, dst_dir_fd=fd)
        os.link(b"middle", b"elsewhere", src_dir_fd=fd, dst_dir_fd=other)
        self.file(fd, b"255" + b"l" * 252, b"long")
        os.link(b"255" + b"l" * 252, b"256" + b"l" * 252, src_dir_fd=fd, dst_dir_fd=other)
        self.file(fd, b"empty")
        os.link(b"empty", b"empty too", src_dir_fd=fd, dst_dir_fd=fd)
        if "symlinks" not in self.without:
            os.symlink(b"middle", b"symlink", dir_fd=fd)
            os.link(b"symlink", b"symlink too", src_dir_fd=fd, dst_dir_fd=fd, follow_symlinks=False)
            os.symlink(b"/absolute/../and dangling", b"to nowhere", dir_fd=fd)
            os.link(b"to nowhere", b"to nowhere too", src_dir_fd=fd, dst_dir_fd=fd, follow_symlinks=False)
        if "special" not in self.without:
            os.mkfifo(b"fifo", dir_fd=fd)
            os.link(b"fifo", b"fifo too", src_dir_fd=fd, dst_dir_fd=fd)
        if "xattrs" not in self.without:
            os.setxattr(b"/proc/self/fd/%d/middle" % fd, b"user.linked", b"x")
        os.close(other)
        os.close(fd)

    def symlinks(self) -> None:
        if "symlinks" in self.without:
            return
        fd = self.folder(b"symlinks")
        targets = {
            b"dangling": b"no such file",
            b"absolute": b"/etc/passwd",
            b"to a folder": b"../order",
            b"climbing": b"../../../../../../../../etc",
            b"itself": b"itself",
            b"dot": b".",
            b"slashes": b"a//b/../c/",
            b"new\nline": b"target\nwith line",
            b"not UTF-8": b"\xff\xfe",
            b"long": b"l" * 255 + b"/" + b"m" * 255,
            b"99": b"t" * 99,
            b"100": b"t" * 100,
            b"101": b"t" * 101,
        }
        for name, target in targets.items():
            os.symlink(target, name, dir_fd=fd)
        os.chown(b"dangling", 1000, BIG_ID, dir_fd=fd, follow_symlinks=False)
        for name, ns in ((b"dangling", -1500000000), (b"climbing", 1234567890123456789)):
            os.utime(name, ns=(0, ns), dir_fd=fd, follow_symlinks=False)
        os.close(fd)

    def special(self) -> None:
        if "special" in self.without:
            return
        fd = self.folder(b"special")
        os.mkfifo(b"fifo", 0o644, dir_fd=fd)
        os.chmod(b"fifo", 0o4622, dir_fd=fd)  # noqa: S103 - as above
        os.mknod(b"null", stat.S_IFCHR | 0o666, os.makedev(1, 3), dir_fd=fd)
        os.mknod(b"whiteout", stat.S_IFCHR, os.makedev(0, 0), dir_fd=fd)
        os.mknod(b"large character", stat.S_IFCHR | 0o600, os.makedev(4095, 1048575), dir_fd=fd)
        os.mknod(b"loop", stat.S_IFBLK | 0o660, os.makedev(7, 200), dir_fd=fd)
        os.chown(b"null", 1000, 1000, dir_fd=fd)
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(b"/proc/self/fd/%d/socket" % fd)
        listening.close()
        os.close(fd)

    def deep(self) -> None:
        """Make a path that is longer than PATH_MAX: it can be read, but tar cannot unpack it."""
        if "deep" in self.without:
            return
        fd = self.folder(b"deep")
        for level in range(24):
            name = b"%03d " % level + b"d" * 200
            os.mkdir(name, 0o755, dir_fd=fd)
            inside = os.open(name, TRAVERSE, dir_fd=fd)
            os.close(fd)
            fd = inside
        self.file(fd, b"at the bottom", b"deep")
        os.close(fd)

    def finish(self) -> None:
        """Give each entry a time of its own, unless it has an unusual one; of folders last, from the bottom."""
        for number, (path, fd, name, status) in enumerate(entries(self.root, folders_last=True)):
            ns = (1600000000 + number) * 10**9 + number * 1000003
            if name is None or b"times/" in path or status.st_mtime < 1500000000:
                continue
            os.utime(name, ns=(ns, ns), dir_fd=fd, follow_symlinks=False)
        os.utime(self.root, ns=(0, 1600000000123456789))


def _acl(*lines: tuple[int, int, int]) -> bytes:
    return struct.pack("<I", 2) + b"".join(
        struct.pack("<HHI", tag, right, who & 0xFFFFFFFF) for tag, right, who in lines
    )


def entries(root: int, *, folders_last: bool = False) -> Iterator[tuple[bytes, int, bytes | None, os.stat_result]]:
    """Yield path, descriptor of the folder, name in it (None for the root) and status; each folder's entries by name.

    Keeps a descriptor for each level open: the limit of them is raised.
    """
    if not folders_last:
        yield b"", root, None, os.fstat(root)
    levels = [(b"", root, _names(root))]
    statuses: list[tuple[bytes, os.stat_result]] = []
    while levels:
        above, fd, names = levels[-1]
        if not names:
            levels.pop()
            if fd != root:
                os.close(fd)
                name, status = statuses.pop()
                if folders_last:
                    yield above[:-1], levels[-1][1], name, status
            continue
        name = names.pop()
        status = os.stat(name, dir_fd=fd, follow_symlinks=False)
        if not stat.S_ISDIR(status.st_mode):
            yield above + name, fd, name, status
            continue
        if not folders_last:
            yield above + name, fd, name, status
        inside = os.open(name, TRAVERSE | os.O_NOATIME, dir_fd=fd)
        statuses.append((name, status))
        levels.append((above + name + b"/", inside, _names(inside)))


def _names(fd: int) -> list[bytes]:
    return sorted(map(os.fsencode, os.listdir(fd)), reverse=True)


def content(fd: int, name: bytes, size: int) -> str:
    """Return the SHA-256 of a file's pages that are not zero, each with its place: the same with holes and without."""
    handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NOATIME, dir_fd=fd)
    digest = hashlib.sha256()
    try:
        position = 0
        while position < size:
            try:
                position = os.lseek(handle, position, os.SEEK_DATA) // PAGE * PAGE
            except OSError:  # none any more
                break
            data = os.pread(handle, 256 * PAGE, position)
            for start in range(0, len(data), PAGE):
                page = data[start : start + PAGE]
                if page != ZEROS[: len(page)]:
                    digest.update(b"%d %d\n" % (position + start, len(page)) + page)
            position += len(data)
            if not data:
                break
    finally:
        os.close(handle)
    return digest.hexdigest()


def _attributes(place: bytes) -> dict[str, str]:
    try:
        names = os.listxattr(place, follow_symlinks=False)
    except OSError:
        return {}
    lists = ("system.posix_acl_access", "system.posix_acl_default")
    kept = [name for name in names if name in lists or not name.startswith(("security.selinux", "system."))]
    return {name: os.getxattr(place, name, follow_symlinks=False).hex() for name in sorted(kept)}


def describe(root: int, without: set[str], *, sockets: bool) -> Iterator[dict[str, object]]:
    """Yield what is to be said of each entry."""
    first: dict[tuple[int, int], bytes] = {}
    for path, fd, name, status in entries(root):
        kind = KINDS[stat.S_IFMT(status.st_mode)]
        if (
            (kind == "socket" and not sockets)
            or (kind == "symlink" and "symlinks" in without)
            or (kind in {"fifo", "character", "block"} and "special" in without)
            or (len(path) >= PATH_MAX and "deep" in without)
        ):
            continue
        line: dict[str, object] = {"path": os.fsdecode(path), "kind": kind}
        # tar has no links to named pipes and devices.
        if kind in {"file", "symlink"} and status.st_nlink > 1 and "links" not in without:
            line["first"] = os.fsdecode(first.setdefault((status.st_dev, status.st_ino), path))
        line.update(_status(kind, status, without, root=name is None))
        line.update(_data(kind, fd, name or b"", status, without))
        if "xattrs" not in without:
            attributes = _attributes(b"/proc/self/fd/%d/" % fd + (name or b"."))
            line.update({"xattrs": attributes} if attributes else {})
        yield line


def _status(kind: str, status: os.stat_result, without: set[str], *, root: bool) -> Iterator[tuple[str, object]]:
    if "mode" not in without and kind != "symlink":
        yield "mode", f"{stat.S_IMODE(status.st_mode):04o}"
    if "owner" not in without:
        yield "owner", [status.st_uid, status.st_gid]
    if "times" not in without and not root:
        yield "mtime", status.st_mtime_ns
    if kind in {"character", "block"}:
        yield "device", [os.major(status.st_rdev), os.minor(status.st_rdev)]


def _data(kind: str, fd: int, name: bytes, status: os.stat_result, without: set[str]) -> Iterator[tuple[str, object]]:
    if kind == "symlink":
        yield "target", os.fsdecode(os.readlink(name, dir_fd=fd))
    if kind == "file":
        yield "size", status.st_size
        yield "content", content(fd, name, status.st_size)
        if "sparse" not in without:
            yield "sparse", status.st_blocks * 512 < status.st_size


def _without(text: str) -> set[str]:
    parts = {part for part in text.split(",") if part}
    if parts - set(PARTS):
        raise argparse.ArgumentTypeError(f"{', '.join(sorted(parts - set(PARTS)))}: not of {', '.join(PARTS)}")
    return parts


def main() -> int:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(prog="torture.py", description="A tree with all that a file system can hold.")
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("make", help="make the tree in a folder that is empty or not there")
    make.add_argument("--small", action="store_true", help="without a file of 10 GiB and the like")
    show = commands.add_parser("list", help="print a line of JSON for each entry")
    show.add_argument("--with-sockets", action="store_true", help="list sockets, too: most copies leave them out")
    for command in (make, show):
        command.add_argument("folder")
        command.add_argument("--without", type=_without, default=set(), help=f"of {', '.join(PARTS)}, with commas")
    arguments = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    os.umask(0o022)
    if arguments.command == "make":
        os.makedirs(arguments.folder, exist_ok=True)
        if os.listdir(arguments.folder):
            parser.error(f"{arguments.folder} is not empty")
        Maker(os.open(arguments.folder, TRAVERSE), small=arguments.small, without=arguments.without).run()
        return 0
    root = os.open(arguments.folder, TRAVERSE)
    for line in describe(root, arguments.without, sockets=arguments.with_sockets):
        print(json.dumps(line, sort_keys=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
