# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import (
    EngineError,
    EngineUnreachableError,
    InvalidInputError,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._fill import Fill
from ansible_collections.voltainer.volumes.plugins.module_utils._prune import parse_prune
from ansible_collections.voltainer.volumes.plugins.module_utils._prune_run import prune_volumes
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import CHANGE, Change, Definition
from hypothesis import given
from hypothesis import strategies as st

from .fake_engine import FakeEngine, container, plugin_inspect, service
from .volumes import inspect

PURE = plugin_inspect(Name="pure:latest")
OPTIONS = {
    "anonymous_only": True,
    "filters": None,
    "keep": [],
    "confirm": [],
    "size": False,
    "timeout": 60,
}
ALL = {"anonymous_only": False, "filters": {"name": ["*"]}}
ANONYMOUS = ["a" * 64, "b" * 64]
LABEL = {"com.docker.volume.anonymous": ""}
PROTECTED = {"voltainer.volumes.protected": "true"}
CHANGE_OF = Change("new", "old", "move", *[Definition("local", {}, {})] * 2)
NFS = {"type": "nfs", "o": "addr=192.0.2.10", "device": ":/a"}
NAMED = "it has a name, and only anonymous volumes are to go"


def named(name, **changes):
    return inspect(Name=name, **changes)


def prune(engine, check_mode=False, **params):
    return prune_volumes(engine, parse_prune({**OPTIONS, **params}), check_mode)


def reasons(outcome):
    return {one["name"]: (one["action"], one["reason"]) for one in outcome.values["volumes"]}


@pytest.mark.parametrize(
    ("have", "params", "reason"),
    [
        ({}, {}, NAMED),
        ({"Labels": PROTECTED}, {"confirm": ["pgdata"]}, NAMED),
        ({}, {**ALL, "keep": ["pgdata"]}, "the option 'keep' names it"),
        ({}, {**ALL, "keep": ["x", "pg*"]}, "the option 'keep' names it"),
        ({"Labels": PROTECTED}, ALL, "it is protected, and the option 'confirm' does not name it"),
        (
            {"Labels": PROTECTED},
            {**ALL, "confirm": ["pg*"]},
            "it is protected, and the option 'confirm' does not name it",
        ),
        ({"Labels": {**PROTECTED, **LABEL}}, {}, "it is protected, and the option 'confirm' does not name it"),
        ({}, {**ALL, "filters": {"label": ["team"]}}, "'filters' does not ask for it: it has no label 'team'"),
        (
            {"Labels": LABEL},
            {"filters": {"name": ["x*"]}},
            "'filters' does not ask for it: its name matches none",
        ),
        ({"Labels": LABEL}, {"filters": {"older_than": "2h"}}, None),
        (
            {"Labels": LABEL},
            {"filters": {"older_than": "1d"}},
            "it was created on 2026-11-24T09:30:00Z, which is not long",
        ),
        (
            {"Labels": LABEL, "CreatedAt": "0001-01-01T00:00:00Z"},
            {"filters": {"older_than": "0s"}},
            "nobody knows when",
        ),
        ({"Labels": LABEL, "CreatedAt": None}, {"filters": {"older_than": "0s"}}, "nobody knows when"),
        ({"Labels": LABEL, "ClusterVolume": {}}, {}, "it is a volume of the swarm's cluster"),
        (
            {"Labels": CHANGE_OF.labels, "Name": CHANGE_OF.staging},
            ALL,
            "staging volume: the rename of the volume 'old'",
        ),
        ({"Labels": {CHANGE: "damaged"}}, ALL, "it carries the label of a change's staging volume"),
        ({"Labels": LABEL}, {}, None),
        ({"Name": ANONYMOUS[0], "Labels": None}, {}, None),
        ({}, ALL, None),
        ({}, {"anonymous_only": False, "filters": {"older_than": "1h"}}, None),
        ({}, {"anonymous_only": False, "filters": {"driver": ["local"]}}, None),
        ({"Labels": {"a": "b"}}, {"anonymous_only": False, "filters": {"label": ["a=b"]}}, None),
        ({"Labels": {"a": "b"}}, {"anonymous_only": False, "filters": {"without_label": ["a=c"]}}, None),
        ({"Labels": PROTECTED}, {**ALL, "confirm": ["pgdata"]}, None),
    ],
)
def test_what_goes_and_what_stays(have, params, reason):
    raw = named(**{"name": "pgdata", **have}) if "Name" not in have else inspect(**have)
    engine = FakeEngine([raw])
    check = prune(engine, True, **params)
    assert engine.calls == []
    real = prune(engine, **params)
    assert (real.plan, real.values) == (check.plan, check.values)
    (one,) = real.values["volumes"]
    if reason is None:
        assert one["action"] == "remove"
        assert engine.calls == [("remove_volume", raw["Name"])]
        assert real.values["removed"] == [raw["Name"]]
        assert real.plan.after == {"volumes": {raw["Name"]: {"exists": False}}}
    else:
        assert (one["action"], engine.calls, real.plan.steps) == ("keep", [], ())
        assert one["reason"].startswith(reason)
        assert real.values["kept"] == [raw["Name"]]
    again = prune(engine, **params)
    assert (again.plan.steps, again.values["removed"]) == ((), [])


@pytest.mark.parametrize(
    ("containers", "services", "words"),
    [
        ([container("db", "pgdata")], [], "it is in use by db (running, read-write at /data)"),
        ([container("db", "pgdata", state="exited")], [], "it is in use by db (exited, read-write at /data)"),
        ([], [service("web", "pgdata", 0)], "it is in use by service web (replicated, 0 task(s), read-write at /data)"),
    ],
)
def test_used_volumes_stay(containers, services, words):
    engine = FakeEngine([named("pgdata", Labels={**LABEL, **PROTECTED})], containers=containers, services=services)
    outcome = prune(engine, confirm=["pgdata"])
    assert reasons(outcome) == {"pgdata": ("keep", words)}
    assert engine.calls == []


def test_volumes_that_a_service_has_for_each_task_stay_while_it_has_none():
    engine = FakeEngine([named("web-1"), named("job-1")], services=[service("web", "web-{{.Task.Slot}}", 0)])
    outcome = prune(engine, **ALL)
    assert outcome.values["removed"] == ["job-1"]
    assert "in use by service web" in reasons(outcome)["web-1"][1]


def test_volumes_of_an_unfinished_change_stay_whatever_the_filters_are():
    raws = [named("old"), named("new"), named(CHANGE_OF.staging, Labels=CHANGE_OF.labels), named("other")]
    engine = FakeEngine(raws)
    outcome = prune(engine, anonymous_only=False, filters={"name": ["o*", "n*"]}, confirm=["old", "new"])
    assert outcome.values["removed"] == ["other"]
    assert engine.calls == [("remove_volume", "other")]


def test_volumes_of_an_unfinished_fill_or_copy_stay_whatever_the_filters_are():
    nothing = Definition("local", {}, {})
    fill = Fill("old", "copy of the volume 'a'", "replace", False, nothing, "old.before", False, "4f")
    copied = Change("new", "new", "copy", nothing, Definition("pure:latest", {}, {}))
    raws = [
        *map(named, ("old", "old.before", "new", "other")),
        named(fill.staging, Labels=fill.labels),
        named(fill.mark, Labels=fill.complete_labels(7, 8)),
        named(copied.staging, Labels=copied.labels),
        named(copied.mark, Labels=copied.labels),
    ]
    engine = FakeEngine(raws)
    outcome = prune(engine, anonymous_only=False, filters={"name": ["o*", "n*"]}, confirm=["old", "new"])
    assert outcome.values["removed"] == ["other"]
    assert engine.calls == [("remove_volume", "other")]


@pytest.mark.parametrize("filters", [None, {}, {"name": None, "older_than": None}, {"older_than": "0s"}])
def test_named_volumes_go_only_where_the_task_says_which(filters):
    with pytest.raises(InvalidInputError, match=r"'filters' is needed where 'anonymous_only' is false"):
        prune(FakeEngine(), anonymous_only=False, filters=filters)


@pytest.mark.parametrize("text", ["", " reports", "{'name': 'reports'}"])
def test_what_names_nothing_does_not_seem_to_be_kept(text):
    with pytest.raises(InvalidInputError, match="The option 'keep' has"):
        prune(FakeEngine([named("reports")]), **{**ALL, "keep": ["pgdata", text]})


def test_an_empty_age_is_an_error():
    with pytest.raises(InvalidInputError, match=r"filters\.older_than"):
        prune(FakeEngine(), filters={"older_than": ""})


def test_reasons_tell_whose_the_data_is():
    raws = [named("a1", Labels=LABEL), named("a2", Options=NFS), named("a3", Driver="pure:latest")]
    outcome = prune(FakeEngine(raws, [PURE]), True, **ALL)
    assert reasons(outcome) == {
        "a1": ("remove", "it is anonymous, and nobody uses it; its data goes with it"),
        "a2": (
            "remove",
            "the filters ask for it, and nobody uses it; only the reference goes, the data that it refers to stays",
        ),
        "a3": (
            "remove",
            "the filters ask for it, and nobody uses it; the driver 'pure' removes its data, as far as it does so",
        ),
    }
    assert outcome.plan.steps[0].words == "Remove the volume 'a1' (its data goes with it)"
    assert [one["owner_kind"] for one in outcome.values["volumes"]] == ["owned", "referenced", "owned"]
    assert outcome.plan.before["volumes"]["a3"] == {
        "exists": True,
        "driver": "pure:latest",
        "created": "2026-11-24T09:30:00Z",
        "size": None,
    }


def test_volumes_of_a_driver_that_does_not_answer_stay():
    raws = [named("a1", Labels=LABEL, Driver="pure:latest"), named("b1", Labels=LABEL)]
    engine = FakeEngine(raws, [PURE])
    engine.listing["pure:latest"] = EngineError("Cannot list the volumes of 'pure:latest'", "it hangs")
    outcome = prune(engine)
    assert reasons(outcome).keys() == {"b1"}
    assert "Cannot list the volumes of 'pure:latest'" in outcome.plan.warnings[0]
    engine.listing["pure:latest"] = "list pure:latest: it fails"
    outcome = prune(engine)
    assert reasons(outcome)["a1"][0] == "keep"
    assert "it could not be looked at" in reasons(outcome)["a1"][1]
    assert [call[1] for call in engine.calls] == ["b1"]


def test_a_volume_that_became_used_meanwhile_stays():
    engine = FakeEngine([named("a1", Labels=LABEL), named("a2", Labels=LABEL)])
    late = container("db", "a1")
    real = engine.users

    def look(volume=None):
        if volume == "a1":
            engine.containers.append(late)
        return real(volume)

    engine.users = look
    outcome = prune(engine)
    assert outcome.values["removed"] == ["a2"]
    assert outcome.values["kept"] == ["a1"]
    assert reasons(outcome)["a1"] == ("keep", "it is in use meanwhile by db (running, read-write at /data)")
    assert outcome.plan.warnings == (
        "The volume 'a1' stays: it is in use meanwhile by db (running, read-write at /data)",
    )
    assert [step.words for step in outcome.plan.steps] == ["Remove the volume 'a2' (its data goes with it)"]
    assert list(outcome.plan.before["volumes"]) == ["a2"]


def test_the_engines_own_refusal_is_respected():
    engine = FakeEngine([named("a1", Labels=LABEL), named("a2", Labels=LABEL)])
    engine.fail["remove_volume"] = EngineError("Cannot remove", "volume is in use", status=409)
    outcome = prune(engine)
    assert (outcome.values["removed"], outcome.failure) == (["a2"], None)
    assert "the engine does not let it go: volume is in use" in outcome.plan.warnings[0]


@pytest.mark.parametrize(
    "change",
    [
        {"Labels": {**LABEL, **PROTECTED}},
        {"CreatedAt": "2026-11-24T11:59:00Z"},
        {"Options": NFS},
        {"Driver": "pure:latest"},
    ],
)
def test_a_volume_that_was_changed_meanwhile_stays(change):
    engine = FakeEngine([named("a1", Labels=LABEL)])
    look = engine.node

    def node():
        engine.volumes_by_name["a1"] = named("a1", **{"Labels": LABEL, **change})
        return look()

    engine.node = node
    outcome = prune(engine)
    assert reasons(outcome) == {"a1": ("keep", "it was changed meanwhile")}
    assert engine.calls == []


@pytest.mark.parametrize("driver", ["local", "pure:latest"])
def test_a_volume_that_somebody_else_removed_meanwhile(driver):
    engine = FakeEngine([named("a1", Labels=LABEL, Driver=driver)], [PURE])
    look = engine.node
    engine.node = lambda: (engine.volumes_by_name.clear(), look())[1]
    outcome = prune(engine)
    assert reasons(outcome) == {"a1": ("gone", "somebody else removed it meanwhile")}
    assert (outcome.values["removed"], outcome.values["kept"], outcome.plan.steps) == ([], [], ())


def test_volumes_of_plugins_are_looked_at_again_by_the_list():
    engine = FakeEngine([named("a1", Labels=LABEL, Driver="pure:latest")], [PURE])
    outcome = prune(engine)
    assert outcome.values["removed"] == ["a1"]
    assert engine.inspected == ["a1"]


def test_single_failures_do_not_stop_the_others_and_fail_in_the_end():
    engine = FakeEngine([named(name, Labels=LABEL) for name in ("a1", "a2", "a3")])
    refused = EngineError("Cannot remove the volume 'a1'", "the disk is read-only", status=500)
    engine.fail["remove_volume"] = [refused, None, None]
    outcome = prune(engine)
    assert outcome.values["removed"] == ["a2", "a3"]
    assert outcome.values["kept"] == ["a1"]
    assert reasons(outcome)["a1"] == ("keep", "its removal failed: the disk is read-only")
    assert "1 volume(s) could not be removed" in str(outcome.failure)
    assert outcome.failure.details["errors"] == ["Cannot remove the volume 'a1': the disk is read-only."]
    assert len(outcome.plan.steps) == 2


def test_a_driver_that_hangs_at_a_removal_is_not_asked_again():
    raws = [named(name, Labels=LABEL, Driver="pure:latest") for name in ("a1", "a2")]
    engine = FakeEngine([*raws, named("b1", Labels=LABEL)], [PURE])
    engine.fail["remove_volume"] = [EngineError("Cannot remove the volume 'a1'", "did not answer"), None]
    outcome = prune(engine)
    assert engine.calls == [("remove_volume", "a1"), ("remove_volume", "b1")]
    assert reasons(outcome)["a2"] == ("keep", "it was not touched any more, since the driver 'pure' did not answer")
    assert len(outcome.failure.details["errors"]) == 1


def test_a_driver_that_fails_by_the_time_of_the_removal():
    engine = FakeEngine([named("a1", Labels=LABEL, Driver="pure:latest")], [PURE])
    look = engine.node
    engine.node = lambda: (engine.listing.update({"pure:latest": "it fails"}), look())[1]
    outcome = prune(engine)
    assert (engine.calls, outcome.values["removed"]) == ([], [])
    assert "it fails" in str(outcome.failure)


def test_an_engine_that_goes_away_is_asked_no_more_and_what_was_done_is_told():
    engine = FakeEngine([named(name, Labels=LABEL) for name in ("a1", "a2", "a3")])
    engine.fail["remove_volume"] = [None, EngineUnreachableError("Cannot remove the volume 'a2'", "it broke")]
    outcome = prune(engine)
    assert outcome.values["removed"] == ["a1"]
    assert len(engine.calls) == 2
    assert reasons(outcome)["a3"] == ("keep", "it was not touched any more, since the engine did not answer")


def test_sizes(tmp_path, monkeypatch):
    monkeypatch.setattr("os.geteuid", lambda: 0)
    (tmp_path / "file").write_bytes(b"x" * 10_000)
    raws = [
        named("a1", Labels=LABEL, Mountpoint=str(tmp_path)),
        named("a2", Options=NFS),
        named("a3", Labels=PROTECTED),
    ]
    unasked = prune(FakeEngine(raws), True, **ALL)
    assert unasked.values["space_reclaimed"] is None
    outcome = prune(FakeEngine(raws), True, **ALL, size=True)
    sizes = {one["name"]: one["size"] for one in outcome.values["volumes"]}
    assert sizes["a1"] >= 10_000
    assert (sizes["a2"], sizes["a3"]) == (None, None)
    assert outcome.values["space_reclaimed"] == sizes["a1"]
    assert outcome.plan.before["volumes"]["a1"]["size"] == sizes["a1"]
    assert "(a2): they only refer to data" in outcome.plan.warnings[0]


def test_volumes_of_unknown_age_are_told():
    engine = FakeEngine([named("a1", Labels=LABEL, CreatedAt="0001-01-01T00:00:00Z")])
    outcome = prune(engine, filters={"older_than": "1h"})
    assert outcome.plan.warnings == ("1 volume(s) stay, since nobody knows when they were created: a1",)
    engine.node_time = ""
    assert prune(engine, filters={"older_than": "1h"}).values["kept"] == ["a1"]


@pytest.mark.parametrize(("worker", "params", "warned"), [(True, ALL, 1), (False, ALL, 0), (True, {}, 0)])
def test_a_worker_of_a_swarm_does_not_know_the_services(worker, params, warned):
    engine = FakeEngine([named("pgdata"), named(ANONYMOUS[0], Labels=LABEL)])
    engine.worker = worker
    assert len(prune(engine, True, **params).plan.warnings) == warned


VOLUMES = st.lists(
    st.fixed_dictionaries(
        {
            "Name": st.sampled_from([*ANONYMOUS, "a1", "a2", "a3", "old", "new", CHANGE_OF.staging]),
            "Labels": st.sampled_from([None, LABEL, PROTECTED, {**LABEL, **PROTECTED}, CHANGE_OF.labels]),
            "CreatedAt": st.sampled_from(["2026-11-24T09:30:00Z", "2025-01-01T00:00:00Z", "0001-01-01T00:00:00Z"]),
        }
    ),
    unique_by=lambda raw: raw["Name"],
)
NAMES = st.sampled_from([*ANONYMOUS, "a1", "a2", "old", "new"])


@given(
    VOLUMES,
    st.lists(NAMES, max_size=3),
    st.lists(NAMES, max_size=3),
    st.sampled_from(
        [{}, ALL, {"filters": {"older_than": "30d"}}, {"anonymous_only": False, "filters": {"older_than": "30d"}}]
    ),
    st.lists(NAMES, max_size=2),
)
def test_what_is_never_removed(raws, used, confirmed, params, keep):
    raws = [inspect(**raw) for raw in raws]
    before = {raw["Name"]: raw for raw in raws}
    engine = FakeEngine(raws, containers=[container(f"c{n}", name) for n, name in enumerate(used)])
    check = prune(engine, True, **params, confirm=confirmed, keep=keep)
    assert engine.calls == []
    outcome = prune(engine, **params, confirm=confirmed, keep=keep)
    removed = [call[1] for call in engine.calls]
    assert removed == outcome.values["removed"] == check.values["removed"]
    assert sorted(removed + outcome.values["kept"]) == sorted(before)
    concerned = {CHANGE_OF.name, CHANGE_OF.source, CHANGE_OF.staging}
    under_way = any((before[name]["Labels"] or {}) == CHANGE_OF.labels for name in before if name == CHANGE_OF.staging)
    for name in removed:
        labels = before[name]["Labels"] or {}
        assert name not in {*used, *keep}
        assert CHANGE not in labels
        assert not (under_way and name in concerned)
        assert PROTECTED.keys().isdisjoint(labels) or name in confirmed
        if params.get("anonymous_only", True):
            assert name in ANONYMOUS or LABEL.keys() <= labels.keys()
        if "older_than" in params.get("filters", {}):
            assert before[name]["CreatedAt"] == "2025-01-01T00:00:00Z"
