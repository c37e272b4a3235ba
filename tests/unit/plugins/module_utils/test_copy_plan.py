# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of a copy: the way that is chosen, its steps, and what is refused before anything is touched."""

from __future__ import annotations

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils._copy_plan import CopyFound, plan_copy
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import RefusedError
from ansible_collections.voltainer.volumes.plugins.module_utils._fill import Fill
from ansible_collections.voltainer.volumes.plugins.module_utils._plan import ABSENT
from ansible_collections.voltainer.volumes.plugins.module_utils._quiesce import Rest, RestContainer
from ansible_collections.voltainer.volumes.plugins.module_utils._usage import Users, service_uses, uses
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import Definition, Volume

from .fake_engine import container, service
from .test_copy_wanted import parse
from .volumes import inspect

PROTECTED = {"voltainer.volumes.protected": "true"}
PLUGIN = {"Driver": "rclone:latest", "Options": {"remote": "nas:t"}}


def volume(name, **changes):
    return Volume.from_inspect(inspect(Name=name, **changes))


def users(*containers, services=()):
    return Users(uses(containers), service_uses(services))


def found(state="absent", target=None, **changes):
    there = None if state == "absent" else volume("data", **(target or {}))
    return CopyFound(**{"source": volume("src"), "target": there, "state": state, "nonce": "4f", **changes})


def plan(state="absent", target=None, options=None, **changes):
    return plan_copy(parse(**(options or {})), found(state, target, **changes))


def fill_of(plan):
    return next(step.arguments["fill"] for step in plan.steps if step.verb == "mark")


REPLACE, SYNC = {"on_existing": "replace"}, {"on_existing": "sync"}
QUOTA = {"Options": {"size": "1g"}}
NEW_QUOTA = {"driver_options": {"size": "1g"}}


@pytest.mark.parametrize(
    ("state", "target", "options", "can_exchange", "way"),
    [
        # There is no such volume.
        ("absent", None, {}, True, "exchange"),
        ("absent", None, {}, False, "direct"),
        ("absent", None, NEW_QUOTA, True, "direct"),
        ("absent", None, {"driver": "rclone:latest"}, True, "direct"),
        ("absent", None, REPLACE, True, "exchange"),
        ("absent", None, SYNC, True, "exchange"),
        # There is one without content, for which nobody must agree.
        ("empty", None, {}, True, "exchange"),
        ("empty", None, {}, False, "direct"),
        ("empty", QUOTA, {}, True, "direct"),
        ("empty", PLUGIN, {}, True, "direct"),
        ("empty", PLUGIN, SYNC, True, "direct"),
        # There is other content.
        ("differs", None, REPLACE, True, "exchange"),
        ("differs", None, REPLACE, False, "replace"),
        ("differs", QUOTA, REPLACE, True, "replace"),
        ("differs", PLUGIN, REPLACE, True, "replace"),
        ("differs", None, SYNC, True, "update"),
        ("differs", PLUGIN, SYNC, False, "update"),
    ],
)
def test_the_way_that_is_chosen(state, target, options, can_exchange, way):
    chosen = plan(state, target, options, can_exchange=can_exchange)
    fill = fill_of(chosen)
    assert (fill.way, fill.created, fill.empty) == (way, state == "absent", state == "empty")
    assert (fill.target, fill.previous, fill.keep, fill.nonce) == ("data", "data.voltainer-fill-old", False, "4f")
    if state != "absent":
        assert fill.definition == volume("data", **(target or {})).definition
    assert ("create" in chosen.verbs) == (state == "absent")
    assert chosen.after["content"] == "as in 'src'"
    assert chosen.before == ABSENT if state == "absent" else chosen.before["exists"]


@pytest.mark.parametrize("options", [{}, REPLACE, SYNC])
@pytest.mark.parametrize("target", [None, PLUGIN, {"Labels": PROTECTED}])
def test_what_is_equal_stays_whatever_is_asked_for(target, options):
    same = plan("equal", target, options, target_users=users(container("db", "data")))
    assert (same.steps, same.before) == ((), same.after)
    assert same.before["content"] == "as in 'src'"


def test_a_new_volume_is_made_as_the_task_says():
    options = {
        "driver": "rclone:latest",
        "driver_options": {"remote": "a", "password": "hunter2"},
        "labels": {"a": "b"},
    }
    made = plan(options={**options, "secret_options": ["remote"], "protected": True})
    assert fill_of(made).definition == Definition(
        "rclone:latest", {"remote": "a", "password": "hunter2"}, {"a": "b", **PROTECTED}
    )
    shown = repr((made.before, made.after, [step.words for step in made.steps]))
    assert "hunter2" not in shown
    assert made.after["driver_options"]["remote"] != "a"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"source": None}, r"Cannot copy the volume 'src': there is no such volume\. Correct the option 'source'"),
        ({"driver_ready": False, "options": {"driver": "x"}}, r"driver of the new volume is not there.*is named 'x'"),
        ({"state": "differs"}, r"has other content already \(it is not empty\).*'on_existing: replace'.*'sync'"),
        ({"state": "differs", "differing": ("'a' is missing", "'b' is new")}, r"\('a' is missing; 'b' is new\)"),
        ({"state": "differs", "target": {"Labels": PROTECTED}, "options": REPLACE}, "it is protected.*'confirm: data'"),
        ({"state": "differs", "target": {"Labels": PROTECTED}, "options": SYNC}, "it is protected.*'confirm: data'"),
        ({"state": "differs", "options": SYNC, "why_no_sync": "rsync is missing"}, "in place: rsync is missing"),
    ],
)
def test_what_is_refused(arguments, words):
    with pytest.raises(RefusedError, match=words):
        plan(**arguments)


@pytest.mark.parametrize(
    ("state", "options"), [("empty", {}), ("differs", REPLACE), ("differs", SYNC), ("empty", {"quiesce": "stop"})]
)
@pytest.mark.parametrize(("used", "refused"), [("running", True), ("paused", True), ("exited", False)])
def test_a_target_that_a_container_has_mounted_is_refused(state, options, used, refused):
    target_users = users(container("db", "data", state=used), services=[service("web", "data", 0)])
    if not refused:
        assert plan(state, options=options, target_users=target_users).steps
        return
    with pytest.raises(RefusedError, match=r"Cannot copy to the volume 'data': it is in use by .*db"):
        plan(state, options=options, target_users=target_users)


@pytest.mark.parametrize("options", [REPLACE, SYNC])
def test_what_is_protected_goes_where_it_is_named(options):
    assert plan("differs", {"Labels": PROTECTED}, {**options, "confirm": "data"}).steps
    # Without content, nothing is lost.
    assert plan("empty", {"Labels": PROTECTED}).steps


REST = Rest(("src",), (RestContainer("id-db", "db", "stop"),), ())


@pytest.mark.parametrize(
    ("state", "target", "verbs"),
    [
        ("absent", PLUGIN, "mark quiesce fill resume verify create complete swap unmark"),
        ("empty", PLUGIN, "mark quiesce fill resume verify unmark"),
        ("differs", PLUGIN, "mark quiesce fill resume verify save complete swap unmark"),
        ("differs", None, "mark quiesce fill resume verify complete swap unmark"),
    ],
)
def test_users_of_the_source_rest_while_it_is_read_and_no_longer(state, target, verbs):
    assert plan(state, target, REPLACE, rest=REST).verbs == tuple(verbs.split())


def test_what_was_interrupted_is_settled_first():
    unfinished = Fill("data", "copy of the volume 'old'", "direct", True, Definition("local", {}, {}), nonce="1")
    settled = plan(unfinished=unfinished)
    assert settled.verbs[:2] == ("settle", "mark")
    assert "copy of the volume 'old' into 'data'" in settled.steps[0].words
    assert plan("equal", unfinished=unfinished).verbs == ("settle",)


@pytest.mark.parametrize(
    ("state", "used", "quiesce", "warned"),
    [
        ("absent", [container("db", "src")], "none", True),
        ("differs", [container("db", "src", state="restarting")], "none", True),
        ("equal", [container("db", "src")], "none", False),
        ("absent", [container("db", "src")], "pause", False),
        ("absent", [container("db", "src", read_write=False)], "none", False),
        ("absent", [container("db", "src", state="exited")], "none", False),
        ("absent", [], "none", False),
    ],
)
def test_a_source_that_is_written_to_is_told(state, used, quiesce, warned):
    told = plan(state, options={**REPLACE, "quiesce": quiesce}, source_users=users(*used)).warnings
    assert len(told) == warned
    assert all("is copied while" in one and "db" in one for one in told)


@pytest.mark.parametrize("state", ["empty", "equal", "differs"])
def test_a_target_that_is_made_otherwise_is_told_and_stays_so(state):
    drifted = plan(state, QUOTA, {**REPLACE, "driver_options": {"size": "2g"}, "labels": {"a": "b"}})
    (told,) = drifted.warnings
    assert "driver_options.size is '1g', wanted '2g'" in told
    assert "labels.a is None, wanted 'b'" in told
    assert state == "equal" or fill_of(drifted).definition.options == {"size": "1g"}
