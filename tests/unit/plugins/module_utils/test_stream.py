# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The content of a volume as a stream, from folder to folder with real tar."""

from __future__ import annotations

import os
from unittest import mock

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils import _stream
from ansible_collections.voltainer.volumes.plugins.module_utils._entry import LEAST, Keeps
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import VolumesError
from ansible_collections.voltainer.volumes.plugins.module_utils._program import ProgramError
from ansible_collections.voltainer.volumes.plugins.module_utils._stream import StreamContent, digest_of, write_all
from ansible_collections.voltainer.volumes.plugins.module_utils._tree import compare

from .test_tree import make_socket
from .trees import opened
from .volumes import FolderHelper, folders

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can set owners")


@pytest.fixture
def target(tmp_path):
    place = tmp_path / "target"
    place.mkdir()
    return place


@pytest.fixture
def source(tmp_path):
    place = tmp_path / "source"
    place.mkdir()
    (place / "file").write_bytes(os.urandom(300_000))
    (place / "sub").mkdir()
    return place


def equal(one, other):
    with opened(one) as first, opened(other) as second:
        return compare(first, second, Keeps()) == []


def test_a_stream_brings_all_that_a_file_system_can_hold(shallow, target):
    content = StreamContent(None, "a")
    assert content.sources == {"a": False}
    with folders(a=shallow, b=target) as at:
        content.bring(at, "b")
        content.check(at, "b")
        assert digest_of(at, "b", Keeps()).hexdigest() == content.digest.hexdigest()
    assert equal(shallow, target)
    assert content.report.files > 0
    assert content.report.warnings == []


def test_the_source_may_be_on_another_engine(source, target, monkeypatch):
    other = object()
    monkeypatch.setattr(_stream, "reach", lambda engine, volumes: folders(**dict.fromkeys(volumes, source)))
    content = StreamContent(other, "a", elsewhere=True)
    assert content.sources == {}
    with folders(b=target) as at:
        content.bring(at, "b")
        content.check(at, "b")
    assert equal(source, target)


def test_an_update_begins_anew(source, target):
    (target / "gone").write_text("gone")
    content = StreamContent(None, "a")
    with folders(a=source, b=target) as at:
        content.bring(at, "b", update=True)
    assert equal(source, target)


def test_sockets_are_counted(source, target):
    make_socket(source / "socket")
    content = StreamContent(None, "a")
    with folders(a=source, b=target) as at:
        content.bring(at, "b")
        content.check(at, "b")
    assert os.listdir(target) != []
    assert not (target / "socket").exists()


@pytest.mark.parametrize("change", ["content", "more", "less", "mode"])
@pytest.mark.parametrize("verify", [True, False])
def test_a_copy_that_is_not_equal_to_what_was_read_is_an_error(source, target, change, verify):
    content = StreamContent(None, "a", verify=verify)
    with folders(a=source, b=target) as at:
        content.bring(at, "b")
        # What the source becomes meanwhile does not count.
        (source / "file").write_text("changed")
        if change == "content":
            (target / "file").write_bytes(bytes(300_000))
        elif change == "more":
            (target / "more").touch()
        elif change == "less":
            (target / "sub").rmdir()
        else:
            (target / "file").chmod(0o640)
        if not verify:
            content.check(at, "b")
            return
        with pytest.raises(VolumesError, match=r"The copy of the volume 'a' in 'b' is not equal to it: 3 entries"):
            content.check(at, "b")


def test_a_guard_beside_the_content_is_no_difference(source, target):
    content = StreamContent(None, "a")
    with folders(a=source, b=target) as at:
        content.bring(at, "b")
        times = target.stat()
        (target / ".guard").touch()
        os.utime(target, ns=(times.st_atime_ns, times.st_mtime_ns))
        content.check(at, "b", besides=".guard")


def test_a_file_system_that_nobody_knows_is_compared_by_content_only_and_that_is_told(source, target):
    content = StreamContent(None, "a")
    with (
        mock.patch.object(FolderHelper, "keeps", return_value=LEAST),
        folders(a=source, b=target) as at,
    ):
        content.bring(at, "b")
        (target / "file").chmod(0o640)
        content.check(at, "b")
        (target / "file").write_bytes(bytes(300_000))
        with pytest.raises(VolumesError, match="is not equal"):
            content.check(at, "b")
    assert len(content.report.warnings) == 1
    assert "Only names, kinds and content" in content.report.warnings[0]


def test_a_tar_that_cannot_write_says_why(source, target):
    with folders(a=source, b=target) as at:
        at.open("b")
        target.rmdir()
        with pytest.raises(ProgramError, match=r"Cannot unpack into the volume 'b': tar failed: .*No such file"):
            StreamContent(None, "a").bring(at, "b")


class Sink:
    """A pipe that takes no more than `most` bytes at once; None says nothing of how many."""

    def __init__(self, most):
        self.most = most
        self.taken = b""

    def write(self, data):
        if self.most is None:
            self.taken += data
            return None
        self.taken += data[: self.most]
        return min(self.most, len(data))


@pytest.mark.parametrize("most", [1, 3, 100, None])
def test_all_of_a_piece_is_written(most):
    sink = Sink(most)
    write_all(sink, b"0123456789")
    assert sink.taken == b"0123456789"
