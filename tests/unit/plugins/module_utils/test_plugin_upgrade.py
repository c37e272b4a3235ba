# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Upgrades of plugins: when, in which steps, what is kept, and the way back from each failure and each kill."""

from __future__ import annotations

import copy
import json

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import (
    AlreadyThereError,
    EngineError,
    EngineUnreachableError,
    InvalidInputError,
    RefusedError,
    UnansweredError,
    VolumesError,
)

from .fake_engine import DIGEST, RCLONE, RCLONE_PRIVILEGES, FakeEngine, container, plugin_inspect
from .test_plugin import APPROVED, REMOTE, VOLUME, converge, names, verbs

NEXT = REMOTE.replace(":1.0", ":1.1")
NEXT_DIGEST = "sha256:" + "2" * 64
PINNED = f"{REMOTE.rpartition(':')[0]}@{NEXT_DIGEST}"
NOTE = "voltainer-plugin-change.5f1c"
STEPS = ["note", "try", "disable", "upgrade", "set", "enable", "know", "unnote"]


def next_version(**changes):
    """Return the next version of the plugin: another default, a new variable, and one that is gone."""
    raw = copy.deepcopy(RCLONE)
    raw["Config"]["Env"][0]["Value"] = "1"
    raw["Config"]["Env"].append({"Name": "CACHE", "Settable": ["value"], "Value": "on"})
    raw["Settings"]["Env"] = ["RCLONE_VERBOSE=1", "API_TOKEN=", "RCLONE_CONFIG=/data/config/rclone.conf", "CACHE=on"]
    raw["Config"].update(changes)
    return raw


def engine_with(enabled=True, **inspect):
    """Return an engine with the plugin installed and set, a volume of it, and its next version in the registry."""
    engine = FakeEngine(plugins=[plugin_inspect(Enabled=enabled, content=DIGEST, **inspect)], volumes=[VOLUME])
    engine.registry = {REMOTE: DIGEST, NEXT: NEXT_DIGEST}
    engine.contents = {DIGEST: RCLONE, NEXT_DIGEST: next_version()}
    raw = engine.plugins_by_name["rclone:latest"]
    raw["Settings"]["Env"] = ["RCLONE_VERBOSE=2", "API_TOKEN=s3cret", "RCLONE_CONFIG=/data/config/rclone.conf"]
    raw["Config"]["Mounts"][0]["Source"] = "/srv/config"
    return engine


def settings_of(engine):
    plugin = engine.plugin("rclone:latest")
    return {
        **dict(text.split("=", 1) for text in plugin.raw["Settings"]["Env"]),
        **{mount["Name"]: mount["Source"] for mount in plugin.raw["Config"]["Mounts"]},
    }


def leftovers(engine):
    """Return what a change may leave only while it goes on: its note, and the trial of a new version."""
    trials = [name for name in engine.plugins_by_name if name != "rclone:latest"]
    return trials + [name for name in engine.volumes_by_name if name != "reports"]


KEPT = {"RCLONE_VERBOSE": "2", "API_TOKEN": "s3cret", "config": "/srv/config"}


@pytest.mark.parametrize(
    ("params", "moved", "expected"),
    [
        ({}, False, False),
        ({}, True, False),
        ({"remote": NEXT}, False, True),
        ({"remote": PINNED}, False, True),
        ({"remote": PINNED.replace("2" * 64, "1" * 64)}, False, False),
        ({"pull": "changed"}, False, False),
        ({"pull": "changed"}, True, True),
        ({"pull": "changed", "remote": NEXT}, False, True),
        ({"pull": "changed", "remote": PINNED}, False, True),
        ({"pull": "always"}, False, True),
        ({"remote": None}, True, False),
        ({"remote": NEXT, "state": "absent"}, False, False),
    ],
)
def test_what_is_an_upgrade(params, moved, expected):
    engine = engine_with()
    engine.volumes_by_name.clear()
    if moved:
        engine.registry[REMOTE] = NEXT_DIGEST
    assert ("upgrade" in verbs(converge(engine, True, **params))) is expected
    assert engine.calls == []


@pytest.mark.parametrize(
    ("params", "asked"),
    [
        ({}, []),
        ({"settings": {"args": "-v"}}, []),
        ({"remote": PINNED.replace("2" * 64, "1" * 64), "pull": "changed"}, []),
        ({"pull": "changed"}, ["registry_digest"]),
        ({"remote": NEXT, "pull": "changed"}, ["privileges"]),
        ({"remote": NEXT}, ["privileges"]),
        ({"state": "absent", "pull": "changed"}, []),
    ],
)
def test_the_registry_is_asked_only_where_it_must_be(params, asked):
    engine = engine_with()
    engine.volumes_by_name.clear()
    converge(engine, True, **params)
    assert [method for method, _reference, _login in engine.asked] == asked


def test_the_login_goes_with_each_request():
    engine = engine_with()
    converge(engine, True, remote=NEXT, registry_username="me", registry_password="s3cret")
    assert [(login.username, login.password) for _method, _reference, login in engine.asked] == [("me", "s3cret")]


@pytest.mark.parametrize("given", ["registry_username", "registry_password"])
def test_half_a_login_is_refused(given):
    with pytest.raises(InvalidInputError, match=f"{given}"):
        converge(engine_with(), True, **{given: "x"})


@pytest.mark.parametrize(
    ("enabled", "state", "expected"),
    [
        (True, "present", STEPS),
        (True, "enabled", STEPS),
        (True, "disabled", ["note", "try", "disable", "upgrade", "set", "unnote"]),
        (False, "present", ["note", "try", "upgrade", "set", "unnote"]),
        (False, "enabled", ["note", "try", "upgrade", "set", "enable", "unnote"]),
    ],
)
def test_an_upgrade_in_check_mode_for_real_and_again(enabled, state, expected):
    engine = engine_with(enabled)
    check = converge(engine, True, remote=NEXT, state=state)
    assert verbs(check) == expected
    assert engine.calls == []
    real = converge(engine, remote=NEXT, state=state)
    assert verbs(real) == expected
    # A mount that was set to another place is no other privilege.
    assert check.plan.before["privileges"] == check.plan.after["privileges"] == APPROVED
    plugin = engine.plugin("rclone:latest")
    assert plugin.id == RCLONE["Id"]
    assert plugin.reference == NEXT == real.values["reference"]
    assert plugin.enabled is {"enabled": True, "disabled": False}.get(state, enabled)
    assert settings_of(engine).items() >= {**KEPT, "CACHE": "on"}.items()
    assert real.values["digest"] == NEXT_DIGEST
    assert real.values["pull_log"] == [f"pulled {NEXT}", f"upgraded to {NEXT}"]
    assert leftovers(engine) == []
    assert "reports" in engine.volumes_by_name
    done = len(engine.calls)
    assert verbs(converge(engine, remote=NEXT, state=state)) == []
    assert len(engine.calls) == done
    assert check.values.keys() == real.values.keys()


def test_settings_of_the_task_win_over_those_kept_and_exact_ones_leave_none():
    engine = engine_with()
    converge(engine, remote=NEXT, settings={"RCLONE_VERBOSE": "3", "CACHE": "off"})
    assert settings_of(engine).items() >= {**KEPT, "RCLONE_VERBOSE": "3", "CACHE": "off"}.items()
    engine = engine_with()
    converge(engine, remote=NEXT, settings={"API_TOKEN": "new"}, settings_exact=True)
    expected = {
        "RCLONE_VERBOSE": "1",
        "API_TOKEN": "new",
        "CACHE": "on",
        "config": RCLONE["Config"]["Mounts"][0]["Source"],
    }
    assert settings_of(engine).items() >= expected.items()


def test_exact_settings_without_an_upgrade():
    engine = engine_with()
    outcome = converge(engine, settings={"API_TOKEN": "s3cret"}, settings_exact=True)
    assert verbs(outcome) == ["note", "disable", "set", "enable", "know", "unnote"]
    assert settings_of(engine).items() >= {"RCLONE_VERBOSE": "0", "API_TOKEN": "s3cret"}.items()
    assert settings_of(engine)["config"] == RCLONE["Config"]["Mounts"][0]["Source"]
    assert verbs(converge(engine, settings={"API_TOKEN": "s3cret"}, settings_exact=True)) == []


def test_a_variable_that_has_no_value_at_first_gets_none():
    raw = next_version()
    raw["Config"]["Env"].append({"Name": "OPTION", "Settable": ["value"]})
    engine = FakeEngine()
    engine.registry = {REMOTE: DIGEST, NEXT: NEXT_DIGEST}
    engine.contents = {DIGEST: raw, NEXT_DIGEST: raw}
    converge(engine, settings_exact=True)
    assert verbs(converge(engine, settings_exact=True)) == []
    converge(engine, remote=NEXT)
    assert "OPTION" not in settings_of(engine)
    converge(engine, remote=NEXT, settings={"OPTION": "x"})
    assert verbs(converge(engine, remote=NEXT, settings_exact=True))[1:4] == ["disable", "set", "enable"]
    assert settings_of(engine)["OPTION"] == ""
    assert verbs(converge(engine, remote=NEXT, settings_exact=True)) == []


def test_exact_settings_without_known_defaults_of_mounts_are_refused():
    engine = engine_with()
    engine.digests_known = False
    with pytest.raises(InvalidInputError, match=r"the default of cache.source, config.source"):
        converge(engine, settings_exact=True)
    named = {"config": "/srv/config", "cache": "/srv/cache"}
    assert "set" in verbs(converge(engine, True, settings=named, settings_exact=True))


@pytest.mark.parametrize("check_mode", [True, False])
def test_an_upgrade_that_asks_for_more_is_refused_and_pulls_nothing(check_mode):
    engine = engine_with()
    more = ({**RCLONE_PRIVILEGES[-1], "Value": ["CAP_SYS_ADMIN", "CAP_NET_ADMIN"]},)
    engine.asked_by[NEXT_DIGEST] = (*RCLONE_PRIVILEGES[:-1], *more)
    with pytest.raises(
        RefusedError, match=r"(?s)Cannot upgrade the plugin.*nothing was pulled.*CAP_NET_ADMIN"
    ) as caught:
        converge(engine, check_mode, remote=NEXT)
    assert engine.calls == []
    assert caught.value.details["privileges_not_approved"] == [{"name": "capabilities", "value": ["CAP_NET_ADMIN"]}]


def test_everything_granted_says_what_is_new():
    engine = engine_with()
    engine.asked_by[NEXT_DIGEST] = (
        *RCLONE_PRIVILEGES[:-1],
        {**RCLONE_PRIVILEGES[-1], "Value": ["CAP_X", "CAP_SYS_ADMIN"]},
    )
    warnings = converge(engine, True, remote=NEXT, privileges="all").plan.warnings
    assert any("granted more than the one before" in one and "CAP_X" in one for one in warnings)


def test_what_was_pulled_is_compared_with_what_was_approved():
    """The tag can move between the look-up and the pull, and engines before 29.4 do not see one more privilege."""
    engine = engine_with()
    engine.contents[NEXT_DIGEST] = next_version(PidHost=True)
    with pytest.raises(VolumesError, match=r"(?s)not approved.*host pid namespace"):
        converge(engine, remote=NEXT)
    assert "upgrade_plugin" not in names(engine)
    assert leftovers(engine) == []
    fresh = FakeEngine()
    fresh.contents[DIGEST] = next_version(PidHost=True)
    with pytest.raises(VolumesError, match=r"(?s)not approved.*host pid namespace.*removed again"):
        converge(fresh)
    assert fresh.plugins_by_name == {}


@pytest.mark.parametrize(
    ("version", "settings", "words"),
    [
        ({}, {"NOPE": "1"}, "it has no setting 'NOPE'"),
        ({"Interface": {"Types": ["docker.authz/1.0"]}}, None, r"no storage plugin: its interface is docker.authz/1.0"),
    ],
)
def test_a_version_that_cannot_be_used_is_found_out_while_the_plugin_still_runs(version, settings, words):
    engine = engine_with()
    engine.contents[NEXT_DIGEST] = next_version(**version)
    with pytest.raises(VolumesError, match=words):
        converge(engine, remote=NEXT, settings=settings)
    assert "disable_plugin" not in names(engine)
    assert engine.plugin("rclone:latest").enabled
    assert leftovers(engine) == []


def test_what_the_engine_does_not_bring_along_is_told():
    engine = engine_with()
    new = next_version()
    new["Config"]["Env"][2]["Value"] = "/etc/rclone.conf"
    new["Settings"]["Env"] = ["RCLONE_VERBOSE=1", "RCLONE_CONFIG=/etc/rclone.conf", "CACHE=on", "FIXED=x"]
    new["Config"]["Env"].append({"Name": "FIXED", "Settable": None, "Value": "x"})
    new["Config"]["Linux"]["Devices"].append({"Name": "", "Path": "/dev/kvm"})
    new["Config"]["Env"].pop(1)
    engine.contents[NEXT_DIGEST] = new
    engine.asked_by[NEXT_DIGEST] = (*RCLONE_PRIVILEGES, {"Name": "device", "Value": ["/dev/kvm"]})
    told = "\n".join(converge(engine, remote=NEXT, privileges="all").plan.warnings)
    assert "RCLONE_CONFIG stays '/data/config/rclone.conf' and does not become '/etc/rclone.conf'" in told
    assert "FIXED ('x') is not added" in told
    assert "the device /dev/kvm is not added" in told
    assert "API_TOKEN is no setting of it any more" in told
    assert "s3cret" not in told


@pytest.mark.parametrize(("name", "listed"), [("API_TOKEN", []), ("RCLONE_VERBOSE", ["RCLONE_VERBOSE"])])
def test_a_secret_that_the_new_version_fixes_is_not_told(name, listed):
    engine = engine_with()
    env = engine.plugins_by_name["rclone:latest"]["Settings"]["Env"]
    env[:] = [f"{name}=s3cret" if text.startswith(f"{name}=") else text for text in env]
    new = next_version()
    next(one for one in new["Config"]["Env"] if one["Name"] == name)["Settable"] = None
    engine.contents[NEXT_DIGEST] = new
    warnings = converge(engine, remote=NEXT, secret_settings=listed).plan.warnings
    assert any(f"{name} stays '********'" in one for one in warnings)
    assert "s3cret" not in repr(warnings)


NO = EngineError("Cannot do it", "the engine says no", "Do something", status=500)


@pytest.mark.parametrize("state", ["present", "enabled"])
@pytest.mark.parametrize(
    "failing", ["create_volume", "pull_plugin", "disable_plugin", "upgrade_plugin", "set_plugin", "enable_plugin"]
)
def test_whatever_step_fails_everything_is_as_before(failing, state):
    engine = engine_with()
    before = engine.plugin("rclone:latest")
    engine.fail[failing] = NO
    with pytest.raises(VolumesError, match=r"the engine says no.*The plugin is again as it was before.*Do something"):
        converge(engine, remote=NEXT, state=state)
    after = engine.plugin("rclone:latest")
    assert after.enabled
    assert after.reference == before.reference
    assert settings_of(engine).items() >= KEPT.items()
    assert leftovers(engine) == []
    assert "reports" in engine.volumes_by_name


def test_a_plugin_that_was_disabled_is_disabled_after_a_failure():
    engine = engine_with(enabled=False)
    engine.fail["enable_plugin"] = NO
    with pytest.raises(VolumesError, match=r"again as it was before, '.*:1.0'"):
        converge(engine, remote=NEXT, state="enabled")
    assert not engine.plugin("rclone:latest").enabled
    assert settings_of(engine).items() >= KEPT.items()


@pytest.mark.parametrize("known", [True, False])
def test_the_way_back_from_a_moved_tag_is_by_digest(known):
    engine = engine_with()
    engine.registry[REMOTE] = NEXT_DIGEST
    engine.fail["enable_plugin"] = NO
    engine.digest_pulls = known
    told = (
        f"as it was before, '{PINNED.replace('2' * 64, '1' * 64)}'"
        if known
        else "Bringing back .* failed, too.*moved on"
    )
    with pytest.raises(VolumesError, match=told):
        converge(engine, pull="changed")
    if known:
        assert engine.plugin("rclone:latest").reference == PINNED.replace("2" * 64, "1" * 64)
        assert engine.plugin("rclone:latest").raw["content"] == DIGEST
        assert engine.plugin("rclone:latest").enabled
        assert leftovers(engine) == []


@pytest.mark.parametrize("approved", [True, False])
def test_the_way_back_to_a_tag_that_moved_unseen_grants_no_more_than_before(approved):
    engine = engine_with()
    engine.digests_known = False
    moved = "sha256:" + "3" * 64
    engine.registry[REMOTE] = moved
    engine.contents[moved] = next_version(PidHost=True)
    engine.asked_by[moved] = (*RCLONE_PRIVILEGES, {"Name": "host pid namespace", "Value": ["true"]})
    engine.fail["enable_plugin"] = NO
    privileges = [
        {"name": one["Name"], "value": one["Value"]} for one in engine.asked_by[moved][: 6 if approved else 5]
    ]
    with pytest.raises(VolumesError, match=r"as it was before" if approved else r"(?s)failed, too.*host pid namespace"):
        converge(engine, remote=NEXT, privileges=privileges)
    assert engine.plugin("rclone:latest").reference == (REMOTE if approved else NEXT)
    assert engine.plugin("rclone:latest").enabled is approved


def test_what_a_trial_failed_with_is_told_even_where_it_cannot_be_removed():
    engine = engine_with()
    engine.contents[NEXT_DIGEST] = next_version(PidHost=True)
    engine.fail["remove_plugin"] = NO
    with pytest.raises(VolumesError, match=r"(?s)host pid namespace.*failed, too: Cannot do it"):
        converge(engine, remote=NEXT)
    assert engine.plugin("rclone:latest").enabled
    assert len(leftovers(engine)) == 2
    with pytest.raises(VolumesError, match=r"(?s)host pid namespace.*as it was before"):
        converge(engine, remote=NEXT)
    assert leftovers(engine) == []


def test_a_plugin_that_is_gone_is_not_said_to_be_as_before():
    engine = engine_with()
    engine.disable_plugin = lambda name, force=False: engine.plugins_by_name.pop(name)
    with pytest.raises(VolumesError, match=r"somebody else removed it.*failed, too.*not there any more") as caught:
        converge(engine, settings={"args": "-v"})
    assert "as it was before" not in str(caught.value)


def test_a_plugin_without_a_reference_comes_back_too():
    engine = engine_with(PluginReference="")
    engine.fail["enable_plugin"] = NO
    with pytest.raises(VolumesError, match=r"the engine says no\. The plugin is again as it was before"):
        converge(engine, remote=None, state="present", settings={"RCLONE_VERBOSE": "3"})
    assert engine.plugin("rclone:latest").enabled
    assert settings_of(engine).items() >= KEPT.items()
    assert leftovers(engine) == []


@pytest.mark.parametrize(("pulls", "told"), [(True, False), (False, True)])
def test_no_way_back_is_told_before(pulls, told):
    engine = engine_with()
    engine.registry[REMOTE] = NEXT_DIGEST
    engine.digest_pulls = pulls
    warnings = converge(engine, True, pull="changed").plan.warnings
    assert any("there is no way back" in one for one in warnings) is told


def test_where_nobody_knows_what_is_installed_a_moved_tag_cannot_be_seen():
    engine = engine_with()
    engine.digests_known = False
    with pytest.raises(RefusedError, match=r"Cannot tell whether .* has changed in its registry"):
        converge(engine, True, pull="changed")
    assert engine.asked == []


@pytest.mark.parametrize("check_mode", [True, False])
def test_a_plugin_in_use_is_upgraded_only_by_force(check_mode):
    engine = engine_with()
    engine.containers = [container("web", "reports", "rclone:latest")]
    with pytest.raises(RefusedError, match=r"Cannot upgrade the plugin.*web .running, read-write at /data.*force"):
        converge(engine, check_mode, remote=NEXT)
    assert engine.calls == []
    outcome = converge(engine, check_mode, remote=NEXT, force=True)
    assert any("stopped under running containers" in one and "web" in one for one in outcome.plan.warnings)
    assert (engine.plugin("rclone:latest").reference == NEXT) is not check_mode


class KilledError(BaseException):
    """What no code catches, as SIGKILL."""


def kill_at(engine, number):
    """Let the task be killed right before its call `number` that changes something; the first is 0."""
    changing = engine._changing
    done = []

    def count(*call):
        changing(*call)
        done.append(call)
        if len(done) > number:
            raise KilledError

    engine._changing = count
    return lambda: setattr(engine, "_changing", changing)


@pytest.mark.parametrize("state", ["present", "enabled"])
@pytest.mark.parametrize(
    "params", [{"remote": NEXT}, {"pull": "changed"}, {"remote": PINNED}, {"settings": {"args": "-v"}}]
)
def test_killed_before_each_call_and_run_again(params, state):
    for number in range(30):
        engine = engine_with()
        if "pull" in params:
            engine.registry[REMOTE] = NEXT_DIGEST
        alive = kill_at(engine, number)
        try:
            converge(engine, state=state, **params)
        except KilledError:
            pass
        else:
            break
        alive()
        converge(engine, state=state, **params)
        plugin = engine.plugin("rclone:latest")
        assert plugin.enabled, number
        assert plugin.id == RCLONE["Id"]
        assert settings_of(engine).items() >= KEPT.items(), number
        if "settings" not in params:
            assert plugin.raw["content"] == NEXT_DIGEST
            assert settings_of(engine)["CACHE"] == "on"
        assert leftovers(engine) == [], number
        assert verbs(converge(engine, state=state, **params)) == []
    assert number > 4


def test_a_failure_after_a_kill_goes_back_to_what_was_before_the_kill():
    engine = engine_with()
    calls = ["create_volume", "pull_plugin", "remove_plugin", "disable_plugin", "disable_plugin", "upgrade_plugin"]
    alive = kill_at(engine, len(calls))
    with pytest.raises(KilledError):
        converge(engine, remote=NEXT, state="present")
    assert names(engine) == [*calls, "set_plugin"]
    alive()
    assert engine.plugin("rclone:latest").reference == NEXT
    engine.fail["enable_plugin"] = NO
    with pytest.raises(VolumesError, match=r"again as it was before"):
        converge(engine, remote=NEXT, state="present")
    assert engine.plugin("rclone:latest").reference == REMOTE
    assert engine.plugin("rclone:latest").enabled
    assert settings_of(engine).items() >= KEPT.items()
    assert leftovers(engine) == []


def test_where_the_way_back_fails_the_note_stays_for_the_next_task():
    engine = engine_with()
    engine.fail["enable_plugin"] = [NO, EngineUnreachableError("Cannot enable", "the engine went away")]
    with pytest.raises(VolumesError, match=r"Bringing back what was before failed, too.*went away"):
        converge(engine, remote=NEXT, state="present")
    assert leftovers(engine) != []
    converge(engine, remote=NEXT, state="present")
    assert engine.plugin("rclone:latest").reference == NEXT
    assert engine.plugin("rclone:latest").enabled
    assert settings_of(engine).items() >= KEPT.items()
    assert leftovers(engine) == []


FORGED = {"plugin_id": "5f1c", "name": "rclone:latest", "enabled": True, "reference": REMOTE, "digest": None}


@pytest.mark.parametrize(
    ("volume", "changes"),
    [
        ("app", {}),
        (NOTE, {"name": "other:latest"}),
        (NOTE, {"reference": "evil.example/rclone/docker-volume-rclone:1.0"}),
        (NOTE, {"reference": "?"}),
        (NOTE, {"plugin_id": "5f1d"}),
    ],
)
def test_a_note_that_is_not_ours_says_nothing(volume, changes):
    engine = engine_with()
    label = json.dumps({**FORGED, "mounts": {"config.source": "/"}, **changes})
    labels = {"voltainer.volumes.plugin-change": label}
    engine.volumes_by_name[volume] = {"Name": volume, "Driver": "local", "Options": {}, "Labels": labels}
    assert verbs(converge(engine)) == []


@pytest.mark.parametrize("labels", [{}, {"voltainer.volumes.plugin-change": "{"}])
def test_a_volume_that_has_the_name_of_the_note_is_not_taken_for_it(labels):
    engine = engine_with()
    engine.volumes_by_name[NOTE] = {"Name": NOTE, "Driver": "local", "Options": {}, "Labels": labels}
    with pytest.raises(VolumesError, match=f"there is already a volume '{NOTE}'"):
        converge(engine, remote=NEXT)
    assert NOTE in engine.volumes_by_name
    assert engine.plugin("rclone:latest").reference == REMOTE
    assert engine.plugin("rclone:latest").enabled


@pytest.mark.parametrize(
    "error",
    [
        EngineUnreachableError("Cannot upgrade", "the connection to the engine broke", "Look at its log"),
        UnansweredError("Cannot upgrade", "the engine did not answer within 180 seconds", "Look at its log"),
    ],
)
@pytest.mark.parametrize("goes_on", [True, False])
def test_an_upgrade_that_the_engine_may_go_on_with_is_left_to_the_next_task(error, goes_on):
    engine = engine_with()
    upgrade = engine.upgrade_plugin

    def broken(name, remote, offered, login=None):
        engine.upgrade_plugin = upgrade
        if goes_on:
            upgrade(name, remote, offered, login)
        raise error

    engine.upgrade_plugin = broken
    with pytest.raises(VolumesError, match=r"The engine may go on with the upgrade, and the plugin is disabled"):
        converge(engine, remote=NEXT)
    assert not engine.plugin("rclone:latest").enabled
    assert leftovers(engine) != []
    converge(engine, remote=NEXT)
    assert engine.plugin("rclone:latest").reference == NEXT
    assert engine.plugin("rclone:latest").enabled
    assert settings_of(engine).items() >= KEPT.items()
    assert leftovers(engine) == []


def test_a_plugin_that_a_killed_change_of_settings_left_disabled_is_enabled_again_where_the_next_one_fails():
    engine = engine_with()
    alive = kill_at(engine, 3)
    with pytest.raises(KilledError):
        converge(engine, settings={"args": "-v"}, state="enabled")
    alive()
    assert not engine.plugin("rclone:latest").enabled
    engine.fail["enable_plugin"] = NO
    with pytest.raises(VolumesError, match="again as it was before"):
        converge(engine, settings={"args": "-v"}, state="enabled")
    assert engine.plugin("rclone:latest").enabled


def test_a_damaged_note_and_one_of_another_plugin_say_nothing():
    engine = engine_with()
    for name, label in (("a", "{"), ("b", "null"), ("c", '{"plugin_id": "5f1c"}'), ("d", '{"mounts": 1}')):
        labels = {"voltainer.volumes.plugin-change": label}
        engine.volumes_by_name[name] = {"Name": name, "Driver": "local", "Options": {}, "Labels": labels}
    assert verbs(converge(engine)) == []


def test_a_note_of_a_plugin_that_is_gone_goes_too():
    engine = engine_with()
    alive = kill_at(engine, 1)
    with pytest.raises(KilledError):
        converge(engine, remote=NEXT)
    alive()
    del engine.plugins_by_name["rclone:latest"]
    assert verbs(converge(engine, state="absent")) == ["unnote"]
    assert leftovers(engine) == []


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"force": True}, "it still has 1 volume"),
        ({"force_remove": True}, "it still has 1 volume"),
        ({"confirm": "rclone"}, "it still has 1 volume"),
        ({"force": True, "confirm": "other"}, "'confirm' does not name the plugin"),
    ],
)
def test_a_plugin_with_volumes_needs_force_and_its_name(params, words):
    engine = engine_with()
    with pytest.raises(VolumesError, match=words):
        converge(engine, state="absent", **params)
    assert engine.calls == []


@pytest.mark.parametrize("check_mode", [True, False])
def test_a_plugin_that_does_not_list_its_volumes_needs_force_and_its_name(check_mode):
    engine = engine_with()
    engine.listing["rclone:latest"] = "the array is down"
    with pytest.raises(RefusedError, match=r"does not tell which volumes it has: the array is down\. See that"):
        converge(engine, check_mode, state="absent")
    assert engine.calls == []
    outcome = converge(engine, check_mode, state="absent", force=True, confirm="rclone")
    assert "does not tell which volumes it has" in outcome.plan.warnings[0]
    assert (engine.plugins_by_name == {}) is not check_mode


@pytest.mark.parametrize("how", ["force", "force_remove"])
@pytest.mark.parametrize("used", [True, False])
def test_force_and_the_name_remove_a_plugin_with_volumes(how, used):
    engine = engine_with()
    engine.containers = [container("web", "reports", "rclone:latest")] if used else []
    outcome = converge(engine, state="absent", confirm="rclone", **{how: True})
    assert engine.plugins_by_name == {}
    assert engine.calls[-1] == ("remove_plugin", "rclone:latest", "force")
    assert "reports" in outcome.plan.warnings[0]


def test_the_words_of_the_other_module():
    plugin_name = REMOTE
    engine = FakeEngine()
    outcome = converge(engine, remote=None, plugin_name=plugin_name, privileges=None, state="enable")
    assert verbs(outcome) == ["pull", "enable"]
    assert "CAP_SYS_ADMIN" in outcome.plan.warnings[0]
    assert verbs(converge(engine, remote=None, plugin_name=plugin_name, privileges=None, state="disable")) == [
        "disable"
    ]
    with pytest.raises(RefusedError, match="nothing to disable"):
        converge(FakeEngine(), remote=None, plugin_name=plugin_name, state="disable")


@pytest.mark.parametrize(
    ("state", "expected"),
    [("present", []), ("enable", []), ("disable", ["disable"]), ("absent", ["disable", "remove"])],
)
def test_the_words_of_the_other_module_take_the_local_name_for_the_reference(state, expected):
    engine = engine_with()
    engine.volumes_by_name.clear()
    drop_in = {"remote": None, "alias": None, "plugin_name": "rclone", "privileges": None, "state": state}
    assert verbs(converge(engine, True, **drop_in)) == expected
    assert verbs(converge(engine, **drop_in)) == expected
    assert verbs(converge(engine, **drop_in)) == []
    with pytest.raises(RefusedError, match="taken by another plugin"):
        converge(engine_with(), **{**drop_in, "alias": "rclone", "plugin_name": "vieux/sshfs"})


def test_a_setting_without_a_value_is_empty_in_the_words_of_the_other_module():
    engine = engine_with()
    drop_in = {"remote": None, "plugin_name": REMOTE, "privileges": None, "settings": {"API_TOKEN": None}}
    assert verbs(converge(engine, **drop_in)) == ["note", "disable", "set", "enable", "know", "unnote"]
    assert settings_of(engine)["API_TOKEN"] == ""
    assert verbs(converge(engine, **drop_in)) == []


def test_the_words_of_the_other_module_grant_an_upgrade_no_more_than_before():
    engine = engine_with()
    drop_in = {"remote": None, "plugin_name": NEXT, "privileges": None}
    assert "upgrade" in verbs(converge(engine, True, **drop_in))
    engine.asked_by[NEXT_DIGEST] = (*RCLONE_PRIVILEGES, {"Name": "host pid namespace", "Value": ["true"]})
    with pytest.raises(RefusedError, match="host pid namespace"):
        converge(engine, True, **drop_in)


@pytest.mark.parametrize("state", ["present", "disabled", "absent"])
def test_a_plugin_of_another_kind_is_none_of_ours(state):
    raw = plugin_inspect()
    raw["Config"]["Interface"] = {"Types": ["docker.networkdriver/1.0"]}
    engine = FakeEngine(plugins=[raw])
    with pytest.raises(RefusedError, match="no storage plugin"):
        converge(engine, state=state)
    assert engine.calls == []


def test_a_csi_plugin_is_storage():
    raw = plugin_inspect()
    raw["Config"]["Interface"] = {"Types": ["docker.csicontroller/1.0", "docker.csinode/1.0"]}
    assert verbs(converge(FakeEngine(plugins=[raw]))) == []


def test_a_driver_that_does_not_answer_after_enabling_is_taken_back_and_its_last_words_are_told():
    engine = FakeEngine()
    engine.listing["rclone:latest"] = "error while listing: no route to the array"
    engine.log = ("starting", "cannot log in with s3cret", "no route to the array")
    with pytest.raises(VolumesError, match=r"did not list its volumes within 1 s.*no route") as caught:
        converge(engine, wait_ready=1, settings={"API_TOKEN": "s3cret"})
    assert engine.plugins_by_name == {}
    assert caught.value.details["plugin_log"] == ["starting", "no route to the array"]
    assert "last words were:\n  starting\n" in str(caught.value)


def test_a_way_back_that_failed_does_not_look_like_the_last_words_of_the_plugin():
    engine = FakeEngine(plugins=[plugin_inspect()])
    engine.log = ("cannot log in",)

    def enable(_name, _timeout):
        raise EngineError("Cannot enable the plugin", "no such socket", status=500)

    engine.enable_plugin = enable
    with pytest.raises(VolumesError, match="  cannot log in\nBringing back what was before failed, too: Cannot enable"):
        converge(engine, settings={"RCLONE_VERBOSE": "2"})


def test_a_secret_that_was_set_before_is_hidden_in_what_the_plugin_said():
    engine = engine_with()
    asked = []
    engine.said_by = lambda _plugin_id, secrets: asked.append(set(secrets)) or ("no",)
    engine.fail["enable_plugin"] = NO
    with pytest.raises(VolumesError):
        converge(engine, settings={"API_TOKEN": "new"})
    assert asked == [{"s3cret", "new"}]


def test_a_disabled_plugin_that_does_not_answer_after_enabling_is_disabled_again():
    engine = engine_with(enabled=False)
    engine.listing["rclone:latest"] = "no route to the array"
    with pytest.raises(VolumesError, match=r"again as it was before"):
        converge(engine, wait_ready=1)
    assert not engine.plugin("rclone:latest").enabled


def test_a_driver_that_answers_is_ready_and_one_that_needs_time_gets_it():
    engine = FakeEngine()
    engine.listing["rclone:latest"] = "not yet"
    original = engine.volumes

    def volumes(driver, **kwargs):
        seen.append(driver)
        if seen.count("rclone:latest") > 2:
            engine.listing.clear()
        return original(driver, **kwargs)

    seen = []
    engine.volumes = volumes
    converge(engine, wait_ready=5)
    assert engine.plugin("rclone:latest").enabled
    assert seen.count("rclone:latest") == 3


def taken(name):
    return AlreadyThereError(
        "Cannot pull the plugin", f"plugin {name} already exists", "Run the task again", status=400
    )


@pytest.mark.parametrize(("times", "fails"), [(1, False), (2, False), (3, True)])
def test_a_trial_that_the_engine_still_pulls_for_a_killed_task_gives_way(times, fails):
    engine = engine_with()
    engine.fail["pull_plugin"] = [taken("voltainer-plugin-trial:5f1c")] * times
    if fails:
        with pytest.raises(VolumesError, match="already exists"):
            converge(engine, remote=NEXT)
    else:
        converge(engine, remote=NEXT)
    assert engine.plugin("rclone:latest").reference == (REMOTE if fails else NEXT)
    assert leftovers(engine) == []


def test_an_install_that_the_engine_still_pulls_for_a_killed_task_is_taken_over():
    engine = FakeEngine()
    pull = engine.pull_plugin

    def too_late(remote, alias, offered, login=None):
        pull(remote, alias, offered, login)
        engine.pull_plugin = pull
        raise taken(alias)

    engine.pull_plugin = too_late
    outcome = converge(engine, settings={"RCLONE_VERBOSE": "2"})
    assert verbs(outcome) == ["set", "enable"]
    assert engine.plugin("rclone:latest").enabled


def test_what_is_said_to_be_there_and_is_not_is_an_error():
    engine = FakeEngine()
    engine.fail["pull_plugin"] = taken("rclone:latest")
    with pytest.raises(AlreadyThereError):
        converge(engine)


@pytest.mark.parametrize("other", [{"remote": NEXT}, {"remote": NEXT, "settings": {"RCLONE_VERBOSE": "7"}}])
def test_what_another_task_does_first_is_seen(other):
    engine = engine_with()

    def meanwhile(busy):
        busy.meanwhile = []
        converge(busy, **other)

    engine.meanwhile = [meanwhile]
    outcome = converge(engine, remote=NEXT)
    assert verbs(outcome) == []
    assert outcome.values["reference"] == NEXT
    assert leftovers(engine) == []


def test_what_to_do_is_said_where_a_failure_could_not_be_undone():
    engine = engine_with()
    engine.fail["enable_plugin"] = [NO, EngineUnreachableError("Cannot enable", "it went away", "Start the engine")]
    with pytest.raises(VolumesError) as caught:
        converge(engine, remote=NEXT, state="present")
    told = (
        "Do something. Start the engine. The plugin may be disabled now: run the task again, which finishes the change"
    )
    assert told in str(caught.value)
    assert str(caught.value).count("Start the engine") == 1


def test_a_csi_driver_is_not_waited_for():
    raw = plugin_inspect(Enabled=False)
    raw["Config"]["Interface"] = {"Types": ["docker.csinode/1.0"]}
    engine = FakeEngine(plugins=[raw])
    engine.listing["rclone:latest"] = "no such driver"
    converge(engine, wait_ready=1, state="enabled")
    assert engine.plugin("rclone:latest").enabled


def test_secrets_are_in_no_note():
    engine = engine_with()
    alive = kill_at(engine, 3)
    with pytest.raises(KilledError):
        converge(engine, remote=NEXT, settings={"API_TOKEN": "s3cret"})
    alive()
    notes = [raw for name, raw in engine.volumes_by_name.items() if name != "reports"]
    assert notes
    assert "s3cret" not in repr(notes)
    assert notes[0]["Labels"]["voltainer.volumes.protected"] == "true"
