# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking at all volumes: over the real SDK where drivers hang, else on the fake engine."""

from __future__ import annotations

import time

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils._engine import Connection, connect
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import (
    DriverUnavailableError,
    EngineError,
    EngineUnreachableError,
    InvalidInputError,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._info_run import look_at_volumes, parse_info
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import Change, Definition

from .engine_server import serving
from .fake_engine import FakeEngine, container, plugin_inspect, service
from .volumes import inspect

PURE = plugin_inspect(Name="pure:latest")
OPTIONS = {"name": None, "filters": None, "size": False, "secret_options": [], "timeout": 60}
LEGACY = {"Plugins": {"Volume": ["local", "one", "two", "three"]}}


def named(name, **changes):
    return inspect(Name=name, **changes)


def look(engine, **params):
    return look_at_volumes(engine, parse_info({**OPTIONS, **params}), False)


def names(facts):
    return [volume["name"] for volume in facts.values["volumes"]]


def listing(driver):
    return f'GET /volumes?filters={{"driver": ["{driver}"]}}'


def volume_of(driver, name):
    """Return a plugin's volume as the engine lists it, and as it inspects it."""
    known = {"Name": name, "Driver": driver, "Labels": None, "Options": None, "Scope": "global", "Mountpoint": ""}
    listed = {**known, "CreatedAt": "0001-01-01T00:00:00Z"}
    return listed, {**known, "CreatedAt": "2026-11-24T09:30:00Z", "Mountpoint": "/m", "Status": {"size": "1G"}}


@pytest.fixture
def engine(request):
    """Return a function that makes an Engine, connected to a server with the given answers."""

    def make(answers):
        at = serving({"GET /plugins": (200, []), "GET /containers/json": (200, []), **answers})
        server = at.__enter__()
        request.addfinalizer(lambda: at.__exit__(None, None, None))
        nothing = dict.fromkeys(["ca_path", "client_cert", "client_key", "tls_hostname"])
        made = connect(
            Connection(
                f"tcp://127.0.0.1:{server.server_port}", "1.41", 60, False, False, use_ssh_client=False, **nothing
            )
        )
        request.addfinalizer(made._transport.close)
        server.requests.clear()
        return made, server

    return make


NO_SWARM = {"GET /services": (503, {"message": "This node is not a swarm manager."})}


def test_drivers_that_hang_cost_the_time_once_and_only_their_own_volumes(engine):
    listed, inspected = volume_of("three", "reports")
    made, server = engine(
        {
            **NO_SWARM,
            "GET /info": (200, LEGACY),
            listing("local"): (200, {"Volumes": [named("pgdata")]}),
            listing("one"): 5,
            listing("two"): 5,
            listing("three"): (200, {"Volumes": [listed]}),
            "GET /volumes/reports": (200, inspected),
        }
    )
    began = time.monotonic()
    facts = look(made, timeout=1)
    assert 1 <= time.monotonic() - began < 2.5
    assert [volume["volume"] for volume in facts.values["volumes"]] == [named("pgdata"), inspected]
    assert sorted(warning.partition(",")[0] for warning in facts.warnings) == [
        "Cannot list the volumes of 'one'",
        "Cannot list the volumes of 'two'",
    ]
    assert "did not answer within 1 seconds" in facts.warnings[0]
    # No call for a single volume of the engine's own driver.
    assert not [request for request in server.requests if "/volumes/pgdata" in request]


def test_a_driver_that_hangs_at_an_inspect_is_not_asked_any_further(engine):
    answers = [volume_of("one", name)[0] for name in ("a1", "a2", "a3")]
    made, server = engine(
        {
            **NO_SWARM,
            "GET /info": (200, {"Plugins": {"Volume": ["local", "one"]}}),
            listing("local"): (200, {"Volumes": None}),
            listing("one"): (200, {"Volumes": answers}),
            "GET /volumes/a1": (200, volume_of("one", "a1")[1]),
            "GET /volumes/a2": 5,
        }
    )
    facts = look(made, timeout=1)
    assert [volume["volume"]["Mountpoint"] for volume in facts.values["volumes"]] == ["/m", "", ""]
    assert "GET /volumes/a3" not in server.requests
    (warning,) = facts.warnings
    assert warning.startswith("2 volume(s) of the driver 'one' could not be inspected (a2, a3)")


def test_only_the_drivers_that_are_asked_for(engine):
    made, server = engine(
        {
            **NO_SWARM,
            "GET /info": (200, LEGACY),
            listing("local"): (200, {"Volumes": [named("pgdata")]}),
            listing("two"): (200, {"Volumes": []}),
        }
    )
    assert names(look(made, filters={"driver": ["two"]})) == []
    assert sum("GET /volumes" in request for request in server.requests) == 2


def test_volumes_of_the_cluster_are_in_each_list_and_told_once(engine):
    cluster = {"Name": "shared", "Driver": "csi:latest", "Labels": {}, "Options": {}, "ClusterVolume": {"ID": "x1"}}
    made, _server = engine(
        {
            **NO_SWARM,
            "GET /info": (200, {"Plugins": {"Volume": ["local", "one"]}}),
            listing("local"): (200, {"Volumes": [named("shared"), cluster]}),
            listing("one"): (200, {"Volumes": [cluster]}),
        }
    )
    facts = look(made)
    assert [volume["driver_name"] for volume in facts.values["volumes"]] == ["local", "csi"]


def test_a_driver_that_fails_is_not_made_to_forget():
    # An inspect now would be answered "no such volume", and take labels and options away.
    engine = FakeEngine([named("reports", Driver="pure:latest", Labels={"a": "b"}), named("pgdata")], [PURE])
    engine.listing["pure:latest"] = "list pure:latest: the array does not answer"
    facts = look(engine)
    assert names(facts) == ["pgdata", "reports"]
    assert engine.inspected == []
    assert facts.warnings[0] == "The engine warns: list pure:latest: the array does not answer"
    assert "1 volume(s) of the driver 'pure' could not be inspected (reports)" in facts.warnings[1]
    facts = look(engine, name="reports")
    assert (facts.values["exists"], facts.values["volume"]["Labels"]) == (True, {"a": "b"})
    assert engine.inspected == []
    assert len(facts.warnings) == 2


def test_a_driver_that_forgets_a_volume_is_not_asked_for_the_next():
    raws = [named(name, Driver="pure:latest") for name in ("a1", "a2")]
    engine = FakeEngine(raws, [PURE])
    engine.volume = lambda name, seconds: engine.inspected.append(name)
    facts = look(engine)
    assert (names(facts), engine.inspected) == (["a1", "a2"], ["a1"])
    assert "the engine lists the volume 'a1', and then has none of that name" in facts.warnings[0]


def test_an_engine_that_goes_away_is_an_error():
    engine = FakeEngine([named("a1", Driver="pure:latest")], [PURE])
    engine.fail["volume"] = EngineUnreachableError("Cannot inspect", "the connection broke")
    with pytest.raises(EngineUnreachableError):
        look(engine)


def test_one_volume():
    engine = FakeEngine([named("pgdata"), named("other")], [PURE], [container("db", "pgdata")])
    engine.listing["pure:latest"] = EngineError("Cannot list the volumes of 'pure:latest'", "it hangs")
    facts = look(engine, name="pgdata")
    assert facts.values["exists"] is True
    assert facts.values["volume"] == named("pgdata")
    assert names(facts) == ["pgdata"]
    assert [user["container"] for user in facts.values["volumes"][0]["users"]] == ["db"]
    # The other driver was not even asked, and the volume not inspected: the list has all.
    assert (facts.warnings, engine.inspected) == ((), [])


def test_one_volume_of_a_plugin_is_inspected():
    raws = [named("reports", Driver="pure:latest"), named("other", Driver="pure:latest")]
    engine = FakeEngine(raws, [PURE, plugin_inspect()])
    engine.listing["rclone:latest"] = EngineError("Cannot list the volumes of 'rclone:latest'", "it hangs")
    facts = look(engine, name="reports")
    assert facts.values["volume"]["CreatedAt"] == "2026-11-24T09:30:00Z"
    assert (facts.warnings, engine.inspected) == ((), ["reports"])


def test_one_volume_that_does_not_exist():
    facts = look(FakeEngine([named("other")], [PURE]), name="pgdata")
    assert facts.values == {"exists": False, "volume": None, "volumes": []}


def test_one_volume_that_no_driver_lists_but_the_engine_knows():
    engine = FakeEngine([named("reports", Driver="legacy")])
    assert look(engine, name="reports").values["exists"] is True


def test_one_volume_of_a_disabled_plugin_is_not_absent():
    engine = FakeEngine(plugins=[plugin_inspect(Enabled=False)])
    engine.fail["volume"] = DriverUnavailableError("Cannot inspect the volume 'reports'", "it exists, but", status=409)
    with pytest.raises(DriverUnavailableError) as caught:
        look(engine, name="reports")
    assert caught.value.details == {"exists": True, "volume": None}


@pytest.mark.parametrize(
    "said", [EngineError("Cannot list the volumes of 'pure:latest'", "it hangs"), "list pure:latest: it hangs"]
)
def test_nobody_can_tell_of_one_volume(said):
    engine = FakeEngine(plugins=[PURE])
    engine.listing["pure:latest"] = said
    with pytest.raises(EngineError, match=r"Cannot tell whether the volume 'reports' exists: .*pure:latest.*it hangs"):
        look(engine, name="reports")
    assert engine.inspected == []


@pytest.mark.parametrize("name", ["", ".", "..", "../containers/json", "a/../b"])
def test_names_that_would_be_other_addresses(name):
    with pytest.raises(InvalidInputError, match="no volume has that name"):
        look(FakeEngine(), name=name)


def test_a_name_and_filters_exclude_each_other():
    with pytest.raises(InvalidInputError, match="exclude each other"):
        look(FakeEngine(), name="pgdata", filters={"label": ["a"]})


def test_dangling():
    engine = FakeEngine(
        [named("run"), named("stopped"), named("served"), named("free")],
        containers=[container("db", "run"), container("old", "stopped", state="exited")],
        services=[service("web", "served", 0)],
    )
    assert names(look(engine, filters={"dangling": True})) == ["free"]
    assert names(look(engine, filters={"dangling": False})) == ["run", "served", "stopped"]
    assert len(names(look(engine, filters={"dangling": None}))) == 4


def test_a_change_is_told_of_volumes_also_where_the_staging_volume_does_not_match():
    change = Change("new", "pgdata", "move", *[Definition("local", {}, {})] * 2)
    engine = FakeEngine([named("pgdata"), named(change.staging, Labels=change.labels)])
    (told,) = look(engine, filters={"name": ["pgdata"]}).values["volumes"]
    assert "rename of the volume 'pgdata' to 'new'" in told["unfinished"]
    (told,) = look(engine, name="pgdata").values["volumes"]
    assert "rename of the volume 'pgdata' to 'new'" in told["unfinished"]


@pytest.mark.parametrize(
    ("filters", "warned"),
    [
        (None, ["'old' is not known to the engine", "'rclone' is disabled"]),
        ({"driver": ["local"]}, []),
        ({"driver": ["rclone"]}, ["'rclone' is disabled"]),
        ({"driver": ["nonsense"]}, ["'nonsense' is not known to the engine"]),
        ({"driver": ["pure"]}, []),
    ],
)
def test_what_cannot_be_listed_is_told(filters, warned):
    mounted = container("db", "reports", driver="old:latest")
    facts = look(FakeEngine([], [PURE, plugin_inspect(Enabled=False)], [mounted]), filters=filters)
    assert [warning.partition(":")[0] for warning in facts.warnings] == [f"The driver {words}" for words in warned]


def test_sizes_only_where_asked(tmp_path, monkeypatch):
    monkeypatch.setattr("os.geteuid", lambda: 0)
    engine = FakeEngine([named("pgdata", Mountpoint=str(tmp_path))])
    assert look(engine).values["volumes"][0]["size"] is None
    assert look(engine, size=True).values["volumes"][0]["size"] >= 0
    engine.is_here = False
    facts = look(engine, size=True)
    assert facts.values["volumes"][0]["size"] is None
    assert "must run on the engine's host" in facts.warnings[0]
