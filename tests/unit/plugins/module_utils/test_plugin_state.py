# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plugins that forget their volumes when they start with a config file that does not lead to these, as rclone does."""

from __future__ import annotations

import json
import os

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils import _plugin_back, _plugin_known, _plugin_state
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import (
    EngineError,
    InvalidInputError,
    VolumesError,
)

from .fake_engine import plugin_inspect
from .test_plugin import VOLUME, converge, verbs, wanted
from .test_plugin_config import NAME, NEW, OLD, Host, beside, entry, killed_at, none_left, running, text
from .test_plugin_upgrade import NO, KilledError, leftovers

WRONG = {"array": "elsewhere"}


class Forgetful(Host):
    """A plugin that writes its volumes into a file when it ends, but for those that it could not reach at its start.

    With a wrong config file it reaches none, and where it `comes_up` is false, ends again.
    """

    def __init__(self, path, state, comes_up=True):
        super().__init__(path, plugins=[plugin_inspect()], volumes=[VOLUME])
        self.state, self.comes_up = state, comes_up
        self.known = ["reports"]
        self.asked_for_volumes, self.silent_at = 0, ()
        self.write_state()

    def write_state(self):
        self.state.write_text(json.dumps(self.known))

    def volumes_of(self, plugin, *, seconds=None):
        self.asked_for_volumes += 1
        if self.asked_for_volumes in self.silent_at:
            raise EngineError(f"Cannot list the volumes of '{plugin.name}'", "the array is away")
        return tuple(self.known) if plugin.enabled else ()

    def disable_plugin(self, name, force=False):
        super().disable_plugin(name, force)
        self.write_state()

    def create_volume(self, name, driver, options, labels):
        if driver == NAME:
            self.known.append(name)
            self.write_state()
        return super().create_volume(name, driver, options, labels)

    def remove_volume(self, name):
        if name in self.known:
            self.known.remove(name)
            self.write_state()
        return super().remove_volume(name)

    def _start(self, name):
        super()._start(name)
        wrong = self.knows == text(WRONG)
        self.known = [] if wrong else json.loads(self.state.read_text())
        if wrong and not self.comes_up:
            self.plugins_by_name[name]["Enabled"] = False
            self.write_state()
            raise EngineError(f"Cannot enable the plugin '{name}'", "it does not answer")


@pytest.fixture(autouse=True)
def no_patience(monkeypatch):
    monkeypatch.setattr(_plugin_known, "_KNOWS_SECONDS", 0)
    monkeypatch.setattr(_plugin_known, "_PAUSE_SECONDS", 0)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "rclone.conf"
    path.write_text(text(OLD))
    path.chmod(0o600)
    return path


@pytest.fixture
def state(tmp_path_factory):
    return tmp_path_factory.mktemp("cache") / "plugin.state"


def change(engine, content=None, check_mode=False, **params):
    params = {"state_files": [str(engine.state)], "settings": None, **params}
    return converge(engine, check_mode, config_files=[entry(engine.path, content)], **params)


def as_before(engine):
    return (running(engine), engine.knows, engine.known, engine.path.read_text()) == (
        (True, text(OLD), ["reports"], text(OLD))
    )


@pytest.mark.parametrize("canary", [False, True])
@pytest.mark.parametrize(
    ("comes_up", "words"), [(True, "no longer knows volumes that it had before: reports"), (False, "does not answer")]
)
def test_what_it_forgot_comes_back_with_the_old_file(path, state, comes_up, words, canary):
    engine = Forgetful(path, state, comes_up)
    with pytest.raises(VolumesError, match=f"(?s){words}.*The plugin is again as it was before") as caught:
        change(engine, WRONG, canary=canary)
    assert as_before(engine)
    assert none_left(engine)
    assert (beside(path), beside(state)) == ([], [])
    assert caught.value.details.get("forgotten_volumes") == (["reports"] if comes_up else None)


def test_a_change_for_the_better_keeps_them(path, state):
    engine = Forgetful(path, state)
    steps = ["note", "disable", "write", "enable", "know", "unnote"]
    assert verbs(change(engine, NEW)) == steps
    assert (engine.known, engine.knows, none_left(engine), beside(state)) == (["reports"], text(NEW), True, [])


def test_force_goes_on_without_them(path, state):
    engine = Forgetful(path, state)
    outcome = change(engine, WRONG, force=True)
    assert any("no longer knows volumes that it had before: reports" in one for one in outcome.plan.warnings)
    assert (engine.knows, engine.known, none_left(engine)) == (text(WRONG), [], True)


def test_without_the_state_file_both_failures_are_told_and_the_next_run_goes_on_once_they_are_there(path, state):
    engine = Forgetful(path, state)
    with pytest.raises(VolumesError) as caught:
        change(engine, WRONG, state_files=[])
    assert "no longer knows volumes that it had before: reports" in str(caught.value)
    assert "with all its volumes: it no longer knows reports" in str(caught.value)
    assert "create them again" in str(caught.value)
    assert (running(engine), engine.path.read_text()) == (True, text(OLD))
    engine.create_volume("reports", NAME, {}, {})
    change(engine, NEW, state_files=[])
    assert (engine.knows, engine.known, none_left(engine)) == (text(NEW), ["reports"], True)


def test_volumes_that_were_made_since_stay_where_the_canary_fails(path, state):
    engine = Forgetful(path, state)
    real = engine.import_empty_image

    def import_empty_image(labels):
        engine.create_volume("new", NAME, {}, {})
        return real(labels)

    engine.import_empty_image = import_empty_image
    engine.fail["get_file"] = NO
    with pytest.raises(VolumesError, match="again as it was before"):
        change(engine, NEW, canary=True)
    assert (engine.known, engine.knows) == (["reports", "new"], text(OLD))


def test_a_driver_that_cannot_list_its_volumes_is_told_and_not_compared(path, state):
    engine = Forgetful(path, state)
    engine.silent_at = range(100)
    outcome = change(engine, NEW)
    assert "know" not in verbs(outcome)
    assert any("did not tell which volumes it has" in one and "array is away" in one for one in outcome.plan.warnings)


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("comes_up", [True, False])
def test_killed_at_each_step_of_a_wrong_change_and_then_run_right(path, state, monkeypatch, comes_up, again):
    for number in range(60):
        for one in path.parent.iterdir():
            one.unlink()
        path.write_text(text(OLD))
        path.chmod(0o600)
        engine = Forgetful(path, state, comes_up)
        try:
            with killed_at(engine, monkeypatch, number):
                change(engine, WRONG)
        except KilledError:
            pass
        except VolumesError:
            break
        if again:
            with pytest.raises(VolumesError, match="again as it was before"):
                change(engine, WRONG)
            assert as_before(engine), number
        change(engine, NEW)
        assert (running(engine), engine.knows, engine.known) == (True, text(NEW), ["reports"]), number
        assert none_left(engine), number
        assert beside(state) == [], number
    assert number > 10


# Time passes after a kill


def killed(engine, method, **params):
    """Let a task be killed right before it calls `method`; nobody brings anything back then."""
    real = getattr(engine, method)

    def kill(*_arguments, **_named):
        setattr(engine, method, real)
        raise KilledError

    setattr(engine, method, kill)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_plugin_back, "_restore_error", lambda _change: None)
        with pytest.raises(KilledError):
            change(engine, NEW, **params)
    for name in [name for name in engine.volumes_by_name if name.startswith("voltainer-canary")]:
        engine.remove_volume(name)


def test_a_run_that_changes_nothing_leaves_volumes_alone_that_came_and_went_since_the_kill(path, state):
    engine = Forgetful(path, state)
    killed(engine, "import_empty_image", canary=True)
    engine.create_volume("payroll", NAME, {}, {})
    engine.remove_volume("reports")
    starts = engine.starts
    outcome = change(engine, NEW)
    assert any("was ended midway" in one and "reports" in one for one in outcome.plan.warnings)
    assert (engine.starts, engine.known, leftovers(engine), beside(state)) == (starts, ["payroll"], ["payroll"], [])
    assert verbs(change(engine, NEW)) == []


@pytest.mark.parametrize("state_files", [True, False])
def test_a_volume_that_was_removed_since_the_kill_fails_nothing(path, state, state_files):
    engine = Forgetful(path, state)
    killed(engine, "import_empty_image", canary=True)
    engine.remove_volume("reports")
    change(engine, NEW, **({} if state_files else {"state_files": []}))
    assert verbs(change(engine, NEW)) == []


def test_a_list_that_fails_after_a_kill_brings_back_nothing_old(path, state):
    engine = Forgetful(path, state)
    killed(engine, "import_empty_image", canary=True)
    engine.create_volume("payroll", NAME, {}, {})
    engine.asked_for_volumes, engine.silent_at = 0, (1, 2)
    change(engine, {"array": "c"})
    assert engine.known == ["reports", "payroll"]


def test_whoever_enabled_it_by_hand_since_the_kill_keeps_what_was_made_then(path, state):
    engine = Forgetful(path, state)
    killed(engine, "enable_plugin")
    engine.enable_plugin(NAME, 0)
    engine.create_volume("payroll", NAME, {}, {})
    engine.disable_plugin(NAME, True)
    change(engine, NEW, state="enabled")
    assert engine.known == ["reports", "payroll"]


def test_a_plugin_that_was_installed_anew_since_the_kill_has_nothing_brought_back(path, state):
    engine = Forgetful(path, state)
    killed(engine, "enable_plugin")
    engine.enable_plugin(NAME, 0)
    engine.create_volume("payroll", NAME, {}, {})
    engine.disable_plugin(NAME, True)
    engine.remove_plugin(NAME)
    change(engine, NEW, state="enabled")
    assert "payroll" in engine.known


def test_removing_the_plugin_removes_what_was_kept(path, state):
    engine = Forgetful(path, state)
    killed(engine, "enable_plugin")
    assert len(beside(state)) == 1
    engine.volumes_by_name.pop("reports")
    change(engine, state="absent")
    assert (engine.plugins_by_name, beside(state)) == ({}, [])


# The way back


@pytest.mark.parametrize("params", [{"force": True}, {}])
def test_a_canary_that_fails_brings_them_back_where_nobody_asked_for_them_before(path, state, params):
    engine = Forgetful(path, state)
    if not params:
        engine.silent_at = (1, 2)
    engine.fail["get_file"] = NO
    with pytest.raises(VolumesError, match="again as it was before"):
        change(engine, WRONG, canary=True, **params)
    assert as_before(engine)


@pytest.mark.parametrize("comes_up", [True, False])
def test_one_that_was_disabled_is_disabled_again_and_has_not_forgotten(path, state, comes_up):
    engine = Forgetful(path, state, comes_up)
    engine.disable_plugin(NAME, force=True)
    engine.fail["get_file"] = NO
    with pytest.raises(VolumesError, match="again as it was before"):
        change(engine, WRONG, canary=True, state="enabled")
    assert not running(engine)
    assert (json.loads(state.read_text()), beside(state), path.read_text()) == (["reports"], [], text(OLD))


def test_one_that_was_disabled_and_comes_up_leaves_nothing_kept(path, state):
    engine = Forgetful(path, state)
    engine.disable_plugin(NAME, force=True)
    change(engine, NEW, state="enabled")
    assert (running(engine), engine.known, beside(state)) == (True, ["reports"], [])


def test_volumes_of_canaries_do_not_count(path, state):
    """On shared storage, those of another node come and go."""
    engine = Forgetful(path, state)
    other = "voltainer-canary-0123456789ab"
    engine.create_volume(other, NAME, {}, {})
    real = engine.disable_plugin

    def disable_plugin(name, force=False):
        engine.remove_volume(other)
        real(name, force)

    engine.disable_plugin = disable_plugin
    change(engine, NEW)
    assert (engine.known, none_left(engine)) == (["reports"], True)


def test_a_volume_that_is_removed_before_the_plugin_is_stopped_is_not_missed(path, state):
    engine = Forgetful(path, state)
    real = engine.create_volume

    def create_volume(name, *definition):
        if name.startswith("voltainer-plugin-change"):
            engine.remove_volume("reports")
        return real(name, *definition)

    engine.create_volume = create_volume
    change(engine, NEW)
    assert (engine.known, none_left(engine)) == ([], True)


@pytest.mark.parametrize("fails", [(3,), (4,)])
def test_a_driver_may_need_a_moment_until_it_lists_its_volumes(path, state, monkeypatch, fails):
    monkeypatch.setattr(_plugin_known, "_KNOWS_SECONDS", 3)
    engine = Forgetful(path, state)
    engine.silent_at = fails
    change(engine, NEW)
    engine.asked_for_volumes, engine.silent_at = 0, fails
    engine.fail["get_file"] = NO
    with pytest.raises(VolumesError, match="again as it was before"):
        change(engine, {"array": "c"}, canary=True, wait_ready=3)
    assert (engine.known, none_left(engine)) == (["reports"], True)


# The files


def test_a_link_in_the_place_of_what_is_kept_leads_nowhere(tmp_path):
    """The folder may be one in which the plugin writes."""
    victim, state = tmp_path / "victim", tmp_path / "cache" / "plugin.state"
    kept = tmp_path / "cache" / "plugin.state.voltainer-kept"
    state.parent.mkdir()
    victim.write_text("of somebody else")
    state.write_text("state")
    for act in (_plugin_state.keep, _plugin_state.forget):
        kept.symlink_to(victim)
        act([str(state)])
        assert victim.read_text() == "of somebody else"
        kept.unlink(missing_ok=True)
    kept.symlink_to(victim)
    for act in (_plugin_state.bring_back, _plugin_state.has_kept):
        with pytest.raises(VolumesError, match="a link stands there"):
            act([str(state)])
    assert state.read_text() == "state"


def test_what_was_kept_of_another_change_does_not_come_back(tmp_path):
    state, kept = tmp_path / "plugin.state", tmp_path / "plugin.state.voltainer-kept"
    kept.write_text("ancient")
    _plugin_state.keep([str(state)])
    _plugin_state.bring_back([str(state)])
    assert not state.exists()


def test_mode_and_owner_come_back_too(tmp_path):
    state = tmp_path / "plugin.state"
    state.write_text("state")
    state.chmod(0o640)
    _plugin_state.keep([str(state)])
    state.unlink()
    _plugin_state.bring_back([str(state)])
    assert (state.read_text(), state.stat().st_mode & 0o7777) == ("state", 0o640)


@pytest.mark.parametrize("check_mode", [True, False])
@pytest.mark.parametrize("what", ["folder", "link", "fifo"])
def test_what_is_no_file_is_refused_before_anything_is_changed(path, state, tmp_path, check_mode, what):
    engine = Forgetful(path, state)
    there = tmp_path / "there"
    {"folder": there.mkdir, "link": lambda: there.symlink_to(state), "fifo": lambda: os.mkfifo(there)}[what]()
    with pytest.raises(VolumesError, match=r"'state_files' is invalid.*Give the plugin's own file"):
        change(engine, NEW, state_files=[str(there)], check_mode=check_mode)
    assert (engine.calls, path.read_text()) == ([], text(OLD))


def test_relative_paths_are_refused_and_null_is_none():
    with pytest.raises(InvalidInputError, match=r"'plugin\.state' does not begin with a slash"):
        wanted(state_files=["plugin.state"])
    assert wanted(state_files=None).state_files == ()
