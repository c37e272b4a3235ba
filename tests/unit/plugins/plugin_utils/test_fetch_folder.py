# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's folder with fetched backups: what appears in it, and whose files stay."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.voltainer.volumes.plugins.plugin_utils._fetch_folder import (
    Backup,
    DamagedError,
    FetchFolder,
    OtherFileError,
)

NAME = "pgdata-20260101T000000Z.tar.zst"


def backup(content: bytes) -> Backup:
    sha256 = hashlib.sha256(content).hexdigest()
    return Backup(NAME, sha256, {"archive": NAME, "sha256": sha256, "labels": {"team": "b\u00fcro"}})


def bring(folder: FetchFolder, content: bytes, sent: bytes | None = None) -> None:
    with folder.partial(backup(content)) as partial:
        Path(partial).write_bytes(content if sent is None else sent)
        folder.publish(partial, backup(content))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "a" / "b"


@pytest.fixture
def folder(place: Path) -> FetchFolder:
    return FetchFolder(str(place))


def test_a_backup_comes_whole_and_once(folder: FetchFolder, place: Path) -> None:
    one = backup(b"one")
    assert folder.lacks(one)
    assert not place.exists()
    bring(folder, b"one")
    assert not folder.lacks(one)
    assert sorted(os.listdir(place)) == [NAME, f"{NAME}.json"]
    assert {path.stat().st_mode & 0o777 for path in place.iterdir()} == {0o600}
    assert (place / NAME).read_bytes() == b"one"
    assert (place / f"{NAME}.json").read_text() == one.text
    # What is missing of it comes again.
    for file in (NAME, f"{NAME}.json"):
        (place / file).unlink()
        assert folder.lacks(one)
        bring(folder, b"one")
        assert not folder.lacks(one)


@pytest.mark.parametrize("file", [NAME, f"{NAME}.json"])
@pytest.mark.parametrize("links", [True, False])
def test_the_backup_of_another_host_stays(
    folder: FetchFolder, place: Path, monkeypatch: pytest.MonkeyPatch, file: str, links: bool
) -> None:
    def fail(*_args: Any, **_options: Any) -> None:
        raise OSError(errno.EPERM, "no links")

    if not links:
        monkeypatch.setattr(os, "link", fail)
    bring(folder, b"one")
    other = NAME if file != NAME else f"{NAME}.json"
    (place / other).unlink()
    before = (place / file).read_bytes()
    with pytest.raises(OtherFileError, match=file):
        folder.lacks(backup(b"two"))
    with pytest.raises(OtherFileError, match=file):
        bring(folder, b"two")
    assert os.listdir(place) == [file]
    assert (place / file).read_bytes() == before


def test_hosts_that_fetch_at_once_do_not_meet(folder: FetchFolder, place: Path) -> None:
    with folder.partial(backup(b"one")) as one, folder.partial(backup(b"two")) as two:
        Path(one).write_bytes(b"one")
        Path(two).write_bytes(b"two")
        folder.publish(one, backup(b"one"))
        with pytest.raises(OtherFileError):
            folder.publish(two, backup(b"two"))
    assert sorted(os.listdir(place)) == [NAME, f"{NAME}.json"]
    assert not folder.lacks(backup(b"one"))


def test_what_arrives_damaged_is_told_and_gone(folder: FetchFolder, place: Path) -> None:
    with pytest.raises(DamagedError):
        bring(folder, b"one", b"on")
    with pytest.raises(DamagedError), folder.partial(backup(b"one")) as partial:
        folder.publish(partial, backup(b"one"))
    assert os.listdir(place) == []


def test_a_manifest_without_its_archive_does_not_stay(
    folder: FetchFolder, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def fail(source: str, name: str, **options: Any) -> None:
        if name.endswith(".zst"):
            raise FileExistsError(errno.EEXIST, "File exists")
        link(source, name, **options)

    monkeypatch.setattr(os, "link", fail)
    with pytest.raises(OtherFileError):
        bring(folder, b"one")
    assert os.listdir(place) == []


def test_what_killed_controllers_left_goes_in_the_end(folder: FetchFolder, place: Path) -> None:
    left, lately, other = (place / f".voltainer-{digit * 16}.partial" for digit in "abg")
    for path in (left, lately, other):
        path.mkdir(parents=True)
        (path / NAME).write_bytes(b"on")
    for path in (left, other):
        os.utime(path, (0, 0))
    bring(folder, b"one")
    assert sorted(os.listdir(place)) == sorted([lately.name, other.name, NAME, f"{NAME}.json"])
