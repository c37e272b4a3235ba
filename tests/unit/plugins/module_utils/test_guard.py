# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file which says that the content around it is not complete."""

from __future__ import annotations

import os

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils._guard import guard, is_guarded, name_of, unguard

from .trees import opened


def test_a_guard_is_there_until_it_is_taken_away(tmp_path):
    with opened(tmp_path) as folder:
        assert not is_guarded(folder, "4f")
        guard(folder, "4f")
        assert is_guarded(folder, "4f")
        assert not is_guarded(folder, "50")
        assert os.listdir(tmp_path) == [name_of("4f")]
        assert (tmp_path / name_of("4f")).stat().st_mode & 0o777 == 0o600
        unguard(folder, "4f")
        assert not is_guarded(folder, "4f")
        assert os.listdir(tmp_path) == []


def test_the_time_of_the_folder_is_that_of_its_content(tmp_path):
    with opened(tmp_path) as folder:
        guard(folder, "4f")
        os.utime(tmp_path, ns=(10**18, 2 * 10**18))
        unguard(folder, "4f")
    assert (tmp_path.stat().st_atime_ns, tmp_path.stat().st_mtime_ns) == (10**18, 2 * 10**18)


def test_what_is_in_the_way_is_not_followed_and_not_taken_for_the_guard_of_this_run(tmp_path):
    (tmp_path / name_of("4f")).symlink_to(tmp_path / "elsewhere")
    with opened(tmp_path) as folder, pytest.raises(FileExistsError):
        guard(folder, "4f")
    assert not (tmp_path / "elsewhere").exists()


def test_a_guard_that_is_gone_is_an_error(tmp_path):
    with opened(tmp_path) as folder, pytest.raises(FileNotFoundError):
        unguard(folder, "4f")
