# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import RefusedError
from ansible_collections.voltainer.volumes.plugins.module_utils._usage import Users, service_uses, uses
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import Volume, masked_inspect
from ansible_collections.voltainer.volumes.plugins.module_utils._volume_plan import (
    VolumeFound,
    differences,
    plan_volume,
    target_of,
)
from hypothesis import given
from hypothesis import strategies as st

from .fake_engine import container, service
from .volumes import WINDOWS, inspect, wanted

NFS = {"type": "nfs", "o": "addr=192.0.2.10,rw", "device": ":/export"}
PROTECTED = {"voltainer.volumes.protected": "true"}


def found(volume=None, **facts):
    return VolumeFound(Volume.from_inspect(inspect(**volume)) if volume is not None else None, **facts)


def verbs(want, have, **facts):
    return plan_volume(wanted(**want), found(have, **facts)).verbs


def told(differing):
    return [(one["what"], one["wanted"], one["found"]) for one in differing]


@pytest.mark.parametrize(
    ("want", "have", "drift"),
    [
        ({}, {}, []),
        ({"driver": "local"}, {}, []),
        ({"driver": "pure"}, {"Driver": "pure:latest"}, []),
        ({"driver": "pure:latest"}, {"Driver": "pure:latest"}, []),
        ({"driver": "pure"}, {"Driver": "local"}, [("driver", "pure", "local")]),
        ({}, {"Driver": "pure:latest", "Options": {"size": "25GB"}, "Labels": {"a": "b"}}, []),
        ({"driver_options": {"size": "25GB"}}, {"Options": {"size": "25GB", "more": "x"}}, []),
        ({"driver_options": {"size": "25GB"}}, {"Options": {"size": "5GB"}}, [("driver_options.size", "25GB", "5GB")]),
        ({"driver_options": {"size": ""}}, {"Options": {"size": ""}}, []),
        ({"driver_options": {"size": ""}}, {"Options": {}}, [("driver_options.size", "", None)]),
        ({"driver_options": {"size": "1"}}, {"Options": None}, [("driver_options.size", "1", None)]),
        ({"driver_options": {}, "labels": {}}, {"Options": {"a": "b"}, "Labels": {"a": "b"}}, []),
        ({"labels": {"a": "c"}}, {"Labels": {"a": "b"}}, [("labels.a", "c", "b")]),
        ({"labels": {"a": "c"}}, {"Labels": None}, [("labels.a", "c", None)]),
        (
            {"driver_options": {"token": "new"}},
            {"Options": {"token": "old"}},
            [("driver_options.token", "********", "********")],
        ),
        # Exactly these, and no others.
        ({"comparison": "exact"}, {"Labels": {"a": "b"}, "Options": NFS}, []),
        ({"comparison": "exact", "labels": {}}, {"Labels": None}, []),
        ({"comparison": "exact", "labels": {}}, {"Labels": {"a": "b"}}, [("labels.a", None, "b")]),
        (
            {"comparison": "exact", "labels": {"a": "c"}},
            {"Labels": {"a": "b", "d": "e"}},
            [("labels.a", "c", "b"), ("labels.d", None, "e")],
        ),
        ({"comparison": "exact", "driver_options": {}}, {"Options": {"o": "x"}}, [("driver_options.o", None, "x")]),
        ({"comparison": "exact", "driver_options": {"o": ""}}, {"Options": {"o": ""}}, []),
        (
            {"comparison": "exact", "driver_options": {}},
            {"Options": {"token": "old"}},
            [("driver_options.token", None, "********")],
        ),
        # The labels of this collection have options of their own.
        ({"comparison": "exact", "labels": {}}, {"Labels": PROTECTED}, []),
        ({"protected": True}, {"Labels": PROTECTED}, []),
        ({"protected": True}, {}, [("protected", "true", "false")]),
        ({"protected": False}, {"Labels": PROTECTED}, [("protected", "false", "true")]),
        ({"protected": False}, {}, []),
    ],
)
def test_drift_is_told_and_nothing_is_done(want, have, drift):
    plan = plan_volume(wanted(**want), found(have))
    assert plan.steps == ()
    assert plan.before == plan.after
    assert told(plan.drift) == drift
    assert len(plan.warnings) == bool(drift)
    for one in drift:
        assert one[0] in plan.warnings[0]


def test_drift_can_be_ignored_or_be_an_error():
    want, have = {"labels": {"a": "c"}}, {"Labels": {"a": "b"}}
    ignored = plan_volume(wanted(drift="ignore", **want), found(have))
    assert (ignored.warnings, told(ignored.drift)) == ((), [("labels.a", "c", "b")])
    with pytest.raises(RefusedError) as caught:
        plan_volume(wanted(drift="fail", **want), found(have))
    assert str(caught.value).startswith(
        "The volume 'pgdata' is not as it should be: labels.a is 'b', wanted 'c'. Correct the task, or"
    )
    assert told(caught.value.details["drift"]) == [("labels.a", "c", "b")]
    assert plan_volume(wanted(drift="fail"), found(have)).drift == ()


@pytest.mark.parametrize(
    "want",
    [
        {"driver_options": {"remote": "a:b"}, "labels": {"a": "b"}},
        {"driver_options": {}, "labels": {}, "comparison": "exact"},
    ],
)
@pytest.mark.parametrize("recreate", ["never", "options-changed"])
def test_no_record_of_the_engine_is_unknown_and_no_drift(want, recreate):
    plan = plan_volume(
        wanted(recreate=recreate, **want), found({"Driver": "rclone:latest", "Options": None, "Labels": None})
    )
    assert (plan.drift, plan.steps) == ((), ())
    assert len(plan.warnings) == 1
    assert "driver_options and labels" in plan.warnings[0]
    assert "unknown" in plan.warnings[0]


MOVE = ("stage", "move", "remove", "create", "move", "unstage")
REPOINT = ("stage", "remove", "create", "unstage")


@pytest.mark.parametrize(
    ("want", "have", "steps"),
    [
        # Never, and whatever there is.
        ({"labels": {"a": "c"}}, {}, ()),
        ({"labels": {"a": "c"}, "recreate": "options-changed"}, {"Labels": {"a": "c"}}, ()),
        # Owned by the local driver: the folder is moved.
        ({"labels": {"a": "c"}, "recreate": "options-changed"}, {}, MOVE),
        ({"labels": {}, "comparison": "exact", "recreate": "options-changed"}, {"Labels": {"a": "c"}}, MOVE),
        ({"protected": True, "recreate": "options-changed"}, {}, MOVE),
        ({"driver_options": {"o": "x"}, "recreate": "options-changed"}, {}, MOVE),
        ({"recreate": "always"}, {}, MOVE),
        ({"recreate": "always", "driver": "local", "driver_options": {"type": "", "device": ""}}, {}, MOVE),
        # Referenced: only the reference changes.
        ({"driver_options": {"device": ":/b"}, "recreate": "options-changed"}, {"Options": NFS}, REPOINT),
        ({"labels": {"a": "c"}, "recreate": "options-changed"}, {"Options": NFS}, REPOINT),
        # Not needed any more.
        ({"labels": {"a": "c"}, "recreate": "options-changed", "data": "discard"}, {}, REPOINT),
        ({"recreate": "always", "data": "discard", "driver": "rclone"}, {}, REPOINT),
        ({"recreate": "always", "data": "discard"}, {"Driver": "rclone:latest"}, REPOINT),
    ],
)
def test_how_a_volume_is_made_anew(want, have, steps):
    assert verbs(want, have, driver_ready=True) == steps


MOVED_OUT = ("stage", "move", "complete", "remove", "create", "copy", "unstage")
MOVED_IN = ("stage", "copy", "complete", "remove", "create", "move", "unstage")
COPIED = ("stage", "copy", "complete", "remove", "create", "copy", "unstage")


@pytest.mark.parametrize(
    ("want", "have", "steps"),
    [
        ({"driver": "rclone"}, {}, MOVED_OUT),
        ({"driver_options": NFS}, {}, MOVED_OUT),
        ({"driver_options": {"size": "1g"}}, {}, MOVED_OUT),
        ({"driver_options": {}, "comparison": "exact"}, {"Options": NFS}, MOVED_IN),
        ({"driver": "local"}, {"Driver": "pure:latest"}, MOVED_IN),
        ({"labels": {"a": "c"}}, {"Options": {"size": "1g"}}, COPIED),
        ({"labels": {"a": "c"}}, {"Driver": "pure:latest"}, COPIED),
    ],
)
def test_data_that_cannot_only_be_moved_is_copied_and_complete_before_the_volume_goes(want, have, steps):
    assert verbs({"recreate": "options-changed", **want}, have, driver_ready=True) == steps
    assert verbs({"recreate": "options-changed", "data": "discard", **want}, have, driver_ready=True) == REPOINT


@pytest.mark.parametrize("kind", ["tmpfs", "ramfs"])
def test_no_data_goes_to_where_it_would_be_lost(kind):
    want = {"recreate": "options-changed", "driver_options": {"type": kind, "device": kind}}
    with pytest.raises(RefusedError, match=rf"in memory \({kind}\).*'data: discard'"):
        verbs(want, {})


def test_a_folder_out_of_reach_and_a_missing_driver_are_refused_before():
    with pytest.raises(RefusedError, match=r"can be renamed only by root. Where the data is not needed"):
        verbs({"recreate": "always"}, {}, unreachable="its folder /x can be renamed only by root")
    with pytest.raises(RefusedError, match="No enabled plugin of this engine is named 'rclone'"):
        verbs({"recreate": "always", "data": "discard", "driver": "rclone"}, {}, driver_ready=False)


@pytest.mark.parametrize(
    ("comparison", "labels"), [("subset", {"kept": "1", "a": "c", **PROTECTED}), ("exact", {"a": "c", **PROTECTED})]
)
def test_what_is_not_managed_stays_when_a_volume_is_made_anew(comparison, labels):
    have = {"Labels": {"kept": "1", "a": "b", **PROTECTED}, "Options": {"o": "x"}}
    plan = plan_volume(wanted(labels={"a": "c"}, comparison=comparison, recreate="options-changed"), found(have))
    assert plan.after["labels"] == labels
    assert plan.after["driver_options"] == {"o": "x"}
    assert plan.after["driver"] == "local"


def test_the_options_of_one_driver_say_nothing_to_another():
    want = wanted(driver="rclone", driver_options={"remote": "a:b"}, labels={"a": "c"})
    target = target_of(want, Volume.from_inspect(inspect(Options=NFS, Labels={"kept": "1"})))
    assert (target.driver, target.options) == ("rclone", {"remote": "a:b"})
    assert target.labels == {"kept": "1", "a": "c"}


def source(**changes):
    return Volume.from_inspect(inspect(Name="old", **changes))


@pytest.mark.parametrize(
    ("have", "steps"),
    [
        ({}, ("stage", "create", "move", "remove", "unstage")),
        ({"Options": NFS}, ("stage", "create", "remove", "unstage")),
    ],
)
def test_a_volume_is_renamed_with_its_definition(have, steps):
    plan = plan_volume(wanted(rename_from="old", labels={"b": "2"}), found(source=source(Labels={"a": "1"}, **have)))
    assert plan.verbs == steps
    assert plan.before["name"] == "old"
    assert (plan.after["name"], plan.after["labels"]) == ("pgdata", {"a": "1", "b": "2"})


def test_a_rename_that_is_done_is_nothing_and_both_are_an_error():
    assert verbs({"rename_from": "old"}, {}) == ()
    with pytest.raises(RefusedError, match="Cannot rename the volume 'old' to 'pgdata': both exist"):
        verbs({"rename_from": "old"}, {}, source=source())


def test_a_rename_of_nothing_creates_an_empty_volume_and_says_so():
    plan = plan_volume(wanted(rename_from="old"), found())
    assert plan.verbs == ("create",)
    assert "Neither the volume 'old' exists" in plan.warnings[0]


def test_a_rename_that_takes_a_copy_is_refused():
    with pytest.raises(RefusedError) as caught:
        verbs({"rename_from": "old"}, None, source=source(Driver="pure:latest"))
    text = str(caught.value)
    assert text.startswith(
        "Cannot rename the volume 'old' and keep its data: its data belongs to the driver 'pure:latest'"
    )
    assert "docker_volume_x_copy" in text
    assert "discard" not in text


@pytest.mark.parametrize(
    ("want", "refused"),
    [
        ({"state": "absent"}, True),
        ({"state": "absent", "confirm": "other"}, True),
        ({"state": "absent", "confirm": "pgdata"}, False),
        ({"recreate": "always", "data": "discard"}, True),
        ({"recreate": "always", "data": "discard", "confirm": "pgdata"}, False),
        ({"recreate": "always"}, False),
        ({"protected": False, "recreate": "options-changed"}, False),
        ({}, False),
    ],
)
def test_a_protected_volume_keeps_its_data_unless_it_is_named(want, refused):
    if refused:
        with pytest.raises(
            RefusedError, match=r"it is protected. If it is really meant, say so with 'confirm: pgdata'"
        ):
            verbs(want, {"Labels": PROTECTED})
    else:
        verbs(want, {"Labels": PROTECTED})


IDLE, BUSY = service("idle", "pgdata", 0), service("shop", "pgdata", 3)


@pytest.mark.parametrize(
    "want", [{"state": "absent"}, {"recreate": "always"}, {"recreate": "always", "data": "discard"}]
)
@pytest.mark.parametrize("state", ["running", "exited"])
def test_a_used_volume_is_refused_and_its_users_are_named(want, state):
    users = Users(uses([container("db", "pgdata", state=state, read_write=False)]), service_uses([BUSY]))
    with pytest.raises(RefusedError) as caught:
        verbs({**want, "confirm": "pgdata"}, {}, users=users)
    text = str(caught.value)
    assert text.startswith(
        f"Cannot {'remove' if 'state' in want else 'change'} the volume 'pgdata': it is in use by db ("
    )
    assert f"db ({state}, read-only at /data)" in text
    assert [user.get("container") for user in caught.value.details["users"]][:1] == ["db"]


def test_what_another_task_works_with_is_to_be_waited_for():
    helper = {**container("wonderful_williams", "pgdata"), "Labels": {"voltainer.volumes.helper": "1"}}
    with pytest.raises(RefusedError, match=r", for another task of this collection\)\. Run the task again when"):
        verbs({"state": "absent"}, {}, users=Users(uses([helper])))
    with pytest.raises(RefusedError, match=r"Remove these containers first"):
        verbs({"state": "absent"}, {}, users=Users(uses([helper, container("db", "pgdata")])))


@pytest.mark.parametrize(
    ("want", "services", "refused"),
    [
        ({"state": "absent"}, [IDLE], True),
        ({"state": "absent"}, [BUSY], True),
        ({"state": "absent", "confirm": "pgdata"}, [BUSY], False),
        ({"recreate": "always"}, [IDLE], False),
        ({"recreate": "always"}, [BUSY], True),
        ({"recreate": "always", "confirm": "pgdata"}, [BUSY], True),
        ({"recreate": "always", "data": "discard"}, [IDLE], True),
        ({"recreate": "always", "data": "discard", "confirm": "pgdata"}, [IDLE], False),
        ({}, [BUSY], False),
    ],
)
def test_a_service_keeps_a_volume_that_it_may_need(want, services, refused):
    facts = {"users": Users((), service_uses(services))}
    if refused:
        with pytest.raises(
            RefusedError, match=r"it is in use by service \w+ \(replicated, \d task\(s\), read-write at /data\)"
        ):
            verbs(want, {}, **facts)
    else:
        verbs(want, {}, **facts)


def test_what_an_engine_on_windows_says_is_carried_as_it_is():
    volume = Volume.from_inspect(WINDOWS)
    assert volume.mountpoint == "C:\\ProgramData\\Docker\\volumes\\bizvol\\_data"
    assert masked_inspect(volume, ()) == WINDOWS
    plan = plan_volume(wanted(name="bizvol", labels={"a": "b"}), VolumeFound(volume))
    assert told(plan.drift) == [("labels.a", "b", None)]


def test_secrets_are_hidden_in_plan_and_inspect():
    options = {"password": "hunter2", "remote": "r3mote", "o": "user=u,password=hunter3"}
    want = wanted(driver="rclone", driver_options=options, secret_options=["remote"])
    plan = plan_volume(want, found())
    shown = masked_inspect(Volume.from_inspect(inspect(Options=options)), want.secret_options)
    other = {"Driver": "rclone:latest", "Options": {**options, "remote": "0ther", "o": "password=hunter4"}}
    drift = plan_volume(want, found(other))
    discard = wanted(
        driver="rclone",
        driver_options=options,
        secret_options=["remote"],
        recreate="always",
        data="discard",
    )
    for text in (repr(plan), repr(shown), repr(drift), str(plan.after), repr(plan_volume(discard, found(other)))):
        for secret in ("hunter2", "hunter3", "hunter4", "r3mote", "0ther"):
            assert secret not in text


KEYS = st.sampled_from(["a", "b", "c", "d"])
RECORDS = st.dictionaries(KEYS, st.sampled_from(["", "1", "2"]))
WANTS = st.fixed_dictionaries(
    {
        "labels": st.none() | RECORDS,
        "driver_options": st.none() | RECORDS,
        "comparison": st.sampled_from(["subset", "exact"]),
        "protected": st.none() | st.booleans(),
    }
)
VOLUMES = st.fixed_dictionaries({"Labels": st.none() | RECORDS, "Options": st.none() | RECORDS})


@given(WANTS, VOLUMES)
def test_planning_again_after_applying_gives_an_empty_plan(want, have):
    want = wanted(recreate="options-changed", **want)
    target = target_of(want, Volume.from_inspect(inspect(**have)))
    after = Volume.from_inspect(inspect(Options=dict(target.options), Labels=dict(target.labels)))
    assert list(differences(want, after)) == []
    assert plan_volume(want, VolumeFound(after)).steps == ()
    assert target_of(want, after) == target


@given(st.none() | RECORDS, RECORDS, st.sampled_from(["subset", "exact"]))
def test_subset_and_exact_agree_with_a_model(want, have, comparison):
    if want is None:
        same = True
    elif comparison == "exact":
        same = want == have
    else:
        same = {**have, **want} == have
    volume = Volume.from_inspect(inspect(Labels=have, Options=have))
    for option in ("labels", "driver_options"):
        assert (not list(differences(wanted(**{option: want, "comparison": comparison}), volume))) == same
