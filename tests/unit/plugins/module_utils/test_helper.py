# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a helper container holds, and what becomes of it."""

from __future__ import annotations

import os
import re
import time
from unittest import mock

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils import _helper
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import (
    EngineError,
    EngineUnreachableError,
    RefusedError,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._helper import (
    held,
    helper,
    mounts_of,
    sweep,
    why_not_here,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._helper_engine import HelperImage, HelperMount
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import HELPER

from .volumes import FolderEngine


@pytest.fixture
def engine(tmp_path):
    made = FolderEngine(tmp_path)
    for name in ("a", "b"):
        made.create_volume(name, "local", {}, {})
    made.calls.clear()
    return made


def hold(engine, **volumes):
    return held(engine, mounts_of(volumes), powers=False)


def test_volumes_have_places_by_their_number():
    assert mounts_of({"a": False, "b": True}) == (
        HelperMount("a", "/volumes/0", read_only=True),
        HelperMount("b", "/volumes/1", read_only=False),
    )


def test_a_volume_that_is_held_cannot_be_removed_and_afterwards_it_can(engine):
    with hold(engine, a=False, b=True), pytest.raises(EngineError, match="volume is in use"):
        engine.remove_volume("a")
    assert engine.containers == []
    assert engine.calls[-1][0] == "remove_helper_image"
    assert engine.images == {}
    engine.remove_volume("a")


def test_a_volume_that_is_not_there_is_not_made(engine):
    with pytest.raises(RefusedError, match=r"'c': there is no such volume"), hold(engine, a=False, c=True):
        pass
    assert engine.calls == []


@pytest.mark.parametrize("again", [True, False])
def test_a_volume_that_vanishes_before_it_is_held_is_found_out(engine, again):
    create = engine.create_helper

    def late(*args, **options):
        engine.remove_volume("a")
        if again:
            engine.create_volume("a", "local", {}, {"other": "1"})
        return create(*args, **options)

    with (
        mock.patch.object(engine, "create_helper", late),
        pytest.raises(RefusedError, match="changed or removed by somebody else"),
        hold(engine, a=False),
    ):
        pass
    assert engine.containers == []


def test_an_image_that_somebody_takes_away_is_made_again(engine):
    missing = EngineError("Cannot make", "No such image: x", status=404)
    engine.fail["create_helper"] = [missing, missing, None]
    with hold(engine, a=False):
        pass
    assert [call[0] for call in engine.calls].count("import_helper_image") == 3
    engine.fail["create_helper"] = [missing] * 9
    with pytest.raises(RefusedError, match="its image is removed as soon as it is made"), hold(engine, a=False):
        pass
    engine.fail["create_helper"] = [EngineError("Cannot make", "no such volume driver", status=404)]
    with pytest.raises(EngineError, match="no such volume driver"), hold(engine, a=False):
        pass
    assert engine.images == {}


def test_each_task_has_an_image_of_its_own_and_leaves_that_of_others(engine):
    with hold(engine, a=False) as first:
        with hold(engine, a=False) as second:
            assert first.image != second.image
        assert list(engine.images) == [first.image]
    assert engine.images == {}


def test_an_error_of_the_work_itself_is_not_taken_for_a_missing_image(engine):
    missing = EngineError("Cannot pack", "No such image: x", status=404)
    with pytest.raises(EngineError, match="Cannot pack"), hold(engine, a=False):
        raise missing
    assert (engine.containers, engine.images) == ([], {})


def test_a_volume_that_cannot_be_mounted_leaves_no_container(engine):
    engine.unmountable["a"] = "no route to host"
    with pytest.raises(EngineError, match="no route to host"), hold(engine, a=False):
        pass
    assert engine.containers == []


def test_a_host_without_programs_is_told(engine):
    engine.unmountable["a"] = 'exec: "/usr/bin/cat": stat /usr/bin/cat: no such file or directory'
    with pytest.raises(EngineError, match="needs an ordinary Linux there"), hold(engine, a=False):
        pass


def test_a_container_that_stays_is_told(engine, monkeypatch):
    monkeypatch.setattr(_helper, "_GONE_SECONDS", 0)
    with (
        mock.patch.object(engine, "remove_container"),
        pytest.raises(EngineError, match="it is still there after 0 seconds"),
        hold(engine, a=False),
    ):
        pass


def test_an_engine_that_is_gone_hides_nothing(engine):
    gone = EngineUnreachableError("Cannot remove", "gone")
    with (
        mock.patch.object(engine, "remove_container", mock.Mock(side_effect=gone)),
        pytest.raises(ZeroDivisionError),
        hold(engine, a=False),
    ):
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ((True, 0, ""), r"\A\Z"),
        ((False, 0, ""), "does not run on the host of the engine"),
        ((True, 1000, ""), "does not run as root"),
        ((True, 0, "nsenter"), "/usr/bin/nsenter .* is missing"),
    ],
)
def test_why_data_is_out_of_reach(engine, monkeypatch, host, why):
    engine.is_here, user, missing = host
    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setattr(os, "access", lambda path, _how: not (missing and path.endswith(missing)))
    assert re.search(why, why_not_here(engine))


@pytest.mark.parametrize(("state", "why"), [({}, "ended as soon as it was started"), ({"Pid": 1}, "")])
def test_a_process_that_is_not_the_container_s_is_not_gone_into(engine, state, why):
    start = engine.start_helper

    def started(container):
        start(container)
        engine.containers[-1]["State"] = state

    with (
        mock.patch.object(engine, "users"),
        mock.patch.object(engine, "start_helper", started),
        pytest.raises(RefusedError, match=f"Cannot reach the data of the volumes from here: .*{why}"),
        helper(engine, {"a": False}),
    ):
        pass
    assert engine.containers == []


def test_what_a_killed_task_left_is_removed_before_the_next_one(engine, monkeypatch):
    monkeypatch.setattr(_helper, "has_ended", lambda label: label == "ended")
    for name in ("ended", "at work"):
        engine.containers.append(
            {"Id": name, "Names": [name], "State": "created", "Mounts": [], "Labels": {HELPER: name}}
        )
        engine.images[f"of {name}"] = {HELPER: name}
    engine.images["of somebody"] = {"shop": "1"}
    sweep(engine)
    assert [one["Id"] for one in engine.containers] == ["at work"]
    assert list(engine.images) == ["of at work", "of somebody"]


@pytest.mark.parametrize(("age", "stays"), [(3000, True), (4000, False)])
def test_images_of_processes_that_nobody_can_tell_of_go_after_a_while(engine, monkeypatch, age, stays):
    image = HelperImage("elsewhere", "{}", int(time.time()) - age)
    engine.images["elsewhere"] = {HELPER: "{}"}
    monkeypatch.setattr(engine, "helper_images", lambda: (image,))
    sweep(engine)
    assert bool(engine.images) == stays


def test_an_image_that_cannot_be_swept_is_in_nobody_s_way(engine, monkeypatch):
    monkeypatch.setattr(_helper, "has_ended", lambda label: label == "ended")
    engine.images["left"] = {HELPER: "ended"}
    engine.fail["remove_helper_image"] = EngineError("Cannot remove", "disk I/O error", status=500)
    with hold(engine, a=False):
        pass
    assert list(engine.images) == ["left"]
