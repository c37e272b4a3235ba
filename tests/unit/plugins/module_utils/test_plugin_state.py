# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plugins that forget their volumes when they start with a config file that does not lead to these, as rclone does."""

from __future__ import annotations

import json

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils import _plugin_apply
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import EngineError, VolumesError

from .fake_engine import plugin_inspect
from .test_plugin import VOLUME, converge, verbs
from .test_plugin_config import NAME, NEW, OLD, Host, beside, entry, killed_at, none_left, running, text
from .test_plugin_upgrade import NO, KilledError

WRONG = {"array": "elsewhere"}


class Forgetful(Host):
    """A plugin that writes its volumes into a file when it ends, but for those that it could not reach at its start.

    With a wrong config file it reaches none, and where it `comes_up` is false, ends again.
    """

    def __init__(self, path, state, comes_up=True):
        super().__init__(path, plugins=[plugin_inspect()], volumes=[VOLUME])
        self.state, self.comes_up = state, comes_up
        self.known = ["reports"]
        self.write_state()

    def write_state(self):
        self.state.write_text(json.dumps(self.known))

    def volumes_of(self, plugin):
        return tuple(self.known)

    def disable_plugin(self, name, force=False):
        super().disable_plugin(name, force)
        self.write_state()

    def create_volume(self, name, driver, options, labels):
        if driver == NAME:
            self.known.append(name)
        return super().create_volume(name, driver, options, labels)

    def remove_volume(self, name):
        self.known = [one for one in self.known if one != name]
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
    monkeypatch.setattr(_plugin_apply, "_KNOWS_SECONDS", 0)
    monkeypatch.setattr(_plugin_apply, "_PAUSE_SECONDS", 0)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "rclone.conf"
    path.write_text(text(OLD))
    path.chmod(0o600)
    return path


@pytest.fixture
def state(tmp_path_factory):
    return tmp_path_factory.mktemp("cache") / "plugin.state"


def change(engine, content=None, **params):
    params = {"state_files": [str(engine.state)], "settings": None, **params}
    return converge(engine, config_files=[entry(engine.path, content)], **params)


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
    engine.volumes_of = lambda _plugin: (one for one in ()).throw(EngineError("Cannot list", "the array is away"))
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
