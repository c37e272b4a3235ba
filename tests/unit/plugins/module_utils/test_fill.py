# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of a fill, its steps, and what the volumes that mark it tell."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils._fill import (
    Fill,
    fill_of,
    fill_steps,
    is_mark,
    is_previous,
    previous_definition,
    unfinished_fill,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._plan import Step
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import (
    FILL,
    Definition,
    Volume,
    masked_inspect,
)

SECRET = Definition("rclone:latest", {"remote": "nas:a", "password": "hunter2"}, {"team": "billing"})
FILL_A = Fill("pgdata", "copy of the volume 'a'", "exchange", True, SECRET, "pgdata.before", True, "4f")


def volume(name, labels, driver="local", options=None):
    return Volume.from_inspect({"Name": name, "Driver": driver, "Options": options, "Labels": labels})


def marks(fill=FILL_A, *, complete=False):
    staging = volume(fill.staging, fill.labels)
    return [staging, volume(fill.mark, fill.complete_labels(7, 8))] if complete else [staging]


def test_a_fill_is_read_back_as_it_was_written():
    assert fill_of(marks()[0]) == (FILL_A, 0, 0)
    assert fill_of(marks(complete=True)[1]) == (FILL_A, 7, 8)


@pytest.mark.parametrize(
    ("complete", "without", "seen"),
    [
        (False, None, (True, False, 0, 0)),
        (True, None, (True, True, 7, 8)),
        (True, "staging", (False, True, 7, 8)),
        (False, "staging", None),
    ],
)
def test_the_volumes_tell_how_far_a_fill_has_come(complete, without, seen):
    found = [one for one in marks(complete=complete) if not (without == "staging" and one.name == FILL_A.staging)]
    unfinished = unfinished_fill("pgdata", [volume("other", {"a": "b"}), *found])
    if seen is None:
        assert unfinished is None
    else:
        assert (bool(unfinished.staging), bool(unfinished.mark), unfinished.new, unfinished.old) == seen
        assert unfinished.fill == FILL_A
    assert unfinished_fill("data", found) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        "{" * 100_000,
        json.dumps({**json.loads(FILL_A.labels[FILL]), "way": "magic"}),
        json.dumps({**json.loads(FILL_A.labels[FILL]), "created": "yes"}),
        json.dumps({**json.loads(FILL_A.labels[FILL]), "empty": "no"}),
        json.dumps({**json.loads(FILL_A.labels[FILL]), "target": 5}),
        json.dumps({**json.loads(FILL_A.labels[FILL]), "more": 1}),
        json.dumps({**json.loads(FILL_A.labels[FILL]), "definition": {"driver": "local"}}),
        json.dumps({**json.loads(FILL_A.labels[FILL]), "new": "7"}),
    ],
)
def test_a_label_that_is_none_of_ours_is_no_fill(text):
    assert fill_of(volume(FILL_A.staging, {FILL: text})) is None


def test_a_volume_that_only_carries_a_copy_of_the_label_marks_nothing():
    assert fill_of(volume("pgdata", FILL_A.labels)) is None
    assert fill_of(volume(FILL_A.staging, FILL_A.labels, driver="rclone:latest")) is None
    assert fill_of(volume(FILL_A.staging, FILL_A.labels, options={"type": "nfs", "device": ":/a"})) is not None


def test_secrets_in_the_label_are_not_shown():
    assert "hunter2" in FILL_A.labels[FILL]
    assert "hunter2" not in json.dumps(masked_inspect(marks()[0], ()))


DIRECT = ("mark", "create", "fill", "verify", "unmark")
EXCHANGED = ("mark", "fill", "verify", "create", "complete", "swap", "unmark")
KEPT = ("mark", "fill", "verify", "create", "complete", "swap", "keep", "unmark")
REPLACED = ("mark", "fill", "verify", "save", "complete", "swap", "unmark")


@pytest.mark.parametrize(
    ("changes", "steps"),
    [
        ({"way": "direct"}, DIRECT),
        ({"way": "direct", "created": False}, ("mark", "fill", "verify", "unmark")),
        ({"way": "update", "created": False}, ("mark", "fill", "verify", "unmark")),
        ({"keep": False}, EXCHANGED),
        ({}, KEPT),
        ({"way": "replace", "created": False, "keep": False}, REPLACED),
        ({"way": "replace", "created": False}, REPLACED),
    ],
)
def test_the_steps_of_each_way(changes, steps):
    found = list(fill_steps(replace(FILL_A, **changes)))
    assert tuple(step.verb for step in found) == steps
    assert all(step.arguments["fill"].target == "pgdata" for step in found)
    assert "hunter2" not in " ".join(step.words for step in found)


@pytest.mark.parametrize(
    ("at", "steps"),
    [
        ("fill", ("mark", "down", "fill", "up", "verify", "create", "complete", "swap", "unmark")),
        ("swap", ("mark", "fill", "verify", "create", "complete", "down", "swap", "up", "unmark")),
    ],
)
def test_users_rest_for_one_step_only(at, steps):
    found = fill_steps(replace(FILL_A, keep=False), [Step("down", "")], [Step("up", "")], at=at)
    assert tuple(step.verb for step in found) == steps


def test_what_stages_is_filled_first_and_nothing_is_swapped_before_it_is_complete():
    into = {step.verb: step.arguments["volume"] for step in fill_steps(FILL_A) if "volume" in step.arguments}
    assert into == {"fill": "pgdata.voltainer-fill", "verify": "pgdata.voltainer-fill"}
    into = {step.arguments.get("volume", "") for step in fill_steps(replace(FILL_A, way="direct"))}
    assert into == {"", "pgdata"}


@pytest.mark.parametrize("target", ["team/reports", "a" * 255, "a" * 238, "x/" * 127 + "x", "team_reports"])
def test_the_marks_have_names_that_the_local_driver_takes(target):
    fill = replace(FILL_A, target=target)
    for name in (fill.staging, fill.mark):
        assert re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{1,254}", name)
    assert unfinished_fill(target, marks(fill)).fill == fill
    found = unfinished_fill(target, marks(fill, complete=True))
    assert (found.fill, found.staging.name, found.mark.name) == (fill, fill.staging, fill.mark)
    assert fill.staging.startswith(target[:12].replace("/", "_"))
    assert fill.staging.endswith(".voltainer-fill")


def test_a_volume_that_has_the_name_in_the_place_of_another_one_s_is_not_taken_for_it():
    fill = replace(FILL_A, target="team/reports")
    other = fill.staging.removesuffix(".voltainer-fill")
    assert replace(fill, target=other).staging == fill.staging
    assert unfinished_fill(other, marks(fill)) is None


def test_the_content_of_before_is_kept_in_a_volume_that_says_whose_it_is():
    fill = replace(FILL_A, definition=replace(SECRET, labels={"team": "a", "voltainer.volumes.protected": "true"}))
    definition = previous_definition(fill)
    labels = {"voltainer.volumes.previous": "pgdata", "voltainer.volumes.previous-of": "4f"}
    assert definition == Definition("local", {}, {"team": "a", **labels})
    assert is_previous(volume("x", definition.labels), fill)
    # With other labels than those that are on record, whoever may make volumes may have made it.
    assert not is_previous(volume("x", labels), fill)
    assert not is_previous(volume("x", {**definition.labels, "voltainer.volumes.protected": "true"}), fill)
    assert not is_previous(volume("x", definition.labels, options={"type": "none", "device": "/srv"}), fill)
    # Of an earlier fill of the same volume, which kept it.
    assert not is_previous(volume("x", definition.labels), replace(fill, nonce="50"))
    assert not is_previous(volume("x", {**definition.labels, "voltainer.volumes.previous": "other"}), fill)
    assert not is_previous(volume("x", None), fill)


def test_a_mark_is_as_it_was_made():
    for one in marks(complete=True):
        assert is_mark(one, FILL_A)
        assert not is_mark(one, replace(FILL_A, nonce="50"))
        assert not is_mark(volume(one.name, {**one.labels, "voltainer.volumes.protected": "true"}), FILL_A)
        assert not is_mark(volume(one.name, one.labels, options={"type": "nfs", "device": ":/a"}), FILL_A)
    assert not is_mark(volume(FILL_A.staging, {}), FILL_A)


@pytest.mark.parametrize(("verify", "word"), [(True, "Compare"), (False, "Have")])
def test_the_steps_tell_of_a_comparison_only_where_there_is_one(verify, word):
    (words,) = [step.words for step in fill_steps(FILL_A, verify=verify) if step.verb == "verify"]
    assert words.startswith(f"{word} ")
