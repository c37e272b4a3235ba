# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import errno
import hashlib
import os
import tarfile

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils._archive_kind import ArchiveKind
from ansible_collections.voltainer.volumes.plugins.module_utils._archive_run import read_back, synced
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import VolumesError
from ansible_collections.voltainer.volumes.plugins.module_utils._progress import Progress


@pytest.fixture
def archive(tmp_path):
    with tarfile.open(tmp_path / "archive", "w") as tar:
        (tmp_path / "file").write_bytes(b"content")
        tar.add(tmp_path / "file", "file")
    with open(tmp_path / "archive", "rb") as file:
        yield file.fileno()


def test_an_archive_is_read_back_while_it_goes_to_the_disk(archive, tmp_path):
    with synced(archive):
        checked = read_back(archive, ArchiveKind("none"), Progress(None))
    assert checked.sha256 == hashlib.sha256((tmp_path / "archive").read_bytes()).hexdigest()
    assert checked.digest.files == 1


def test_an_archive_that_does_not_get_to_the_disk_is_an_error(archive, monkeypatch):
    def refuse(_fd):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(VolumesError, match="Cannot write the archive: Input/output error"), synced(archive):
        pass


def test_what_goes_wrong_meanwhile_comes_first(archive, monkeypatch):
    def refuse(_fd):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(ZeroDivisionError), synced(archive):
        raise ZeroDivisionError
