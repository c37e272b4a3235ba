# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots on a file system that shares data between files, and none where there is no sense in one, or no way."""

from __future__ import annotations

import os
import shutil
import subprocess
from unittest import mock

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils._entry import Keeps
from ansible_collections.voltainer.volumes.plugins.module_utils._tree import Measured, compare

from .volumes import FolderHelper, folders

LARGE = Measured(entries=2, files=1, bytes=1 << 20, allocated=1 << 20)


@pytest.fixture
def btrfs(tmp_path):
    """Return a folder on a btrfs of its own."""
    if os.geteuid() != 0 or not shutil.which("mkfs.btrfs"):
        pytest.skip("this needs root and mkfs.btrfs")
    place, image = tmp_path / "place", tmp_path / "image"
    place.mkdir()
    image.touch()
    os.truncate(image, 128 << 20)
    subprocess.run(["mkfs.btrfs", "-q", image], check=True)
    if subprocess.run(["mount", "-o", "loop", image, place], check=False).returncode:
        pytest.skip("this kernel mounts no btrfs")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def filled(place):
    """Return two folders at the place: one with content, and an empty one."""
    source, scratch = place / "source", place / "scratch"
    (source / "sub").mkdir(parents=True)
    scratch.mkdir()
    (source / "large").write_bytes(os.urandom(1 << 20))
    os.link(source / "large", source / "sub" / "same")
    (source / "sub" / "link").symlink_to("same")
    os.mkfifo(source / "fifo")
    source.chmod(0o2750)
    return source, scratch


def shares():
    return mock.patch.object(FolderHelper, "file_system", return_value="btrfs")


def test_a_snapshot_is_as_the_volume_and_stays_as_it_was(btrfs):
    source, scratch = filled(btrfs)
    with folders(**{"a": source, "": scratch}) as at, shares():
        found = at.snapshot("a", LARGE)
        assert found is not None
        assert list(found.places.items()) == [("a", str(scratch))]
        assert compare(at.open("a"), found.open("a"), Keeps()) == []
        before = (source / "large").read_bytes()
        (source / "large").write_bytes(b"later")
        assert (scratch / "large").read_bytes() == before
        assert (scratch / "large").samefile(scratch / "sub" / "same")


@pytest.mark.parametrize("why", ["no sharing", "no room", "small files", "another file system"])
def test_there_is_none_without_a_way_or_a_sense(tmp_path, why):
    if os.geteuid() != 0:
        pytest.skip("only root gives files away")
    source, scratch = filled(tmp_path)
    places = {"a": source, "": scratch} if why != "no room" else {"a": source}
    measured = LARGE if why != "small files" else Measured(entries=1000, allocated=1 << 20)
    with folders(**places) as at:
        if why == "another file system":
            assert at.snapshot("a", measured) is None
            return
        with shares():
            assert at.snapshot("a", measured) is None
