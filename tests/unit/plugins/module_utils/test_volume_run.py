# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils import _volume_look, _volume_steps
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import (
    DriverUnavailableError,
    EngineError,
    EngineUnreachableError,
    RefusedError,
    VolumesError,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._usage import Users, uses
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import Volume
from ansible_collections.voltainer.volumes.plugins.module_utils._volume_run import converge_volumes

from .fake_engine import FakeEngine, container, plugin_inspect, service
from .volumes import inspect, item, many, task


def test_create_then_nothing():
    engine = FakeEngine()
    want = task(driver_options={"type": "tmpfs"}, labels={"a": "b"})
    check = converge_volumes(engine, want, True)
    assert engine.calls == []
    assert check.values["volume"] is None
    real = converge_volumes(engine, want, False)
    assert engine.calls == [("create_volume", "pgdata")]
    assert real.plan == check.plan
    assert real.values["volume"]["Options"] == {"type": "tmpfs"}
    again = converge_volumes(engine, want, False)
    assert again.plan.steps == ()
    assert engine.calls == [("create_volume", "pgdata")]
    assert check.values.keys() == real.values.keys() == again.values.keys()


def test_remove_then_nothing():
    engine = FakeEngine(volumes=[inspect()])
    want = task(state="absent")
    check = converge_volumes(engine, want, True)
    assert engine.calls == []
    real = converge_volumes(engine, want, False)
    assert engine.calls == [("remove_volume", "pgdata")]
    assert real.plan == check.plan
    assert real.values["volume"] is None
    assert converge_volumes(engine, want, False).plan.steps == ()


@pytest.mark.parametrize("check_mode", [True, False])
def test_a_used_volume_is_not_removed_and_its_users_are_named(check_mode):
    engine = FakeEngine(
        volumes=[inspect()],
        containers=[
            container("db", "pgdata"),
            container("backup", "pgdata", state="exited", read_write=False),
            container("other", "another"),
        ],
        services=[service("shop", "pgdata", 2), service("far", "another")],
    )
    with pytest.raises(RefusedError) as caught:
        converge_volumes(engine, task(state="absent"), check_mode)
    assert engine.calls == []
    assert str(caught.value) == (
        "Cannot remove the volume 'pgdata': it is in use by backup (exited, read-only at /data), db (running,"
        " read-write at /data), service shop (replicated, 2 task(s), read-write at /data). Remove these containers and"
        " services first, or let the services go without the volume. The option 'wait' waits until they are gone."
    )
    assert [user.get("container", user.get("service")) for user in caught.value.details["users"]] == [
        "db",
        "backup",
        "shop",
    ]


@pytest.mark.parametrize("check_mode", [True, False])
@pytest.mark.parametrize(("wait", "goes"), [(10, True), (1, False)])
def test_a_task_can_wait_until_the_users_are_gone(monkeypatch, wait, goes, check_mode):
    engine = FakeEngine(volumes=[inspect()])
    clock = [100.0]
    monkeypatch.setattr(_volume_look.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(_volume_look.time, "sleep", lambda seconds: clock.append(clock.pop() + seconds))
    holders = uses([container("db", "pgdata")])
    engine.users = lambda _name=None: Users(holders if clock[0] < 105 else ())
    want = task(state="absent", wait=wait)
    if goes:
        assert converge_volumes(engine, want, check_mode).plan.verbs == ("remove",)
        assert 105 <= clock[0] < 106
    else:
        with pytest.raises(RefusedError, match="in use by db"):
            converge_volumes(engine, want, check_mode)
        assert clock[0] == 101


@pytest.mark.parametrize(("status", "holders"), [(409, []), (500, [container("db", "pgdata")])])
def test_another_failure_of_a_removal_is_told_as_it_is(status, holders, monkeypatch):
    monkeypatch.setattr(_volume_steps, "_sweep", lambda _engine: None)
    engine = FakeEngine(volumes=[inspect()])
    looks = iter([[], holders])
    engine.users = lambda _name=None: Users(uses(next(looks)))
    engine.fail["remove_volume"] = [EngineError("Cannot remove", "the driver says no", status=status)] * 2
    with pytest.raises(EngineError, match="the driver says no"):
        converge_volumes(engine, task(state="absent"), False)


def test_a_volume_that_only_a_killed_task_holds_is_removed(monkeypatch):
    engine = FakeEngine(volumes=[inspect()], containers=[container("helper", "pgdata")])
    engine.users = lambda _name=None: Users()
    monkeypatch.setattr(_volume_steps, "_sweep", lambda _engine: engine.containers.clear())
    assert converge_volumes(engine, task(state="absent"), False).plan.verbs == ("remove",)
    assert not engine.volumes_by_name


def test_nobody_is_asked_for_more_than_the_plan_needs():
    engine = FakeEngine(volumes=[inspect()])
    engine.users = engine.driver_ready = engine.volume_drivers = None
    assert converge_volumes(engine, task(driver="local"), False).plan.steps == ()
    assert converge_volumes(engine, task(name="other", driver="rclone", state="absent"), False).plan.steps == ()


def test_a_driver_that_is_ready_and_fails_is_told_as_it_is():
    engine = FakeEngine(plugins=[plugin_inspect()])
    engine.fail["create_volume"] = EngineError("Cannot create", "no space", status=500)
    with pytest.raises(EngineError) as caught:
        converge_volumes(engine, task(driver="rclone"), False)
    assert str(caught.value) == "Cannot create: no space."


def test_a_container_that_comes_in_between_is_named_too():
    engine = FakeEngine(volumes=[inspect()])
    engine.fail["remove_volume"] = EngineError("Cannot remove", "volume is in use - [4a9f]", status=409)
    looks = iter([(), uses([container("late", "pgdata")])])
    engine.users = lambda _name=None: Users(next(looks))
    with pytest.raises(RefusedError, match="late"):
        converge_volumes(engine, task(state="absent"), False)


def test_a_volume_of_another_driver_is_not_removed():
    engine = FakeEngine(volumes=[inspect()])
    with pytest.raises(RefusedError, match="belongs to the driver 'local'"):
        converge_volumes(engine, task(state="absent", driver="rclone"), False)
    assert engine.calls == []


@pytest.mark.parametrize("plugins", [(), (plugin_inspect(Enabled=False),)])
def test_a_driver_that_is_not_ready_is_a_warning_in_check_mode_and_explains_the_failure(plugins):
    engine = FakeEngine(plugins=plugins)
    want = task(driver="rclone")
    assert "No enabled plugin of this engine is named 'rclone'" in converge_volumes(engine, want, True).plan.warnings[0]
    engine.fail["create_volume"] = EngineError("Cannot create", 'plugin "rclone" not found', status=404)
    with pytest.raises(EngineError, match=r"not found.*docker_volume_plugin_x"):
        converge_volumes(engine, want, False)


def test_a_volume_that_somebody_else_made_at_the_same_moment_is_no_success():
    engine = FakeEngine(volumes=[inspect(Labels={"a": "theirs"})])
    engine.volume = lambda _name: None
    with pytest.raises(EngineError, match="made at the same moment, with another definition"):
        converge_volumes(engine, task(labels={"a": "ours"}), False)


def test_secrets_that_only_the_engine_knows_are_hidden_too():
    engine = FakeEngine(volumes=[inspect(Options={"password": "hunter2"})])
    assert converge_volumes(engine, task(), False).values["volume"]["Options"] == {"password": "********"}


# Many at once

NAMES = [f"v{number:03}" for number in range(30)]


def everything(**params):
    return many(*(item(name=name) for name in NAMES), **params)


def test_many_volumes_are_made_and_found_with_one_look():
    engine = FakeEngine()
    check = converge_volumes(engine, everything(labels={"a": "b"}), True)
    assert (len(check.plan.steps), engine.calls) == (30, [])
    real = converge_volumes(engine, everything(labels={"a": "b"}), False)
    assert real.plan == check.plan
    assert "volume" not in real.values
    assert [one["name"] for one in real.values["volumes"]] == NAMES
    assert all(one["changed"] and one["volume"]["Labels"] == {"a": "b"} for one in real.values["volumes"])
    assert list(real.plan.after) == NAMES
    again = converge_volumes(engine, everything(labels={"a": "b"}), False)
    assert (again.plan.steps, again.plan.before, again.plan.after) == ((), {}, {})
    assert len(engine.calls) == 30


def test_where_the_engine_keeps_the_list_back_each_volume_is_looked_up(tmp_path):
    engine = FakeEngine()
    for name in NAMES:
        (tmp_path / name / "_data").mkdir(parents=True)
        engine.volumes_by_name[name] = inspect(Name=name, Mountpoint=str(tmp_path / name / "_data"))

    def volumes(_driver, *, label=None, seconds=None):
        assert seconds == 60
        raise EngineError("Cannot list the volumes of 'local'", "the engine did not answer within 60 seconds")

    engine.volumes = volumes
    assert converge_volumes(engine, everything(), False).plan.steps == ()
    single = task(name=NAMES[0])
    assert converge_volumes(engine, single, False).plan.steps == ()
    engine.is_here = False
    with pytest.raises(EngineError, match="did not answer"):
        converge_volumes(engine, single, False)


def test_with_other_drivers_there_an_unknown_name_is_looked_up():
    engine = FakeEngine(plugins=[plugin_inspect()], volumes=[inspect(Name="v000", Driver="rclone:latest")])
    outcome = converge_volumes(engine, everything(), False)
    assert [one["changed"] for one in outcome.values["volumes"]] == [False] + [True] * 29


@pytest.mark.parametrize("check_mode", [True, False])
def test_one_bad_volume_lets_all_as_they_are_and_all_that_is_bad_is_told(check_mode):
    engine = FakeEngine(
        volumes=[inspect(Name="used"), inspect(Name="safe", Labels={"voltainer.volumes.protected": "true"})],
        containers=[container("db", "used")],
    )
    want = many(item(name="new"), item(name="used", state="absent"), item(name="safe", state="absent"))
    with pytest.raises(VolumesError) as caught:
        converge_volumes(engine, want, check_mode)
    assert engine.calls == []
    text = str(caught.value)
    assert text.startswith("There are 2 errors:\n- Cannot remove the volume 'used': it is in use by db")
    assert "\n- Cannot remove the volume 'safe': it is protected" in text
    assert text.endswith("Nothing was changed.")
    assert [user["container"] for user in caught.value.details["users"]] == ["db"]


def test_where_one_change_fails_the_others_are_done_and_the_result_says_so():
    engine = FakeEngine()
    engine.fail["create_volume"] = [None, EngineError("Cannot create", "no space", status=500), None]
    outcome = converge_volumes(engine, many(item(name="one"), item(name="two"), item(name="three")), False)
    assert "no space" in str(outcome.failure)
    assert [one["name"] for one in outcome.values["volumes"]] == ["one", "three"]
    assert len(outcome.plan.steps) == 2


def test_where_the_engine_is_gone_nothing_more_is_tried():
    engine = FakeEngine()
    engine.fail["create_volume"] = [None, EngineUnreachableError("Cannot create", "gone")]
    outcome = converge_volumes(engine, many(item(name="one"), item(name="two"), item(name="three")), False)
    assert "gone" in str(outcome.failure)
    assert len(engine.calls) == 2


def test_where_the_engine_is_gone_in_the_midst_of_many_it_is_told_once():
    engine = FakeEngine()
    engine.fail["create_volume"] = [None, None, *[EngineUnreachableError("Cannot create", "gone")] * 28]
    outcome = converge_volumes(engine, everything(), False)
    assert str(outcome.failure) == "Cannot create: gone."
    assert len(outcome.values["volumes"]) == 2
    # What the threads were at, and no more.
    assert len(engine.calls) <= 6


@pytest.mark.parametrize("labels", [{"voltainer.volumes.protected": "true"}, {"other": "one"}])
def test_a_volume_that_changed_since_the_plan_was_made_is_not_removed(labels):
    engine = FakeEngine(volumes=[inspect()])
    looks = iter([inspect(), inspect(Labels=labels)])
    engine.volume = lambda _name: Volume.from_inspect(next(looks))
    with pytest.raises(RefusedError, match="changed or removed by somebody else meanwhile"):
        converge_volumes(engine, task(state="absent"), False)
    assert engine.calls == []


def test_a_volume_whose_driver_is_not_there_is_one_of_the_errors():
    engine = FakeEngine(plugins=[plugin_inspect(Enabled=False)])

    def volume(name):
        if name == "two":
            raise DriverUnavailableError("Cannot inspect the volume 'two'", "its driver does not answer")

    engine.volume = volume
    with pytest.raises(DriverUnavailableError, match="'two'"):
        converge_volumes(engine, many(item(name="one"), item(name="two")), False)
    assert engine.calls == []
