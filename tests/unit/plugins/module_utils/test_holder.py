# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a process lives that wrote down who it was: what is known, and what is not."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import asdict, replace

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils import _holder


@pytest.fixture
def child():
    """Yield a process that waits for its input to end."""
    with subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        yield process


def holder_of(process):
    return replace(_holder.this_process(), pid=process.pid, started=_holder._started(process.pid))


def test_this_process_lives():
    me = _holder.this_process(holds=True)
    assert me.holds
    assert _holder.lives(me) is True


def test_one_that_ended_does_not_even_before_its_parent_takes_notice(child):
    holder = holder_of(child)
    assert _holder.lives(holder) is True
    child.kill()
    for _try in range(100):
        if not _holder.lives(holder):
            break
        time.sleep(0.02)
    assert _holder.lives(holder) is False
    child.wait()
    assert _holder.lives(holder) is False


def test_a_label_tells_of_one_that_ended(child):
    assert not _holder.has_ended(_holder.as_label())
    label = json.dumps(asdict(holder_of(child)))
    assert not _holder.has_ended(label)
    child.kill()
    child.wait()
    assert _holder.has_ended(label)


@pytest.mark.parametrize("label", ["true", "", "[]", "{}", "null", "[" * 100_000, '{"pid": 1}'])
def test_a_label_of_somebody_else_tells_of_nobody(label):
    assert not _holder.has_ended(label)


def test_a_number_that_is_none_is_not_looked_up():
    assert not _holder.has_ended(json.dumps({**asdict(_holder.this_process()), "pid": "self/root/etc"}))


def test_another_one_of_the_same_number_is_not_the_same(child):
    assert _holder.lives(replace(holder_of(child), started="1")) is False


@pytest.mark.parametrize(
    ("change", "lives"),
    [
        ({"boot": "of yesterday", "host": "m/a"}, False),
        ({"boot": "of another host", "host": "m/b"}, None),
        ({"boot": "of any host", "host": ""}, None),
        ({"boot": ""}, None),
        ({"pid_space": "pid:[1]"}, None),
        ({"pid_space": ""}, None),
        ({"host": "m/b"}, True),
    ],
)
def test_what_can_be_told_from_where(monkeypatch, change, lives):
    me = replace(_holder.this_process(), host="m/a")
    monkeypatch.setattr(_holder, "this_process", lambda: me)
    assert _holder.lives(replace(me, **change)) is lives


def test_a_system_that_tells_nothing(monkeypatch):
    monkeypatch.setattr(_holder, "_read", lambda _path: "")
    monkeypatch.setattr(_holder.os, "readlink", lambda _path: (one for one in ()).throw(OSError("no such file")))
    me = _holder.this_process()
    assert (me.host, me.boot, me.pid_space, me.started) == ("", "", "", "")
    assert _holder.lives(me) is None


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (f"86 79 254:0 /var/lib/docker/containers/{'ab' * 32}/hostname /etc/hostname rw - ext4 /dev/vda rw", "ab" * 32),
        # As the host of containers sees theirs
        (f"90 79 0:52 / /var/lib/docker/containers/{'ab' * 32}/mounts/shm rw - tmpfs shm rw", ""),
        ("91 79 254:0 /hosts/a/hostname /etc/hostname rw - ext4 /dev/vda rw", ""),
        ("", ""),
    ],
)
def test_the_container_that_the_process_runs_in(monkeypatch, line, found):
    monkeypatch.setattr(_holder, "_read", lambda _path: f"22 1 254:1 / / rw - ext4 /dev/vda rw\n{line}".strip())
    assert _holder.own_container() == found


def test_what_cannot_be_read_is_empty():
    assert _holder._read("/no/such/file") == ""
