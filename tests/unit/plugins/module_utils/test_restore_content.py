# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What restic brought back is taken from its folder only, by whatever links a snapshot has."""

from __future__ import annotations

import os

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils import _restore_content
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import RefusedError

from .backups import NEW_YEAR, snapshot


@pytest.fixture
def beside(tmp_path):
    (tmp_path / "victim" / "_data").mkdir(parents=True)
    (tmp_path / "victim" / "_data" / "important").touch()
    beside = tmp_path / "beside"
    (beside / "real" / "_data").mkdir(parents=True)
    (beside / "real" / "_data" / "file").touch()
    (beside / "link").symlink_to(tmp_path / "victim")
    (beside / "_data").symlink_to(tmp_path / "victim" / "_data")
    return beside


@pytest.mark.parametrize(
    ("paths", "found"),
    [
        (["real/_data"], ["file"]),
        (["none/_data", "real/_data"], ["file"]),
        (["_data"], None),
        (["link/_data"], None),
        (["link/_data", "_data", "real/_data"], ["file"]),
        (["real/_data/file"], None),
    ],
)
def test_no_link_of_a_snapshot_is_followed(beside, paths, found):
    with _restore_content._opened_below(str(beside), [str(beside / path) for path in paths]) as folder:
        assert (None if folder is None else os.listdir(folder)) == found


def test_what_is_moved_comes_from_the_folder_that_was_opened(beside, tmp_path):
    target = tmp_path / "target"
    target.mkdir()
    (beside / "real" / "_data").chmod(0o750)
    with _restore_content._opened_below(str(beside), [str(beside / "real" / "_data")]) as folder:
        (beside / "real").rename(beside / "moved")
        (beside / "real").symlink_to(tmp_path / "victim")
        _restore_content._put(folder, str(target))
    assert os.listdir(target) == ["file"]
    assert target.stat().st_mode & 0o777 == 0o750
    assert os.listdir(tmp_path / "victim" / "_data") == ["important"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices")
def test_devices_in_a_snapshot_are_refused_and_listed(tmp_path):
    os.mknod(tmp_path / "disk", 0o660 | 0o060000, os.makedev(254, 0))
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(RefusedError, match=r"'disk': it is a device.*allow_devices") as caught:
            _restore_content._refuse_devices(folder, snapshot("abcdef0123", NEW_YEAR))
    finally:
        os.close(folder)
    assert caught.value.details == {"dangers": ["'disk': it is a device"]}
