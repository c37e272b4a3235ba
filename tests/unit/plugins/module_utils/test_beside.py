# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work that is done beside other work has ended with it, and its errors are not lost."""

from __future__ import annotations

import threading
import time

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils._beside import beside


def fails():
    raise KeyError("work")


def test_both_go_on_at_once_and_have_ended_afterwards():
    begun, goes_on, done = threading.Event(), threading.Event(), []

    def work():
        begun.set()
        assert goes_on.wait(10)
        done.append(True)

    with beside(work):
        assert begun.wait(10)
        goes_on.set()
    assert done == [True]


def test_what_the_work_raises_comes_at_the_end_of_the_block():
    reached = []
    with pytest.raises(KeyError, match="work"), beside(fails):
        reached.append(True)
    assert reached == [True]


def test_what_the_block_raises_comes_first_and_waits_for_the_work():
    done = []
    with pytest.raises(ZeroDivisionError), beside(lambda: done.append(time.sleep(0.1))):
        raise ZeroDivisionError
    assert done == [None]
    with pytest.raises(ZeroDivisionError), beside(fails):
        raise ZeroDivisionError
