# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import errno
import os
import subprocess
import sys
import textwrap

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils import _folders
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import RefusedError, VolumesError


@pytest.fixture(autouse=True)
def _as_root(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)


@pytest.fixture
def volume(tmp_path):
    """Return a function that makes the folder of a volume."""

    def make(name, *files):
        folder = tmp_path / name / "_data"
        folder.mkdir(parents=True)
        for file in files:
            (folder / file).write_text(file)
        return folder

    return make


@pytest.mark.parametrize(
    ("path", "here", "root", "why"),
    [
        (
            "C:\\ProgramData\\Docker\\volumes\\bizvol\\_data",
            True,
            True,
            "is not in the data root of an engine on Linux",
        ),
        ("", True, True, "is not in the data root of an engine on Linux"),
        ("/var/lib/docker/volumes/x/_data", False, True, "only on the host of the engine"),
        ("/var/lib/docker/volumes/x/_data", True, False, "only by root"),
        ("/no/such/volumes/x/_data", True, True, "is not on this host"),
    ],
)
def test_why_a_folder_is_out_of_reach(monkeypatch, path, here, root, why):
    monkeypatch.setattr(os, "geteuid", lambda: 0 if root else 1000)
    assert why in _folders.why_unreachable(path, engine_is_here=here)


def test_a_folder_in_reach_a_missing_one_and_a_link(volume, tmp_path):
    folder = volume("pgdata", "file")
    assert _folders.why_unreachable(str(folder), engine_is_here=True) == ""
    assert _folders.inode(str(folder)) == folder.stat().st_ino
    assert _folders.has_data(str(folder))
    folder.rename(tmp_path / "elsewhere")
    assert _folders.why_unreachable(str(folder), engine_is_here=True) == ""
    assert (_folders.inode(str(folder)), _folders.has_data(str(folder))) == (None, False)
    folder.symlink_to(tmp_path / "elsewhere")
    assert "is a link" in _folders.why_unreachable(str(folder), engine_is_here=True)


def test_a_folder_that_is_mounted_from_the_same_file_system_is_out_of_reach(volume, monkeypatch):
    folder = volume("with space")
    assert "/proc" in set(_folders._mount_points())
    monkeypatch.setattr(_folders, "_mount_points", lambda: [str(folder)])
    assert "is on a file system of its own" in _folders.why_unreachable(str(folder), engine_is_here=True)


def test_the_hold_on_a_folder_that_was_made_anew_meanwhile_is_none(volume, monkeypatch):
    folder = volume("pgdata.voltainer-change")
    monkeypatch.setattr(_folders, "inode", lambda _path: 1)
    with pytest.raises(RefusedError, match="another run is at it"), _folders.held(str(folder), "change"):
        pass


def test_a_folder_on_a_file_system_of_its_own_is_out_of_reach(volume, monkeypatch):
    folder = volume("pgdata")
    monkeypatch.setattr(_folders, "_device", lambda path: 1 if path == str(folder) else 2)
    assert "is on a file system of its own" in _folders.why_unreachable(str(folder), engine_is_here=True)


def test_volumes_whose_names_end_so(volume, tmp_path, monkeypatch):
    folder = volume("pgdata")
    volume("other.change")
    assert _folders.names_beside(str(folder), ".change") == ["other.change"]
    assert _folders.names_beside(str(tmp_path / "elsewhere" / "_data"), ".change") is None
    assert _folders.names_beside("C:\\volumes\\pgdata\\_data", ".change") is None

    def refuse(_path):
        raise PermissionError

    monkeypatch.setattr(os, "listdir", refuse)
    assert _folders.names_beside(str(folder), ".change") is None


def test_a_folder_takes_the_place_of_an_empty_one_or_of_none(volume):
    source, target = volume("source", "file"), volume("target")
    inode = source.stat().st_ino
    _folders.move(str(source), str(target))
    assert (target.stat().st_ino, source.exists()) == (inode, False)
    _folders.move(str(target), str(source))
    assert (source / "file").read_text() == "file"


def test_a_folder_never_takes_the_place_of_data(volume):
    source, target = volume("source", "file"), volume("target", "other")
    with pytest.raises(VolumesError, match=r"Cannot move the folder .*source.*target.*: there is data in both places"):
        _folders.move(str(source), str(target))
    assert ((source / "file").read_text(), (target / "other").read_text()) == ("file", "other")


def test_a_folder_is_not_copied_where_it_cannot_be_moved(volume, monkeypatch):
    source, target = volume("source", "file"), volume("target")

    def refuse(_source, _target):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(VolumesError, match="two file systems, or under two quotas"):
        _folders.move(str(source), str(target))
    assert (source / "file").exists()


def test_two_runs_do_not_touch_one_change(volume):
    folder = volume("pgdata.voltainer-change")
    folder.rmdir()  # as in the midst of a change
    program = textwrap.dedent("""
        import fcntl, os, sys, time
        handle = os.open(sys.argv[1], os.O_RDONLY)
        fcntl.flock(handle, fcntl.LOCK_EX)
        print("held", flush=True)
        time.sleep(60)
    """)
    other = subprocess.Popen([sys.executable, "-c", program, str(folder.parent)], stdout=subprocess.PIPE)
    try:
        assert other.stdout.readline() == b"held\n"
        with (
            pytest.raises(RefusedError, match="Cannot go on with the change: another run is at it"),
            _folders.held(str(folder), "change"),
        ):
            pass
    finally:
        other.kill()
        other.communicate()
    # The hold ended with the process.
    with _folders.held(str(folder), "change"):
        pass


def test_a_staging_volume_that_vanished_is_told(tmp_path):
    with pytest.raises(RefusedError, match="cannot be opened"), _folders.held(str(tmp_path / "x" / "_data"), "change"):
        pass
