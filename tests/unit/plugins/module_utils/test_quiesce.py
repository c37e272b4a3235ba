# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is to rest, who cannot, and the record of it, case by case."""

from __future__ import annotations

import json

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils import _quiesce_run
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import InvalidInputError, VolumesError
from ansible_collections.voltainer.volumes.plugins.module_utils._quiesce import (
    CONSTRAINT_KEY,
    QUIESCE_SPEC,
    Container,
    Holder,
    Rest,
    RestContainer,
    RestService,
    interrupted_step,
    parse_quiesce,
    quiesce_steps,
    resume_steps,
    spec_constrained,
    spec_released,
    spec_scaled,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._quiesce_run import look_for_rest
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import PROTECTED, QUIESCED, Volume
from ansible_collections.voltainer.volumes.plugins.module_utils._volume_facts import unfinished_changes

from .fake_rest import RestEngine, container, container_id, service, service_id
from .volumes import inspect, wanted

HOLDER = Holder("machine/host1", "boot", "pid:[1]", 12, "345", holds=True)
REST = Rest(
    ("pgdata", "wal"),
    (RestContainer(container_id("db"), "db", "stop"),),
    (RestService(service_id("web"), "web", "Replicated", 3), RestService(service_id("each"), "each", "Global", 0)),
    "stop",
    60,
    f"{CONSTRAINT_KEY}==abc",
    HOLDER,
)


def options(**given):
    defaults = {name: spec["default"] for name, spec in QUIESCE_SPEC.items()}
    return parse_quiesce({**defaults, **given})


@pytest.fixture
def look(tmp_path):
    """Return a function that looks who is to rest, on an engine with these containers and services."""

    def it(*containers, swarm=(), volumes=("pgdata",), **given):
        engine = RestEngine(tmp_path, *containers, services=swarm)
        rest = look_for_rest(engine, options(**given), volumes, engine.users().of(*volumes))
        assert engine.calls == []
        return rest

    return it


def names(rest):
    return [one.name for one in rest.everyone]


def test_the_options_and_what_cannot_be_meant():
    assert options() == parse_quiesce({"quiesce": "none", "services": "none", "quiesce_timeout": 60})
    for seconds, why in [(0, "below 1"), (10**6, "more than a day")]:
        with pytest.raises(InvalidInputError, match=why):
            options(quiesce_timeout=seconds)


@pytest.mark.parametrize("state", ["running", "paused", "exited", "created", "dead", "removing", "restarting"])
@pytest.mark.parametrize("quiesce", ["none", "pause", "stop"])
def test_only_containers_that_run_are_to_rest(look, quiesce, state):
    if (quiesce, state) == ("pause", "restarting"):
        with pytest.raises(VolumesError, match=r"pause the container 'db', .*about to be started.*'quiesce: stop'"):
            look(container("db", state), quiesce=quiesce)
        return
    rest = look(container("db", state), quiesce=quiesce)
    assert names(rest) == (["db"] if quiesce != "none" and state in {"running", "restarting"} else [])
    assert bool(rest) is bool(names(rest))


def test_the_youngest_stops_first_and_is_started_last(look):
    rest = look(
        container("db", age=9),
        container("app", age=2),
        container("b", age=1),
        container("a", age=1),
        container("x", volume="other"),
        quiesce="stop",
    )
    assert names(rest) == ["b", "a", "app", "db"]
    assert [step.words for step in quiesce_steps(rest)][::3] == ["Stop the container 'b'", "Stop the container 'db'"]
    assert [step.words for step in resume_steps(rest)][::3] == [
        "Start the container 'db' again",
        "Start the container 'b' again",
    ]


def test_users_of_all_volumes_rest_once(look):
    both = container("both")
    both["Mounts"] = [*both["Mounts"], {**both["Mounts"][0], "Name": "wal"}]
    rest = look(both, container("other", volume="wal"), volumes=("pgdata", "wal"), quiesce="pause")
    assert sorted(names(rest)) == ["both", "other"]
    assert rest.volumes == ("pgdata", "wal")


def test_one_that_vanishes_while_it_is_looked_at_is_left_out(tmp_path):
    engine = RestEngine(tmp_path, container("db"))
    users = engine.users()
    engine.containers = []
    assert not look_for_rest(engine, options(quiesce="stop"), ["pgdata"], users)


def test_the_own_helper_containers_do_not_rest(look):
    assert not look(container("helper", helper=True, labelled=True, auto_remove=True), quiesce="stop")


@pytest.mark.parametrize("quiesce", ["pause", "stop"])
def test_the_label_of_helper_containers_alone_keeps_nobody_at_work(look, quiesce):
    words = rf"Cannot {quiesce} the container 'db', .*another task .*its label 'voltainer.volumes.helper' says"
    with pytest.raises(VolumesError, match=words):
        look(container("db", labelled=True), container("app"), quiesce=quiesce)
    # It cannot change anything, and where it is another task's it must not be ended.
    assert names(look(container("db", labelled=True, read_write=False), container("app"), quiesce=quiesce)) == ["app"]
    assert not look(container("db", labelled=True))


def test_those_that_would_vanish_are_not_stopped(look):
    with pytest.raises(VolumesError, match=r"Cannot stop the container 'job', .*'--rm'.*'quiesce: pause'"):
        look(container("job", auto_remove=True), quiesce="stop")
    assert names(look(container("job", auto_remove=True), quiesce="pause")) == ["job"]


@pytest.mark.parametrize("quiesce", ["pause", "stop"])
def test_tasks_of_services_are_refused_all_at_once(look, quiesce):
    tasks = [container(f"web.{slot}", service="web") for slot in (1, 2)]
    with pytest.raises(VolumesError) as caught:
        look(*tasks, container("each.1", service="each"), swarm=[service("web", 2)], quiesce=quiesce)
    assert f"- Cannot {quiesce} the tasks of the service 'web', which use the volume 'pgdata'" in str(caught.value)
    assert len(caught.value.details["errors"]) == 2
    assert str(caught.value).endswith("Nothing was stopped.")
    assert "'services: scale', on a manager" in str(caught.value)


@pytest.mark.parametrize("quiesce", ["pause", "stop"])
def test_a_task_does_not_bring_itself_to_rest(look, monkeypatch, quiesce):
    monkeypatch.setattr(_quiesce_run, "own_container", lambda: container_id("runner"))
    with pytest.raises(VolumesError, match=f"Cannot {quiesce} the container 'runner', .*this task runs in it"):
        look(container("runner"), container("db"), quiesce=quiesce)
    assert not look(container("runner"))


def test_tasks_go_on_where_nobody_is_to_rest(look):
    assert not look(container("web.1", service="web"), swarm=[service("web", 2)])


@pytest.mark.parametrize("quiesce", ["none", "pause"])
def test_services_are_scaled_before_containers_stop(look, quiesce):
    rest = look(
        container("db"),
        container("web.1", service="web"),
        swarm=[service("web", 2), service("each", None), service("off", 0), service("other", 1, volume="x")],
        quiesce=quiesce,
        services="scale",
    )
    assert names(rest) == ["each", "web", *(["db"] if quiesce == "pause" else [])]
    assert [step.words for step in quiesce_steps(rest)][:2] == [
        "Keep the service 'each' from all nodes by a placement constraint",
        "Scale the service 'web' from 2 to 0",
    ]
    assert [step.words for step in resume_steps(rest)][-2:] == [
        "Scale the service 'web' back to 2",
        "Take the placement constraint from the service 'each' again",
    ]
    assert {step.verb for step in quiesce_steps(rest)} == {"quiesce"}
    assert {step.verb for step in resume_steps(rest)} == {"resume"}


def test_services_that_cannot_be_scaled(look):
    with pytest.raises(VolumesError, match=r"scale the service 'web', .*does not manage the swarm"):
        look(container("web.1", service="web"), services="scale")
    for mode in ("ReplicatedJob", "GlobalJob"):
        with pytest.raises(VolumesError, match=r"scale the service 'job', .*it is a job"):
            look(swarm=[service("job", 1, mode)], services="scale")


def test_a_job_that_has_ended_is_at_rest(tmp_path):
    engine = RestEngine(tmp_path, services=[service("job", 1, "ReplicatedJob")])
    engine.tasks_of = lambda _services: ()
    assert not look_for_rest(engine, options(services="scale"), ["pgdata"], engine.users())


def test_a_service_whose_last_tasks_end_is_waited_for(tmp_path):
    engine = RestEngine(tmp_path, services=[service("web", 0)])
    engine.lingering = 1
    assert look_for_rest(engine, options(services="scale"), ["pgdata"], engine.users()).services == (
        RestService(service_id("web"), "web", "Replicated", 0),
    )


# The record


def recorded(rest, **changes):
    return Volume.from_inspect(inspect(Name=rest.volume, Labels=rest.as_labels(), **changes))


def test_the_record_comes_back_as_it_was():
    assert Rest.from_volume(recorded(REST)) == REST
    assert REST.volume == "pgdata.voltainer-quiesce"
    assert REST.as_labels()[PROTECTED] == "true"
    assert interrupted_step(REST).words.endswith("the service 'web', the service 'each', the container 'db'")


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record.update(volumes=[]),
        lambda record: record.update(volumes=["other"]),
        lambda record: record.update(volumes=3),
        lambda record: record.update(holder=None),
        lambda record: record.update(timeout=float("inf")),
        lambda record: record["containers"][0].update(action="kill"),
        lambda record: record["containers"][0].update(more=1),
        lambda record: record["containers"][0].update(id="db"),
        lambda record: record["containers"][0].update(id=container_id("db").upper()),
        lambda record: record["containers"][0].update(id=f"{container_id('db')}/../x"),
        lambda record: record["containers"][0].update(id=f"{container_id('db')}\n"),
        lambda record: record["containers"][0].update(id=7),
        lambda record: record["services"][0].update(id="web"),
        lambda record: record["services"][0].update(id=f"../{service_id('web')}"),
        lambda record: record["services"][0].update(id=None),
        lambda record: record["services"][0].update(replicas="3"),
        lambda record: record["services"][0].update(replicas=-1),
        # It would be taken from a service.
        lambda record: record.update(constraint="node.role==manager"),
        lambda record: record["services"].append("web"),
        lambda record: record.pop("constraint"),
        lambda record: record.clear(),
    ],
)
def test_a_damaged_record_is_none(change):
    record = json.loads(REST.as_labels()[QUIESCED])
    change(record)
    assert (
        Rest.from_volume(Volume.from_inspect(inspect(Name=REST.volume, Labels={QUIESCED: json.dumps(record)}))) is None
    )


@pytest.mark.parametrize("text", [None, "", "null", "[]", "{", "[" * 100000])
def test_what_is_no_record_is_none(text):
    labels = {} if text is None else {QUIESCED: text}
    assert Rest.from_volume(Volume.from_inspect(inspect(Name=REST.volume, Labels=labels))) is None


def test_names_that_the_local_driver_does_not_take_are_kept_apart():
    made = {Rest((name,)).volume for name in ("team/data", "team_data", "team/dat_", "a" * 255, "a" * 254, "a" * 240)}
    assert len(made) == 6
    for name in made:
        assert name.endswith(".voltainer-quiesce")
        assert len(name) <= 255
        assert "/" not in name


def test_the_record_is_kept_from_those_who_prune_and_name_volumes():
    volume = recorded(REST)
    assert "are at rest" in unfinished_changes([volume])[volume.name]
    with pytest.raises(InvalidInputError, match=r"end in '\.voltainer-quiesce'.*whose users are at rest"):
        wanted(name=volume.name)


# What is changed of a service


def test_only_the_own_change_is_made_and_taken_back():
    spec = service("web", 2, constraints=["node.role==worker"])["Spec"]
    assert spec_scaled(spec_scaled(spec, 0), 2) == spec
    assert spec_scaled(spec, 0)["Mode"] == {"Replicated": {"Replicas": 0}}
    kept_away = spec_constrained(spec, "a==b")
    assert kept_away["TaskTemplate"]["Placement"]["Constraints"] == ["node.role==worker", "a==b"]
    assert spec_released(kept_away, "a==b") == spec
    assert spec_released(spec, "a==b") == spec


@pytest.mark.parametrize(
    "placement", [None, {"Platforms": [{"OS": "linux"}]}, {"Constraints": ["x==y"], "MaxReplicas": 1}]
)
def test_a_placement_is_as_before(placement):
    spec = {"TaskTemplate": {"Placement": placement} if placement else {}}
    before = json.dumps(spec)
    assert spec_released(spec_constrained(spec, "a==b"), "a==b") == spec
    assert json.dumps(spec) == before


def test_what_the_engine_tells_of_a_container():
    raw = {"Id": "c1", "Name": "/db", "State": {"Status": "running"}, "Config": {"Labels": None}}
    assert Container.from_inspect(raw) == Container("c1", "db", "running", False, "", "", 0, "")
    labels = {"com.docker.swarm.service.name": "web", "voltainer.volumes.helper": "true"}
    state = {"Status": "exited", "ExitCode": 3, "Error": "no such device"}
    told = {"Created": "2026", "HostConfig": {"AutoRemove": True}, "Config": {"Labels": labels}, "State": state}
    found = Container.from_inspect({**raw, **told})
    assert found == Container("c1", "db", "exited", True, "2026", "web", 3, "no such device", False, True)
    assert Container.from_inspect({**raw, **told}, own=True).helper
