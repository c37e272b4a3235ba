# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Of two tasks that change one plugin, one waits for the other."""

from __future__ import annotations

import threading
import time

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import RefusedError
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_lock import locked

NAME = "registry.example:5000/team/pure:1.0"


def test_the_second_waits_until_the_first_has_ended(tmp_path):
    order = []

    def second():
        with locked(str(tmp_path), NAME, 10):
            order.append("second")

    thread = threading.Thread(target=second)
    with locked(str(tmp_path), NAME, 10):
        thread.start()
        time.sleep(0.5)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_who_waits_too_long_is_told_and_changes_nothing(tmp_path):
    told = pytest.raises(RefusedError, match="another task on this host is changing it")
    with locked(str(tmp_path), NAME, 10), told, locked(str(tmp_path), NAME, 0.3):
        pytest.fail("two at once")
    with locked(str(tmp_path), NAME, 0.3):
        pass


def test_other_plugins_do_not_wait(tmp_path):
    with locked(str(tmp_path), NAME, 10), locked(str(tmp_path), "pure:latest", 0.3):
        pass


@pytest.mark.parametrize("folder", ["none", "file"])
def test_where_there_can_be_no_lock_nobody_waits(tmp_path, folder):
    (tmp_path / "file").write_text("")
    with locked(str(tmp_path / folder), NAME, 0.1), locked(str(tmp_path / folder), NAME, 0.1):
        pass


def test_no_link_is_followed(tmp_path):
    with locked(str(tmp_path), NAME, 1):
        lock = next(tmp_path.iterdir())
    lock.unlink()
    lock.symlink_to(tmp_path / "elsewhere")
    with locked(str(tmp_path), NAME, 1):
        pass
    assert not (tmp_path / "elsewhere").exists()
