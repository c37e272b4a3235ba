# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder of archives: what appears in it when, and what killed runs leave."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from datetime import timedelta

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils import _backup_folder
from ansible_collections.voltainer.volumes.plugins.module_utils._backup_folder import backup_folder
from ansible_collections.voltainer.volumes.plugins.module_utils._backup_names import ArchiveName, partial
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import RefusedError, VolumesError

from .backups import NEW_YEAR, manifest

NAME = ArchiveName("pgdata", NEW_YEAR, "zstd")
LATER = ArchiveName("pgdata", NEW_YEAR + timedelta(days=1), "gzip")
OTHER = ArchiveName("pgdata2", NEW_YEAR, "zstd")


@pytest.fixture
def folder(tmp_path):
    with backup_folder(str(tmp_path)) as opened:
        yield opened


def failing(number):
    def fail(*_args, **_options):
        raise OSError(number, os.strerror(number))

    return fail


def files(folder):
    return sorted(os.listdir(folder.path))


@pytest.mark.parametrize(("name", "why"), [("none", "No such file or directory"), ("file", "Not a directory")])
def test_a_folder_that_is_none_is_refused_and_not_made(tmp_path, name, why):
    (tmp_path / "file").touch()
    with pytest.raises(RefusedError, match=f"'{tmp_path}/{name}': {why}"), backup_folder(str(tmp_path / name)):
        pass
    assert os.listdir(tmp_path) == ["file"]


def test_a_file_appears_whole_or_not_at_all(folder):
    with folder.partial("a") as handle:
        os.write(handle, b"half")
        assert files(folder) == [partial("a")]
        assert os.fstat(handle).st_mode & 0o777 == 0o600
    assert files(folder) == []
    with folder.partial("a") as handle:
        os.write(handle, b"whole")
        folder.publish("a")
        assert files(folder) == sorted([partial("a"), "a"])
    assert files(folder) == ["a"]
    assert folder.read("a") == "whole"


def test_an_error_leaves_nothing(folder):
    with pytest.raises(ZeroDivisionError), folder.partial("a"):
        raise ZeroDivisionError
    assert files(folder) == []


@pytest.mark.parametrize("links", [True, False])
def test_a_file_that_somebody_made_meanwhile_stays(folder, monkeypatch, links):
    if not links:
        monkeypatch.setattr(os, "link", failing(errno.EPERM))
    with folder.partial("a"):
        with open(f"{folder.path}/a", "w", encoding="utf-8") as theirs:
            theirs.write("theirs")
        with pytest.raises(VolumesError, match=f"Cannot write '{folder.path}/a': File exists"):
            folder.publish("a")
    assert (files(folder), folder.read("a")) == (["a"], "theirs")


def test_file_systems_without_hard_links_do_too(folder, monkeypatch):
    monkeypatch.setattr(os, "link", failing(errno.EPERM))
    folder.write("a", "whole")
    assert (files(folder), folder.read("a")) == (["a"], "whole")


def test_a_link_in_the_place_of_a_file_is_neither_written_through_nor_read(folder, tmp_path):
    os.symlink(f"{tmp_path}/elsewhere", f"{folder.path}/{partial('a')}")
    with pytest.raises(VolumesError, match="File exists"), folder.partial("a"):
        pass
    os.symlink("/etc/hostname", f"{folder.path}/b")
    with pytest.raises(VolumesError, match=f"Cannot read '{folder.path}/b'"):
        folder.read("b")
    assert not os.path.lexists(f"{tmp_path}/elsewhere")


@pytest.mark.parametrize(("call", "number"), [("write", errno.ENOSPC), ("fsync", errno.EIO), ("rename", errno.EIO)])
def test_what_cannot_be_written_is_told_and_gone(folder, monkeypatch, call, number):
    with monkeypatch.context() as patched:
        if call == "rename":
            patched.setattr(os, "link", failing(errno.EPERM))
        patched.setattr(os, call, failing(number))
        with pytest.raises(VolumesError, match=f"Cannot write '{folder.path}/a': {os.strerror(number)}"):
            folder.write("a", "text")
    assert files(folder) == []


def test_a_file_that_is_too_large_for_a_manifest_is_not_read(folder, monkeypatch):
    monkeypatch.setattr(_backup_folder, "_LARGEST_MANIFEST", 10)
    folder.write("a", "0123456789")
    assert folder.read("a") == "0123456789"
    folder.write("b", "0123456789x")
    with pytest.raises(VolumesError, match="too large for what it is to be"):
        folder.read("b")


def test_a_manifest_that_is_none_is_told_with_its_path(folder):
    folder.write(NAME.manifest, "{")
    with pytest.raises(VolumesError, match=f"{folder.path}/pgdata"):
        folder.manifest(NAME)


def test_the_manifest_goes_last(folder, monkeypatch):
    for file in (str(NAME), NAME.manifest):
        folder.write(file, "x")
    unlink, removed = os.unlink, []

    def recording(file, **options):
        removed.append(file)
        unlink(file, **options)

    monkeypatch.setattr(os, "unlink", recording)
    folder.remove(NAME)
    # It lost its name before.
    assert removed[-2:] == [NAME.manifest, partial(str(NAME))]
    # What is gone needs no removal.
    folder.remove(NAME)
    assert files(folder) == []


def test_an_archive_that_cannot_be_removed_keeps_its_manifest(folder, monkeypatch):
    for file in (str(NAME), NAME.manifest):
        folder.write(file, "x")
    with monkeypatch.context() as patched:
        patched.setattr(os, "rename", failing(errno.EACCES))
        with pytest.raises(VolumesError, match=f"Cannot remove '{folder.path}/{NAME}': Permission denied"):
            folder.remove(NAME)
    assert files(folder) == sorted([str(NAME), NAME.manifest])


_WRITER = """
import sys
from ansible_collections.voltainer.volumes.plugins.module_utils._backup_folder import backup_folder
with backup_folder(sys.argv[1]) as folder, folder.partial(sys.argv[2]):
    print("written", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def writer(folder):
    """Run a process that writes an archive, and goes on until it is told otherwise."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    command = [sys.executable, "-c", _WRITER, folder.path, str(NAME)]
    with subprocess.Popen(command, env=environment, **pipes) as process:
        assert process.stdout.readline() == b"written\n"
        yield process
        process.kill()


def clean(folder, volume="pgdata"):
    """Remove what is left; return what was told of that before."""
    left = folder.left(volume)
    before = files(folder)
    for file in left.files:
        folder.clean(file)
    assert sorted({*before} - {*files(folder)}) == sorted(one for names in left.files.values() for one in names)
    return left


def test_what_a_killed_run_left_goes_and_what_a_living_one_writes_stays(folder, writer):
    folder.write(NAME.manifest, manifest(NAME).to_json())
    assert clean(folder).files == {}
    # Its manifest is there before it is.
    assert files(folder) == sorted([partial(str(NAME)), NAME.manifest])
    writer.kill()
    writer.wait()
    assert clean(folder, "pgdata2").files == {}
    assert clean(folder).files == {partial(str(NAME)): (NAME.manifest, partial(str(NAME)))}
    assert files(folder) == []


def test_whole_backups_and_other_files_stay(folder):
    for name in (NAME, OTHER):
        folder.write(name.manifest, "x")
        folder.write(str(name), "x")
    # The archive may have been moved elsewhere.
    folder.write(LATER.manifest, "x")
    folder.write("notes.json", "x")
    before = files(folder)
    # A run was killed when its archive had got its name, and another one in the midst of a manifest.
    os.link(f"{folder.path}/{NAME}", f"{folder.path}/{partial(str(NAME))}")
    for file in (partial(LATER.manifest), partial(OTHER.manifest)):
        with open(f"{folder.path}/{file}", "wb") as begun:
            begun.write(b"x" * 5000)
    left = clean(folder)
    assert left.files == {file: (file,) for file in (partial(str(NAME)), partial(LATER.manifest))}
    assert 5000 <= left.bytes < 100_000
    assert files(folder) == sorted([*before, partial(OTHER.manifest)])


def test_a_removal_that_is_killed_is_ended_by_the_next_run(folder, monkeypatch):
    for file in (str(NAME), NAME.manifest):
        folder.write(file, "x")
    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", failing(errno.EIO))
        with pytest.raises(VolumesError, match="Cannot remove"):
            folder.remove(NAME)
    assert files(folder) == [partial(str(NAME)), NAME.manifest]
    clean(folder)
    assert files(folder) == []


def test_a_manifest_does_not_stay_without_its_archive(folder, monkeypatch):
    def fail(file):
        raise VolumesError(f"Cannot write '{file}'", "it broke")

    publish = folder.publish
    monkeypatch.setattr(folder, "publish", lambda file: publish(file) if file.endswith(".json") else fail(file))
    with pytest.raises(VolumesError, match="it broke"), folder.partial(str(NAME)):
        folder.complete(NAME, "x")
    assert files(folder) == []
    monkeypatch.undo()
    with folder.partial(str(NAME)):
        folder.complete(NAME, "x")
    assert files(folder) == [str(NAME), NAME.manifest]


def as_on_shares(handle, how):
    """Lock as NFS does: only what is open to be written to."""
    if fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))


def test_what_a_killed_run_left_on_a_share_goes(folder, monkeypatch):
    with open(f"{folder.path}/{partial(str(NAME))}", "wb"):
        pass
    monkeypatch.setattr(fcntl, "flock", as_on_shares)
    assert list(clean(folder).files) == [partial(str(NAME))]
    folder.write("a", "whole")
    assert files(folder) == ["a"]


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_without_locks_files_are_written_and_none_is_taken_for_one_that_was_left(folder, monkeypatch, number):
    with open(f"{folder.path}/{partial(str(NAME))}", "wb"):
        pass
    monkeypatch.setattr(fcntl, "flock", failing(number))
    left = clean(folder)
    assert (left.files, left.unknown) == ({}, (f"{partial(str(NAME))} ({os.strerror(number)})",))
    folder.write("a", "whole")
    assert files(folder) == [partial(str(NAME)), "a"]


def test_a_lock_that_fails_otherwise_is_told(folder, monkeypatch):
    monkeypatch.setattr(fcntl, "flock", failing(errno.EIO))
    with pytest.raises(VolumesError, match=f"Cannot write '{folder.path}/a': {os.strerror(errno.EIO)}"):
        folder.write("a", "text")
    assert files(folder) == []


def test_one_who_cleans_while_a_file_is_begun_is_waited_for(folder, monkeypatch):
    taken = []
    lock = fcntl.flock

    def slow(handle, how):
        taken.append(how)
        lock(handle, how)

    monkeypatch.setattr(fcntl, "flock", slow)
    with folder.partial("a"):
        assert taken == [fcntl.LOCK_EX]


def test_a_partial_file_that_is_no_file_is_told_and_stays(folder):
    os.symlink("/etc/hostname", f"{folder.path}/{partial(str(NAME))}")
    left = clean(folder)
    assert (left.files, left.unknown) == ({}, (f"{partial(str(NAME))} (Too many levels of symbolic links)",))
    with pytest.raises(VolumesError, match="Cannot remove"):
        folder.clean(partial(str(NAME)))
    assert files(folder) == [partial(str(NAME))]


def test_how_much_is_free(folder):
    assert folder.free() > 0
