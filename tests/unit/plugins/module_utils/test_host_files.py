# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that hold secrets: written in one step or not at all, closed to others, and kept beside for a way back."""

from __future__ import annotations

import errno
import os
import stat
import threading

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils import _host_files as files
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import InvalidInputError, VolumesError
from ansible_collections.voltainer.volumes.plugins.module_utils._host_files import FileState

UID, GID = os.geteuid(), os.getegid()
STAMP = "20261124T161500Z"
AS_ROOT = pytest.mark.skipif(UID != 0, reason="only root gives files away")


def state(content, mode=0o600, uid=UID, gid=GID):
    return FileState(content, mode, uid, gid)


def mode_of(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def names(folder):
    return sorted(os.listdir(folder))


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "pure.json")


CONTENTS = [b"", b"x", b"no line break", b"a\r\nb\r\n", b"\xef\xbb\xbfx", b"\xff\x00", b"x" * 3_000_000]


@pytest.mark.parametrize("content", CONTENTS, ids=lambda content: repr(content[:12]))
@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640, 0o666])
def test_what_is_written_is_there_and_nothing_else(path, tmp_path, content, mode):
    assert files.look(path) == FileState()
    for _again in range(2):
        files.write(path, state(content, mode))
        assert files.look(path) == state(content, mode)
        assert names(tmp_path) == ["pure.json"]
    files.write(path, FileState())
    assert names(tmp_path) == []
    files.write(path, FileState())


def test_a_state_shows_no_content():
    assert "s3cret" not in repr(FileState(b"s3cret"))
    assert (FileState().exists, FileState(b"").exists) == (False, True)


@AS_ROOT
def test_the_owner_is_that_of_the_state_also_of_folders_that_are_made(tmp_path):
    path = tmp_path / "a" / "b" / "pure.json"
    files.write(str(path), state(b"x", 0o640, 1234, 2345), 0o750)
    assert files.look(str(path)) == FileState(b"x", 0o640, 1234, 2345)
    for folder in (path.parent, path.parent.parent):
        found = folder.stat()
        assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (1234, 2345, 0o750)
    assert tmp_path.stat().st_uid == UID


def test_folders_that_are_there_stay_as_they_are(tmp_path):
    folder = tmp_path / "a"
    folder.mkdir(0o755)
    folder.chmod(0o755)
    files.write(str(folder / "b" / "c"), state(b"x"), 0o711)
    assert (mode_of(folder), mode_of(folder / "b")) == (0o755, 0o711)


@pytest.mark.parametrize("mask", [0o000, 0o077, 0o777])
def test_the_umask_changes_nothing(tmp_path, mask):
    before = os.umask(mask)
    try:
        files.write(str(tmp_path / "d" / "f"), state(b"x", 0o644), 0o755)
    finally:
        os.umask(before)
    assert (mode_of(tmp_path / "d"), mode_of(tmp_path / "d" / "f")) == (0o755, 0o644)


def test_a_reader_sees_the_old_file_or_the_new_one(path):
    """The new one is another file under the name: who has the old one open, reads on in that."""
    files.write(path, state(b"old"))
    with open(path, "rb") as stream:
        files.write(path, state(b"new"))
        assert stream.read() == b"old"
    seen, ends = set(), threading.Event()

    def look():
        while not ends.is_set():
            with open(path, "rb") as stream:
                seen.add(stream.read())

    reader = threading.Thread(target=look)
    reader.start()
    for number in range(60):
        files.write(path, state((b"a" if number % 2 else b"b") * 100_000))
    ends.set()
    reader.join()
    assert seen <= {b"new", b"a" * 100_000, b"b" * 100_000}


def test_meanwhile_nobody_else_can_read_it(path, monkeypatch):
    modes = []
    chown = os.fchown

    def look(descriptor, uid, gid):
        modes.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        chown(descriptor, uid, gid)

    monkeypatch.setattr(os, "fchown", look)
    before = os.umask(0)
    try:
        files.write(path, state(b"x", 0o644))
    finally:
        os.umask(before)
    assert modes == [0o600]


@pytest.mark.parametrize("there", [True, False])
def test_a_symbolic_link_is_followed_and_stays(tmp_path, there):
    target, link = tmp_path / "real" / "pure.json", tmp_path / "pure.json"
    if there:
        target.parent.mkdir()
        target.write_bytes(b"old")
    link.symlink_to("real/pure.json")
    files.write(str(link), state(b"new"))
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert files.look(str(link)) == state(b"new")
    files.keep(str(link), files.backup_name(str(link), STAMP), b"old")
    assert names(target.parent) == ["pure.json", f"pure.json.{STAMP}~"]
    assert files.backups_of(str(link)) == [f"{target}.{STAMP}~"]
    files.remove(str(link))
    assert (names(target.parent), names(tmp_path)) == ([], ["real"])


def failing(number):
    def fail(*_arguments, **_named):
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("call", ["fsync", "fchown", "fchmod", "rename"])
@pytest.mark.parametrize("content", [b"old", None])
def test_where_it_fails_the_old_file_stays_and_nothing_beside_it(path, tmp_path, monkeypatch, call, content):
    files.write(path, state(content))
    before = names(tmp_path)
    monkeypatch.setattr(os, call, failing(errno.ENOSPC))
    with pytest.raises(VolumesError, match=r"Cannot write the file '.*pure.json': No space left on device") as caught:
        files.write(path, state(b"s3cret"))
    assert "s3cret" not in str(caught.value)
    monkeypatch.undo()
    assert files.look(path) == (state(content) if content else FileState())
    assert names(tmp_path) == before


def test_a_disk_that_is_full_when_it_is_written_to(path, tmp_path, monkeypatch):
    files.write(path, state(b"old"))
    fdopen = os.fdopen

    class Full:
        def __init__(self, descriptor, mode):
            self.stream = fdopen(descriptor, mode)

        def __enter__(self):
            return self

        def __exit__(self, *_error):
            self.stream.close()

        def fileno(self):
            return self.stream.fileno()

        write = staticmethod(failing(errno.ENOSPC))

    monkeypatch.setattr(os, "fdopen", Full)
    with pytest.raises(VolumesError, match="No space left"):
        files.write(path, state(b"new"))
    assert files.look(path) == state(b"old")
    assert names(tmp_path) == ["pure.json"]


class KilledError(BaseException):
    """What no code catches, as SIGKILL."""


def test_what_a_killed_task_left_is_used_up_by_the_next(path, tmp_path, monkeypatch):
    """Killed for good, not even the temporary file goes."""

    def killed(*_arguments):
        raise KilledError

    for call in (lambda: files.write(path, state(b"s3cret")), lambda: files.keep(path, f"{path}.{STAMP}~", b"s3cret")):
        monkeypatch.setattr(os, "rename", killed)
        monkeypatch.setattr(os, "unlink", lambda _path: None)
        with pytest.raises(KilledError):
            call()
        monkeypatch.undo()
        (left,) = names(tmp_path)
        assert mode_of(tmp_path / left) == 0o600
        assert left.endswith("~")
        files.write(path, state(b"new"))
        assert names(tmp_path) == ["pure.json"]
        files.write(path, FileState())


def test_a_removal_takes_along_what_a_killed_task_left(path, tmp_path):
    files.write(path, state(b"x"))
    (tmp_path / ".pure.json.voltainer~").write_bytes(b"s3cret")
    files.remove(path)
    assert names(tmp_path) == []


@pytest.mark.parametrize("kind", ["symlink", "hard link"])
def test_what_somebody_put_in_place_of_the_temporary_file_is_not_written_to(path, tmp_path, kind):
    victim = tmp_path / "victim"
    victim.write_bytes(b"victim")
    trap = tmp_path / ".pure.json.voltainer~"
    trap.symlink_to(victim) if kind == "symlink" else os.link(victim, trap)
    files.write(path, state(b"new"))
    assert victim.read_bytes() == b"victim"
    assert names(tmp_path) == ["pure.json", "victim"]


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["fifo", "folder"])
def test_what_is_no_file_is_refused_and_not_waited_for(path, tmp_path, make):
    make(path)
    kind = "a folder stands there" if make is os.mkdir else "what stands there is no file"
    with pytest.raises(VolumesError, match=f"Cannot use the file '{path}': {kind}"):
        files.look(path)
    if make is os.mkdir:
        with pytest.raises(VolumesError, match="Is a directory"):
            files.write(path, state(b"x"))
        assert names(tmp_path) == ["pure.json"]


def test_a_path_whose_parent_is_a_file(path, tmp_path):
    files.write(path, state(b"x"))
    below = f"{path}/a/b"
    assert files.look(below) == FileState()
    with pytest.raises(VolumesError, match=f"Cannot write the file '{below}': (File exists|Not a directory)"):
        files.write(below, state(b"y"))
    assert files.look(path) == state(b"x")
    assert names(tmp_path) == ["pure.json"]
    files.write(below, FileState())
    files.remove(below)
    assert files.backups_of(below) == []
    assert files.look(path) == state(b"x")


@pytest.mark.parametrize("call", [files.look, lambda path: files.write(path, state(b"x")), files.remove])
def test_a_path_that_the_host_refuses(tmp_path, call):
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    for bad in (f"{loop}/x", str(tmp_path / ("n" * 300))):
        with pytest.raises(VolumesError, match=r"Cannot \w+ the file"):
            call(bad)


def backup(path, number):
    return files.backup_name(path, f"202611{number:02}T161500Z")


def test_a_backup_is_named_by_its_time_and_closed_to_others(path, tmp_path):
    files.write(path, state(b"old", 0o644))
    kept = files.backup_name(path, STAMP)
    files.keep(path, kept, b"old")
    assert names(tmp_path) == ["pure.json", f"pure.json.{STAMP}~"]
    assert files.look(kept) == state(b"old", 0o600)
    assert files.is_backup(path, kept)


def test_a_backup_that_cannot_be_kept_is_told(path, monkeypatch):
    monkeypatch.setattr(os, "rename", failing(errno.ENOSPC))
    with pytest.raises(VolumesError, match=r"Cannot keep a backup of the file '.*pure.json' as '.*~': No space left"):
        files.keep(path, backup(path, 1), b"x")


@pytest.mark.parametrize(
    ("number", "way_out"),
    [
        (errno.ENOSPC, "Make room"),
        (errno.EDQUOT, "Make room"),
        (errno.EROFS, "read-only"),
        (errno.EPERM, "immutable"),
        (errno.EACCES, "its rights"),
    ],
)
def test_what_to_do_fits_what_hinders(path, monkeypatch, number, way_out):
    monkeypatch.setattr(os, "rename", failing(number))
    with pytest.raises(VolumesError) as caught:
        files.write(path, state(b"x"))
    assert way_out in caught.value.way_out


@pytest.mark.parametrize("many", [0, 1, 5, 6, 9])
def test_the_newest_five_backups_are_kept(path, many):
    files.write(path, state(b"x"))
    for number in reversed(range(1, many + 1)):
        files.keep(path, backup(path, number), b"%d" % number)
    assert files.backups_of(path) == [backup(path, number) for number in range(1, many + 1)]
    files.forget_old_backups(path)
    assert files.backups_of(path) == [backup(path, number) for number in range(max(many - 4, 1), many + 1)]
    assert files.look(path) == state(b"x")


OTHERS = [
    "pure.json",
    "pure.json~",
    f"pure.json.{STAMP}",
    f"pure.jsonX{STAMP}~",
    f"pureXjson.{STAMP}~",
    f"other.pure.json.{STAMP}~",
    f"pure.json.{STAMP}~.gz",
    f"pure.json.{STAMP}~\n",
    "pure.json.2026-11-24~",
]


@pytest.mark.parametrize("other", OTHERS)
def test_files_that_only_look_like_backups_are_none(path, tmp_path, other):
    assert not files.is_backup(path, str(tmp_path / other))
    (tmp_path / other).write_bytes(b"x")
    assert files.backups_of(path) == []


@pytest.mark.parametrize("other", ["/elsewhere/secret", f"../pure.json.{STAMP}~", "", f"/pure.json.{STAMP}~"])
def test_a_backup_is_beside_its_file(path, other):
    assert not files.is_backup(path, other)


def test_a_removal_takes_the_backups_and_leaves_others(path, tmp_path):
    files.write(path, state(b"x"))
    for number in range(1, 4):
        files.keep(path, backup(path, number), b"old")
    (tmp_path / f"other.json.{STAMP}~").write_bytes(b"x")
    files.remove(path)
    assert names(tmp_path) == [f"other.json.{STAMP}~"]
    files.remove(path)


def test_a_removal_that_fails_midway_can_be_done_again(path, tmp_path, monkeypatch):
    """The backups go first: as long as the file is there, the next task has something to remove."""
    files.write(path, state(b"x"))
    files.keep(path, backup(path, 1), b"old")
    unlink, done = os.unlink, []

    def once(target):
        if done:
            raise OSError(errno.EIO, "Input/output error")
        done.append(target)
        unlink(target)

    monkeypatch.setattr(os, "unlink", once)
    with pytest.raises(VolumesError, match="Cannot remove the file"):
        files.remove(path)
    monkeypatch.undo()
    assert names(tmp_path) == ["pure.json"]
    files.remove(path)
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("find", "option", "kind"), [(files.user_id, "owner", "user"), (files.group_id, "group", "group")]
)
def test_owners_by_name_and_by_number(find, option, kind):
    assert (find("root"), find("0"), find("1234")) == (0, 0, 1234)
    for bad in ("nobody-is-called-so", "", "-1", "²", "4294967295", "9" * 30):
        with pytest.raises(
            InvalidInputError, match=f"The {option} '{bad}' of a config file is invalid.*no such {kind}"
        ):
            find(bad)
