# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules that look at all volumes, from their arguments to the JSON that they print, with a fake engine."""

from __future__ import annotations

import json

import pytest
import yaml
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import DriverUnavailableError, EngineError
from ansible_collections.voltainer.volumes.plugins.modules import docker_volume_x_info, docker_volume_x_prune

from .fake_engine import FakeEngine, container, plugin_inspect
from .volumes import inspect

LABEL = {"com.docker.volume.anonymous": ""}
RAWS = [inspect(Name="pgdata", Options={"token": "hunter2", "size": "1g"}), inspect(Name="a1", Labels=LABEL)]


@pytest.mark.parametrize(
    ("module", "task"),
    [
        pytest.param(module, task, id=task["name"])
        for module in (docker_volume_x_info, docker_volume_x_prune)
        for task in yaml.safe_load(module.EXAMPLES)
        if f"voltainer.volumes.{module.__name__.rpartition('.')[2]}" in task
    ],
)
def test_the_examples_of_the_documentation_are_valid(run, module, task):
    code, result = run(module, FakeEngine(), **task[f"voltainer.volumes.{module.__name__.rpartition('.')[2]}"])
    assert code == 0, result["msg"]


@pytest.mark.parametrize("check_mode", [True, False])
@pytest.mark.parametrize("name", ["name", "volume_name"])
def test_info_returns_what_its_namesake_does_and_more(run, check_mode, name):
    engine = FakeEngine(RAWS, containers=[container("db", "pgdata")])
    code, result = run(docker_volume_x_info, engine, check_mode, **{name: "pgdata"})
    assert (code, engine.calls) == (0, [])
    # No actions, no diff: there is nothing that changes.
    assert result.keys() == {"changed", "exists", "volume", "volumes", "invocation"}
    assert (result["changed"], result["exists"]) == (False, True)
    assert result["volume"] == {**RAWS[0], "Options": {"token": "********", "size": "1g"}}
    assert result["volumes"][0].keys() == yaml.safe_load(docker_volume_x_info.RETURN)["volumes"]["contains"].keys()


def test_info_of_all_volumes_hides_secrets(run):
    code, result = run(docker_volume_x_info, FakeEngine(RAWS), secret_options=["size"])
    assert (code, result.keys()) == (0, {"changed", "volumes", "invocation"})
    assert [volume["name"] for volume in result["volumes"]] == ["a1", "pgdata"]
    assert result["volumes"][1]["volume"]["Options"] == {"token": "********", "size": "********"}


def test_info_warns_of_drivers_that_do_not_answer(run):
    engine = FakeEngine(RAWS, [plugin_inspect()])
    engine.listing["rclone:latest"] = EngineError("Cannot list the volumes of 'rclone:latest'", "it hangs")
    code, _result = run(docker_volume_x_info, engine)
    assert (code, len(run.warned)) == (0, 1)


def test_info_of_a_volume_without_its_driver_fails_and_does_not_say_absent(run):
    engine = FakeEngine()
    engine.fail["volume"] = DriverUnavailableError("Cannot inspect the volume 'reports'", "it exists, but", status=409)
    code, result = run(docker_volume_x_info, engine, name="reports")
    assert (code, result["failed"], result["exists"], result["volume"]) == (1, True, True, None)


KEYS = {"changed", "actions", "diff", "volumes", "removed", "kept", "space_reclaimed", "invocation"}


def test_prune_in_check_mode_for_real_and_again(run):
    engine = FakeEngine(RAWS)
    code, check = run(docker_volume_x_prune, engine, True)
    assert (code, check["changed"], engine.calls, check.keys()) == (0, True, [], KEYS)
    code, real = run(docker_volume_x_prune, engine)
    assert (code, real) == (0, {**check, "invocation": real["invocation"]})
    assert (real["removed"], real["kept"]) == (["a1"], ["pgdata"])
    assert real["actions"] == ["Remove the volume 'a1' (its data goes with it)"]
    assert engine.calls == [("remove_volume", "a1")]
    contains = yaml.safe_load(docker_volume_x_prune.RETURN)["volumes"]["contains"]
    assert all(volume.keys() == contains.keys() for volume in real["volumes"])
    code, again = run(docker_volume_x_prune, engine)
    assert (code, again["changed"], again["actions"], again.keys()) == (0, False, [], KEYS)
    assert again["diff"]["before"] == again["diff"]["after"]
    assert "hunter2" not in json.dumps([check, real, again])


def test_prune_returns_what_was_done_when_it_fails(run):
    engine = FakeEngine([inspect(Name=name, Labels=LABEL) for name in ("a1", "a2")])
    engine.fail["remove_volume"] = [EngineError("Cannot remove the volume 'a1'", "no", status=500), None]
    code, result = run(docker_volume_x_prune, engine)
    assert (code, result["failed"], result["changed"], result["removed"]) == (1, True, True, ["a2"])
    assert result.keys() == KEYS | {"failed", "msg", "errors"}
    assert result["msg"] == "\n".join(
        ["1 volume(s) could not be removed:", "- Cannot remove the volume 'a1': no.", "All others were dealt with."]
    )


def test_confirm_and_keep_take_a_single_name(run):
    protected = {"voltainer.volumes.protected": "true"}
    engine = FakeEngine([inspect(Name=name, Labels=protected) for name in ("a1", "a2")])
    options = {"anonymous_only": False, "filters": {"name": "a*"}, "confirm": "a1", "keep": "a2"}
    _code, result = run(docker_volume_x_prune, engine, **options)
    assert (result["removed"], result["kept"]) == (["a1"], ["a2"])


def test_prune_without_a_filter_for_names_is_refused(run):
    code, result = run(docker_volume_x_prune, FakeEngine(RAWS), anonymous_only=False)
    assert code == 1
    assert "'filters: {name: [\"*\"]}'" in result["msg"]
