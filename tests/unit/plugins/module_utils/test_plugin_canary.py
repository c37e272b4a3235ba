# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The canary: what it does to a driver, what it says where a step fails, and that nothing of it is left behind."""

from __future__ import annotations

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import (
    EngineError,
    EngineUnreachableError,
    InvalidInputError,
    VolumesError,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_canary import Canary, fly

from .fake_engine import FakeEngine, container, plugin_inspect
from .test_plugin import VOLUME, converge, names, verbs, wanted
from .test_plugin_upgrade import NO, NOTE, KilledError, kill_at

NAME = "rclone:latest"
LABELS = {"voltainer.volumes.canary": NAME}
CANARY = Canary({"size": "1GB"})
STEPS = [
    "create_volume",
    "import_empty_image",
    "create_container",
    "put_file",
    "remove_container",
    "create_container",
    "remove_container",
    "remove_image",
    "remove_volume",
]


def engine_with(**state):
    return FakeEngine(**{"plugins": [plugin_inspect()], "volumes": [VOLUME], **state})


def canary_of(engine):
    """Return the name that the canary's volume has on this engine."""
    other = FakeEngine(plugins=[plugin_inspect()])
    other.engine_id = engine.engine_id
    return fly(other, NAME, CANARY)["volume"]


def left(engine):
    """Return what a canary would leave behind."""
    volumes = [name for name in engine.volumes_by_name if name != "reports"]
    return [*volumes, *engine.images, *(one["Id"] for one in engine.containers if "made" in one["Id"])]


def test_it_makes_writes_reads_and_removes():
    engine = engine_with()
    told = fly(engine, NAME, CANARY)
    assert names(engine) == STEPS
    assert told["volume"].startswith("voltainer-canary-")
    assert 0 <= told["seconds"] < 5
    assert left(engine) == []


def test_what_it_makes_carries_its_label_and_the_volume_the_options():
    engine = engine_with()
    kill_at(engine, STEPS.index("put_file"))
    with pytest.raises(KilledError):
        fly(engine, NAME, CANARY)
    made = engine.volumes_by_name[canary_of(engine)]
    assert (made["Driver"], made["Options"], made["Labels"]) == (NAME, {"size": "1GB"}, LABELS)
    assert list(engine.images.values()) == [LABELS]
    assert [one["Labels"] for one in engine.containers] == [LABELS]


def test_each_engine_and_each_driver_has_a_canary_of_its_own():
    engine, other = engine_with(), engine_with()
    other.engine_id = lambda: "another node of the swarm"
    second = plugin_inspect(Name="pure:latest", Id="5f1d")
    engine.plugins_by_name["pure:latest"] = second
    volumes = {fly(engine, NAME, CANARY)["volume"], fly(other, NAME, CANARY)["volume"]}
    volumes.add(fly(engine, "pure:latest", CANARY)["volume"])
    assert len(volumes) == 3
    assert fly(engine, NAME, CANARY)["volume"] in volumes


def test_each_canary_writes_something_else():
    engine, seen = engine_with(), []
    put = engine.put_file
    engine.put_file = lambda *arguments: (seen.append(arguments[-1]), put(*arguments))
    fly(engine, NAME, CANARY)
    fly(engine, NAME, CANARY)
    assert len(set(seen)) == 2
    assert all(len(one) > 1000 for one in seen)


SAYS = EngineError("Cannot do it", "the driver says no", status=500)


@pytest.mark.parametrize(
    ("failing", "step"),
    [
        ("containers_labelled", "look what an earlier canary left behind"),
        ("images_labelled", "look what an earlier canary left behind"),
        ("volume", "look what an earlier canary left behind"),
        ("create_volume", "create the volume"),
        ("import_empty_image", "create the volume"),
        ("create_container", "write to the volume"),
        ("put_file", "write to the volume"),
        ("get_file", "read back what was written"),
    ],
)
def test_a_step_that_fails_is_named_with_what_the_driver_said(failing, step):
    engine = engine_with()
    engine.fail[failing] = SAYS
    volume = canary_of(engine)
    with pytest.raises(VolumesError) as caught:
        fly(engine, NAME, CANARY)
    assert str(caught.value).startswith(
        f"The canary of the plugin '{NAME}' failed to {step} ('{volume}'): the driver says no. See that the storage"
    )
    assert "could not be removed" not in str(caught.value)
    assert caught.value.details == {"canary_step": step}
    assert left(engine) == []
    assert "reports" in engine.volumes_by_name


def test_the_way_out_of_the_driver_s_error_counts():
    engine = engine_with()
    engine.fail["create_volume"] = EngineError("x", "y", "Ask the storage team")
    with pytest.raises(VolumesError, match="Ask the storage team"):
        fly(engine, NAME, CANARY)


@pytest.mark.parametrize("found", [b"", b"x" * 4096, b"short"])
def test_other_bytes_than_were_written_are_a_failure(found):
    engine = engine_with()
    engine.get_file = lambda _container, _name: found
    with pytest.raises(
        VolumesError, match=rf"failed to read back.*of 4096 bytes that were written, other {len(found)} came back"
    ):
        fly(engine, NAME, CANARY)
    assert left(engine) == []


@pytest.mark.parametrize("method", ["remove_container", "remove_image", "remove_volume"])
def test_what_cannot_be_removed_is_a_failure_too_and_goes_with_the_next_canary(method):
    engine = engine_with()
    engine.fail[method] = [SAYS] * 9
    with pytest.raises(VolumesError, match="the driver says no") as caught:
        fly(engine, NAME, CANARY)
    assert caught.value.details["canary_step"] in {"write to the volume", "remove the volume"}
    assert left(engine) != []
    # Of what the engine lets go of, nothing stays.
    assert method != "remove_image" or left(engine) == list(engine.images)
    del engine.fail[method]
    fly(engine, NAME, CANARY)
    assert left(engine) == []


@pytest.mark.parametrize("failing", ["put_file", "get_file"])
@pytest.mark.parametrize("stays", ["remove_container", "remove_image", "remove_volume"])
def test_the_first_cause_is_told_where_something_is_left_behind_too(failing, stays):
    engine = engine_with()
    engine.fail = {failing: EngineError("x", "no space left", status=500)}
    real = getattr(engine, stays)
    kept = []

    def refuse(*arguments):
        # Of the containers only that of the step which fails.
        if failing in engine.fail:
            return real(*arguments)
        kept.append(arguments)
        raise SAYS

    setattr(engine, stays, refuse)
    with pytest.raises(VolumesError) as caught:
        fly(engine, NAME, CANARY)
    assert kept
    assert "): no space left." in str(caught.value)
    assert "could not be removed, too: the driver says no" in str(caught.value)


def test_an_engine_that_goes_away_is_told():
    engine = engine_with()
    gone = EngineUnreachableError("Cannot reach", "the engine went away")
    engine.fail = {"put_file": gone, "containers_labelled": [None, gone]}
    with pytest.raises(VolumesError, match=r"failed to write to the volume .*the engine went away.*, too: the engine"):
        fly(engine, NAME, CANARY)


def test_killed_before_each_call_leaves_what_the_next_one_removes():
    for number in range(20):
        engine = engine_with()
        alive = kill_at(engine, number)
        try:
            fly(engine, NAME, CANARY)
        except KilledError:
            pass
        else:
            break
        alive()
        del engine.calls[:]
        fly(engine, NAME, CANARY)
        assert left(engine) == [], number
        assert names(engine)[-len(STEPS) :] == STEPS
    assert number == len(STEPS)


@pytest.mark.parametrize(
    ("driver", "labels", "refused"),
    [
        (NAME, {"team": "billing"}, True),
        (NAME, {"voltainer.volumes.canary": "pure:latest"}, True),
        (NAME, LABELS, False),
        (NAME, {}, False),
        (NAME, None, False),
        ("local", {}, True),
        ("local", None, True),
        ("pure:latest", None, True),
    ],
)
def test_a_volume_of_its_name_is_removed_only_where_it_may_be_a_canary(driver, labels, refused):
    engine = engine_with()
    volume = canary_of(engine)
    there = {"Name": volume, "Driver": driver, "Options": {}, "Labels": labels}
    engine.volumes_by_name[volume] = there
    engine.data[volume] = {"precious": b"x"}
    if not refused:
        fly(engine, NAME, CANARY)
        assert left(engine) == []
        return
    with pytest.raises(VolumesError, match=f"a volume '{volume}' is there that is no canary. See what it is") as caught:
        fly(engine, NAME, CANARY)
    assert engine.volumes_by_name[volume] is there
    assert engine.data[volume] == {"precious": b"x"}
    assert engine.calls == []
    assert str(caught.value).count("is no canary") == 1


def test_others_containers_images_and_volumes_stay():
    other = {"voltainer.volumes.canary": "pure:latest"}
    stays = {**container("web", "reports", NAME), "Labels": other}
    engine = engine_with(containers=[stays])
    engine.images = {"sha256:x": other, "sha256:y": {}}
    fly(engine, NAME, CANARY)
    assert engine.containers == [stays]
    assert set(engine.images) == {"sha256:x", "sha256:y"}
    assert list(engine.volumes_by_name) == ["reports"]


# In the module


def test_options_become_strings():
    options = {"size": 1, "thin": True}
    assert wanted(canary=True, canary_options=options).canary == Canary({"size": "1", "thin": "true"})
    assert wanted(canary=True).canary == Canary({})
    assert wanted(canary=False, canary_options=options).canary is None
    with pytest.raises(InvalidInputError, match="canary_options"):
        wanted(canary=True, canary_options={"size": None})


@pytest.mark.parametrize(
    ("start", "params", "expected"),
    [
        (None, {}, ["pull", "enable", "canary"]),
        (None, {"state": "present"}, ["pull"]),
        (False, {}, ["enable", "canary"]),
        (True, {}, []),
        (True, {"settings": {"args": "-v"}}, ["note", "disable", "set", "enable", "canary", "unnote"]),
        (True, {"settings": {"args": "-v"}, "on_change": "defer"}, []),
        (True, {"state": "disabled"}, ["disable"]),
        (True, {"state": "absent"}, ["disable", "remove"]),
    ],
)
def test_when_it_flies(start, params, expected):
    plugins = [] if start is None else [plugin_inspect(Enabled=start)]
    engine = FakeEngine(plugins=plugins)
    check = converge(engine, True, canary=True, **params)
    assert (verbs(check), engine.calls, check.values["canary"]) == (expected, [], None)
    real = converge(engine, canary=True, **params)
    assert verbs(real) == expected
    flown = real.values["canary"]
    assert (flown is not None) is ("canary" in expected)
    if flown:
        assert flown["volume"] == canary_of(engine)
    assert left(engine) == []


@pytest.mark.parametrize("wait_ready", [0, 1])
def test_it_flies_whether_or_not_the_driver_is_waited_for(wait_ready):
    engine = FakeEngine(plugins=[plugin_inspect(Enabled=False)])
    assert converge(engine, canary=True, wait_ready=wait_ready).values["canary"] is not None


def test_a_csi_driver_is_not_tested_and_that_is_told():
    raw = plugin_inspect(Enabled=False)
    raw["Config"]["Interface"] = {"Types": ["docker.csicontroller/1.0", "docker.csinode/1.0"]}
    engine = FakeEngine(plugins=[raw])
    outcome = converge(engine, canary=True)
    assert names(engine) == ["enable_plugin"]
    assert any("was not tested" in warning for warning in outcome.plan.warnings)
    assert outcome.values["canary"] is None


@pytest.mark.parametrize("enabled", [True, False])
def test_a_change_whose_canary_fails_is_taken_back_and_the_plugin_s_last_words_are_told(enabled):
    engine = engine_with(plugins=[plugin_inspect(Enabled=enabled)])
    engine.log = ("level=error no route to the array",)
    engine.fail["put_file"] = EngineError("Cannot do it", "the engine says no", status=500)
    with pytest.raises(
        VolumesError, match=r"(?s)failed to write to the volume.*last words were:\n  level=error no route.*as it was"
    ) as caught:
        converge(engine, canary=True, settings={"RCLONE_VERBOSE": "3"})
    assert caught.value.details["canary_step"] == "write to the volume"
    assert caught.value.details["plugin_log"] == ["level=error no route to the array"]
    assert engine.plugin(NAME).enabled is enabled
    assert "RCLONE_VERBOSE=0" in engine.plugin(NAME).raw["Settings"]["Env"]
    assert left(engine) == []


def test_an_install_whose_canary_fails_is_taken_back():
    engine = FakeEngine()
    engine.fail["get_file"] = NO
    with pytest.raises(VolumesError, match="The plugin was removed again"):
        converge(engine, canary=True)
    assert engine.plugins_by_name == {}
    assert left(engine) == []


def test_a_task_killed_before_its_canary_is_finished_with_one():
    engine = engine_with()
    engine.import_empty_image = lambda _labels: (one for one in ()).throw(KilledError)
    with pytest.raises(KilledError):
        converge(engine, canary=True, settings={"args": "-v"})
    del engine.import_empty_image
    assert NOTE in engine.volumes_by_name
    outcome = converge(engine, canary=True, settings={"args": "-v"})
    assert verbs(outcome) == ["know", "canary", "unnote"]
    assert outcome.values["canary"] is not None
    assert left(engine) == []
