# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes that keep data, on real folders: what happens when one is killed, fails, or meets others."""

from __future__ import annotations

import contextlib
import os
from unittest import mock

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils import _folders
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import (
    EngineError,
    EngineUnreachableError,
    RefusedError,
    VolumesError,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import (
    CHANGE,
    Change,
    Definition,
    Volume,
    change_of,
    masked_inspect,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._volume_run import converge_volumes

from .fake_engine import container
from .volumes import FolderEngine, inspect, task

NFS = {"type": "nfs", "o": "addr=192.0.2.10", "device": ":/a"}
RELABEL = {"labels": {"a": "c"}, "recreate": "options-changed"}
RENAME = {"name": "new", "rename_from": "pgdata", "labels": {"a": "c"}}
CHANGES = {
    "relabel": (RELABEL, {}),
    "repoint": ({"driver_options": {"device": ":/b"}, "recreate": "options-changed"}, NFS),
    "discard": ({**RELABEL, "data": "discard"}, {}),
    "rename": (RENAME, {}),
    "rename a reference": (RENAME, NFS),
}


class Killed(BaseException):
    """What stands for SIGKILL: nothing of the module's own handles it."""


@pytest.fixture(autouse=True)
def _as_root(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)


@pytest.fixture
def make(tmp_path):
    """Return a function that makes an engine with one volume that has data."""

    def it(options=None, data=True):
        # A volume that refers to its data has none in its folder.
        data = data and not options
        root = tmp_path / str(len(list(tmp_path.iterdir())))
        engine = FolderEngine(root)
        engine.create_volume("pgdata", "local", options or {}, {"a": "b", "kept": "1"})
        if data:
            (engine.folder("pgdata") / "sub").mkdir()
            (engine.folder("pgdata") / "sub" / "file").write_text("precious")
        # As containers leave it behind: an empty volume, too, has an owner and a mode.
        engine.folder("pgdata").chmod(0o700)
        engine.calls.clear()
        return engine

    return it


@contextlib.contextmanager
def changing_calls(engine, wrapped):
    """Put `wrapped` around each call that changes something."""
    with (
        mock.patch.object(engine, "create_volume", wrapped(engine.create_volume)),
        mock.patch.object(engine, "remove_volume", wrapped(engine.remove_volume)),
        mock.patch.object(_folders, "move", wrapped(_folders.move)),
    ):
        yield


def killed(engine, want, number, before):
    """Run a task of which the n-th call that changes something is the last; return whether there was an n-th."""
    count = 0

    def killing(call):
        def one(*args, **kwargs):
            nonlocal count
            count += 1
            if count == number and before:
                raise Killed
            result = call(*args, **kwargs)
            if count == number:
                raise Killed
            return result

        return one

    with changing_calls(engine, killing):
        try:
            converge_volumes(engine, task(**want), False)
        except Killed:
            return True
    return False


def contents(folder):
    if not folder.exists():
        return None, []
    files = [(str(path.relative_to(folder)), path.read_text()) for path in sorted(folder.rglob("*")) if path.is_file()]
    return folder.stat().st_mode & 0o777, files


def state(engine):
    """Return all that counts: definitions, data, modes. The order of volumes does not."""
    return {
        name: (
            raw["Driver"],
            raw["Options"],
            raw["Labels"],
            *contents(engine.folder(name)),
        )
        for name, raw in sorted(engine.volumes_by_name.items())
    }


@pytest.mark.parametrize("data", [True, False])
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_keeps_the_data_where_it_should_and_leaves_nothing_behind(make, change, data):
    want, options = CHANGES[change]
    engine = make(options, data)
    before = state(engine)
    inode = engine.folder("pgdata").stat().st_ino
    check = converge_volumes(engine, task(**want), True)
    assert (engine.calls, state(engine)) == ([], before)
    real = converge_volumes(engine, task(**want), False)
    assert real.plan == check.plan
    name = want.get("name", "pgdata")
    assert list(state(engine)) == [name]
    assert state(engine)[name][2]["kept"] == "1"
    if change in {"relabel", "rename"}:
        assert engine.folder(name).stat().st_ino == inode
        assert state(engine)[name][3:] == (0o700, [("sub/file", "precious")] if data else [])
    again = converge_volumes(engine, task(**want), False)
    assert again.plan.steps == ()


@pytest.mark.parametrize("data", [True, False])
@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("change", CHANGES)
def test_killed_anywhere_and_run_again_is_as_if_never_killed(make, change, before, data):
    want, options = CHANGES[change]
    undisturbed = make(options, data)
    converge_volumes(undisturbed, task(**want), False)
    number = 1
    while killed(engine := make(options, data), want, number, before):
        there = state(engine)
        check = converge_volumes(engine, task(**want), True)
        assert state(engine) == there
        real = converge_volumes(engine, task(**want), False)
        assert bool(check.plan.steps) == bool(real.plan.steps)
        assert check.plan.after == real.plan.after
        assert state(engine) == state(undisturbed), number
        assert converge_volumes(engine, task(**want), False).plan.steps == ()
        number += 1
    assert number > len(_steps(want, options))


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("change", ["relabel", "rename"])
def test_killed_again_while_it_is_brought_to_an_end(make, change, before):
    want, options = CHANGES[change]
    undisturbed = make(options)
    converge_volumes(undisturbed, task(**want), False)
    for first in range(1, len(_steps(want, options)) + 1):
        second = 1
        while True:
            engine = make(options)
            assert killed(engine, want, first, before)
            again = killed(engine, want, second, before)
            converge_volumes(engine, task(**want), False)
            assert state(engine) == state(undisturbed), (first, second)
            if not again:
                break
            second += 1


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("other", [{}, {"state": "absent"}, {"labels": {"d": "e"}, "recreate": "options-changed"}])
@pytest.mark.parametrize("change", ["relabel", "repoint", "discard"])
def test_another_task_for_the_volume_brings_the_change_to_an_end_first(make, change, other, before):
    want, options = CHANGES[change]
    number = 1
    while killed(engine := make(options), want, number, before):
        converge_volumes(engine, task(drift="ignore", **other), False)
        assert list(state(engine)) == ([] if "state" in other else ["pgdata"])
        if change == "relabel" and "state" not in other:
            assert state(engine)["pgdata"][4] == [("sub/file", "precious")]
        number += 1
    assert number > 3


@pytest.mark.parametrize("before", [True, False])
def test_a_task_for_the_old_name_of_a_rename_brings_it_to_an_end_too(make, before):
    number = 1
    while killed(engine := make(), RENAME, number, before):
        outcome = converge_volumes(engine, task(drift="ignore"), False)
        there = state(engine)
        # Undone; or finished already, and then the old name is one like any other.
        assert [one for one in there.values() if one[4]]
        assert "new.voltainer-change" not in there
        assert outcome.values["volume"]["Name"] == "pgdata"
        number += 1
    assert number > 5


@pytest.mark.parametrize("filled", [False, True])
@pytest.mark.parametrize("change", ["relabel", "repoint"])
def test_a_volume_that_somebody_made_in_between_does_not_take_the_place_of_the_one_that_was_there(make, change, filled):
    want, options = CHANGES[change]
    undisturbed = make(options)
    converge_volumes(undisturbed, task(**want), False)
    engine = make(options)
    # As of a container that starts right after the volume was removed.
    assert killed(engine, want, 3 if change == "relabel" else 2, before=False)
    engine.create_volume("pgdata", "local", {}, {})
    if filled:
        (engine.folder("pgdata") / "other").write_text("other")
    if not filled:
        converge_volumes(engine, task(**want), False)
        assert state(engine) == state(undisturbed)
        return
    for check_mode in (True, False):
        with pytest.raises(RefusedError, match=r"there is data in each of 'pgdata' and 'pgdata\.voltainer-change'"):
            converge_volumes(engine, task(**want), check_mode)
    held = [one[4] for one in state(engine).values()]
    assert change == "repoint" or held == [[("other", "other")], [("sub/file", "precious")]]


@pytest.mark.parametrize("check_mode", [True, False])
@pytest.mark.parametrize("change", ["rename", "rename a reference"])
def test_a_volume_that_somebody_made_under_the_new_name_is_kept(make, change, check_mode):
    want, options = CHANGES[change]
    engine = make(options)
    assert killed(engine, want, 1, before=False)
    engine.create_volume("new", "local", {}, {})
    before = state(engine)
    with pytest.raises(RefusedError, match="there is data in each of 'pgdata' and 'new'"):
        converge_volumes(engine, task(**want), check_mode)
    assert state(engine) == before


@pytest.mark.parametrize("check_mode", [True, False])
def test_data_in_both_places_of_a_rename_is_kept(make, check_mode):
    engine = make()
    assert killed(engine, RENAME, 2, before=False)
    (engine.folder("new") / "other").write_text("other")
    with pytest.raises(RefusedError, match="there is data in each of 'pgdata' and 'new'"):
        converge_volumes(engine, task(**RENAME), check_mode)
    assert sorted(one[4] for one in state(engine).values()) == [
        [],
        [("other", "other")],
        [("sub/file", "precious")],
    ]


@pytest.mark.parametrize("change", ["relabel", "rename"])
def test_a_change_is_not_brought_to_an_end_under_the_feet_of_a_container(make, change):
    want, _options = CHANGES[change]
    engine = make()
    assert killed(engine, want, 4 if change == "relabel" else 2, before=False)
    engine.containers = [container("db", want.get("name", "pgdata"))]
    with pytest.raises(RefusedError, match="in use by db"):
        converge_volumes(engine, task(**want), False)
    assert [("sub/file", "precious")] in [one[4] for one in state(engine).values()]
    engine.containers = []
    converge_volumes(engine, task(**want), False)
    assert [one[4] for one in state(engine).values()] == [[("sub/file", "precious")]]


def test_a_rename_whose_new_volume_is_used_already_is_finished(make):
    engine = make()
    assert killed(engine, RENAME, 3, before=False)
    engine.containers = [container("db", "new")]
    outcome = converge_volumes(engine, task(**RENAME), False)
    assert outcome.plan.verbs == ("settle",)
    assert list(state(engine)) == ["new"]
    assert state(engine)["new"][4] == [("sub/file", "precious")]


def test_an_interrupted_change_that_is_out_of_reach_is_told(make):
    engine = make()
    assert killed(engine, RELABEL, 2, before=False)
    engine.is_here = False
    for check_mode in (True, False):
        with pytest.raises(RefusedError, match=r"bring the interrupted change .* only on the host of the engine"):
            converge_volumes(engine, task(), check_mode)


def test_a_container_that_starts_in_the_midst_of_a_change_gets_its_volume_back(make):
    engine = make()
    before = state(engine)
    move = _folders.move

    def moving(source, target):
        move(source, target)
        engine.containers = [container("late", "pgdata")]

    with (
        mock.patch.object(_folders, "move", moving),
        pytest.raises(RefusedError, match=r"in use by late.*The change could not be undone yet.*in use by late"),
    ):
        converge_volumes(engine, task(**RELABEL), False)
    engine.containers = []
    converge_volumes(engine, task(drift="ignore"), False)
    assert state(engine) == before


def test_an_engine_of_another_host_behind_a_socket_of_this_one_is_found_out_in_time(make):
    engine = make()
    before = state(engine)
    make_volume = engine.create_volume

    def create_volume(name, *args):
        volume = make_volume(name, *args)
        # What that engine makes is not on this host.
        engine.folder(name).parent.rename(engine.root.parent / "elsewhere")
        return volume

    with (
        mock.patch.object(engine, "create_volume", create_volume),
        pytest.raises(RefusedError, match=r"is not on this host .* Run the task on the host of the engine"),
    ):
        converge_volumes(engine, task(**RELABEL), False)
    assert state(engine) == before


@pytest.mark.parametrize("change", ["relabel", "rename"])
def test_a_run_that_finds_its_staging_volume_gone_changes_nothing(make, change):
    engine = make()
    before = state(engine)
    held = _folders.held

    @contextlib.contextmanager
    def late(path, words):
        # Another run took the change for an interrupted one, and ended it, before this one had the hold.
        with held(path, words):
            engine.remove_volume("new.voltainer-change" if change == "rename" else "pgdata.voltainer-change")
            yield

    with (
        mock.patch.object(_folders, "held", late),
        pytest.raises(RefusedError, match="another change of the volume began at the same moment"),
    ):
        converge_volumes(engine, task(**CHANGES[change][0]), False)
    assert state(engine) == before


@pytest.mark.parametrize("state_wanted", [{"state": "absent"}, {"drift": "ignore"}])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_check_mode_foresees_what_becomes_of_the_old_name_of_an_interrupted_rename(make, number, state_wanted):
    engine = make()
    assert killed(engine, RENAME, number, before=False)
    check = converge_volumes(engine, task(**state_wanted), True)
    real = converge_volumes(engine, task(**state_wanted), False)
    assert check.plan.verbs == real.plan.verbs
    assert check.plan.after == real.plan.after


@pytest.mark.parametrize("held_by", ["created", "exited"])
@pytest.mark.parametrize("change", ["relabel", "rename"])
def test_a_container_that_does_not_run_does_not_keep_the_data_away(make, change, held_by):
    want, _options = CHANGES[change]
    name = want.get("name", "pgdata")
    engine = make()
    assert killed(engine, want, 4 if change == "relabel" else 2, before=False)
    engine.containers = [container("db", name, state=held_by)]
    converge_volumes(engine, task(**want), False)
    assert state(engine)[name][3:] == (0o700, [("sub/file", "precious")])
    assert list(state(engine)) == [name]


@pytest.mark.parametrize("change", CHANGES)
def test_a_volume_that_was_protected_since_the_plan_was_made_stays(make, change):
    engine = make(CHANGES[change][1])
    create = engine.create_volume

    def create_volume(name, *args):
        volume = create(name, *args)
        # Another run is quicker.
        engine.volumes_by_name["pgdata"]["Labels"] = {"voltainer.volumes.protected": "true"}
        return volume

    with (
        mock.patch.object(engine, "create_volume", create_volume),
        pytest.raises(RefusedError, match="changed or removed by somebody else meanwhile"),
    ):
        converge_volumes(engine, task(**CHANGES[change][0]), False)
    assert list(state(engine)) == ["pgdata"]
    assert state(engine)["pgdata"][2] == {"voltainer.volumes.protected": "true"}


def test_a_volume_that_was_removed_meanwhile_does_not_come_back_empty(make):
    engine = make()
    create = engine.create_volume

    def create_volume(name, *args):
        volume = create(name, *args)
        # Another run, or somebody by hand.
        engine.remove_volume("pgdata")
        return volume

    with (
        mock.patch.object(engine, "create_volume", create_volume),
        pytest.raises(RefusedError, match="vanished meanwhile"),
    ):
        converge_volumes(engine, task(**RELABEL), False)
    # The staging volume is empty, and the next run takes it away.
    outcome = converge_volumes(engine, task(state="absent"), False)
    assert outcome.plan.verbs in {("settle",), ()}
    assert state(engine) == {}


def test_a_volume_that_is_removed_after_the_staging_is_told(make):
    engine = make()

    def gone(source, _target):
        engine.remove_volume("pgdata")
        raise VolumesError(f"Cannot move the folder {source}", "No such file or directory")

    with (
        mock.patch.object(_folders, "move", gone),
        pytest.raises(VolumesError, match="was removed by somebody else meanwhile, with its data"),
    ):
        converge_volumes(engine, task(**RELABEL), False)
    assert state(engine) == {}


def test_the_old_volume_of_a_rename_stays_where_the_new_one_is_gone(make):
    engine = make(NFS)
    create = engine.create_volume

    def create_volume(name, *args):
        volume = create(name, *args)
        if name == "new":
            del engine.volumes_by_name["new"]
        return volume

    with (
        mock.patch.object(engine, "create_volume", create_volume),
        pytest.raises(RefusedError, match="the new one, 'new', vanished meanwhile"),
    ):
        converge_volumes(engine, task(**RENAME), False)
    assert list(state(engine)) == ["pgdata"]


def test_the_staging_volume_carries_the_labels_of_the_volume_and_is_not_anonymous():
    definition = Definition("local", {}, {"keep": "1", "com.docker.volume.anonymous": ""})
    labels = Change("pgdata", "pgdata", "move", definition, definition).labels
    assert set(labels) == {"keep", CHANGE}


def test_a_name_that_leaves_no_room_for_the_staging_volume_is_shortened_there(tmp_path):
    engine = FolderEngine(tmp_path)
    name = "n" * 250
    engine.create_volume(name, "local", {}, {"a": "b"})
    (engine.folder(name) / "file").write_text("precious")
    number = 1
    while killed(engine, {"name": name, **RELABEL}, number, before=True):
        number += 1
    assert number > 4
    assert list(state(engine)) == [name]
    assert (engine.folder(name) / "file").read_text() == "precious"
    assert engine.volume(name).labels == RELABEL["labels"]


def test_another_volume_of_the_staging_volumes_name_stays(make):
    engine = make()
    engine.create_volume("pgdata.voltainer-change", "local", {}, {"whose": "mine"})
    before = state(engine)
    with pytest.raises(RefusedError, match=r"Cannot begin the change .*: there is another volume"):
        converge_volumes(engine, task(**RELABEL), False)
    assert state(engine) == before


def test_where_the_engine_is_gone_nothing_is_undone_and_the_next_run_does_it(make):
    engine = make()
    engine.fail["remove_volume"] = EngineUnreachableError("Cannot remove", "gone")
    with pytest.raises(EngineUnreachableError):
        converge_volumes(engine, task(**RELABEL), False)
    assert "pgdata.voltainer-change" in state(engine)
    converge_volumes(engine, task(**RELABEL), False)
    assert [one[4] for one in state(engine).values()] == [[("sub/file", "precious")]]


def test_what_is_to_be_done_is_read_from_the_staging_volume_only():
    definition = Definition("local", {"o": "password=hunter2"}, {"a": "b"})
    change = Change("pgdata", "pgdata", "move", definition, definition, 7)
    volume = Volume("pgdata.voltainer-change", "local", {}, change.labels, {})
    assert change_of(volume) == change
    for other in (
        Volume("copy", "local", {}, change.labels, {}),
        Volume("pgdata.voltainer-change", "local", {}, {}, {}),
        Volume("pgdata.voltainer-change", "local", {}, {CHANGE: "{}"}, {}),
        Volume("pgdata.voltainer-change", "local", {}, {CHANGE: "no JSON"}, {}),
    ):
        assert change_of(other) is None
    shown = masked_inspect(Volume.from_inspect(inspect(Labels=change.labels)), ())
    assert "hunter2" not in repr(shown)


def _steps(want, options):
    root = FolderEngine("/nowhere")
    root.volumes_by_name["pgdata"] = {
        "Name": "pgdata",
        "Driver": "local",
        "Options": options,
        "Labels": {},
        "Mountpoint": "/usr/share/_data",
    }
    return converge_volumes(root, task(**want), True).plan.steps


@pytest.mark.parametrize("number", range(1, 7))
@pytest.mark.parametrize("change", CHANGES)
def test_where_a_step_fails_the_volume_is_as_before(make, change, number):
    want, options = CHANGES[change]
    engine = make(options)
    before = state(engine)
    failed = _fail_at(engine, want, number)
    if failed is None:
        assert number > len(_steps(want, options))
        return
    if "Cannot begin" in failed:
        assert number == 1
    else:
        assert failed.endswith("is lost." if change != "discard" else ("before.", "discarded."))
    there = state(engine)
    assert [one for one in there if one.endswith(".voltainer-change")] == []
    if change in {"relabel", "rename"}:
        assert [one[4] for one in there.values()] == [[("sub/file", "precious")]]
    undone = {name: one[:3] for name, one in there.items()} == {name: one[:3] for name, one in before.items()}
    # Where only the last step is missing, it is easier to finish the change.
    assert undone or number >= len(_steps(want, options)) - 1
    converge_volumes(engine, task(**want), False)
    assert converge_volumes(engine, task(**want), False).plan.steps == ()


def _fail_at(engine, want, number):
    count = 0

    def failing(call):
        def one(*args, **kwargs):
            nonlocal count
            count += 1
            if count == number:
                raise EngineError("Cannot do it", "no space left on device", status=500)
            return call(*args, **kwargs)

        return one

    with changing_calls(engine, failing):
        try:
            converge_volumes(engine, task(**want), False)
        except VolumesError as exc:
            return str(exc)
    return None
