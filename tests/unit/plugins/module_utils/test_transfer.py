# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies from folder to folder, with the host's own cp and rsync, and what is told of them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace
from unittest import mock

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils._entry import LEAST, Keeps
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import RefusedError, VolumesError
from ansible_collections.voltainer.volumes.plugins.module_utils._program import ProgramError
from ansible_collections.voltainer.volumes.plugins.module_utils._transfer import (
    RSYNC,
    Transfer,
    check_fits,
    check_kept,
    check_space,
    cp_argv,
    lost,
    lost_words,
    only_vanished,
    out_of_space,
    rsync_argv,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._tree import compare, measure

from .test_tree import make_deep, make_socket
from .trees import TORTURE, opened
from .volumes import FolderHelper, folders

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can set owners, and mount")
needs_rsync = pytest.mark.skipif(not os.access(RSYNC, os.X_OK), reason="rsync is missing")


@pytest.fixture
def source(tmp_path):
    place = tmp_path / "source"
    (place / "sub").mkdir(parents=True)
    (place / "file").write_text("content")
    (place / "sub" / "other").write_text("other")
    (place / "link").symlink_to("file")
    # What was changed right before a copy counts as changed meanwhile.
    time.sleep(0.03)
    return place


@pytest.fixture
def target(tmp_path):
    place = tmp_path / "target"
    place.mkdir()
    return place


def copied(source, target, transfer=None, **options):
    transfer = transfer or Transfer("a")
    with folders(a=source, b=target) as at:
        transfer.bring(at, "b", **options)
        transfer.check(at, "b")
    return transfer.report


def equal(one, other):
    with opened(one) as first, opened(other) as second:
        assert compare(first, second, Keeps()) == []
    return True


@pytest.mark.parametrize(
    ("keeps", "xattrs", "preserve", "sparse"),
    [
        (Keeps(), True, "mode,ownership,timestamps,links,xattr", "auto"),
        (Keeps(), False, "mode,ownership,timestamps,links", "auto"),
        # A source without any attributes: cp would ask it for ACLs.
        (Keeps(), None, "ownership,timestamps,links", "auto"),
        (replace(Keeps(), owner=False, xattrs=False), True, "mode,timestamps,links", "auto"),
        (replace(Keeps(), times=False, times_seconds=True), False, "mode,ownership,timestamps,links", "auto"),
        (replace(Keeps(), times=False), False, "mode,ownership,links", "auto"),
        (replace(Keeps(), links=False, sparse=False), False, "mode,ownership,timestamps", "never"),
        (LEAST, True, None, "never"),
    ],
)
def test_what_cp_is_asked_for(keeps, xattrs, preserve, sparse):
    assert cp_argv("/a", "/b", keeps, xattrs=xattrs) == [
        *("/usr/bin/cp", "-R", "--no-dereference"),
        *([f"--preserve={preserve}"] if preserve else []),
        *(f"--sparse={sparse}", "--reflink=auto", "-T", "/a", "/b"),
    ]


FULL = "perms owner group times modify-window=-1 hard-links acls xattrs sparse devices specials links"


@pytest.mark.parametrize(
    ("keeps", "xattrs", "checksum", "options"),
    [
        (Keeps(), True, False, FULL),
        # The target may have attributes that the source has none of.
        (Keeps(), False, False, FULL),
        (Keeps(), None, False, FULL.replace("acls xattrs ", "")),
        (Keeps(), True, True, f"{FULL} checksum"),
        (LEAST, True, False, ""),
        (replace(LEAST, times_seconds=True, symlinks=True), True, False, "times links"),
    ],
)
def test_what_rsync_is_asked_for(keeps, xattrs, checksum, options):
    assert rsync_argv("/a", "/b", keeps, xattrs=xattrs, checksum=checksum) == [
        *(RSYNC, "--recursive", "--delete", "--numeric-ids", "--no-inc-recursive", "--exclude=/lost+found/"),
        *(f"--{name}" for name in options.split()),
        *("--", "/a/", "/b/"),
    ]


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Return the path of a tree with all kinds of entries, and none that takes rsync minutes."""
    place = tmp_path_factory.mktemp("small")
    subprocess.run([sys.executable, TORTURE, "make", place, "--small", "--without", "deep"], check=True)
    for large in [path for path in place.rglob("*") if path.is_file() and path.lstat().st_size > 1 << 30]:
        large.unlink()
    return place


@needs_root
@pytest.mark.parametrize("update", [False, pytest.param(True, marks=needs_rsync)])
def test_a_copy_is_equal_with_all_that_a_file_system_can_hold(small, shallow, target, update):
    tree = small if update else shallow
    report = copied(tree, target, update=update)
    assert equal(tree, target)
    assert report.files > 0
    assert (report.not_kept, report.warnings, report.changed, report.unverified) == ([], [], [], [])


@needs_rsync
@pytest.mark.parametrize("same", [True, False])
def test_an_update_takes_away_adds_and_finds_what_only_reading_tells(source, target, same):
    (target / "sub").mkdir()
    (target / "gone").write_text("gone")
    (target / "file").write_text("CONTENT" if same else "other")
    times = (source / "file").stat()
    os.utime(target / "file", ns=(times.st_atime_ns, times.st_mtime_ns))
    copied(source, target, update=True)
    assert equal(source, target)
    assert (target / "file").read_text() == "content"


@needs_rsync
def test_an_update_sees_times_within_one_second(source, target):
    os.utime(source / "file", ns=(10**18, 10**18 + 5))
    copied(source, target)
    os.utime(target / "file", ns=(10**18, 10**18 + 7))
    copied(source, target, update=True)
    assert equal(source, target)


def test_sockets_stay_behind_and_folders_keep_their_times(source, target):
    make_socket(source / "sub" / "socket")
    os.utime(source / "sub", ns=(10**18, 10**18))
    report = copied(source, target)
    assert report.sockets == 1
    assert not (target / "sub" / "socket").exists()
    assert (target / "sub").stat().st_mtime_ns == 10**18


def changing(change, when="after"):
    """Let something happen right after a program ended."""
    start = FolderHelper.start

    def started(at, argv, **options):
        program = start(at, argv, **options)
        program.process.wait()
        change()
        return program

    return mock.patch.object(FolderHelper, "start", started)


@pytest.mark.parametrize(("hot", "at_rest"), [(True, False), (False, False), (False, True)])
def test_what_changes_meanwhile_is_told_and_no_error(source, target, hot, at_rest):
    with changing(lambda: (source / "sub" / "other").write_text("changed")):
        report = copied(source, target, Transfer("a", hot=hot, at_rest=at_rest))
    assert report.changed == ["sub/other"]
    assert report.unverified == ["sub/other"]
    # Those who were at rest may go on with it then.
    told = "1 entries of the volume 'a' changed after they were copied, and could not be compared: sub/other"
    assert report.warnings == ([] if at_rest else [told])


def test_what_changes_meanwhile_hides_nothing_that_is_wrong(source, target):
    (source / "cache").mkdir()
    for number in range(1200):
        (source / "cache" / str(number)).touch()
    (source / "precious").mkdir()
    time.sleep(0.05)  # the kernel's clock for files is coarse

    def change():
        shutil.rmtree(source / "cache")
        (target / "precious").rmdir()

    with (
        changing(change),
        pytest.raises(VolumesError, match=r": 1 entries differ: 'precious': is missing"),
    ):
        copied(source, target)


def test_a_copy_that_is_written_to_by_others_is_an_error(source, target):
    with (
        changing(lambda: (target / "file").write_text("theirs!")),
        pytest.raises(VolumesError, match=r"of the volume 'a' in 'b' is not equal.*1 entries differ: 'file': "),
    ):
        copied(source, target)


def test_where_nothing_is_to_be_compared_nothing_is(source, target):
    with changing(lambda: (target / "file").write_text("theirs!")):
        report = copied(source, target, Transfer("a", verify=False))
    assert report.verify_seconds == 0


def test_a_file_beside_the_content_is_no_difference(source, target):
    transfer = Transfer("a")
    with folders(a=source, b=target) as at:
        transfer.bring(at, "b")
        times = target.stat()
        (target / ".guard").touch()
        os.utime(target, ns=(times.st_atime_ns, times.st_mtime_ns))
        transfer.check(at, "b", besides=".guard")
        with pytest.raises(VolumesError, match=r"'\.guard': is missing in the first"):
            transfer.check(at, "b")


VANISHED = "/usr/bin/cp: cannot stat '/a/x': No such file or directory"


@pytest.mark.parametrize(
    ("said", "only"),
    [
        (VANISHED, True),
        (f"{VANISHED}\n\n{VANISHED}\n", True),
        ("/usr/bin/cp: cannot open '/a/x': Stale file handle", True),
        (f"{VANISHED}\n/usr/bin/cp: error writing '/b/y': No space left on device", False),
        (f"{VANISHED}\n[...]\n{VANISHED}", False),
        ("", False),
    ],
)
def test_only_files_that_vanish_are_no_error_of_a_hot_copy(source, target, said, only):
    assert only_vanished(said) == only
    script = ["/bin/sh", "-c", f'printf "%s" "$0" >&2; exit 1; {said and ""}', said]
    start = FolderHelper.start
    with mock.patch.object(FolderHelper, "start", lambda at, _argv: start(at, script)):
        for hot in (True, False):
            with folders(a=source, b=target) as at:
                if hot and only:
                    Transfer("a", hot=True).bring(at, "b")
                    continue
                with pytest.raises(ProgramError, match="Cannot copy the volume 'a' to 'b': sh failed"):
                    Transfer("a", hot=hot).bring(at, "b")


@pytest.mark.parametrize("said", ["No space left on device", "Disk quota exceeded"])
def test_a_full_disk_has_a_way_out(said):
    assert "Make more space behind the volume 'b'" in str(out_of_space(ProgramError("x", f"cp: {said}", code=1), "b"))
    assert out_of_space(ProgramError("x", "cp: else", code=1), "b").way_out == ""


@needs_root
@pytest.mark.parametrize("update", [False, pytest.param(True, marks=needs_rsync)])
def test_a_full_disk_is_told(source, target, update):
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "none", target], check=True)
    try:
        (source / "large").write_bytes(os.urandom(1 << 20))
        with pytest.raises(RefusedError, match=r"not enough space for the copy in the volume 'b': 1\.0 MiB are needed"):
            copied(source, target, update=update)
        # Where that cannot be foreseen.
        with (
            mock.patch("ansible_collections.voltainer.volumes.plugins.module_utils._transfer.check_space"),
            pytest.raises(ProgramError, match=r"No space left on device.*Make more space behind the volume 'b'"),
        ):
            copied(source, target, update=update)
    finally:
        subprocess.run(["umount", "--lazy", target], check=True)


@needs_root
def test_a_disk_without_inodes_is_told(source, target):
    subprocess.run(["mount", "-t", "tmpfs", "-o", "nr_inodes=3", "none", target], check=True)
    try:
        with pytest.raises(
            RefusedError, match=r"not enough inodes for the copy in the volume 'b': 5 entries.*2 are free"
        ):
            copied(source, target)
    finally:
        subprocess.run(["umount", "--lazy", target], check=True)


@pytest.mark.parametrize(
    ("space", "allocated", "taken", "refused"),
    [
        ({}, 4096, 0, False),
        ({}, 40960, 0, False),
        ({}, 40961, 0, True),
        ({}, 40961, 1, False),
        # File systems that do not say.
        ({"f_blocks": 0, "f_bavail": 0}, 40961, 0, False),
        ({"f_ffree": 0}, 1, 0, False),
        ({"f_ffree": 2}, 1, 0, True),
        ({"f_ffree": 2}, 1, 5, False),
    ],
)
def test_space_is_looked_for_before(monkeypatch, space, allocated, taken, refused):
    free = SimpleNamespace(**{"f_blocks": 100, "f_bavail": 10, "f_frsize": 4096, "f_ffree": 1000, **space})
    monkeypatch.setattr(os, "fstatvfs", lambda _folder: free)
    measured = SimpleNamespace(allocated=allocated, bytes=allocated, entries=3)
    if not refused:
        check_space(measured, 0, "b", holes=True, taken=taken)
        return
    with pytest.raises(RefusedError, match=r"There (is|are) not enough (space|inodes) for the copy in the volume 'b'"):
        check_space(measured, 0, "b", holes=True, taken=taken)


@pytest.mark.parametrize(("holes", "refused"), [(True, False), (False, True)])
def test_holes_take_space_where_there_are_none(monkeypatch, holes, refused):
    free = SimpleNamespace(f_blocks=100, f_bavail=10, f_frsize=4096, f_ffree=0)
    monkeypatch.setattr(os, "fstatvfs", lambda _folder: free)
    measured = SimpleNamespace(allocated=4096, bytes=2**60, entries=3)
    if not refused:
        check_space(measured, 0, "b", holes=holes)
        return
    with pytest.raises(RefusedError, match="There is not enough space"):
        check_space(measured, 0, "b", holes=holes)


def test_paths_that_no_program_reaches_are_refused(source, target):
    make_deep(source, 17, b"d" * 250)
    with pytest.raises(RefusedError, match=r"paths of \d+ bytes, and no program goes beyond 4000.*Move these files up"):
        copied(source, target)
    assert os.listdir(target) == []


@pytest.mark.parametrize(
    ("keeps", "words"),
    [
        (replace(Keeps(), symlinks=False), "no such thing as the 1 symbolic links that there are"),
        (replace(Keeps(), special=False), "no such thing as the 1 named pipes or devices"),
        (LEAST, "1 symbolic links and 1 named pipes or devices"),
    ],
)
def test_whole_entries_that_would_get_lost_are_refused(source, keeps, words):
    os.mkfifo(source / "fifo")
    with opened(source) as folder:
        measured = measure(folder)
    check_kept(measured, Keeps(), "b")
    with pytest.raises(RefusedError, match=words):
        check_kept(measured, keeps, "b")


@pytest.mark.parametrize(
    ("keeps", "words"),
    [
        (Keeps(), []),
        (replace(Keeps(), owner=False), ["owners"]),
        (replace(Keeps(), times=False), ["times of change"]),
        (replace(Keeps(), times=False, times_seconds=True), ["times in fractions of seconds"]),
        (replace(Keeps(), links=False), ["hard links, which become files of their own"]),
        (replace(Keeps(), sparse=False, xattrs=False), []),
        (replace(Keeps(), symlinks=False, special=False), []),
    ],
)
def test_what_gets_lost_is_told_as_far_as_there_is_any_of_it(source, keeps, words):
    os.link(source / "file", source / "again")
    with opened(source) as folder:
        assert lost(measure(folder), keeps) == words
    assert lost_words(words, "b") == ([f"The file system of the volume 'b' does not keep: {words[0]}"] if words else [])


@needs_root
def test_whether_a_copy_will_fit_is_told_before(source, target):
    (target / "large").write_bytes(bytes(4096))
    with folders(a=source, b=target) as at:
        assert check_fits(at, "a", "b") == []
        with mock.patch.object(FolderHelper, "keeps", return_value=replace(Keeps(), owner=False)):
            assert check_fits(at, "a", "b") == ["The file system of the volume 'b' does not keep: owners"]
