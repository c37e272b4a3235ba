# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import (
    EngineError,
    InvalidInputError,
    RefusedError,
    VolumesError,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin import Plugin, masked_inspect
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_run import converge_plugin
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_wanted import parse_plugin
from ansible_collections.voltainer.volumes.plugins.module_utils._registry import Pulled
from ansible_collections.voltainer.volumes.plugins.module_utils._usage import uses_of_driver

from .fake_engine import RCLONE, RCLONE_PRIVILEGES, FakeEngine, container, plugin_inspect

REMOTE = RCLONE["PluginReference"]
APPROVED = [{"name": one["Name"], "value": one["Value"]} for one in RCLONE_PRIVILEGES]
PARAMS = {
    "remote": REMOTE,
    "alias": "rclone",
    "state": "enabled",
    "plugin_name": None,
    "pull": "missing",
    "settings": None,
    "settings_exact": False,
    "secret_settings": [],
    "privileges": APPROVED,
    "force": False,
    "confirm": None,
    "force_remove": False,
    "registry_username": None,
    "registry_password": None,
    "enable_timeout": 0,
    "wait_ready": 0,
    "config_files": [],
    "on_change": "restart",
    "canary": False,
    "canary_options": None,
    "state_files": [],
}
VOLUME = {"Name": "reports", "Driver": "rclone:latest", "Options": {}, "Labels": {}}


def wanted(**params):
    return parse_plugin({**PARAMS, **params})


def converge(engine, check_mode=False, **params):
    return converge_plugin(engine, wanted(**params), check_mode)


def verbs(outcome):
    return list(outcome.plan.verbs)


def names(engine):
    return [call[0] for call in engine.calls]


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"remote": None, "alias": None}, "both 'remote' and 'alias' are missing"),
        ({"remote": "", "alias": ""}, "both 'remote' and 'alias' are missing"),
        ({"remote": "UPPER CASE"}, "'remote'"),
        ({"alias": "a b"}, "'alias'"),
        ({"settings": {"a": None}}, "'settings'"),
        ({"privileges": "some"}, "'privileges'"),
        ({"enable_timeout": -1}, "'enable_timeout'"),
    ],
)
def test_bad_input(params, words):
    with pytest.raises(InvalidInputError) as caught:
        wanted(**params)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("remote", "alias", "name"),
    [
        ("vieux/sshfs", None, "vieux/sshfs:latest"),
        ("vieux/sshfs:1", None, "vieux/sshfs:1"),
        ("vieux/sshfs", "sshfs", "sshfs:latest"),
        (None, "sshfs:1", "sshfs:1"),
        ("vieux/sshfs@sha256:" + "a" * 64, None, "vieux/sshfs:latest"),
    ],
)
def test_the_name_that_the_engine_will_know(remote, alias, name):
    assert wanted(remote=remote, alias=alias).alias == name


@pytest.mark.parametrize(
    ("start", "state", "settings", "expected"),
    [
        (None, "present", None, ["pull"]),
        (None, "present", {"args": "-v"}, ["pull", "set"]),
        (None, "disabled", None, ["pull"]),
        (None, "enabled", {"args": "-v"}, ["pull", "set", "enable"]),
        (None, "absent", None, []),
        (True, "present", None, []),
        (True, "present", {"args": ""}, []),
        (True, "present", {"args": "-v"}, ["note", "disable", "set", "enable", "unnote"]),
        (True, "enabled", {"args": "-v"}, ["note", "disable", "set", "enable", "unnote"]),
        (True, "disabled", {"args": "-v"}, ["disable", "set"]),
        (True, "disabled", None, ["disable"]),
        (True, "absent", None, ["disable", "remove"]),
        (False, "present", {"args": "-v"}, ["set"]),
        (False, "enabled", None, ["enable"]),
        (False, "enabled", {"args": "-v"}, ["set", "enable"]),
        (False, "disabled", None, []),
        (False, "absent", None, ["remove"]),
    ],
)
def test_steps_in_check_mode_for_real_and_again(start, state, settings, expected):
    engine = FakeEngine(plugins=[] if start is None else [plugin_inspect(Enabled=start)])
    check = converge(engine, True, state=state, settings=settings)
    assert verbs(check) == expected
    assert engine.calls == []
    real = converge(engine, state=state, settings=settings)
    assert real.plan == check.plan
    # What the engine is told for these steps.
    calls = {"note": "create", "unnote": "remove"}
    assert [name.split("_")[0] for name in names(engine)] == [calls.get(verb, verb) for verb in expected]
    done = len(engine.calls)
    again = converge(engine, state=state, settings=settings)
    assert verbs(again) == []
    assert len(engine.calls) == done
    assert check.values.keys() == real.values.keys() == again.values.keys()
    if state != "absent":
        assert again.plan.before["enabled"] is {"enabled": True, "disabled": False}.get(state, bool(start))


@pytest.mark.parametrize(
    "remote",
    [
        "pure",
        "docker.io/vieux/sshfs:1",
        "vieux/sshfs",
        "vieux/sshfs@sha256:" + "a" * 64,
        "registry.example/pure:1@sha256:" + "a" * 64,
    ],
)
def test_a_plugin_is_known_again_whatever_form_its_reference_has(remote):
    engine = FakeEngine()
    check = converge(engine, True, remote=remote, alias="plugin")
    real = converge(engine, remote=remote, alias="plugin")
    again = converge(engine, remote=remote, alias="plugin")
    assert verbs(again) == []
    assert check.values["reference"] == real.values["reference"] == again.values["reference"]
    assert real.plan.after["reference"] == again.plan.before["reference"]


@pytest.mark.parametrize("check_mode", [True, False])
@pytest.mark.parametrize(
    ("privileges", "missing"),
    [
        (None, ["network", "mount", "mount", "device", "capabilities"]),
        ([], ["network", "mount", "mount", "device", "capabilities"]),
        (APPROVED[:-1], ["capabilities"]),
        ([*APPROVED[:-1], {"name": "capabilities", "value": ["CAP_NET_ADMIN"]}], ["capabilities"]),
    ],
)
def test_a_plugin_that_asks_for_more_than_approved_is_not_pulled(privileges, missing, check_mode):
    engine = FakeEngine()
    with pytest.raises(RefusedError, match="were not approved, and nothing was pulled") as caught:
        converge(engine, check_mode, privileges=privileges)
    assert engine.calls == []
    assert [one["name"] for one in caught.value.details["privileges_not_approved"]] == missing


def test_all_is_granted_and_listed():
    outcome = converge(FakeEngine(), privileges="all")
    assert len(outcome.plan.warnings) == 1
    assert "{name: capabilities, value: [CAP_SYS_ADMIN]}" in outcome.plan.warnings[0]
    assert outcome.values["privileges"] == APPROVED


def test_approved_and_not_asked_for_is_told():
    outcome = converge(FakeEngine(), privileges=[*APPROVED, {"name": "host pid namespace", "value": ["true"]}])
    assert "does not ask for" in outcome.plan.warnings[0]
    assert "host pid namespace" in outcome.plan.warnings[0]


def test_an_installed_plugin_with_more_than_approved_is_told():
    plugin = plugin_inspect()
    plugin["Config"]["PidHost"] = True
    outcome = converge(FakeEngine(plugins=[plugin]))
    assert "host pid namespace" in outcome.plan.warnings[0]
    assert verbs(outcome) == []
    assert converge(FakeEngine(plugins=[plugin_inspect()])).plan.warnings == ()
    assert converge(FakeEngine(plugins=[plugin]), privileges=None).plan.warnings == ()


@pytest.mark.parametrize("check_mode", [True, False])
def test_an_installed_plugin_with_more_than_approved_is_not_started(check_mode):
    plugin = plugin_inspect(Enabled=False)
    plugin["Config"]["PidHost"] = True
    plugin["Config"]["Mounts"][0]["Source"] = "/srv/rclone"
    engine = FakeEngine(plugins=[plugin])
    with pytest.raises(
        RefusedError, match=r"(?s)Cannot enable the plugin 'rclone:latest'.*host pid namespace"
    ) as caught:
        converge(engine, check_mode)
    assert caught.value.details["privileges_not_approved"] == [{"name": "host pid namespace", "value": ["true"]}]
    assert engine.calls == []
    assert "host pid namespace" in converge(engine, check_mode, state="present").plan.warnings[0]


def test_where_a_mount_was_set_to_is_no_privilege_that_was_not_approved():
    plugin = plugin_inspect()
    plugin["Config"]["Mounts"][0]["Source"] = "/srv/rclone"
    assert converge(FakeEngine(plugins=[plugin])).plan.warnings == ()


@pytest.mark.parametrize("state", ["present", "enabled", "disabled"])
def test_not_installed_and_no_remote(state):
    engine = FakeEngine()
    with pytest.raises(InvalidInputError, match="the option 'remote' is missing"):
        converge(engine, state=state, remote=None)
    assert engine.calls == []


@pytest.mark.parametrize("state", ["present", "enabled", "disabled", "absent"])
@pytest.mark.parametrize("reference", ["vieux/sshfs:latest", ""])
def test_alias_clash(state, reference):
    engine = FakeEngine(plugins=[plugin_inspect(PluginReference=reference)])
    with pytest.raises(RefusedError, match="its name is taken by another plugin"):
        converge(engine, state=state)
    assert engine.calls == []


def test_which_tag_is_installed_does_not_matter_for_absent():
    engine = FakeEngine(plugins=[plugin_inspect()])
    assert verbs(converge(engine, remote=REMOTE.replace(":1.0", ":1.1"), state="absent")) == ["disable", "remove"]


@pytest.mark.parametrize("check_mode", [True, False])
def test_unknown_setting_of_an_installed_plugin_changes_nothing(check_mode):
    engine = FakeEngine(plugins=[plugin_inspect()])
    with pytest.raises(InvalidInputError, match="it has no setting 'NOPE'"):
        converge(engine, check_mode, settings={"args": "-v", "NOPE": "1"})
    assert engine.calls == []


def test_unknown_setting_of_a_fresh_plugin_takes_it_away_again():
    engine = FakeEngine()
    with pytest.raises(VolumesError, match=r"it has no setting 'NOPE'.*removed again"):
        converge(engine, settings={"args": "-v", "NOPE": "1"})
    assert names(engine) == ["pull_plugin", "remove_plugin"]
    assert engine.plugins_by_name == {}


@pytest.mark.parametrize("failing", ["set_plugin", "enable_plugin"])
def test_a_failed_install_leaves_no_half_installed_plugin(failing):
    engine = FakeEngine()
    engine.fail[failing] = EngineError("Cannot do it", "the engine says no", "Do something", status=500)
    with pytest.raises(VolumesError, match=r"the engine says no. The plugin was removed again. Do something."):
        converge(engine, settings={"args": "-v"})
    assert engine.plugins_by_name == {}


@pytest.mark.parametrize("failing", ["set_plugin", "enable_plugin"])
def test_a_failed_change_brings_settings_and_state_back(failing):
    engine = FakeEngine(plugins=[plugin_inspect()], volumes=[VOLUME])
    before = engine.plugin("rclone:latest")
    engine.fail[failing] = EngineError("Cannot do it", "the engine says no", status=500)
    with pytest.raises(VolumesError, match=r"the engine says no. The plugin is again as it was before"):
        converge(engine, settings={"RCLONE_VERBOSE": "2", "config": "/nope"})
    after = engine.plugin("rclone:latest")
    assert after.enabled
    assert sorted(after.raw["Settings"]["Env"]) == sorted(before.raw["Settings"]["Env"])
    assert after.raw["Config"] == before.raw["Config"]


def test_even_a_fault_of_ours_leaves_no_half_installed_plugin():
    engine = FakeEngine()
    engine.fail["enable_plugin"] = KeyError("a bug")
    with pytest.raises(KeyError):
        converge(engine)
    assert engine.plugins_by_name == {}


@pytest.mark.parametrize("installed", [True, False])
def test_a_plugin_that_runs_although_enabling_failed_is_brought_back_too(installed):
    engine = FakeEngine(plugins=[plugin_inspect()] if installed else [], volumes=[VOLUME] if installed else [])
    enable = engine.enable_plugin

    def enable_too_late(name, timeout):
        enable(name, timeout)
        engine.enable_plugin = enable
        raise EngineError("Cannot enable", "the engine did not answer", users=["somebody"])

    engine.enable_plugin = enable_too_late
    with pytest.raises(VolumesError, match="the engine did not answer") as caught:
        converge(engine, settings={"RCLONE_VERBOSE": "2"})
    assert caught.value.details == {"users": ["somebody"]}
    assert list(engine.plugins_by_name) == (["rclone:latest"] if installed else [])
    if installed:
        assert engine.plugin("rclone:latest").enabled
        assert "RCLONE_VERBOSE=0" in engine.plugin("rclone:latest").raw["Settings"]["Env"]


def test_a_plugin_that_somebody_removes_meanwhile_is_told():
    engine = FakeEngine()
    engine.pull_plugin = lambda *_arguments: Pulled()
    with pytest.raises(VolumesError, match="somebody else removed it"):
        converge(engine, settings={"args": "-v"})


def test_a_fresh_plugin_is_set_only_where_a_default_differs_and_gets_its_time_to_start():
    engine = FakeEngine()
    converge(engine, settings={"RCLONE_VERBOSE": "0"}, enable_timeout=7)
    assert engine.calls == [
        ("pull_plugin", REMOTE, "rclone:latest"),
        ("enable_plugin", "rclone:latest", 7),
    ]


DEAD = EngineError("Cannot enable", "dial unix rclone.sock: no such file or directory", status=500)


@pytest.mark.parametrize(
    ("settings", "told"), [({"args": "--bad"}, "one empty word"), ({"RCLONE_VERBOSE": "x"}, "Bringing back")]
)
def test_a_way_back_that_fails_to_the_end_says_so(settings, told):
    engine = FakeEngine(plugins=[plugin_inspect()])
    engine.fail["enable_plugin"] = [DEAD] * 2
    with pytest.raises(
        VolumesError, match=f"Bringing back what was before failed, too.*{told}|{told} what was"
    ) as caught:
        converge(engine, settings=settings)
    assert ("one empty word" in str(caught.value)) is (told == "one empty word")


@pytest.mark.parametrize(("args", "warned"), [("", True), ("-v", False), ("--x", False)])
def test_taking_the_arguments_away_is_told_before(args, warned):
    plugin = plugin_inspect()
    plugin["Settings"]["Args"] = ["-v"]
    warnings = converge(FakeEngine(plugins=[plugin]), True, settings={"args": args}).plan.warnings
    assert any("one empty word" in warning for warning in warnings) is warned


def test_when_the_way_back_fails_too_both_are_told():
    engine = FakeEngine()
    engine.fail["enable_plugin"] = EngineError("Cannot enable", "first cause", status=500)
    engine.fail["remove_plugin"] = EngineError("Cannot remove", "second cause", status=500)
    with pytest.raises(VolumesError, match=r"first cause.*second cause"):
        converge(engine)


@pytest.mark.parametrize("check_mode", [True, False])
@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"state": "disabled"}, "Cannot disable"),
        ({"settings": {"args": "-v"}}, "Cannot change the settings of"),
        ({"state": "absent"}, "Cannot remove"),
    ],
)
def test_a_plugin_is_not_stopped_under_running_containers(params, words, check_mode):
    engine = FakeEngine(plugins=[plugin_inspect()], containers=[container("web", "reports", "rclone:latest")])
    with pytest.raises(RefusedError, match=f"{words}.*web .running, read-write at /data.") as caught:
        converge(engine, check_mode, **params)
    assert engine.calls == []
    assert caught.value.details["users"][0]["volume"] == "reports"


def test_volumes_that_nobody_has_mounted_do_not_hinder_a_change_of_settings():
    engine = FakeEngine(
        plugins=[plugin_inspect()],
        volumes=[VOLUME],
        containers=[container("old", "reports", "rclone:latest", "exited")],
    )
    converge(engine, settings={"args": "-v"})
    assert engine.calls[1:3] == [("disable_plugin", "rclone:latest", False), ("disable_plugin", "rclone:latest", True)]
    assert engine.plugin("rclone:latest").enabled


def test_a_plugin_is_not_forced_to_stop_where_a_container_came_in_between():
    engine = FakeEngine(plugins=[plugin_inspect()], volumes=[VOLUME])
    looks = iter([[], [container("late", "reports", "rclone:latest")]])
    engine.users_of_driver = lambda driver: uses_of_driver(next(looks), driver)
    with pytest.raises(VolumesError, match=r"late .running, read-write at /data.*again as it was") as caught:
        converge(engine, state="disabled")
    assert caught.value.details["users"][0]["container"] == "late"
    assert engine.calls == [("disable_plugin", "rclone:latest", False)]


def test_only_a_plugin_in_use_is_forced_to_stop():
    engine = FakeEngine(plugins=[plugin_inspect()])
    engine.fail["disable_plugin"] = EngineError("Cannot disable", "the engine says no", status=500)
    with pytest.raises(VolumesError, match="the engine says no"):
        converge(engine, state="disabled")
    assert engine.calls == [("disable_plugin", "rclone:latest", False)]


def test_nobody_asks_who_uses_a_plugin_that_goes_on():
    engine = FakeEngine(plugins=[plugin_inspect()])
    engine.users_of_driver = engine.volumes_of = None
    assert verbs(converge(engine)) == []


@pytest.mark.parametrize("check_mode", [True, False])
def test_a_plugin_with_volumes_is_not_removed(check_mode):
    engine = FakeEngine(plugins=[plugin_inspect()], volumes=[VOLUME])
    with pytest.raises(RefusedError, match=r"it still has 1 volume\(s\): reports") as caught:
        converge(engine, check_mode, state="absent")
    assert engine.calls == []
    assert caught.value.details["volumes"] == ["reports"]


def test_removing_a_disabled_plugin_tells_that_its_volumes_are_not_known():
    outcome = converge(FakeEngine(plugins=[plugin_inspect(Enabled=False)]), state="absent")
    assert "its volumes cannot be listed" in outcome.plan.warnings[0]
    assert converge(FakeEngine(plugins=[plugin_inspect()]), state="absent").plan.warnings == ()


def test_secrets_are_hidden():
    raw = plugin_inspect()
    raw["Settings"]["Env"] = ["RCLONE_VERBOSE=s3cret0", "API_TOKEN=s3cret1"]
    engine = FakeEngine(plugins=[raw])
    outcome = converge(
        engine, settings={"API_TOKEN": "s3cret2", "RCLONE_VERBOSE": "s3cret3"}, secret_settings=["RCLONE_VERBOSE"]
    )
    assert "s3cret" not in repr(outcome)
    assert outcome.values["settings"]["API_TOKEN"] == "********"
    shown = masked_inspect(Plugin.from_inspect(raw), [])
    assert "API_TOKEN=********" in shown["Settings"]["Env"]


@pytest.mark.parametrize("check_mode", [True, False])
def test_secrets_of_an_install_are_hidden(check_mode):
    outcome = converge(FakeEngine(), check_mode, settings={"API_TOKEN": "s3cret", "args": "-v"})
    assert outcome.plan.after["settings"] == {"API_TOKEN": "********", "args": "-v"}
    assert "s3cret" not in repr(outcome)


@pytest.mark.parametrize("listed", ["args", "args.value"])
def test_secret_arguments_are_hidden_word_by_word(listed):
    raw = plugin_inspect()
    raw["Settings"]["Args"] = ["--password=s3cret", "-v"]
    engine = FakeEngine(plugins=[raw])
    outcome = converge(engine, True, settings={"args": "--password=s3cret1"}, secret_settings=[listed])
    assert "s3cret" not in repr(outcome)
    assert outcome.values["plugin"]["Settings"]["Args"] == ["********"]
    shown = masked_inspect(Plugin.from_inspect(raw), [])
    assert shown["Settings"]["Args"] == ["--password=s3cret", "-v"]
