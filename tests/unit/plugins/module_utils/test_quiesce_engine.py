# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""QuiesceEngine with and without the SDK, against a small HTTP server: the exact requests, and what comes back."""

from __future__ import annotations

import json

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils import _engine
from ansible_collections.voltainer.volumes.plugins.module_utils._data_engine import DataEngine
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import EngineError
from ansible_collections.voltainer.volumes.plugins.module_utils._holder import as_label
from ansible_collections.voltainer.volumes.plugins.module_utils._quiesce import RestContainer
from ansible_collections.voltainer.volumes.plugins.module_utils._quiesce_engine import QuiesceEngine
from ansible_collections.voltainer.volumes.plugins.module_utils._swarm_engine import OutOfSequenceError

from .engine_server import message
from .fake_rest import service, service_id
from .fake_swarm import task

DB = RestContainer("c1", "db", "stop")
WEB = service_id("web")
VERBS = {
    "pause": lambda engine: engine.pause_container(DB),
    "unpause": lambda engine: engine.unpause_container(DB),
    "stop": lambda engine: engine.stop_container(DB, 7),
    "start": lambda engine: engine.start_container(DB),
}
SINCE = "2026-11-28T06:00:00Z"


@pytest.fixture
def made(connected):
    """Return a function that makes a QuiesceEngine, connected to a server with the given answers."""
    return lambda answers: connected(lambda asked: QuiesceEngine(_engine.reach(asked)), answers)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    ("status", "why", "there"),
    [
        (204, "", True),
        (304, "", True),
        (404, "No such container: c1", False),
        (404, "could not find plugin rclone in v1 plugin registry", None),
        (409, "Container c1 is not running", None),
    ],
)
def test_what_a_container_is_asked_for(made, verb, status, why, there):
    # An answer without a body is one without chunks, which this server does not give.
    answer = (200 if status == 204 else status, b"" if not why else message(why))
    engine, server = made({f"POST /containers/c1/{verb}": answer})
    if there is None:
        with pytest.raises(EngineError, match=f"Cannot {verb} the container 'db': {why}"):
            VERBS[verb](engine)
    else:
        assert VERBS[verb](engine) is there
    assert server.requests == [f"POST /containers/c1/{verb}{'?t=7' if verb == 'stop' else ''}"]


def test_one_that_is_not_paused_needs_no_unpause(made):
    engine, _server = made({"POST /containers/c1/unpause": (500, message("Container c1 is not paused"))})
    assert engine.unpause_container(DB)


def test_a_container_and_none(made):
    raw = {"Id": "c1", "Name": "/db", "State": {"Status": "running"}, "Created": "2026"}
    engine, _server = made({"GET /containers/c1/json": (200, raw)})
    found = engine.container("c1")
    assert (found.name, found.runs, found.works) == ("db", True, True)
    engine, _server = made({"GET /containers/c1/json": (404, message("No such container: c1"))})
    assert engine.container("c1") is None
    engine, _server = made({"GET /containers/c1/json": (500, message("oops"))})
    with pytest.raises(EngineError, match="Cannot inspect the container 'c1': oops"):
        engine.container("c1")


def test_a_helper_is_one_that_this_process_made_and_not_one_that_says_so(made):
    labels = {"voltainer.volumes.helper": as_label()}
    raw = {"Name": "/db", "State": {"Status": "running"}, "Config": {"Labels": labels}}
    answers = {f"GET /containers/{name}/json": (200, {**raw, "Id": name}) for name in ("c1", "c2")}
    found, _server = made({**answers, "POST /containers/create": (201, {"Id": "c1"})})
    engine = DataEngine(found.transport)
    engine.create_helper("sha256:4a", (), ["/usr/bin/cat"], powers=False)
    assert [(one.helper, one.works) for one in map(engine.container, ("c1", "c2"))] == [(True, False), (False, True)]


def test_a_service_its_change_and_its_tasks(made):
    answers = {
        f"GET /services/{WEB}": (200, service("web", 2)),
        f"POST /services/{WEB}/update": (200, {"Warnings": None}),
        "GET /tasks": (200, [{**task("web", "n1"), "ServiceID": WEB}]),
    }
    engine, server = made(answers)
    found = engine.service(WEB)
    assert (found.name, found.replicas) == ("web", 2)
    assert engine.update_service(found, {"Name": "web", "Mode": {}})
    assert [one.service_id for one in engine.tasks_of([WEB, "id-x"])] == [WEB]
    assert server.requests[1] == f'POST /services/{WEB}/update?version=10 {{"Name": "web", "Mode": {{}}}}'
    assert server.requests[2].replace("%5B", "[").replace("%5D", "]").count("id-x") == 1
    # Without a login, the engine keeps that of the service.
    assert server.passwords == [None, None, None]


@pytest.mark.parametrize(
    ("status", "why", "kind", "words"),
    [
        (500, "rpc error: update out of sequence", OutOfSequenceError, "Somebody else changes the service"),
        (400, "invalid", EngineError, "Cannot change the service 'web': invalid"),
        (503, "This node is not a swarm manager. Use ...", EngineError, "on a manager of the swarm"),
    ],
)
def test_what_the_engine_refuses(made, status, why, kind, words):
    engine, _server = made(
        {f"GET /services/{WEB}": (200, service("web", 2)), f"POST /services/{WEB}/update": (status, message(why))}
    )
    with pytest.raises(EngineError, match=words) as caught:
        engine.update_service(engine.service(WEB), {})
    assert caught.type is kind


def test_a_service_that_is_gone(made):
    gone = (404, message("service id-web not found"))
    engine, _server = made({f"GET /services/{WEB}": gone, "GET /services/id-x": (503, message("no leader"))})
    assert engine.service(WEB) is None
    with pytest.raises(EngineError, match="more than half"):
        engine.service("id-x")
    engine, _server = made({f"GET /services/{WEB}": (200, service("web", 2)), f"POST /services/{WEB}/update": gone})
    assert not engine.update_service(engine.service(WEB), {})


def events(*actions, container="c1"):
    return b"".join(json.dumps({"Action": one, "Actor": {"ID": container}}).encode() for one in actions)


@pytest.mark.parametrize(
    ("told", "about_to"),
    [
        (b"", False),
        (events("start"), False),
        (events("kill"), True),
        (events("kill", "kill"), True),
        (events("kill", "die", "stop"), False),
        (events("kill", "die", "stop", "start"), False),
        (events("start", "exec_create: ls", "kill", "exec_die"), True),
        (events("kill", container="c2"), False),
        # All that the engine remembers: what is looked for may be forgotten.
        (events(*["exec_die"] * 256, container="c2"), True),
    ],
)
def test_whether_a_stop_goes_on(made, told, about_to):
    answers = {"GET /info": (200, {"SystemTime": "2026-11-28T06:01:00.5Z"}), "GET /events": (200, told)}
    engine, server = made(answers)
    assert engine.about_to_stop("c1", SINCE) is about_to
    assert server.requests[1] == "GET /events?since=1795845600&until=1795845661"


@pytest.mark.parametrize(("since", "now"), [("", "2026-11-28T06:01:00Z"), (SINCE, ""), ("0001-01-01T00:00:00Z", SINCE)])
def test_without_a_time_nobody_can_tell(made, since, now):
    engine, _server = made({"GET /info": (200, {"SystemTime": now})})
    assert engine.about_to_stop("c1", since)
