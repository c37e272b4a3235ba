# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What file systems keep, tried out on real ones."""

from __future__ import annotations

import errno
import os
import subprocess
from dataclasses import replace
from unittest import mock

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils._entry import Keeps
from ansible_collections.voltainer.volumes.plugins.module_utils._probe import probe

from .trees import opened

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can set owners, and mount")


@pytest.fixture(params=["disk", "tmpfs"])
def place(request, tmp_path):
    """Return a folder on a file system that keeps everything, or nearly."""
    if request.param == "disk":
        yield tmp_path
        return
    subprocess.run(["mount", "-t", "tmpfs", "none", tmp_path], check=True)
    yield tmp_path
    subprocess.run(["umount", "--lazy", tmp_path], check=True)


def probed(place):
    with opened(place) as folder:
        found = probe(folder)
    assert os.listdir(place) == []
    return found


def test_a_file_system_of_linux_keeps_everything(place):
    # Attributes of users are of tmpfs only since Linux 6.6.
    assert replace(probed(place), xattrs=True) == Keeps()


def failing(number):
    return mock.Mock(side_effect=OSError(number, os.strerror(number)))


@pytest.mark.parametrize(
    ("call", "lost"),
    [
        ("fchmod", {"mode": False}),
        ("chown", {"owner": False}),
        ("link", {"links": False}),
        ("symlink", {"symlinks": False}),
        ("mkfifo", {"special": False}),
        ("setxattr", {"xattrs": False}),
        ("ftruncate", {"sparse": False}),
        ("utime", {"times": False}),
    ],
)
def test_what_is_refused_is_not_kept(tmp_path, monkeypatch, call, lost):
    everything = probed(tmp_path)
    monkeypatch.setattr(os, call, failing(errno.EOPNOTSUPP))
    assert probed(tmp_path) == replace(everything, **lost)


@pytest.mark.parametrize(("step", "kept"), [(10**9, (False, True)), (2 * 10**9, (False, False))])
def test_times_that_are_rounded_are_told(tmp_path, monkeypatch, step, kept):
    utime = os.utime

    def rounded(path, *, ns, **options):
        utime(path, ns=tuple(one - one % step for one in ns), **options)

    monkeypatch.setattr(os, "utime", rounded)
    found = probed(tmp_path)
    # The moment that is tried has an even number of seconds, and so one of two seconds would be kept.
    assert (found.times, found.times_seconds) == (kept if step == 10**9 else (False, True))


def test_what_is_ignored_is_not_kept(tmp_path, monkeypatch):
    everything = probed(tmp_path)
    monkeypatch.setattr(os, "fchmod", lambda *_args: None)
    monkeypatch.setattr(os, "chown", lambda *_args, **_options: None)
    assert probed(tmp_path) == replace(everything, mode=False, owner=False)


def test_a_place_that_cannot_be_written_to_is_an_error_and_nothing_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "write", failing(errno.ENOSPC))
    with opened(tmp_path) as folder, pytest.raises(OSError, match="No space left"):
        probe(folder)
    assert os.listdir(tmp_path) == []
