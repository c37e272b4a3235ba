# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes that copy data, on real folders with real programs: killed and failed at each step, and met by others."""

from __future__ import annotations

import contextlib
import os
import shutil
from unittest import mock

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils import _folders, _volume_copy
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import (
    EngineError,
    EngineUnreachableError,
    OtherDataError,
    RefusedError,
    VolumesError,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._transfer import Transfer
from ansible_collections.voltainer.volumes.plugins.module_utils._volume_run import converge_volumes

from .fake_engine import container, plugin_inspect
from .volumes import FolderEngine, folder_helper, task

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root reaches the data of volumes")

RCLONE = "rclone:latest"
SHARE = {"type": "nfs", "o": "addr=192.0.2.10", "device": ":/a"}
EXACT = {"comparison": "exact", "recreate": "options-changed"}
# What the volume is before, and what the task wants.
CHANGES = {
    "under a quota": (("local", {}), {**EXACT, "driver_options": {"size": "1g"}}),
    "out of a quota": (("local", {"size": "1g"}), {**EXACT, "driver_options": {}}),
    "to another quota": (("local", {"size": "1g"}), {**EXACT, "driver_options": {"size": "2g"}}),
    "to a share": (("local", {}), {**EXACT, "driver_options": SHARE}),
    "from a share": (("local", SHARE), {**EXACT, "driver_options": {}}),
    "to a plugin": (("local", {}), {**EXACT, "driver": RCLONE, "driver_options": {"remote": "b"}}),
    "from a plugin": ((RCLONE, {"remote": "a"}), {**EXACT, "driver": "local", "driver_options": {}}),
    "within a plugin": ((RCLONE, {"remote": "a"}), {**EXACT, "driver_options": {"remote": "b"}}),
    "labels of a plugin's": ((RCLONE, {"remote": "a"}), {**EXACT, "labels": {"a": "c"}}),
    "nothing of a plugin's": ((RCLONE, {"remote": "a"}), {"recreate": "always"}),
}
WITHIN = CHANGES["within a plugin"][1]


class Killed(BaseException):
    """What stands for SIGKILL: nothing of the module's own handles it."""


@pytest.fixture(autouse=True)
def _at_hand(monkeypatch):
    monkeypatch.setattr(_volume_copy, "_helper", folder_helper)
    monkeypatch.setattr(_volume_copy, "why_unreachable", lambda _engine: "")


@pytest.fixture
def make(tmp_path):
    """Return a function that makes an engine with one volume that has data."""

    def it(change):
        driver, options = CHANGES[change][0]
        root = tmp_path / str(len(list(tmp_path.iterdir())))
        engine = FolderEngine(root, plugins=[plugin_inspect(Name=RCLONE)])
        engine.create_volume("pgdata", driver, options, {"a": "b"})
        place = engine.place("pgdata")
        (place / "sub").mkdir(parents=True)
        (place / "sub" / "file").write_text("precious")
        (place / "other").write_text("as well")
        place.chmod(0o700)
        engine.calls.clear()
        return engine

    return it


PRECIOUS = {"sub/file": "precious", "other": "as well"}


def content(engine, name="pgdata"):
    place = engine.place(name)
    return {str(path.relative_to(place)): path.read_text() for path in sorted(place.rglob("*")) if path.is_file()}


def state(engine):
    """Return all that counts: definitions and data."""
    return {
        name: (raw["Driver"], raw["Options"] or {}, raw["Labels"] or {}, content(engine, name))
        for name, raw in sorted(engine.volumes_by_name.items())
    }


def converge(engine, want, check_mode=False):
    return converge_volumes(engine, task(**want), check_mode)


def _half(transfer, at, target, **_options):
    """Bring what a copy brings that is ended in the middle."""
    shutil.copy(f"{at.places[transfer.source]}/other", at.places[target])


@contextlib.contextmanager
def changing_calls(engine, wrapped):
    """Put `wrapped` around each call that changes something, in volumes or in their data."""
    with (
        mock.patch.object(engine, "create_volume", wrapped(engine.create_volume)),
        mock.patch.object(engine, "remove_volume", wrapped(engine.remove_volume)),
        mock.patch.object(_folders, "move", wrapped(_folders.move)),
        mock.patch.object(Transfer, "bring", wrapped(Transfer.bring, half=_half)),
        mock.patch.object(Transfer, "check", wrapped(Transfer.check)),
        mock.patch.object(engine, "create_helper", wrapped(engine.create_helper)),
    ):
        yield


def stopped(engine, want, number, how, error=Killed):
    """Run a task whose n-th call that changes something is the last; return whether there was an n-th.

    `how` says what becomes of that call: nothing, half of it, or all.
    """
    count = 0
    make_helper = engine.create_helper

    def stopping(call, half=None):
        def one(*args, **kwargs):
            nonlocal count
            count += 1
            if count != number:
                return call(*args, **kwargs)
            if how == "after" and (error is Killed or call != make_helper):
                # A helper container that nobody has the ID of is not looked for.
                call(*args, **kwargs)
            elif how == "midway" and half:
                half(*args, **kwargs)
            raise error()

        return one

    with changing_calls(engine, stopping):
        try:
            converge(engine, want)
        except Killed:
            pass
        except VolumesError as exc:
            return str(exc)
        # The engine ends the helper container with its input.
        engine.containers = [one for one in engine.containers if not one["Id"].startswith("helper")]
    return count >= number


def full():
    return EngineError("Cannot do it", "no space left on device", status=500)


HOWS = ("before", "midway", "after")


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_brings_the_data_along_and_leaves_nothing_behind(make, change):
    engine = make(change)
    before = state(engine)
    want = CHANGES[change][1]
    check = converge(engine, want, check_mode=True)
    assert (engine.calls, state(engine)) == ([], before)
    real = converge(engine, want)
    assert real.plan == check.plan
    (name,) = state(engine)
    assert (name, content(engine)) == ("pgdata", PRECIOUS)
    assert engine.place("pgdata").stat().st_mode & 0o777 == 0o700
    assert engine.containers == []
    again = converge(engine, {**want, "recreate": "options-changed"})
    assert again.plan.steps == ()


# What follows a call is what comes before the next one.
@pytest.mark.parametrize("how", ["before", "midway"])
@pytest.mark.parametrize("change", CHANGES)
def test_killed_anywhere_and_run_again_is_as_if_never_killed(make, change, how):
    want = CHANGES[change][1]
    undisturbed = make(change)
    converge(undisturbed, want)
    number = 1
    while stopped(engine := make(change), want, number, how):
        assert PRECIOUS in [one[3] for one in state(engine).values()], number
        converge(engine, want)
        assert state(engine) == state(undisturbed), number
        number += 1
    assert number > 10


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("change", CHANGES)
def test_where_a_step_fails_the_volume_is_as_before(make, change, how):
    want = CHANGES[change][1]
    number = 1
    while said := stopped(engine := make(change), want, number, how, full):
        there = state(engine)
        if said is not True:
            assert "Cannot do it" in said or "Cannot begin" in said
            assert PRECIOUS in [one[3] for one in there.values()], number
            # An engine that says no and does it all the same leaves a mark, by which the next run goes.
            assert list(there) == ["pgdata"] or (number == 1 and how == "after"), (number, said)
        converge(engine, want)
        assert content(engine) == PRECIOUS
        number += 1
    assert number > 10


@pytest.mark.parametrize("change", ["under a quota", "out of a quota", "within a plugin"])
def test_killed_again_while_it_is_brought_to_an_end(make, change):
    want = CHANGES[change][1]
    undisturbed = make(change)
    converge(undisturbed, want)
    # From where the data is saved, to where it is back.
    for first in range(5, 12):
        second = 1
        again = stopped(make(change), want, first, "midway")
        while again:
            engine = make(change)
            assert stopped(engine, want, first, "midway")
            again = stopped(engine, want, second, "midway")
            assert PRECIOUS in [one[3] for one in state(engine).values()], (first, second)
            converge(engine, want)
            assert state(engine) == state(undisturbed), (first, second)
            second += 1


def refusing(engine, method, wrong, error=full):
    """Let the method fail whenever its arguments are wrong."""
    call = getattr(engine, method)

    def one(*args, **kwargs):
        if wrong(*args):
            raise error()
        return call(*args, **kwargs)

    return mock.patch.object(engine, method, one)


def half_full(when):
    """Let copies end midway, for want of space, while `when` says so."""
    bring = Transfer.bring

    def one(transfer, at, target, **options):
        if not when(target):
            bring(transfer, at, target, **options)
            return
        _half(transfer, at, target)
        raise VolumesError("Cannot copy", "No space left on device")

    return mock.patch.object(Transfer, "bring", one)


def test_what_a_share_has_already_does_not_take_the_place_of_the_data(make):
    engine = make("to a share")
    share = engine.root / ".shares" / "a"
    share.mkdir(parents=True)
    (share / "theirs").write_text("theirs")
    before = state(engine)
    with pytest.raises(OtherDataError, match=r"there is other data in it already.*No data is lost"):
        converge(engine, CHANGES["to a share"][1])
    assert state(engine) == before
    assert (share / "theirs").read_text() == "theirs"


@pytest.mark.parametrize("change", ["to a share", "within a plugin", "under a quota"])
def test_a_definition_that_never_works_leaves_the_volume_as_it_was(make, change):
    engine = make(change)
    before = state(engine)
    target = CHANGES[change][1]["driver_options"]
    refused = refusing(
        engine, "create_volume", lambda name, _driver, options, _labels: name == "pgdata" and options == target
    )
    with refused, pytest.raises(VolumesError, match="No data is lost"):
        converge(engine, CHANGES[change][1])
    assert state(engine) == before


def test_options_that_the_engine_does_not_take_are_found_out_before_the_volume_is_gone(make):
    engine = make("under a quota")
    refused = refusing(engine, "create_volume", lambda _name, _driver, options, _labels: "size" in (options or {}))
    with refused, pytest.raises(VolumesError, match="No data is lost"):
        converge(engine, CHANGES["under a quota"][1])
    assert ("remove_volume", "pgdata") not in engine.calls
    assert content(engine) == PRECIOUS


def test_a_share_that_cannot_be_mounted_leaves_the_volume_as_it_was(make):
    engine = make("to a share")
    before = state(engine)
    create = engine.create_volume

    def created(name, driver, options, labels):
        volume = create(name, driver, options, labels)
        engine.unmountable = {"pgdata": "connection refused"} if options else {}
        return volume

    with (
        mock.patch.object(engine, "create_volume", created),
        pytest.raises(EngineError, match=r"connection refused.*No data is lost"),
    ):
        converge(engine, CHANGES["to a share"][1])
    assert state(engine) == before


def test_a_way_back_that_ends_midway_is_gone_to_its_end_by_the_next_run(make):
    engine = make("within a plugin")
    before = state(engine)
    refused = refusing(engine, "create_volume", lambda _n, driver, options, _l: (options or {}).get("remote") == "b")
    with refused:
        with half_full(lambda target: target == "pgdata"), pytest.raises(VolumesError, match="could not be undone yet"):
            converge(engine, WITHIN)
        assert PRECIOUS in [one[3] for one in state(engine).values()]
        # Neither this one nor any other run takes half of the data for all of it.
        with half_full(lambda target: target == "pgdata"), pytest.raises(VolumesError, match="No space left"):
            converge(engine, WITHIN)
        assert PRECIOUS in [one[3] for one in state(engine).values()]
        converge(engine, {"drift": "ignore"})
    assert state(engine) == before


def test_a_driver_that_removes_half_of_the_data_and_then_fails_is_made_up_for(make):
    engine = make("within a plugin")

    def remove(name):
        shutil.rmtree(engine.place(name) / "sub")
        raise full()

    real = engine.remove_volume
    with (
        mock.patch.object(engine, "remove_volume", lambda name: (remove if name == "pgdata" else real)(name)),
        pytest.raises(EngineError, match=r"could not be undone yet.*All data from before.*pgdata\.voltainer-change"),
    ):
        converge(engine, WITHIN)
    assert content(engine, "pgdata.voltainer-change") == PRECIOUS
    with pytest.raises(OtherDataError, match="there is other data in it already"):
        converge(engine, WITHIN)
    # The way out that it names.
    engine.remove_volume("pgdata")
    converge(engine, WITHIN)
    assert {name: content(engine, name) for name in state(engine)} == {"pgdata": PRECIOUS}


def test_a_volume_that_a_container_has_when_it_is_to_be_removed_stays(make):
    engine = make("within a plugin")
    before = state(engine)
    real = engine.remove_volume

    def remove(name):
        if name == "pgdata":
            engine.containers.append(container("late", "pgdata", RCLONE))
            (engine.place("pgdata") / "new").write_text("new")
        return real(name)

    with (
        mock.patch.object(engine, "remove_volume", remove),
        pytest.raises(RefusedError, match=r"in use by .*late.*No data is lost"),
    ):
        converge(engine, WITHIN)
    before["pgdata"][3]["new"] = "new"
    assert state(engine) == before


def test_a_driver_that_keeps_the_data_of_removed_volumes_is_no_trouble(make):
    engine = make("labels of a plugin's")
    engine.plugins_keep = True
    converge(engine, CHANGES["labels of a plugin's"][1])
    assert {name: content(engine, name) for name in state(engine)} == {"pgdata": PRECIOUS}


def test_what_somebody_put_into_the_volume_between_is_kept(make):
    engine = make("within a plugin")
    assert stopped(engine, WITHIN, 6, "after")
    assert "pgdata" not in state(engine)
    # As it was before, by what starts its containers.
    engine.create_volume("pgdata", RCLONE, {"remote": "a"}, {"a": "b"})
    engine.place("pgdata").mkdir(parents=True)
    (engine.place("pgdata") / "fresh").write_text("fresh")
    there = state(engine)
    for _run in range(2):
        with pytest.raises(OtherDataError, match=r"remove 'pgdata\.voltainer-copied' and then"):
            converge(engine, WITHIN)
        assert state(engine) == there
    engine.remove_volume("pgdata.voltainer-copied")
    engine.remove_volume("pgdata.voltainer-change")
    converge(engine, WITHIN)
    assert {name: content(engine, name) for name in state(engine)} == {"pgdata": {"fresh": "fresh"}}


def test_who_works_with_the_new_share_already_does_not_find_the_old_volume_again(make):
    engine = make("to a share")
    # All has arrived, and only the marks are left.
    with mock.patch.object(_volume_copy, "unmark", mock.Mock(side_effect=[None, Killed])), pytest.raises(Killed):
        converge(engine, CHANGES["to a share"][1])
    assert set(state(engine)) == {"pgdata", "pgdata.voltainer-change", "pgdata.voltainer-copied"}
    (engine.place("pgdata") / "written").write_text("since")
    there = state(engine)
    with pytest.raises(OtherDataError):
        converge(engine, CHANGES["to a share"][1])
    assert state(engine) == there


def test_a_change_while_the_data_is_saved_is_found_out(make):
    engine = make("within a plugin")
    bring = Transfer.bring

    def one(transfer, at, target, **options):
        bring(transfer, at, target, **options)
        (engine.place("pgdata") / "other").write_text("changed")

    with (
        mock.patch.object(Transfer, "bring", one),
        pytest.raises(RefusedError, match=r"somebody changed its data while it was copied: 'other'.*No data is lost"),
    ):
        converge(engine, WITHIN)
    assert {name: content(engine, name) for name in state(engine)} == {"pgdata": {**PRECIOUS, "other": "changed"}}


def test_a_mark_without_its_staging_volume_counts_for_nothing(make):
    engine = make("within a plugin")
    assert stopped(engine, WITHIN, 5, "after")
    assert set(state(engine)) == {"pgdata", "pgdata.voltainer-change", "pgdata.voltainer-copied"}
    engine.remove_volume("pgdata.voltainer-change")
    # The same change again, which ends before all is saved.
    assert stopped(engine, WITHIN, 5, "midway")
    assert content(engine) == PRECIOUS
    converge(engine, WITHIN)
    assert {name: content(engine, name) for name in state(engine)} == {"pgdata": PRECIOUS}


def test_another_volume_of_the_mark_s_name_stays(make):
    engine = make("within a plugin")
    engine.create_volume("pgdata.voltainer-copied", "local", {}, {"whose": "mine"})
    before = state(engine)
    with pytest.raises(RefusedError, match=r"there is another volume 'pgdata\.voltainer-copied'.*No data is lost"):
        converge(engine, WITHIN)
    assert state(engine) == before


def test_a_volume_that_was_removed_before_its_data_was_saved_is_told(make):
    engine = make("within a plugin")
    assert stopped(engine, WITHIN, 3, "midway")
    engine.remove_volume("pgdata")
    with pytest.raises(RefusedError, match="removed by somebody else before its data was copied"):
        converge(engine, WITHIN)
    assert content(engine, "pgdata.voltainer-change") == {"other": "as well"}


@pytest.mark.parametrize("number", [2, 6, 7, 9])
def test_where_the_engine_is_gone_nothing_is_undone_and_the_next_run_does_it(make, number):
    engine = make("within a plugin")
    said = stopped(engine, WITHIN, number, "midway", lambda: EngineUnreachableError("Cannot do it", "gone"))
    assert said == "Cannot do it: gone."
    converge(engine, WITHIN)
    assert {name: content(engine, name) for name in state(engine)} == {"pgdata": PRECIOUS}


@pytest.mark.parametrize("state_wanted", [{"state": "absent"}, {"drift": "ignore"}])
def test_another_task_brings_the_change_to_an_end_first(make, state_wanted):
    number = 1
    while stopped(engine := make("within a plugin"), WITHIN, number, "midway"):
        converge(engine, state_wanted)
        found = {name: content(engine, name) for name in state(engine)}
        assert found == ({} if "state" in state_wanted else {"pgdata": PRECIOUS})
        number += 1


def test_the_data_of_an_engine_elsewhere_is_out_of_reach(make, monkeypatch):
    engine = make("within a plugin")
    monkeypatch.setattr(_volume_copy, "why_unreachable", lambda _engine: "its data cannot be copied from here")
    with pytest.raises(RefusedError, match=r"keep its data: its data cannot be copied from here.*data: discard"):
        converge(engine, WITHIN)
    assert engine.calls == []
