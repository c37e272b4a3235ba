# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether archives of earlier runs are told from what is left of them."""

from __future__ import annotations

import hashlib

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils._backup_folder import backup_folder
from ansible_collections.voltainer.volumes.plugins.module_utils._backup_found import StoredArchive
from ansible_collections.voltainer.volumes.plugins.module_utils._backup_names import ArchiveName
from ansible_collections.voltainer.volumes.plugins.module_utils._backup_proof import proved, sized

from .backups import NEW_YEAR, manifest

NAME = ArchiveName("pgdata", NEW_YEAR, "zstd")
CONTENT = b"packed"
ARCHIVE = StoredArchive(NAME, manifest(NAME, bytes=len(CONTENT), sha256=hashlib.sha256(CONTENT).hexdigest()))


@pytest.mark.parametrize(
    ("content", "size", "digest"),
    [
        (CONTENT, "", ""),
        (b"", "it has 0 bytes, and its manifest says 6", "its sha256 is e3b0c44298fc"),
        (b"pAcked", "", "its sha256 is "),
        (None, "No such file or directory", "No such file or directory"),
    ],
)
def test_what_is_known_of_an_archive(tmp_path, content, size, digest):
    if content is not None:
        (tmp_path / str(NAME)).write_bytes(content)
    read = []
    with backup_folder(str(tmp_path)) as folder:
        assert sized(folder, ARCHIVE).broken == size
        found = proved(folder, ARCHIVE, read.append).broken
    assert found.startswith(digest)
    assert bool(found) == bool(digest)
    assert sum(read) == len(content or b"")


def test_an_archive_that_is_kept_elsewhere_is_followed(tmp_path):
    (tmp_path / "cold").write_bytes(CONTENT)
    (tmp_path / str(NAME)).symlink_to("cold")
    with backup_folder(str(tmp_path)) as folder:
        assert sized(folder, ARCHIVE) == proved(folder, ARCHIVE, [].append) == ARCHIVE


def test_without_a_manifest_nothing_can_be_told(tmp_path):
    with backup_folder(str(tmp_path)) as folder:
        bare = StoredArchive(NAME)
        assert sized(folder, bare) == proved(folder, bare, [].append) == bare
