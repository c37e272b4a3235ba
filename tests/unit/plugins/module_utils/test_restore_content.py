# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives of others are compared with what was unpacked of them, and snapshots follow no links."""

from __future__ import annotations

import os
import subprocess

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils import _restore_content
from ansible_collections.voltainer.volumes.plugins.module_utils._archive_kind import ArchiveKind
from ansible_collections.voltainer.volumes.plugins.module_utils._archive_layout import Layout
from ansible_collections.voltainer.volumes.plugins.module_utils._archive_run import open_archive
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import RefusedError, VolumesError
from ansible_collections.voltainer.volumes.plugins.module_utils._restore_content import ArchiveContent
from ansible_collections.voltainer.volumes.plugins.module_utils._restore_plan import ArchiveFacts
from ansible_collections.voltainer.volumes.plugins.module_utils._tree import Measured

from .backups import NEW_YEAR, snapshot
from .volumes import folders


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


def packed(tmp_path, twice=False):
    """Return an archive of others: names in an order of its own, and a folder that is no entry of it."""
    tree = tmp_path / "tree"
    (tree / "backup" / "a" / "sub").mkdir(parents=True)
    (tree / "backup" / "a" / "sub" / "file").write_text("content")
    os.link(tree / "backup" / "a" / "sub" / "file", tree / "backup" / "a" / "first")
    (tree / "backup" / "a" / "link").symlink_to("sub/file")
    archive = tmp_path / "archive"
    for mode, names in [("--create", ["sub/file", "link", "first"]), ("--append", ["link"])][: 1 + twice]:
        paths = [f"backup/a/{name}" for name in names]
        subprocess.run(["tar", "-C", tree, "--format=posix", mode, "--file", archive, *paths], check=True)
    return archive


def restored(archive, at, **options):
    """Unpack an archive of others into the volume 'a', and return how to check that."""
    handle = open_archive(str(archive))
    facts = ArchiveFacts(str(archive), 0, ArchiveKind("none"), None)
    content = ArchiveContent(facts, handle=handle, facts=facts, inside=Layout("backup/a", ""), **options)
    content.bring(at, "a")
    return content


@pytest.fixture
def target(tmp_path):
    place = tmp_path / "target"
    place.mkdir()
    return place


def test_what_others_packed_is_compared_with_their_archive(tmp_path, target):
    with folders(a=target) as at:
        content = restored(packed(tmp_path), at)
        content.check(at, "a")
    assert (content.files, content.content_bytes) == (1, 7)
    assert content.digest.startswith("v1:")


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda place: (place / "link").unlink(), "the archive has 3 entries, and the volume 2"),
        (lambda place: (place / "more").touch(), "the archive has 3 entries, and the volume 4"),
        (lambda place: os.utime(place / "first", ns=(0, 1)), "entries differ"),
        (lambda place: (place / "first").chmod(0o600), "entries differ"),
        (lambda place: os.truncate(place / "first", 3), "entries differ"),
    ],
)
def test_what_differs_from_the_archive_of_others_is_an_error(tmp_path, target, damage, why):
    with folders(a=target) as at:
        content = restored(packed(tmp_path), at)
        damage(target)
        with pytest.raises(VolumesError, match=f"unpacked into 'a' is not what the archive has: .*{why}"):
            content.check(at, "a")


def test_an_archive_with_an_entry_twice_is_taken_without_a_comparison_only(tmp_path, target):
    archive = packed(tmp_path, twice=True)
    with folders(a=target) as at:
        content = restored(archive, at)
        with pytest.raises(VolumesError, match=r"4 entries, and the volume 3.*twice.*'verify: false'"):
            content.check(at, "a")
        content.verify = False
        content.check(at, "a")


@pytest.mark.parametrize(
    ("size", "files", "may_be"), [(None, None, True), (5, 2, True), (5, None, True), (6, 2, False), (5, 1, False)]
)
def test_what_a_volume_is_tells_whether_it_is_worth_reading(size, files, may_be):
    content = ArchiveContent(None, content_bytes=size, files=files)
    assert content.may_be(Measured(bytes=5, files=2)) is may_be
