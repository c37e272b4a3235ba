# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import (
    EngineError,
    InvalidInputError,
    RefusedError,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._usage import uses, uses_of_volume
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import (
    Volume,
    VolumeFound,
    VolumeWanted,
    masked_inspect,
    parse_volume,
    plan_volume,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._volume_run import converge_volume

from .fake_engine import FakeEngine, container, plugin_inspect

PARAMS = {
    "name": "pgdata",
    "state": "present",
    "driver": None,
    "driver_options": None,
    "labels": None,
    "secret_options": [],
}


def wanted(**params):
    return parse_volume({**PARAMS, **params})


def inspect(**changes):
    return {
        "CreatedAt": "2026-11-24T09:30:00Z",
        "Driver": "local",
        "Labels": {},
        "Mountpoint": "/var/lib/docker/volumes/pgdata/_data",
        "Name": "pgdata",
        "Options": None,
        "Scope": "local",
        **changes,
    }


@pytest.mark.parametrize(
    ("option", "value", "parsed"),
    [
        (
            "driver_options",
            {"size": 25, "f": 1.5, "on": True, "off": False, "empty": ""},
            {"size": "25", "f": "1.5", "on": "true", "off": "false", "empty": ""},
        ),
        ("driver_options", {}, {}),
        ("driver_options", None, None),
        ("labels", {"a": "b", "n": 1}, {"a": "b", "n": "1"}),
        ("labels", {}, {}),
        ("labels", None, None),
    ],
)
def test_values_become_the_strings_that_docker_means(option, value, parsed):
    assert getattr(wanted(**{option: value}), option) == parsed


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"name": ""}, "'name' is empty"),
        ({"name": "x"}, "two or more characters"),
        ({"name": "-x"}, "invalid value '-x'"),
        ({"name": "a b"}, "invalid value"),
        ({"name": "a/b"}, "invalid value"),
        ({"name": "a/b", "driver": "local", "state": "absent"}, "invalid value"),
        ({"name": "a/../b", "driver": "rclone"}, "invalid value"),
        ({"name": "xy\n"}, "invalid value"),
        ({"driver": ""}, "'driver' is empty"),
        ({"driver_options": {"a": None}}, "'a' in the option 'driver_options'"),
        ({"driver_options": {"a": ["b"]}}, "is of type list"),
        ({"labels": {"a": True}}, "Put the value into quotes"),
        ({"labels": {"a": 1.10}}, "Put the value into quotes"),
        ({"labels": {"a": None}}, "Put the value into quotes"),
    ],
)
def test_bad_input(params, words):
    with pytest.raises(InvalidInputError) as caught:
        wanted(**params)
    assert words in str(caught.value)


@pytest.mark.parametrize("params", [{"name": "a/b", "driver": "rclone"}, {"name": "a/b", "state": "absent"}])
def test_plugins_may_have_folders_in_names(params):
    assert wanted(**params).name == "a/b"


@pytest.mark.parametrize(
    ("want", "have", "drift"),
    [
        ({}, {}, []),
        ({"driver": "local"}, {}, []),
        ({"driver": "pure"}, {"Driver": "pure:latest"}, []),
        ({"driver": "pure:latest"}, {"Driver": "pure:latest"}, []),
        ({"driver": "pure"}, {"Driver": "local"}, [("driver", "pure", "local")]),
        ({}, {"Driver": "pure:latest", "Options": {"size": "25GB"}, "Labels": {"a": "b"}}, []),
        ({"driver_options": {"size": "25GB"}}, {"Options": {"size": "25GB", "more": "x"}}, []),
        ({"driver_options": {"size": "25GB"}}, {"Options": {"size": "5GB"}}, [("driver_options.size", "25GB", "5GB")]),
        ({"driver_options": {"size": ""}}, {"Options": {"size": ""}}, []),
        ({"driver_options": {"size": ""}}, {"Options": {}}, [("driver_options.size", "", None)]),
        ({"driver_options": {"size": "1"}}, {"Options": None}, [("driver_options.size", "1", None)]),
        ({"driver_options": {}, "labels": {}}, {"Options": {"a": "b"}, "Labels": {"a": "b"}}, []),
        ({"labels": {"a": "c"}}, {"Labels": {"a": "b"}}, [("labels.a", "c", "b")]),
        ({"labels": {"a": "c"}}, {"Labels": None}, [("labels.a", "c", None)]),
        (
            {"driver_options": {"token": "new"}},
            {"Options": {"token": "old"}},
            [("driver_options.token", "********", "********")],
        ),
    ],
)
def test_drift_is_told_and_nothing_is_done(want, have, drift):
    plan = plan_volume(wanted(**want), VolumeFound(Volume.from_inspect(inspect(**have))))
    assert plan.steps == ()
    assert plan.before == plan.after
    assert [(one["what"], one["wanted"], one["found"]) for one in plan.drift] == drift
    assert len(plan.warnings) == bool(drift)


def test_no_record_of_the_engine_is_unknown_and_no_drift():
    have = Volume.from_inspect(inspect(Driver="rclone:latest", Options=None, Labels=None))
    plan = plan_volume(wanted(driver_options={"remote": "a:b"}, labels={"a": "b"}), VolumeFound(have))
    assert plan.drift == ()
    assert len(plan.warnings) == 1
    assert "driver_options and labels" in plan.warnings[0]
    assert "unknown" in plan.warnings[0]


def test_create_then_nothing():
    engine = FakeEngine()
    want = wanted(driver_options={"type": "tmpfs"}, labels={"a": "b"})
    check = converge_volume(engine, want, True)
    assert engine.calls == []
    assert check.values["volume"] is None
    real = converge_volume(engine, want, False)
    assert engine.calls == [("create_volume", "pgdata")]
    assert real.plan == check.plan
    assert real.values["volume"]["Options"] == {"type": "tmpfs"}
    again = converge_volume(engine, want, False)
    assert again.plan.steps == ()
    assert engine.calls == [("create_volume", "pgdata")]
    assert check.values.keys() == real.values.keys() == again.values.keys()


def test_remove_then_nothing():
    engine = FakeEngine(volumes=[inspect()])
    want = wanted(state="absent")
    check = converge_volume(engine, want, True)
    assert engine.calls == []
    real = converge_volume(engine, want, False)
    assert engine.calls == [("remove_volume", "pgdata")]
    assert real.plan == check.plan
    assert real.values["volume"] is None
    assert converge_volume(engine, want, False).plan.steps == ()


@pytest.mark.parametrize("check_mode", [True, False])
def test_a_used_volume_is_not_removed_and_its_users_are_named(check_mode):
    engine = FakeEngine(
        volumes=[inspect()],
        containers=[
            container("db", "pgdata"),
            container("backup", "pgdata", state="exited", read_write=False),
            container("other", "another"),
        ],
    )
    with pytest.raises(RefusedError) as caught:
        converge_volume(engine, wanted(state="absent"), check_mode)
    assert engine.calls == []
    assert str(caught.value) == (
        "Cannot remove the volume 'pgdata': it is in use by 2 container(s): backup (exited, read-only at /data),"
        " db (running, read-write at /data). Remove these"
        " containers first (a stopped container still holds its volumes)."
    )
    assert [user["container"] for user in caught.value.details["users"]] == ["db", "backup"]


def test_a_container_that_has_a_volume_twice_is_one_container():
    one = container("db", "pgdata")
    one["Mounts"].append({**one["Mounts"][0], "Destination": "/backup"})
    with pytest.raises(RefusedError, match=r"in use by 1 container\(s\): .*at /backup.*at /data"):
        converge_volume(FakeEngine(volumes=[inspect()], containers=[one]), wanted(state="absent"), False)


@pytest.mark.parametrize(
    ("state", "holds"),
    [("running", True), ("paused", True), ("restarting", True), ("removing", True), ("exited", False)],
)
def test_states_in_which_a_container_holds_its_mounts(state, holds):
    (use,) = uses([container("db", "pgdata", state=state)])
    assert use.mounted is holds


def test_what_is_mounted_and_no_volume_is_no_use():
    bind = {"Type": "bind", "Source": "/srv", "Destination": "/data", "RW": True}
    assert uses([{"Id": "4a9f", "Names": ["/db"], "State": "running", "Mounts": [bind]}]) == ()


@pytest.mark.parametrize(("status", "holders"), [(409, []), (500, [container("db", "pgdata")])])
def test_another_failure_of_a_removal_is_told_as_it_is(status, holders):
    engine = FakeEngine(volumes=[inspect()])
    looks = iter([[], holders])
    engine.users_of_volume = lambda name: uses_of_volume(next(looks), name)
    engine.fail["remove_volume"] = EngineError("Cannot remove", "the driver says no", status=status)
    with pytest.raises(EngineError, match="the driver says no"):
        converge_volume(engine, wanted(state="absent"), False)


def test_nobody_is_asked_for_more_than_the_plan_needs():
    engine = FakeEngine(volumes=[inspect()])
    engine.users_of_volume = engine.driver_ready = None
    assert converge_volume(engine, wanted(driver="local"), False).plan.steps == ()
    assert converge_volume(engine, wanted(name="other", driver="rclone", state="absent"), False).plan.steps == ()


def test_a_driver_that_is_ready_and_fails_is_told_as_it_is():
    engine = FakeEngine(plugins=[plugin_inspect()])
    engine.fail["create_volume"] = EngineError("Cannot create", "no space", status=500)
    with pytest.raises(EngineError) as caught:
        converge_volume(engine, wanted(driver="rclone"), False)
    assert str(caught.value) == "Cannot create: no space."


def test_a_container_that_comes_in_between_is_named_too():
    engine = FakeEngine(volumes=[inspect()])
    engine.fail["remove_volume"] = EngineError("Cannot remove", "volume is in use - [4a9f]", status=409)
    looked = []

    def users_of_volume(name):
        looked.append(name)
        return uses([container("late", name)]) if len(looked) > 1 else ()

    engine.users_of_volume = users_of_volume
    with pytest.raises(RefusedError, match="late"):
        converge_volume(engine, wanted(state="absent"), False)


def test_a_volume_of_another_driver_is_not_removed():
    engine = FakeEngine(volumes=[inspect()])
    with pytest.raises(RefusedError, match="belongs to the driver 'local'"):
        converge_volume(engine, wanted(state="absent", driver="rclone"), False)
    assert engine.calls == []


@pytest.mark.parametrize("plugins", [(), (plugin_inspect(Enabled=False),)])
def test_a_driver_that_is_not_ready_is_a_warning_in_check_mode_and_explains_the_failure(plugins):
    engine = FakeEngine(plugins=plugins)
    want = wanted(driver="rclone")
    assert "No enabled plugin of this engine is named 'rclone'" in converge_volume(engine, want, True).plan.warnings[0]
    engine.fail["create_volume"] = EngineError("Cannot create", 'plugin "rclone" not found', status=404)
    with pytest.raises(EngineError, match=r"not found.*docker_volume_plugin_x"):
        converge_volume(engine, want, False)


def test_a_volume_that_somebody_else_made_at_the_same_moment_is_no_success():
    engine = FakeEngine(volumes=[inspect(Labels={"a": "theirs"})])
    engine.volume = lambda name: None
    with pytest.raises(EngineError, match="made at the same moment, and differs in labels"):
        converge_volume(engine, wanted(labels={"a": "ours"}), False)


def test_secrets_are_hidden_in_plan_and_inspect():
    options = {"password": "hunter2", "remote": "r3mote", "o": "user=u,password=hunter3"}
    want = VolumeWanted("vv", "present", "rclone", options, None, ("remote",))
    plan = plan_volume(want, VolumeFound(None))
    shown = masked_inspect(Volume.from_inspect(inspect(Options=options)), want.secret_options)
    drift = plan_volume(
        want, VolumeFound(Volume.from_inspect(inspect(Options={**options, "remote": "0ther", "o": "password=hunter4"})))
    )
    for text in (repr(plan), repr(shown), repr(drift), str(plan.after)):
        for secret in ("hunter2", "hunter3", "hunter4", "r3mote", "0ther"):
            assert secret not in text


def test_secrets_that_only_the_engine_knows_are_hidden_too():
    engine = FakeEngine(volumes=[inspect(Options={"password": "hunter2"})])
    assert converge_volume(engine, wanted(), False).values["volume"]["Options"] == {"password": "********"}
