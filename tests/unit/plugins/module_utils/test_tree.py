# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import errno
import json
import os
import re
import resource
import shutil
import socket
import stat
import subprocess
import threading

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils import _descent, _tree, _tree_read
from ansible_collections.voltainer.volumes.plugins.module_utils._descent import Problem
from ansible_collections.voltainer.volumes.plugins.module_utils._digest import hash_of
from ansible_collections.voltainer.volumes.plugins.module_utils._entry import Entry, Keeps, order
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import RefusedError, VolumesError
from ansible_collections.voltainer.volumes.plugins.module_utils._tree import (
    changed_since,
    compare,
    empty,
    has_data,
    measure,
    remove_sockets,
    strip,
    walk,
)

from .trees import digest, listed, opened

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount, and make devices")


@pytest.fixture
def folder(tmp_path):
    """Return a folder with a few entries of the usual kinds."""
    top = tmp_path / "folder"
    (top / "sub" / "deeper").mkdir(parents=True)
    (top / "file").write_bytes(b"content")
    (top / "sub" / "other").write_bytes(b"other")
    (top / "sub.file").write_bytes(b"")
    (top / "link").symlink_to("file")
    return top


@pytest.fixture
def mounted(folder):
    """Return the path of a file system that is mounted inside the folder."""
    place = folder / "mounted"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", place], check=True)
    (place / "foreign").write_bytes(b"")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def entries(folder, **options):
    with opened(folder) as fd:
        return list(walk(fd, **options))


def paths(folder, **options):
    return [entry.path for entry in entries(folder, **options)]


def differences(one, other, keeps=None, **options):
    with opened(one) as first, opened(other) as second:
        return [tuple(found) for found in compare(first, second, keeps or Keeps(), **options)]


def copied(folder, tmp_path):
    subprocess.run(["cp", "-a", folder, tmp_path / "copy"], check=True)
    return tmp_path / "copy"


def make_socket(path):
    with socket.socket(socket.AF_UNIX) as listening, opened(path.parent) as fd:
        listening.bind(f"/proc/self/fd/{fd}/{path.name}")


def make_deep(folder, levels, name=b"d"):
    fd = os.open(folder, os.O_RDONLY)
    for _level in range(levels):
        os.mkdir(name, dir_fd=fd)
        inside = os.open(name, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inside
    os.close(os.open(b"bottom", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
    os.close(fd)


def test_entries_come_in_canonical_order_and_as_they_are(folder):
    os.chmod(folder / "file", 0o2640)
    os.utime(folder / "file", ns=(0, -1500000000))
    found = entries(folder)
    assert [entry.path for entry in found] == [
        b"",
        b"file",
        b"link",
        b"sub",
        b"sub/deeper",
        b"sub/other",
        b"sub.file",
    ]
    status = (folder / "file").stat()
    assert found[1] == Entry(
        b"file", "file", 0o2640, status.st_uid, status.st_gid, -1500000000, 7, content=hash_of(b"content")
    )
    assert (found[2].kind, found[2].target, found[3].kind) == ("symlink", b"file", "directory")


def test_the_tree_with_everything_is_what_another_program_lists(tortured):
    theirs = [json.loads(line) for line in listed(tortured)]
    ours = [entry for entry in entries(tortured) if entry.kind != "socket" and len(entry.path) < 4096]
    assert [entry.path for entry in ours] == sorted((entry.path for entry in ours), key=order)
    assert len(ours) == len(theirs)
    for entry, line in zip(ours, theirs):
        assert os.fsdecode(entry.path) == line["path"]
        if entry.kind == "link":
            assert os.fsdecode(entry.target) == line["first"] != line["path"]
            continue
        assert entry.kind == line["kind"]
        assert line.get("mode") in {None, f"{entry.mode:04o}"}
        assert [entry.uid, entry.gid] == line["owner"]
        assert line.get("mtime") in {None, entry.mtime_ns}
        assert list(entry.device) == line.get("device", [0, 0])
        assert {os.fsdecode(name): value.hex() for name, value in entry.xattrs} == line.get("xattrs", {})
        assert os.fsdecode(entry.target) == line.get("target", "")
        assert entry.size == line.get("size", 0)


def test_a_walk_without_content_and_without_links(folder):
    os.link(folder / "file", folder / "sub" / "again")
    found = {entry.path: entry for entry in entries(folder, content=False)}
    assert found[b"file"].content == b""
    assert found[b"sub/again"] == Entry(b"sub/again", "link", target=b"file")
    found = {entry.path: entry for entry in entries(folder, links=False)}
    assert found[b"sub/again"] == found[b"file"]._replace(path=b"sub/again")


def test_further_names_outside_make_no_link(folder, tmp_path):
    os.link(folder / "file", tmp_path / "outside")
    assert {entry.kind for entry in entries(folder)} == {"directory", "file", "symlink"}


def test_links_are_forgotten_when_all_names_were_seen(folder):
    links = _tree_read.Links()
    os.link(folder / "file", folder / "again")
    status = (folder / "file").stat()
    assert links.first(_descent.Step(b"file", b"file", status)) is None
    assert links.first(_descent.Step(b"again", b"again", status)) == b"file"
    assert links._seen == {}


def test_bytes_are_told_without_holes(folder):
    with open(folder / "sparse", "wb") as file:
        file.seek(1 << 30)
        file.write(b"x" * 4096)
    told = []
    entries(folder, on_bytes=told.append)
    assert 4096 + len("contentother") <= sum(told) < 1 << 20


def test_large_files_are_read_in_pieces_with_holes_or_without(folder, monkeypatch):
    data = os.urandom(3 << 20) + bytes(1 << 20) + b"end"
    (folder / "file").write_bytes(data)
    with open(folder / "sparse", "wb") as file:
        file.write(data[: 3 << 20])
        file.seek(1 << 20, os.SEEK_CUR)
        file.write(b"end")
    found = {entry.path: entry.content for entry in entries(folder)}
    assert found[b"file"] == found[b"sparse"] == hash_of(data)

    def refuse(*_arguments):
        raise OSError(errno.EINVAL, "Invalid argument")

    # As on file systems that do not tell where holes are.
    monkeypatch.setattr(os, "lseek", refuse)
    assert {entry.path: entry.content for entry in entries(folder)} == found


def test_a_file_that_is_cut_off_meanwhile_has_zeros(folder):
    (folder / "file").write_bytes(b"x" * (3 << 20))
    with open(folder / "file", "r+b") as file:
        status = os.fstat(file.fileno())
        file.truncate(5)
        assert _tree_read.content_of(file.fileno(), status) == hash_of(b"xxxxx" + bytes((3 << 20) - 5))
        (folder / "small").write_bytes(b"12345")
    with open(folder / "small", "r+b") as file:
        status = os.fstat(file.fileno())
        file.truncate(2)
        assert _tree_read.content_of(file.fileno(), status) == hash_of(b"12\0\0\0")


def test_reading_leaves_the_time_of_access(folder):
    for place in (folder, folder / "file"):
        os.utime(place, (1, 1))
    entries(folder)
    assert {os.stat(place).st_atime for place in (folder, folder / "file")} == {1}


def test_where_the_time_of_access_cannot_be_left_it_is_not(folder, monkeypatch):
    real = os.open

    def refuse(path, flags, *rest, **options):
        if flags & os.O_NOATIME:
            raise PermissionError(errno.EPERM, "Operation not permitted")
        return real(path, flags, *rest, **options)

    monkeypatch.setattr(os, "open", refuse)
    assert len(entries(folder)) == 7


@pytest.mark.parametrize("error", [errno.ENOTSUP, errno.ENOSYS])
def test_file_systems_without_attributes_are_asked_once(folder, monkeypatch, error):
    asked = []

    def refuse(place, **_options):
        asked.append(place)
        raise OSError(error, "Operation not supported")

    monkeypatch.setattr(os, "listxattr", refuse)
    assert len(entries(folder)) == 7
    assert len(asked) == 1
    with opened(folder) as fd:
        assert measure(fd).xattrs is None


def test_attributes_that_vanish_meanwhile_are_left_out(folder, monkeypatch):
    os.setxattr(folder / "file", "user.a", b"1")

    def refuse(_place, _name, **_options):
        raise OSError(errno.ENODATA, "No data available")

    monkeypatch.setattr(os, "getxattr", refuse)
    assert all(entry.xattrs == () for entry in entries(folder))


@pytest.mark.parametrize("name", ["stat", "open", "listdir", "listxattr", "readlink"])
@pytest.mark.parametrize("error", [errno.EACCES, errno.EIO])
def test_what_cannot_be_read_is_named(folder, monkeypatch, name, error):
    (folder / "sub" / "new\nline").symlink_to("x")
    real = getattr(os, name)
    failing = []

    def refuse(place, *arguments, **options):
        if failing:
            raise OSError(error, os.strerror(error))
        return real(place, *arguments, **options)

    with opened(folder) as fd:
        walking = walk(fd)
        for entry in walking:
            if entry.path == b"sub/deeper":
                break
        monkeypatch.setattr(os, name, refuse)
        failing.append(True)
        with pytest.raises(VolumesError, match=r"Cannot read 'sub/[^\n]*': (Permission denied|Input/output error)"):
            list(walking)


@pytest.mark.parametrize("name", ["fstat", "listdir"])
def test_a_root_that_cannot_be_read_is_named(folder, monkeypatch, name):
    def refuse(_place):
        raise OSError(errno.EIO, "Input/output error")

    with opened(folder) as fd:
        monkeypatch.setattr(os, name, refuse)
        with pytest.raises(VolumesError, match=r"Cannot read '\.': Input/output error\."):
            list(walk(fd))
        # pytest calls it, too.
        monkeypatch.undo()


def test_a_lost_and_found_that_cannot_be_read_is_named(folder, monkeypatch):
    (folder / "lost+found").mkdir()
    real = os.listdir

    def refuse(place):
        if os.readlink(f"/proc/self/fd/{place}").endswith("lost+found"):
            raise OSError(errno.EIO, "Input/output error")
        return real(place)

    monkeypatch.setattr(os, "listdir", refuse)
    with pytest.raises(VolumesError, match=r"Cannot read 'lost\+found': Input/output error\."):
        entries(folder)


def test_a_file_that_cannot_be_read_is_named(folder, monkeypatch):
    def refuse(*_arguments):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "read", refuse)
    with pytest.raises(VolumesError, match=r"Cannot read 'file': Input/output error\."):
        entries(folder)


def test_what_vanishes_is_left_out_and_told(folder):
    problems = []
    with opened(folder) as fd:
        found = []
        for entry in walk(fd, problems=problems):
            found.append(entry.path)
            if entry.path == b"":
                (folder / "file").unlink()
            if entry.path == b"sub":
                shutil.rmtree(folder / "sub")
    assert found == [b"", b"link", b"sub", b"sub.file"]
    assert problems == [Problem(b"file", "vanished"), Problem(b"sub", "vanished")]


@pytest.mark.parametrize("kind", ["symlink", "fifo", "folder"])
def test_what_is_swapped_meanwhile_is_never_followed(folder, tmp_path, monkeypatch, kind):
    """Between the look at an entry and its opening, somebody puts something else there."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    real = os.open

    def swapped(place, *arguments, **options):
        if place == b"file":
            (folder / "file").unlink()
            if kind == "symlink":
                (folder / "file").symlink_to(outside / "secret")
            elif kind == "fifo":
                os.mkfifo(folder / "file")
            else:
                (folder / "file").mkdir()
        if place == b"sub":
            (folder / "sub").rename(tmp_path / "away")
            (folder / "sub").symlink_to(outside)
        return real(place, *arguments, **options)

    monkeypatch.setattr(os, "open", swapped)
    problems = []
    assert paths(folder, problems=problems) == [b"", b"link", b"sub", b"sub.file"]
    assert problems == [Problem(b"file", "vanished"), Problem(b"sub", "vanished")]


def test_a_link_that_is_swapped_for_a_file_has_vanished(folder, monkeypatch):
    def refuse(*_arguments, **_options):
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "readlink", refuse)
    problems = []
    assert b"link" not in paths(folder, problems=problems)
    assert problems == [Problem(b"link", "vanished")]


def test_a_tree_under_attack_is_read_without_leaving_it(folder, tmp_path):
    """Another thread swaps folders and files for links to the outside all the time."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    (folder / "sub" / "secret").write_bytes(b"harmless")
    (folder / "bait").symlink_to(outside)
    over = threading.Event()

    def attack():
        while not over.is_set():
            os.rename(folder / "sub", folder / "hidden")
            os.rename(folder / "bait", folder / "sub")
            os.rename(folder / "sub", folder / "bait")
            os.rename(folder / "hidden", folder / "sub")

    attacker = threading.Thread(target=attack)
    attacker.start()
    try:
        for _round in range(200):
            assert hash_of(b"secret") not in {entry.content for entry in entries(folder)}
    finally:
        over.set()
        attacker.join()


def test_deep_trees_take_few_descriptors_and_no_recursion(folder):
    make_deep(folder / "sub" / "deeper", 3000)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = max(map(int, os.listdir("/proc/self/fd"))) + 1
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + 80, limits[1]))
    try:
        found = paths(folder)
        assert len(found) == 3000 + 8
        assert found[-3] == b"sub/deeper/" + b"d/" * 3000 + b"bottom"
        assert differences(folder, folder) == []
        with opened(folder) as fd:
            assert measure(fd).longest_path == len(found[-3])
            empty(fd)
            assert os.listdir(fd) == []
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_deep_trees_are_gone_on_with_after_what_was_deep(folder):
    level = folder / "sub"
    for number in range(100):
        (level / "z").write_bytes(b"%d" % number)
        level /= "d"
        level.mkdir()
    wanted = sorted((os.fsencode(path.relative_to(folder)) for path in folder.rglob("*")), key=order)
    assert paths(folder) == [b"", *wanted]


@pytest.mark.parametrize("depths", [[20], [60], [99], [60, 30], [50, 40, 30]])
def test_a_deep_folder_that_is_moved_away_meanwhile_has_vanished(folder, tmp_path, depths):
    make_deep(folder / "sub", 100)
    for depth in (10, 45):
        (folder / "sub" / "/".join(["d"] * depth) / "z").write_bytes(b"")
    problems = []
    with opened(folder) as fd:
        found = []
        for entry in walk(fd, problems=problems):
            found.append(entry.path)
            if entry.path.endswith(b"bottom"):
                for depth in depths:
                    (folder / "sub" / "/".join(["d"] * depth)).rename(tmp_path / f"moved{depth}")
    ends = [b"sub/" + b"d/" * 45 + b"z", b"sub/" + b"d/" * 10 + b"z", b"sub/deeper", b"sub/other", b"sub.file"]
    # What was moved together with the way to it cannot be found again; what is only beside that way can.
    lost = len(depths) > 1
    assert found[-4:] == ends[-4:]
    assert (ends[0] in found) is not lost
    assert {problem.what for problem in problems} == ({"vanished"} if lost else set())


@needs_root
def test_what_is_mounted_inside_is_an_empty_folder(folder, mounted):
    problems = []
    found = paths(folder, problems=problems)
    assert b"mounted" in found
    assert b"mounted/foreign" not in found
    assert problems == [Problem(b"mounted", "mounted")]


def test_an_empty_lost_and_found_is_no_part_of_a_tree(folder):
    before = digest(entries(folder))
    (folder / "lost+found").mkdir()
    assert digest(entries(folder)) == before
    make_socket(folder / "lost+found" / "socket")
    assert b"lost+found" not in paths(folder)
    (folder / "sub" / "lost+found").mkdir()
    assert b"sub/lost+found" in paths(folder)
    (folder / "lost+found" / "#12").write_bytes(b"")
    assert {b"lost+found", b"lost+found/#12"} < set(paths(folder))


def test_changed_since(folder):
    with opened(folder) as fd:
        latest = max(os.lstat(place).st_ctime_ns for place in (folder, *folder.rglob("*")))
        assert list(changed_since(fd, latest + 1)) == []
        while True:
            os.chmod(folder / "sub" / "other", 0o600)
            changed = (folder / "sub" / "other").stat().st_ctime_ns
            if changed > latest:
                break
        assert list(changed_since(fd, changed)) == [b"sub/other"]
        assert len(list(changed_since(fd, 0))) == 7


def test_equal_folders_have_no_differences(folder, tmp_path):
    assert differences(folder, copied(folder, tmp_path)) == []


def test_the_tree_with_everything_is_equal_to_its_copy(shallow, tmp_path):
    copy = copied(shallow, tmp_path)
    assert differences(shallow, copy) == []
    assert digest(entries(shallow)) == digest(entries(copy))


@pytest.mark.parametrize(
    ("change", "path", "what"),
    [
        (lambda top: (top / "file").write_bytes(b"CONTENT"), b"file", "content"),
        (lambda top: (top / "file").write_bytes(b"longer than before"), b"file", "size 7 and 18"),
        (lambda top: (top / "file").chmod(0o600), b"file", "mode 0644 and 0600"),
        (lambda top: os.utime(top / "file", ns=(0, 10**9 + 1)), b"file", r"time [0-9.]+ and 1\.000000001"),
        (lambda top: os.setxattr(top / "file", "user.a", b"1"), b"file", r"extended attributes user\.a"),
        (lambda top: (top / "file").unlink(), b"file", "is missing in the second"),
        (lambda top: (top / "before").mkdir(), b"before", "is missing in the first"),
        (lambda top: (top / "zlast").mkdir(), b"zlast", "is missing in the first"),
        (lambda top: ((top / "link").unlink(), (top / "link").symlink_to("x")), b"link", "target 'file' and 'x'"),
        (lambda top: shutil.rmtree(top / "sub"), b"sub", "is missing in the second"),
        (
            lambda top: (shutil.rmtree(top / "sub"), (top / "sub").write_bytes(b"")),
            b"sub",
            "a directory and a file",
        ),
        (
            lambda top: ((top / "sub.file").unlink(), os.link(top / "file", top / "sub.file")),
            b"sub.file",
            "a file and another name of 'file'",
        ),
    ],
)
def test_what_differs_is_told(folder, tmp_path, change, path, what):
    copy = copied(folder, tmp_path)
    change(copy)
    for place in (copy, copy / "sub"):
        if place.is_dir():
            os.utime(place, ns=(0, (folder / place.relative_to(copy)).stat().st_mtime_ns))
    if what == "content":
        os.utime(copy / "file", ns=(0, (folder / "file").stat().st_mtime_ns))
    keeps = Keeps(times=what.startswith(("time", "content")))
    ((found_path, found_what),) = differences(folder, copy, keeps)
    assert found_path == path
    assert re.fullmatch(what, found_what)


@needs_root
def test_owners_and_devices_that_differ_are_told(folder, tmp_path):
    os.mknod(folder / "device", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    copy = copied(folder, tmp_path)
    os.chown(copy / "file", 5, 6)
    (copy / "device").unlink()
    os.mknod(copy / "device", stat.S_IFCHR | 0o600, os.makedev(1, 5))
    assert differences(folder, copy, Keeps(times=False)) == [
        (b"device", "device 1:3 and 1:5"),
        (b"file", "owner 0:0 and 5:6"),
    ]


def test_differences_end_at_a_limit_or_at_the_first(folder, tmp_path):
    copy = copied(folder, tmp_path)
    for number in range(20):
        (copy / f"new{number}").write_bytes(b"")
    assert len(differences(folder, copy, Keeps(times=False))) == 10
    assert len(differences(folder, copy, Keeps(times=False), limit=3)) == 3
    assert len(differences(folder, copy, Keeps(times=False), fast=True)) == 1


def test_what_is_not_kept_makes_no_difference(folder, tmp_path):
    os.link(folder / "file", folder / "again")
    make_socket(folder / "socket")
    copy = copied(folder, tmp_path)
    (copy / "again").unlink()
    shutil.copy2(copy / "file", copy / "again")
    os.setxattr(copy / "file", "user.a", b"1")
    (copy / "file").chmod(0o600)
    (copy / "link").unlink()
    (copy / "socket").unlink()
    os.mkfifo(copy / "pipe")
    nothing = Keeps(owner=False, mode=False, times=False, xattrs=False, links=False, symlinks=False, special=False)
    assert differences(folder, copy, nothing) == []
    assert digest(entries(folder, links=False), nothing) == digest(entries(copy, links=False), nothing)


def test_holes_are_compared_as_the_zeros_that_they_are(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        folder.mkdir()
        with open(folder / "file", "wb") as file:
            file.truncate(20 << 30)
            file.seek(5 << 30)
            file.write(b"x")
    with open(other / "file", "r+b") as file:
        file.write(bytes(3 << 20))
    keeps = Keeps(times=False)
    told = []
    assert differences(one, other, keeps, on_bytes=told.append) == []
    assert sum(told) < 10 << 20
    with open(other / "file", "r+b") as file:
        file.seek((20 << 30) - 1)
        file.write(b"y")
    assert differences(one, other, keeps) == [(b"file", "content")]


def test_a_file_that_vanishes_before_its_content_is_compared(folder, tmp_path, monkeypatch):
    copy = copied(folder, tmp_path)
    real = _tree_read.open_file

    def late(name, fd, path):
        # It was seen in both folders by then.
        if os.path.samestat(os.fstat(fd), os.stat(copy)):
            (copy / "file").unlink(missing_ok=True)
        return real(name, fd, path)

    monkeypatch.setattr(_tree_read, "open_file", late)
    assert differences(folder, copy, Keeps(times=False)) == [(b"file", "is missing in the second")]


def test_nothing_stays_open_after_a_comparison(folder, tmp_path):
    copy = copied(folder, tmp_path)
    (copy / "file").write_bytes(b"other")
    before = os.listdir("/proc/self/fd")
    assert differences(folder, copy, Keeps(times=False), limit=1)
    assert os.listdir("/proc/self/fd") == before


def test_content_that_cannot_be_compared_is_named(folder, tmp_path, monkeypatch):
    def refuse(*_arguments):
        raise OSError(errno.EIO, "Input/output error")

    copy = copied(folder, tmp_path)
    monkeypatch.setattr(os, "pread", refuse)
    with pytest.raises(VolumesError, match=r"Cannot read 'file': Input/output error"):
        differences(folder, copy)


def test_files_that_are_cut_off_while_they_are_compared(tmp_path):
    (tmp_path / "short").write_bytes(b"123")
    (tmp_path / "long").write_bytes(b"12345")
    with open(tmp_path / "short", "rb") as short, open(tmp_path / "long", "rb") as long:
        before = os.stat(long.fileno())
        assert _tree._same_content((short.fileno(), before), (short.fileno(), before), None)
        assert not _tree._same_content((short.fileno(), before), (long.fileno(), before), None)


def test_a_folder_is_measured(folder):
    os.link(folder / "file", folder / "sub" / "again")
    os.mkfifo(folder / "pipe")
    with open(folder / "sparse", "wb") as file:
        file.truncate(1 << 20)
    for number in range(101):
        make_socket(folder / f"socket{number:03}")
    with opened(folder) as fd:
        measured = measure(fd)
        assert measured.xattrs is False
        os.setxattr(folder / "sub.file", "user.a", b"1")
        assert measure(fd).xattrs is True
        assert measure(fd, xattrs=False).xattrs is None
    kept = [place for place in (folder, *folder.rglob("*")) if not place.is_socket() and place.name != "again"]
    assert measured == _tree.Measured(
        entries=10,
        files=4,
        bytes=len("contentother") + (1 << 20),
        allocated=sum(os.lstat(place).st_blocks for place in kept) * 512,
        sockets=tuple(b"socket%03d" % number for number in range(100)),
        sockets_count=101,
        symlinks=1,
        devices=0,
        special=1,
        links=1,
        xattrs=False,
        sparse=1,
        longest_name=8,
        longest_path=10,
    )


def test_the_tree_with_everything_is_measured(tortured):
    with opened(tortured) as fd:
        measured = measure(fd)
    counted = entries(tortured, content=False)
    kinds = [entry.kind for entry in counted]
    assert measured.entries == len(kinds) - kinds.count("socket")
    assert measured.files == kinds.count("file")
    assert measured.bytes == sum(entry.size for entry in counted)
    assert (measured.symlinks, measured.links) == (kinds.count("symlink"), kinds.count("link"))
    assert (measured.special, measured.devices, measured.sockets) == (8, 4, (b"special/socket",))
    assert (measured.xattrs, measured.longest_name) == (True, 255)
    assert measured.longest_path > 4096


def test_whether_there_is_data(tmp_path):
    with opened(tmp_path) as fd:
        assert not has_data(fd)
        (tmp_path / "lost+found").mkdir()
        assert not has_data(fd)
        (tmp_path / "lost+found" / "file").write_bytes(b"")
        assert has_data(fd)
        shutil.rmtree(tmp_path / "lost+found")
        (tmp_path / "folder").mkdir()
        assert has_data(fd)


def test_sockets_are_removed(folder, monkeypatch):
    make_socket(folder / "socket")
    make_socket(folder / "sub" / "deeper" / "socket")
    with opened(folder) as fd:
        assert remove_sockets(fd) == 2
        assert remove_sockets(fd) == 0
        assert len(list(walk(fd))) == 7
        make_socket(folder / "socket")

        def refuse(*_arguments, **_options):
            raise PermissionError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(os, "unlink", refuse)
        with pytest.raises(VolumesError, match="Cannot remove 'socket': Operation not permitted"):
            remove_sockets(fd)


def test_a_folder_is_emptied_and_stays(folder, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_bytes(b"")
    (folder / "outside").symlink_to(outside)
    (folder / "lost+found").mkdir()
    (folder / "lost+found" / "file").write_bytes(b"")
    inode = folder.stat().st_ino
    with opened(folder) as fd:
        empty(fd)
        empty(fd)
    assert os.listdir(folder) == ["lost+found"]
    assert os.listdir(folder / "lost+found") == []
    assert (folder.stat().st_ino, (outside / "file").exists()) == (inode, True)


def test_the_attributes_of_the_folder_itself_are_removed(folder, monkeypatch):
    os.setxattr(folder, "user.a", b"1")
    os.setxattr(folder / "file", "user.b", b"1")
    folder.chmod(0o3751)
    with opened(folder) as fd:
        strip(fd)
        assert stat.S_IMODE(os.fstat(fd).st_mode) == 0o1751
        assert (os.listxattr(fd), os.listxattr(folder / "file")) == ([], ["user.b"])

        def refuse(_place):
            raise OSError(error, os.strerror(error))

        monkeypatch.setattr(os, "listxattr", refuse)
        error = errno.ENOTSUP
        strip(fd)
        error = errno.EIO
        with pytest.raises(VolumesError, match="Cannot remove the attributes of the folder: Input/output error"):
            strip(fd)


def test_what_is_no_folder_is_told(folder):
    with open(folder / "file", "rb") as file, pytest.raises(VolumesError, match="Cannot read the folder: it is none"):
        list(walk(file.fileno()))


def test_a_file_that_vanishes_under_its_first_name_only(folder, monkeypatch):
    os.link(folder / "file", folder / "sub" / "again")
    real = os.open

    def late(place, *arguments, **options):
        if place == b"file":
            (folder / "file").unlink()
        return real(place, *arguments, **options)

    monkeypatch.setattr(os, "open", late)
    found = {entry.path: entry.kind for entry in entries(folder)}
    assert b"file" not in found
    assert found[b"sub/again"] == "file"


def test_the_tree_with_everything_is_removed(shallow, tmp_path):
    copy = copied(shallow, tmp_path)
    make_deep(copy, 3000)
    with opened(copy) as fd:
        empty(fd)
    assert os.listdir(copy) == []


@needs_root
def test_nothing_is_removed_where_something_is_mounted_inside(folder, mounted):
    with (
        opened(folder) as fd,
        pytest.raises(RefusedError, match=r"Cannot remove 'mounted': something is mounted there"),
    ):
        empty(fd)
    assert (folder / "file").exists()
    assert (mounted / "foreign").exists()


@needs_root
@pytest.mark.parametrize("options", [["-t", "tmpfs", "none"], ["--bind", "OUTSIDE"]])
def test_what_is_mounted_meanwhile_is_not_removed(folder, tmp_path, monkeypatch, options):
    outside = tmp_path / "outside"
    outside.mkdir()
    place = folder / "mounted here"
    place.mkdir()
    subprocess.run(["mount", *[str(outside) if word == "OUTSIDE" else word for word in options], place], check=True)
    try:
        (place / "foreign").write_bytes(b"")
        monkeypatch.setattr(_tree, "_refuse_mounts", lambda _fd: None)
        with (
            opened(folder) as fd,
            pytest.raises(RefusedError, match="Cannot remove 'mounted here': something is mounted"),
        ):
            empty(fd)
        assert (place / "foreign").exists()
        monkeypatch.undo()
        with (
            opened(folder) as fd,
            pytest.raises(RefusedError, match="Cannot remove 'mounted here': something is mounted"),
        ):
            empty(fd)
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("unlink", errno.EPERM, "Cannot remove 'file': Operation not permitted"),
        ("rmdir", errno.ENOTEMPTY, "Cannot remove 'sub/deeper': Directory not empty"),
    ],
)
def test_what_cannot_be_removed_is_named(folder, monkeypatch, name, error, message):
    def refuse(*_arguments, **_options):
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, name, refuse)
    with opened(folder) as fd, pytest.raises(VolumesError, match=message):
        empty(fd)


@pytest.mark.parametrize("name", ["unlink", "rmdir"])
def test_what_somebody_else_removes_first_is_no_error(folder, monkeypatch, name):
    real = getattr(os, name)

    def late(place, **options):
        real(place, **options)
        raise FileNotFoundError(errno.ENOENT, "No such file or directory")

    monkeypatch.setattr(os, name, late)
    with opened(folder) as fd:
        empty(fd)
    assert os.listdir(folder) == []


def test_a_folder_that_is_swapped_for_a_link_is_not_emptied_through_it(folder, tmp_path, monkeypatch):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_bytes(b"")
    real = os.open

    def swapped(place, *arguments, **options):
        if place == b"sub":
            (folder / "sub").rename(tmp_path / "away")
            (folder / "sub").symlink_to(outside)
        return real(place, *arguments, **options)

    monkeypatch.setattr(os, "open", swapped)
    with opened(folder) as fd:
        empty(fd)
    assert (outside / "file").exists()


def test_a_deep_folder_that_is_moved_away_while_it_is_emptied_is_told(folder, tmp_path, monkeypatch):
    make_deep(folder / "sub", 100)
    real = os.unlink

    def move(place, **options):
        if place == b"bottom":
            for depth in (50, 30):
                (folder / "sub" / "/".join(["d"] * depth)).rename(tmp_path / f"moved{depth}")
        real(place, **options)

    monkeypatch.setattr(os, "unlink", move)
    with opened(folder) as fd, pytest.raises(VolumesError, match=r"Cannot empty 'sub/d/[d/]*': it was moved away"):
        empty(fd)


def test_no_descriptors_stay_open(folder, tmp_path):
    copy = copied(folder, tmp_path)
    before = sorted(os.listdir("/proc/self/fd"))
    differences(folder, copy)
    entries(folder)
    with opened(folder) as fd:
        walking = walk(fd)
        next(walking)
        del walking
        has_data(fd)
        measure(fd)
        empty(fd)
    assert sorted(os.listdir("/proc/self/fd")) == before
