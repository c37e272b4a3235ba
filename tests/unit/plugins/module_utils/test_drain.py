# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of a node that is drained and brought back, case by case."""

from __future__ import annotations

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils import _drain_run, _swarm_engine
from ansible_collections.voltainer.volumes.plugins.module_utils._drain import (
    LABEL,
    find_node,
    not_settled,
    parse_drain,
    to_settle,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._drain_run import converge_drain
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import (
    EngineError,
    EngineUnreachableError,
    InvalidInputError,
    RefusedError,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._swarm import SwarmNode
from ansible_collections.voltainer.volumes.plugins.modules import docker_volume_plugin_x_drain

from .engine_server import message
from .fake_swarm import FakeSwarm, node, service, swarm_of, task

OURS = {LABEL: "active"}
OTHERS = [node("n1", role="manager"), node("n3")]


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """Let no test wait: each second that is slept has passed at once."""
    now = [0.0]
    monkeypatch.setattr(_drain_run.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(_drain_run.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    return now


def wanted(state="drained", **options):
    return parse_drain({"node": "n2", "state": state, "wait_timeout": 5, "force": False, **options})


def drain(engine, check_mode=False, **options):
    return converge_drain(engine, wanted(**options), check_mode)


def activate(engine, check_mode=False, **options):
    return converge_drain(engine, wanted("active", **options), check_mode)


def spec(engine, name="n2"):
    raw = next(one for one in engine.raw_nodes if one["Description"]["Hostname"] == name)
    return raw["Spec"]["Availability"], raw["Spec"]["Labels"]


def moved(engine):
    """As the swarm does it once the node is drained."""
    engine.tasks = [task("web", "n2", state="shutdown"), task("web", "n3", version=30)]


# What is done to the node, from what it is


@pytest.mark.parametrize("check_mode", [True, False])
@pytest.mark.parametrize(
    ("before", "labels", "state", "after"),
    [
        ("active", {}, "drained", ("drain", OURS)),
        ("pause", {"disk": "ssd"}, "drained", ("drain", {"disk": "ssd", LABEL: "pause"})),
        # Drained by a run that was killed
        ("drain", OURS, "drained", None),
        # Brought back by hand after a run that was killed
        ("pause", OURS, "drained", ("drain", {LABEL: "pause"})),
        # Drained by somebody else
        ("drain", {"disk": "ssd"}, "drained", None),
        ("drain", {"disk": "ssd"}, "active", None),
        ("active", {}, "active", None),
        ("drain", OURS, "active", ("active", {})),
        ("drain", {LABEL: "pause", "disk": "ssd"}, "active", ("pause", {"disk": "ssd"})),
        ("active", {LABEL: "pause"}, "active", ("active", {})),
    ],
)
def test_availability_and_label_change_together(before, labels, state, after, check_mode):
    engine = FakeSwarm([*OTHERS, node("n2", before, labels=labels)])
    outcome = converge_drain(engine, wanted(state), check_mode)
    assert engine.calls == ([("id-n2", *after)] if after and not check_mode else [])
    assert len(outcome.plan.steps) == (1 if after else 0)
    expected = after or (before, labels)
    assert (outcome.plan.after["availability"], outcome.plan.after["labels"]) == expected
    assert outcome.values["node"] == {"id": "id-n2", "hostname": "n2", "availability": expected[0], "state": "ready"}
    assert outcome.values["services"] == []
    again = converge_drain(engine, wanted(state), check_mode)
    assert bool(again.plan.steps) is bool(check_mode and after)


def test_a_node_that_needs_nothing_costs_one_request():
    engine = FakeSwarm([*OTHERS, node("n2")])
    activate(engine)
    assert engine.looks == 0


@pytest.mark.parametrize("state", ["drained", "active"])
def test_a_label_of_somebody_else_is_no_availability(state):
    engine = FakeSwarm([*OTHERS, node("n2", "drain", labels={LABEL: "yes"})])
    with pytest.raises(RefusedError, match=r"is 'yes', and not the availability.*--label-rm voltainer\.volumes"):
        converge_drain(engine, wanted(state), False)
    assert engine.calls == []


# Which node


def test_nodes_go_by_their_id_or_their_hostname():
    twins = [node("n2", node_id="a1"), node("n2", state="down", node_id="b2"), node("n3"), node("a1", node_id="c3")]
    nodes = tuple(map(SwarmNode.from_inspect, twins))
    assert find_node(nodes, wanted(node="n3")).id == "id-n3"
    assert find_node(nodes, wanted(node=" a1 ")).id == "a1"
    with pytest.raises(InvalidInputError, match=r"2 nodes .* a1 \(ready, worker\), b2 \(down, worker\).*Give the ID"):
        find_node(nodes, wanted())
    with pytest.raises(InvalidInputError, match=r"no node of that ID or hostname. It has n2 \(a1\), n2 \(b2\)"):
        find_node(nodes, wanted(node="n4"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"node": " "}, "'node' is empty"),
        ({"wait_timeout": 0}, "'wait_timeout' is invalid: it is below 1"),
        ({"wait_timeout": 10**6}, "more than a week"),
    ],
)
def test_what_cannot_be_meant(options, words):
    with pytest.raises(InvalidInputError, match=words):
        wanted(**options)


# What is refused before anything is changed


@pytest.mark.parametrize(
    ("others", "constraints", "words"),
    [
        ([], (), "no other node of the swarm is ready and active, and it runs tasks of 'web'"),
        ([node("n1", "drain"), node("n3", state="down"), node("n4", "pause")], (), "no other node of the swarm is"),
        (OTHERS, ["node.hostname==n2"], r"meets the constraints of 'web' \(node.hostname==n2\)"),
        (OTHERS, ["node.role != worker", "node.labels.disk == ssd"], "meets the constraints of 'web'"),
    ],
)
def test_services_without_another_node_are_not_stopped(others, constraints, words):
    raws = [*others, node("n2")], [service("web", constraints=constraints)], [task("web", "n2")]
    for check_mode in (True, False):
        engine = FakeSwarm(*raws)
        with pytest.raises(RefusedError, match=rf"Cannot drain the node 'n2'.*{words}.*'force: true'"):
            drain(engine, check_mode)
        assert engine.calls == []
    engine = FakeSwarm(*raws)
    engine.meanwhile = [lambda it: it.tasks.clear()]
    outcome = drain(engine, force=True)
    assert spec(engine)[0] == "drain"
    assert "is drained by force" in outcome.plan.warnings[0]
    assert outcome.values["services"] == [{"name": "web", "id": "id-web", "mode": "replicated", "tasks": 1}]


@pytest.mark.parametrize(
    "constraints",
    [
        ["node.role==WORKER"],
        ["node.id!=id-n2"],
        ["node.labels.disk!=ssd"],
        ["engine.labels.disk==ssd"],
        ["node.platform.os==linux"],
        ["node.ip==192.0.2.0/24"],
    ],
)
def test_services_with_another_node_are_moved(constraints):
    engine = FakeSwarm([*OTHERS, node("n2")], [service("web", constraints=constraints)], [task("web", "n2")])
    drain(engine, True)


def test_an_only_node_without_services_is_drained():
    engine = FakeSwarm([node("n2")], [service("web", mode="Global")], [task("web", "n2", 0, "failed")])
    assert drain(engine).plan.steps


def test_a_node_that_is_down_is_not_drained():
    engine = FakeSwarm([*OTHERS, node("n2", state="down")])
    with pytest.raises(RefusedError, match="it is 'down': nobody can tell"):
        drain(engine)


# Waiting until the node is empty


def test_waits_until_the_tasks_have_left_and_run_elsewhere(clock):
    engine = FakeSwarm([*OTHERS, node("n2")], [service("web")], [task("web", "n2")])

    def leaves(it):
        it.tasks = [task("web", "n2", desired="shutdown"), task("web", "n3", state="ready", desired="ready")]

    def left(it):
        it.tasks = [task("web", "n2", state="shutdown"), task("web", "n3", state="starting", desired="running")]

    engine.meanwhile = [leaves, left, moved]
    outcome = drain(engine)
    assert (engine.looks, clock[0]) == (4, 2.0)
    assert outcome.values["services"][0]["tasks"] == 1
    assert outcome.values["node"]["availability"] == "drain"


def test_global_services_and_jobs_only_leave():
    tasks = [task("each", "n2", 0), task("job", "n2", 1, desired="complete"), task("", "n2", 0)]
    engine = FakeSwarm(
        [*OTHERS, node("n2")], [service("each", mode="Global"), service("job", mode="ReplicatedJob")], tasks
    )
    engine.meanwhile = [lambda it: it.tasks.clear()]
    assert [one["mode"] for one in drain(engine).values["services"]] == ["global", "replicatedjob"]


@pytest.mark.parametrize("services", [[], [service("web", 1)]])
def test_a_service_that_is_removed_or_scaled_down_meanwhile_is_not_waited_for(services):
    engine = FakeSwarm(
        [*OTHERS, node("n2")], [service("web", 2)], [task("web", "n2"), task("web", "n3", 2, version=21)]
    )

    def change(it):
        it.services, it.tasks = services, it.tasks[1:]

    engine.meanwhile = [change]
    drain(engine)


def test_a_service_that_was_incomplete_needs_no_more_tasks_than_it_had():
    tasks = [task("web", "n2"), task("web", "", 2, "pending", desired="running", err="no suitable node")]
    engine = FakeSwarm([*OTHERS, node("n2")], [service("web", 2)], tasks)
    engine.meanwhile = [lambda it: it.tasks.__setitem__(0, task("web", "n3"))]
    drain(engine)


def test_a_node_that_does_not_get_empty_is_brought_back():
    engine = FakeSwarm([*OTHERS, node("n2", "pause")], [service("web", 2)], [task("web", "n2"), task("web", "n2", 2)])

    def stuck(it):
        it.tasks = [
            task("web", "n2", desired="shutdown"),
            task("web", "", 1, "pending", desired="running", err="no suitable node (1 node not available)", version=30),
            task("web", "n3", 2, "rejected", err="No such image: web:3", version=40),
            task("web", "n3", 2, "ready", desired="running", version=50),
        ]

    engine.meanwhile = [stuck]
    with pytest.raises(EngineError) as caught:
        drain(engine)
    assert caught.value.details["not_moved"] == [
        "web.1 is running on it: started",
        "the service 'web' has 0 of 2 tasks running elsewhere (web.1 is pending: no suitable node (1 node not"
        " available); web.2 is ready: started, after one that rejected: No such image: web:3)",
    ]
    assert "within 5 seconds" in str(caught.value)
    assert "The node is 'pause' again, as it was before." in str(caught.value)
    assert spec(engine) == ("pause", {})


def test_a_killed_run_goes_on_and_brings_the_node_back_where_that_fails():
    raws = [*OTHERS, node("n2", "drain", labels=OURS)], [service("web")], [task("web", "n2", desired="shutdown")]
    engine = FakeSwarm(*raws)
    engine.meanwhile = [lambda _it: None, moved]
    assert drain(engine).plan.steps == ()
    engine = FakeSwarm(*raws)
    with pytest.raises(EngineError, match="'active' again"):
        drain(engine)
    assert spec(engine) == ("active", {})


def test_a_node_that_somebody_else_drained_is_waited_for_and_left_as_it_is():
    engine = FakeSwarm([*OTHERS, node("n2", "drain")], [service("web")], [task("web", "n2", desired="shutdown")])
    with pytest.raises(EngineError, match="Somebody else drained the node, so it was left as it is"):
        drain(engine)
    assert engine.calls == []
    engine.tasks = []
    assert drain(engine).plan.steps == ()


def test_what_goes_wrong_while_waiting_brings_the_node_back():
    engine = FakeSwarm([*OTHERS, node("n2")], [service("web")], [task("web", "n2")])
    engine.fail = [None, EngineUnreachableError("Cannot list the tasks of the swarm", "it broke")]
    with pytest.raises(EngineError, match=r"Cannot drain the node 'n2': Cannot list the tasks.*'active' again"):
        drain(engine)
    assert spec(engine) == ("active", {})


def test_a_node_that_cannot_be_brought_back_is_told():
    engine = FakeSwarm([*OTHERS, node("n2")], [service("web")], [task("web", "n2")])
    engine.meanwhile = [lambda _it: None, lambda it: setattr(it, "conflicts", 99)]
    with pytest.raises(EngineError, match=r"still drained.*out of sequence.*'state: active'"):
        drain(engine)


@pytest.mark.parametrize(("conflicts", "fails"), [(1, False), (4, False), (5, True)])
def test_a_node_that_changed_meanwhile_is_planned_anew(conflicts, fails):
    engine = FakeSwarm([*OTHERS, node("n2")])
    engine.conflicts = conflicts
    if fails:
        with pytest.raises(EngineError, match="out of sequence"):
            drain(engine)
        assert engine.calls == []
    else:
        drain(engine)
        assert engine.calls == [("id-n2", "drain", OURS)]


# Waiting until the node is back


def test_waits_until_the_node_is_ready_and_the_services_are_complete(clock):
    down = node("n2", "drain", OURS, state="down")
    stopped = task("each", "n2", 0, "shutdown")
    engine = FakeSwarm([*OTHERS, down], [service("web"), service("each", mode="Global")], [task("web", "n3"), stopped])

    def ready(it):
        it.raw_nodes[2]["Status"]["State"] = "ready"

    def starting(it):
        it.tasks.append(task("each", "n2", 0, "starting", desired="running", version=30))

    def running(it):
        it.tasks[-1] = task("each", "n2", 0, version=40)

    engine.meanwhile = [lambda _it: None, ready, starting, running]
    outcome = activate(engine)
    assert (engine.looks, clock[0]) == (5, 4.0)
    assert [one["name"] for one in outcome.values["services"]] == ["each"]
    assert outcome.values["node"] == {"id": "id-n2", "hostname": "n2", "availability": "active", "state": "ready"}


def test_what_does_not_come_back_is_named():
    tasks = [
        task("web", "n2", 1, "shutdown"),
        task("web", "n2", 1, "rejected", err="No such image: web:3", version=30),
        task("each", "n2", 0, "shutdown"),
        task("each", "n2", 0, "failed", err="task: non-zero exit (1)", version=31),
    ]
    engine = FakeSwarm(
        [*OTHERS, node("n2", "drain", labels=OURS)], [service("web"), service("each", mode="Global")], tasks
    )
    with pytest.raises(EngineError) as caught:
        activate(engine)
    assert caught.value.details["not_settled"] == [
        "the task of the global service 'each' on it is failed: task: non-zero exit (1)",
        "the service 'web' has 0 of 1 tasks running (web.1 is rejected: No such image: web:3)",
    ]
    assert "The node 'n2' is back in service" in str(caught.value)
    assert spec(engine) == ("active", {})


@pytest.mark.parametrize(
    ("services", "before", "after", "missing"),
    [
        ([service("web")], [task("web", "n3")], [task("web", "n3", state="failed")], 1),
        ([service("web")], [task("web", "n3", state="rejected")], [task("web", "n3", state="rejected")], 0),
        ([service("web")], [task("web", "n2", state="failed")], [task("web", "n2", state="failed")], 0),
        ([service("web")], [task("web", "n2", state="shutdown")], [], 1),
        ([service("web", 0)], [], [], 0),
        # A global service that the swarm keeps from the node
        ([service("each", mode="Global")], [], [], 0),
        (
            [service("each", mode="Global", constraints=["node.role==manager"])],
            [task("each", "n2", 0, "shutdown")],
            [],
            0,
        ),
        ([service("each", mode="Global")], [], [task("each", "n2", 0, "preparing", desired="running")], 1),
        ([service("job", mode="GlobalJob")], [task("job", "n2", 0, "shutdown")], [], 0),
    ],
)
def test_only_what_has_to_do_with_the_node_must_be_complete(services, before, after, missing):
    nodes = [*OTHERS, node("n2")]
    seen = swarm_of(nodes, services, before)
    found = seen.node("id-n2")
    assert len(not_settled(swarm_of(nodes, services, after), found, to_settle(seen, found))) == missing


def test_a_paused_node_gets_no_tasks_and_one_that_is_gone_is_told():
    services, tasks = [service("each", mode="Global")], [task("each", "n2", 0, "shutdown")]
    seen = swarm_of([*OTHERS, node("n2", "pause")], services, tasks)
    found = seen.node("id-n2")
    assert not_settled(seen, found, to_settle(seen, found)) == []
    assert not_settled(swarm_of(OTHERS), found, frozenset()) == ["the node is 'gone'"]


# The engine


@pytest.fixture
def swarm_engine(connected):
    return lambda answers: connected(_swarm_engine.connect, answers)


def test_the_exact_requests(swarm_engine):
    raw = {**node("n2"), "Spec": {"Name": "second", "Labels": {}, "Role": "worker", "Availability": "active"}}
    answers = {
        "GET /nodes": (200, [raw, node("n1")]),
        "GET /services": (200, [service("web", 2)]),
        "GET /tasks": (200, [task("web", "n2")]),
        "POST /nodes/id-n2/update": (200, b""),
    }
    made, server = swarm_engine(answers)
    seen = made.swarm()
    assert [one.name for one in seen.nodes] == ["n1", "n2"]
    assert seen.services["id-web"].replicas == 2
    assert seen.name_of(seen.tasks[0]) == "web.1"
    made.update_node(seen.nodes[1], "drain", OURS)
    assert server.requests[:3] == ["GET /services", "GET /tasks", "GET /nodes"]
    assert server.requests[3] == (
        'POST /nodes/id-n2/update?version=10 {"Name": "second", "Labels": {"voltainer.volumes.drained": "active"},'
        ' "Role": "worker", "Availability": "drain"}'
    )


@pytest.mark.parametrize(
    ("status", "why", "kind", "words"),
    [
        (
            503,
            "This node is not a swarm manager. Use ...",
            EngineError,
            "on a manager of the swarm, with 'delegate_to'",
        ),
        (503, "rpc error: The swarm does not have a leader.", EngineError, "more than half of the swarm's managers"),
        (500, "rpc error: update out of sequence", _swarm_engine.OutOfSequenceError, "Somebody else changes the node"),
        (400, 'invalid Availability: "sleep"', EngineError, "Cannot change the node 'n2': invalid Availability"),
    ],
)
def test_what_the_engine_refuses(swarm_engine, status, why, kind, words):
    made, _server = swarm_engine({"POST /nodes/id-n2/update": (status, message(why))})
    with pytest.raises(EngineError, match=words) as caught:
        made.update_node(SwarmNode.from_inspect(node("n2")), "sleep", {})
    assert caught.type is kind


# The module


@pytest.mark.parametrize("check_mode", [True, False])
def test_the_module(run, check_mode):
    engine = FakeSwarm([*OTHERS, node("n2")], [service("web")], [task("web", "n2")])
    engine.meanwhile = [moved]
    code, result = run(docker_volume_plugin_x_drain, engine, check_mode, node="n2", state="drained")
    assert (code, result["changed"]) == (0, True)
    assert {"node", "services", "actions", "diff"} <= result.keys()
    assert result["diff"]["before"]["availability"] == "active"
    assert result["diff"]["after"]["labels"] == OURS
    assert bool(engine.calls) is not check_mode


def test_the_module_tells_what_did_not_move(run):
    engine = FakeSwarm([*OTHERS, node("n2")], [service("web")], [task("web", "n2")])
    code, result = run(docker_volume_plugin_x_drain, engine, node="n2", state="drained", wait_timeout=2)
    assert (code, result["not_moved"][0]) == (1, "web.1 is running on it: started")
