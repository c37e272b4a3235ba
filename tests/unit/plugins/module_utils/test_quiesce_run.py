# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Those who rest come back: whatever fails, whoever meddles, and wherever the run is killed."""

from __future__ import annotations

import os
import signal
from dataclasses import replace

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils import (
    _folders,
    _holder,
    _quiesce_back,
    _quiesce_record,
    _quiesce_run,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import (
    EngineError,
    EngineUnreachableError,
    RefusedError,
    UnansweredError,
    VolumesError,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._quiesce import Rest, parse_quiesce
from ansible_collections.voltainer.volumes.plugins.module_utils._quiesce_record import records
from ansible_collections.voltainer.volumes.plugins.module_utils._quiesce_run import (
    look_for_rest,
    quiesced,
    resume_interrupted,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._signals import SignalledError
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import QUIESCED

from .fake_rest import RestEngine, container, container_id, service

STATE = "pgdata.voltainer-quiesce"
MODES = ("pause", "stop")
AT_REST = {"pause": "paused", "stop": "exited"}
CHANGING = {
    "create_volume",
    "remove_volume",
    "pause_container",
    "unpause_container",
    "stop_container",
    "start_container",
    "update_service",
}


def interrupted(engine):
    """Return whom other runs have at rest."""
    return [rest for rest, _volume in records(engine)[0]]


class Killed(BaseException):
    """What stands for SIGKILL: nothing of the module's own handles it."""


class Mortal:
    """An engine whose user is killed before or after its n-th call that changes something, and says nothing then."""

    def __init__(self, engine, number, before):
        self._engine, self._left, self._before = engine, number, before
        self.dead = False

    def __getattr__(self, name):
        found = getattr(self._engine, name)
        return self._wrapped(name, found) if callable(found) else found

    def _wrapped(self, name, call):
        def one(*args, **kwargs):
            if self.dead:
                raise Killed
            self._left -= name in CHANGING
            self.dead = name in CHANGING and not self._left
            if self.dead and self._before:
                raise Killed
            result = call(*args, **kwargs)
            if self.dead:
                raise Killed
            return result

        return one


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """Let no test wait: each second that is slept has passed at once."""
    now = [0.0]
    for module in (_quiesce_run, _quiesce_back):
        monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
        monkeypatch.setattr(module.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    return now


@pytest.fixture
def make(tmp_path):
    """Return a function that makes an engine with a volume and these users of it."""

    def it(*containers, swarm=()):
        engine = RestEngine(tmp_path, *containers, services=swarm)
        engine.create_volume("pgdata", "local", {}, {})
        engine.calls.clear()
        return engine

    return it


def rest_of(engine, quiesce="stop", services="none", timeout=5, volumes=("pgdata",)):
    wanted = parse_quiesce({"quiesce": quiesce, "services": services, "quiesce_timeout": timeout})
    return look_for_rest(engine, wanted, volumes, engine.users().of(*volumes))


def at_rest(engine, quiesce="stop", services="none", timeout=5):
    return quiesced(engine, rest_of(engine, quiesce, services), timeout=timeout)


def verbs(engine):
    return [" ".join(str(part) for part in call[:2]) for call in engine.calls]


# All goes well


def test_all_rest_and_come_back_in_the_opposite_order(make, clock):
    engine = make(
        container("db", age=9), container("app", age=2), container("off", "exited"), container("ice", "paused")
    )
    before = engine.states()
    with at_rest(engine) as resting:
        assert engine.states() == {"db": "exited", "app": "exited", "off": "exited", "ice": "paused"}
        assert STATE in engine.volumes_by_name
        clock[0] += 7
    assert engine.states() == before
    assert (resting.seconds, resting.warnings) == (7.0, [])
    assert verbs(engine) == [
        f"create_volume {STATE}",
        "stop_container app",
        "stop_container db",
        "start_container db",
        "start_container app",
        f"remove_volume {STATE}",
    ]


@pytest.mark.parametrize("state", ["running", "restarting"])
def test_a_container_that_is_about_to_be_restarted_is_started_again(make, state):
    engine = make(container("loop", state))
    with at_rest(engine):
        assert engine.state("loop") == "exited"
    assert engine.state("loop") == "running"


def test_pausing_takes_no_stop(make):
    engine = make(container("db", auto_remove=True))
    with at_rest(engine, "pause"):
        assert engine.state("db") == "paused"
    assert engine.state("db") == "running"


def test_nobody_to_rest_costs_nothing(make):
    engine = make(container("db", "exited"))
    with at_rest(engine) as resting:
        pass
    assert (engine.calls, resting.seconds) == ([], 0.0)


def test_services_lose_their_tasks_and_get_back_what_they_had(make, clock):
    swarm = [service("web", 3), service("each", None, constraints=["node.role==worker"])]
    engine = make(container("db"), swarm=swarm)
    before = [dict(one["Spec"]) for one in engine.services]
    rest = rest_of(engine, services="scale")
    engine.lingering, engine.conflicts = 3, 2
    with quiesced(engine, rest, timeout=5):
        assert engine.replicas("web") == 0
        assert len(engine.spec("each")["TaskTemplate"]["Placement"]["Constraints"]) == 2
        assert engine.state("db") == "exited"
        assert clock[0] == pytest.approx(0.6)
        engine.conflicts = 2
    assert [one["Spec"] for one in engine.services] == before


def test_a_service_that_goes_to_rest_by_itself_is_waited_for(make):
    engine = make(swarm=[service("web", 0)])
    engine.lingering = 1
    rest = rest_of(engine, "none", "scale")
    engine.lingering = 2
    with quiesced(engine, rest, timeout=5):
        assert engine.lingering == 0
    assert engine.replicas("web") == 0


# Somebody cannot be brought to rest


def test_a_container_that_does_not_stop_brings_all_back_and_is_named(make):
    engine = make(container("db", deaf=True, age=9), container("app"))
    with (
        pytest.raises(EngineError, match=r"'db' did not stop within 5 seconds.*All its users are as before") as caught,
        at_rest(engine),
    ):
        pytest.fail("not at rest")
    assert caught.value.details["not_at_rest"] == ["db"]
    assert engine.states() == {"db": "running", "app": "running"}
    assert STATE not in engine.volumes_by_name


@pytest.mark.parametrize(
    ("method", "quiesce", "error"),
    [
        ("pause_container", "pause", EngineError("Cannot pause the container 'db'", "no cgroup", status=500)),
        ("stop_container", "stop", UnansweredError("Cannot stop the container 'db'", "no answer")),
        ("stop_container", "stop", EngineUnreachableError("Cannot stop the container 'db'", "it broke")),
    ],
)
def test_an_engine_that_says_no_brings_all_back(make, method, quiesce, error):
    engine = make(container("db", age=9), container("app"))
    engine.fail = {method: [None, error]}
    with pytest.raises(VolumesError, match=r"container 'db'.*All its users are as before"), at_rest(engine, quiesce):
        pytest.fail("not at rest")
    assert engine.states() == {"db": "running", "app": "running"}
    assert STATE not in engine.volumes_by_name


def test_a_stop_that_was_not_heard_of_is_waited_for(make, clock):
    engine = make(container("db"))
    engine.fail = {"stop_container": UnansweredError("Cannot stop the container 'db'", "no answer")}
    engine.before_call = {"stop_container": lambda it: it.raw("db").update(late=4)}
    with pytest.raises(EngineError, match="no answer"), at_rest(engine):
        pytest.fail("not at rest")
    assert engine.state("db") == "running"
    assert verbs(engine)[-2:] == ["start_container db", f"remove_volume {STATE}"]
    assert clock[0] > 0


def test_tasks_that_do_not_end_bring_all_back_and_are_named(make):
    engine = make(container("db"), swarm=[service("web", 2)])
    rest = rest_of(engine, services="scale")
    engine.lingering = 10**6
    with (
        pytest.raises(EngineError, match=r"within 5 seconds .*task of the service 'web' is running on the node 'n1'"),
        quiesced(engine, rest, timeout=5),
    ):
        pytest.fail("not at rest")
    assert (engine.replicas("web"), engine.state("db")) == (2, "running")
    assert "stop_container db" not in verbs(engine)


def test_a_service_that_was_scaled_since_the_plan_is_left(make):
    engine = make(swarm=[service("web", 2)])
    rest = rest_of(engine, services="scale")
    engine.spec("web")["Mode"]["Replicated"]["Replicas"] = 4
    with (
        pytest.raises(RefusedError, match=r"scaled the service 'web' from 2 to 4 meanwhile"),
        quiesced(engine, rest, timeout=5),
    ):
        pytest.fail("not at rest")
    assert engine.replicas("web") == 4


def test_a_container_that_is_killed_for_being_slow_is_told(make, clock):
    engine = make(container("db", slow=True))
    engine.before_call = {"stop_container": lambda _it: clock.__setitem__(0, 5.0)}
    with at_rest(engine) as resting:
        pass
    assert resting.warnings[0].startswith("The container 'db' did not stop by itself within 5 seconds and was killed")


@pytest.mark.parametrize("mode", MODES)
def test_who_rests_or_is_gone_since_the_plan_is_left_so(make, mode):
    engine = make(container("db"), container("app"), container("x"))
    rest = rest_of(engine, mode)
    engine.raw("db")["State"] = "exited"
    engine.containers.remove(engine.raw("app"))
    with quiesced(engine, rest, timeout=5) as resting:
        pass
    assert engine.states() == {"db": "exited", "x": "running"}
    assert resting.warnings == []


# Somebody meddles


@pytest.mark.parametrize("new_is_labelled", [False, True])
@pytest.mark.parametrize("mode", MODES)
def test_one_that_starts_to_write_meanwhile_ends_it_before_the_block(make, mode, new_is_labelled):
    engine = make(container("db"))

    def starts(it):
        it.containers += [
            container("new", labelled=new_is_labelled),
            container("reads", read_write=False),
            container("helps", helper=True, labelled=True),
        ]

    rest = rest_of(engine, mode)
    engine.before_call = {f"{mode}_container": starts}
    with (
        pytest.raises(RefusedError, match=r"the container 'new' began to write to it.*as before"),
        quiesced(engine, rest, timeout=5),
    ):
        pytest.fail("not at rest")
    assert engine.states() == {"db": "running", "new": "running", "reads": "running", "helps": "running"}


def test_writers_are_not_heeded_where_containers_go_on(make):
    engine = make(container("db"), swarm=[service("web", 1)])
    with at_rest(engine, "none", "scale") as resting:
        engine.containers.append(container("new"))
    assert resting.warnings == []


@pytest.mark.parametrize("mode", MODES)
def test_one_that_is_brought_back_by_somebody_else_is_told(make, mode):
    engine = make(container("db"))
    with at_rest(engine, mode) as resting:
        engine.raw("db")["State"] = "running"
    assert resting.warnings == ["The container 'db' ran while it should rest: the data may have changed meanwhile"]


@pytest.mark.parametrize("mode", MODES)
def test_one_that_is_removed_meanwhile_is_told(make, mode):
    engine = make(container("db"), container("app"))
    with at_rest(engine, mode) as resting:
        engine.containers.remove(engine.raw("db"))
    assert resting.warnings == ["The container 'db' is gone: somebody else removed it while it was at rest"]
    assert engine.states() == {"app": "running"}


def test_one_that_was_started_and_paused_by_somebody_else_stays_paused(make):
    engine = make(container("db"))
    with at_rest(engine) as resting:
        engine.raw("db")["State"] = "paused"
    assert "started and paused by somebody else" in resting.warnings[0]
    assert engine.state("db") == "paused"


def test_what_an_operator_changes_of_a_service_stays(make):
    engine = make(swarm=[service("web", 2), service("x", 1), service("each", None), service("all", None)])
    with at_rest(engine, "none", "scale") as resting:
        engine.spec("web")["Labels"] = {"a": "b"}
        engine.spec("x")["Mode"]["Replicated"]["Replicas"] = 7
        engine.spec("each")["TaskTemplate"]["Placement"]["Constraints"].append("c==d")
        engine.services = [one for one in engine.services if one["Spec"]["Name"] != "all"]
    assert (engine.replicas("web"), engine.spec("web")["Labels"], engine.replicas("x")) == (2, {"a": "b"}, 7)
    assert engine.spec("each")["TaskTemplate"]["Placement"] == {"Constraints": ["c==d"]}
    assert [warning.split(":")[0] for warning in resting.warnings] == [
        "The service 'x' was scaled to 7 by somebody else while it should have no tasks, and is left so (before, it was"
        " 1)",
        "The service 'all' is gone",
    ]


def test_a_paused_container_that_an_engine_restart_ended_is_started(make):
    engine = make(container("db"))
    with at_rest(engine, "pause"):
        engine.raw("db").update(State="exited", exit_code=137)
    assert engine.state("db") == "running"


def test_who_wrote_is_told_also_when_the_engine_was_started_anew(make):
    engine = make(container("db"))
    users = engine.users
    away = [EngineUnreachableError("Cannot look for the containers", "it broke"), None]

    def looked(volume=None):
        error = away.pop() if away else None
        if error:
            raise error
        return users(volume)

    with at_rest(engine) as resting:
        engine.raw("db")["State"] = "running"
        engine.users = looked
        away.pop()
    assert "ran while it should rest" in resting.warnings[0]


def test_an_engine_that_is_started_anew_is_waited_for(make, clock):
    engine = make(container("db"), container("app"), swarm=[service("web", 1)])
    away = EngineUnreachableError("Cannot reach the engine", "there is no such socket")
    starting = EngineError("Cannot change the service", "This node is not a swarm manager", status=503)
    with at_rest(engine, services="scale"):
        engine.fail = {"start_container": [away, None, None, away], "update_service": [away, starting, starting]}
    assert (engine.states(), engine.replicas("web")) == ({"db": "running", "app": "running"}, 1)
    assert clock[0] > 0


# Somebody does not come back


def test_all_others_are_brought_back_and_the_record_stays_for_the_next_run(make):
    engine = make(container("db", age=9), container("app"), swarm=[service("web", 2)])
    with pytest.raises(VolumesError) as caught, at_rest(engine, services="scale"):
        engine.fail = {
            "start_container": EngineError("Cannot start the container 'db'", "port is already allocated", status=500)
        }
    assert "- Cannot start the container 'db': port is already allocated." in str(caught.value)
    assert STATE in str(caught.value)
    assert caught.value.details["not_back"] == ["db"]
    assert (engine.states(), engine.replicas("web")) == ({"db": "exited", "app": "running"}, 2)
    resumed = resume_interrupted(engine, "pgdata")
    assert engine.states() == {"db": "running", "app": "running"}
    assert len(resumed.actions) == 1
    assert STATE not in engine.volumes_by_name


def test_one_that_ends_at_once_is_not_back_unless_it_has_come_to_its_end(make):
    engine = make(container("broken", ends=3), container("job", ends=0))
    with (
        pytest.raises(VolumesError, match=r"'broken' was started, and ended at once with exit code 3") as caught,
        at_rest(engine),
    ):
        pass
    assert caught.value.details["not_back"] == ["broken"]


@pytest.mark.parametrize(("mode", "waits"), [("pause", 0.0), ("stop", 0.5)])
def test_one_that_was_started_has_a_moment_to_end_before_it_is_looked_at(make, clock, mode, waits):
    engine = make(container("db"))
    with at_rest(engine, mode) as resting:
        pass
    assert (clock[0], resting.seconds) == (waits, 0.0)


def test_one_that_stays_paused_is_not_back(make):
    engine = make(container("db"))
    with pytest.raises(VolumesError, match="the container 'db' is still paused".capitalize()), at_rest(engine, "pause"):
        engine.unpause_container = lambda _one: True


def failing_start(engine):
    engine.fail = {"start_container": EngineError("Cannot start the container 'db'", "no space", status=500)}
    raise RefusedError("Cannot copy", "the body failed")


def test_both_errors_are_told(make):
    engine = make(container("db"))
    with pytest.raises(VolumesError) as caught, at_rest(engine):
        failing_start(engine)
    assert "- Cannot copy: the body failed." in str(caught.value)
    assert "Cannot start the container 'db': no space" in str(caught.value)


@pytest.mark.parametrize("raised", [ValueError("odd"), RefusedError("Cannot copy", "no"), SystemExit(3), Killed()])
def test_what_the_block_raises_comes_through(make, raised):
    engine = make(container("db"))
    with pytest.raises(type(raised)) as caught, at_rest(engine):
        raise raised
    assert caught.value is raised
    assert engine.state("db") == "running"
    assert STATE not in engine.volumes_by_name


def test_an_error_that_is_none_of_ours_is_told_with_that_of_the_way_back(make):
    engine = make(container("db", ends=3))
    with pytest.raises(VolumesError, match=r"- The task failed: ValueError: odd\.\n- Those who use"), at_rest(engine):
        raise ValueError("odd")


def test_a_record_that_cannot_be_removed_is_a_warning(make):
    engine = make(container("db"))
    with at_rest(engine) as resting:
        engine.fail = {"remove_volume": EngineError(f"Cannot remove the volume '{STATE}'", "busy", status=409)}
    assert "All are back" in resting.warnings[0]
    assert resume_interrupted(engine, "pgdata").warnings == []
    assert STATE not in engine.volumes_by_name


# Signals


def signal_self(number):
    os.kill(os.getpid(), number)
    pytest.fail("the signal did not end the block")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_the_block_and_brings_all_back(make, number):
    engine = make(container("db"))
    before = signal.getsignal(number)
    with pytest.raises(SignalledError, match=signal.Signals(number).name), at_rest(engine):
        signal_self(number)
    assert engine.state("db") == "running"
    assert STATE not in engine.volumes_by_name
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("method", ["create_volume", "stop_container", "start_container", "remove_volume"])
def test_a_signal_at_any_other_time_waits_for_its_moment(make, method):
    engine = make(container("db"), container("app"))
    call = getattr(engine, method)

    def signalled(*args):
        os.kill(os.getpid(), signal.SIGTERM)
        return call(*args)

    setattr(engine, method, signalled)
    with pytest.raises(SignalledError), at_rest(engine):
        pass
    assert engine.states() == {"db": "running", "app": "running"}
    assert STATE not in engine.volumes_by_name


def test_a_stop_that_a_signal_broke_off_is_waited_for(make):
    engine = make(container("db"))

    def signalled(_one, _seconds):
        engine.raw("db")["late"] = 3
        os.kill(os.getpid(), signal.SIGTERM)

    engine.stop_container = signalled
    with pytest.raises(SignalledError, match="All its users are as before"), at_rest(engine):
        pytest.fail("not at rest")
    assert verbs(engine)[-2:] == ["start_container db", f"remove_volume {STATE}"]


def test_a_second_signal_does_not_disturb_the_way_back(make):
    engine = make(container("db"))
    start = engine.start_container

    def signalled(one):
        os.kill(os.getpid(), signal.SIGTERM)
        return start(one)

    engine.start_container = signalled
    with pytest.raises(SignalledError, match="SIGINT"), at_rest(engine):
        os.kill(os.getpid(), signal.SIGINT)
    assert engine.state("db") == "running"


def test_a_block_that_is_never_left_is_ended_at_the_latest_with_its_process(make, monkeypatch):
    kept = []
    monkeypatch.setattr(_quiesce_run.atexit, "register", kept.append)
    monkeypatch.setattr(_quiesce_run.atexit, "unregister", lambda _call: None)
    engine = make(container("db"))
    block = at_rest(engine)
    block.__enter__()
    kept[0]()
    assert engine.state("db") == "running"
    calls = list(engine.calls)
    block.__exit__(None, None, None)
    assert engine.calls == calls


# Killed


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("number", range(1, 14))
@pytest.mark.parametrize("mode", MODES)
def test_wherever_a_run_is_killed_the_next_brings_all_back(make, mode, number, before):
    swarm = [service("web", 2), service("each", None)]
    engine = make(container("db", age=9), container("app"), container("off", "exited"), swarm=swarm)
    states, specs = engine.states(), [dict(one["Spec"]) for one in engine.services]
    mortal = Mortal(engine, number, before)
    rest = rest_of(engine, mode, "scale")
    try:
        with quiesced(mortal, rest, timeout=5):
            assert engine.states()["db"] == AT_REST[mode]
        assert number > 10
    except Killed:
        assert number <= 10
    resume_interrupted(engine, "pgdata")
    assert (engine.states(), [one["Spec"] for one in engine.services]) == (states, specs)
    assert list(engine.volumes_by_name) == ["pgdata"]
    calls = list(engine.calls)
    assert resume_interrupted(engine, "pgdata").actions == []
    assert engine.calls == calls


def left_by_a_killed_run(engine, mode="stop", services="none", volumes=("pgdata",)):
    rest = rest_of(engine, mode, services, volumes=volumes)
    mortal = Mortal(engine, 2 + len(rest.containers) + len(rest.services), before=True)
    with pytest.raises(Killed), quiesced(mortal, rest, timeout=5):
        pass
    engine.calls.clear()


def test_a_container_that_stops_only_then_is_waited_for(make):
    engine = make(container("app"), container("db", age=9))
    rest = rest_of(engine)
    mortal = Mortal(engine, 3, before=True)
    with pytest.raises(Killed), quiesced(mortal, rest, timeout=5):
        pass
    engine.raw("db")["late"] = 4
    engine.pending = {container_id("db")}
    resume_interrupted(engine, "pgdata")
    assert engine.states() == {"app": "running", "db": "running"}


@pytest.mark.parametrize("mode", MODES)
def test_those_that_are_gone_or_back_after_a_killed_run(make, mode):
    engine = make(container("db"), container("app"), swarm=[service("web", 2), service("x", 1)])
    left_by_a_killed_run(engine, mode, "scale")
    engine.raw("db")["State"] = "running"
    engine.containers.remove(engine.raw("app"))
    engine.services = [one for one in engine.services if one["Spec"]["Name"] == "web"]
    resumed = resume_interrupted(engine, "pgdata")
    assert [warning.partition(":")[0] for warning in resumed.warnings] == [
        "The container 'app' is gone",
        "The service 'x' is gone",
    ]
    assert engine.states() == {"db": "running"}
    assert list(engine.volumes_by_name) == ["pgdata"]


def test_what_a_killed_run_left_is_seen_without_a_change(make):
    engine = make(container("db"))
    left_by_a_killed_run(engine)
    assert [rest.words for rest in interrupted(engine)] == ["the container 'db'"]
    told = resume_interrupted(engine, "pgdata", check_mode=True)
    assert engine.calls == []
    assert told.actions == resume_interrupted(engine, "pgdata").actions != []
    assert resume_interrupted(engine, "pgdata", check_mode=True).actions == []


@pytest.mark.parametrize("about", ["pgdata", "wal", "other", None])
def test_every_run_ends_what_any_killed_run_left(make, about):
    engine = make(container("db"))
    left_by_a_killed_run(engine)
    assert len(resume_interrupted(engine, about).actions) == 1
    assert engine.state("db") == "running"


# Other runs


@pytest.mark.parametrize("here", [True, False])
def test_a_run_that_goes_on_is_not_disturbed(make, here, monkeypatch):
    engine = make(container("db"))
    engine.is_here = here
    monkeypatch.setattr(_holder, "lives", lambda _holder: True)
    with at_rest(engine):
        # As seen by another process.
        if not here:
            me = replace(_holder.this_process(), pid=1)
            monkeypatch.setattr(_holder, "this_process", lambda *, holds=False: replace(me, holds=holds))
        with pytest.raises(RefusedError, match=r"another run \(process .*\) is at it.*'pgdata\.voltainer-quiesce'"):
            resume_interrupted(engine, "pgdata")
        assert resume_interrupted(engine, "other").actions == []
        assert resume_interrupted(engine, None).actions == []
        assert engine.state("db") == "exited"
    assert engine.state("db") == "running"


@pytest.mark.parametrize(("alive", "ends"), [(False, True), (None, False), (True, False)])
def test_where_nobody_holds_a_folder_the_process_tells(make, monkeypatch, alive, ends):
    engine = make(container("db"))
    engine.is_here = False
    left_by_a_killed_run(engine)
    monkeypatch.setattr(_holder, "this_process", lambda *, holds=False: None)
    monkeypatch.setattr(_holder, "lives", lambda _holder: alive)
    if not ends:
        with pytest.raises(RefusedError, match="bring these back by hand"):
            resume_interrupted(engine, "pgdata")
    else:
        resume_interrupted(engine, "pgdata")
    assert engine.state("db") == ("running" if ends else "exited")


def test_a_run_that_meets_another_one_for_the_same_volume_stops_nobody(make):
    engine = make(container("db"))
    rest = rest_of(engine)
    with quiesced(engine, rest, timeout=5):
        engine.raw("db")["State"] = "running"
        calls = len(engine.calls)
        with pytest.raises(RefusedError, match="another run"), quiesced(engine, rest, timeout=5):
            pytest.fail("not at rest")
        assert verbs(engine)[calls:] == [f"create_volume {STATE}"]
        assert STATE in engine.volumes_by_name


def test_a_run_that_shares_a_container_with_another_one_stops_nobody(make):
    both = container("both")
    both["Mounts"] = [*both["Mounts"], {**both["Mounts"][0], "Name": "wal"}]
    engine = make(both, container("only", volume="wal"))
    rest = rest_of(engine, volumes=("wal",))
    with at_rest(engine):
        with (
            pytest.raises(RefusedError, match="brought to rest the container 'both'"),
            quiesced(engine, rest, timeout=5),
        ):
            pytest.fail("not at rest")
        with pytest.raises(RefusedError, match="brought to rest the container 'both'"):
            resume_interrupted(engine, "wal")
        assert list(engine.volumes_by_name) == ["pgdata", STATE]
    assert engine.states() == {"both": "running", "only": "running"}


def test_another_run_that_ended_it_first_leaves_nothing_to_do(make, monkeypatch):
    engine = make(container("db"))
    left_by_a_killed_run(engine)
    monkeypatch.setattr(_quiesce_run, "is_current", lambda _engine, _rest: False)
    assert resume_interrupted(engine, "pgdata").actions == []
    assert engine.state("db") == "exited"


def test_a_folder_that_cannot_be_held_is_noted_so(make, monkeypatch):
    engine = make(container("db"))
    monkeypatch.setattr(_folders, "can_hold", lambda _path: False)
    with at_rest(engine):
        (rest,) = interrupted(engine)
        assert rest.holder == _holder.this_process()
    assert verbs(engine)[:3] == [f"create_volume {STATE}", f"remove_volume {STATE}", f"create_volume {STATE}"]


def test_somebody_elses_volume_of_that_name_is_kept(make):
    engine = make(container("db"))
    engine.create_volume(STATE, "local", {}, {"whose": "mine"})
    with pytest.raises(RefusedError), at_rest(engine):
        pytest.fail("not at rest")
    assert engine.volumes_by_name[STATE]["Labels"] == {"whose": "mine"}
    assert engine.state("db") == "running"


def test_an_unreadable_record_is_told(make):
    engine = make()
    engine.create_volume(STATE, "local", {}, {QUIESCED: "{"})
    resumed = resume_interrupted(engine, "pgdata")
    assert (resumed.actions, len(resumed.warnings)) == ([], 1)
    assert STATE in resumed.warnings[0]


def test_what_cannot_be_ended_fails_only_the_run_that_it_concerns(make):
    engine = make(container("db", ends=3))
    left_by_a_killed_run(engine)
    assert "exit code 3" in resume_interrupted(engine, "other").warnings[0]
    with pytest.raises(VolumesError, match="exit code 3"):
        resume_interrupted(engine, "pgdata")


def test_the_own_record_is_that_of_the_rest(make):
    engine = make(container("db"))
    rest = rest_of(engine)
    with quiesced(engine, rest, timeout=5):
        (found,) = interrupted(engine)
    assert (found.volumes, found.containers, found.timeout) == (rest.volumes, rest.containers, 5)
    assert isinstance(found, Rest)
    assert _quiesce_record.records(engine) == ((), ())
