# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fills of volumes on real folders with real programs: killed and failed at each step, and met by others."""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import replace
from unittest import mock

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils import _fill_run, _folders
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import (
    EngineError,
    EngineUnreachableError,
    RefusedError,
    VolumesError,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._fill import Fill, fill_steps
from ansible_collections.voltainer.volumes.plugins.module_utils._fill_run import (
    AtRest,
    VolumeContent,
    carry_out_fill,
    look_for_fill,
    settle_fill,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._guard import name_of
from ansible_collections.voltainer.volumes.plugins.module_utils._plan import Step
from ansible_collections.voltainer.volumes.plugins.module_utils._quiesce import Rest
from ansible_collections.voltainer.volumes.plugins.module_utils._quiesce_run import Resting
from ansible_collections.voltainer.volumes.plugins.module_utils._transfer import Transfer
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import (
    FILL_OLD_SUFFIX,
    Definition,
    name_beside,
)

from .fake_engine import container, plugin_inspect
from .volumes import FolderEngine, folder_helper

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root reaches the data of volumes")

PLUGIN = Definition("rclone:latest", {"remote": "t"}, {"a": "b"})
LOCAL = Definition("local", {}, {"a": "b"})
NEW = {"sub/file": "new", "other": "new as well"}
OLD = {"old": "precious"}
BASE = Fill("data", "copy of the volume 'src'", "direct", True, PLUGIN, "data.before", False, "4f")
# Each fill, and what is in the target before: None where there is no such volume.
FILLS = {
    "direct, new": (BASE, None),
    "direct, empty": (replace(BASE, created=False, empty=True), {}),
    "update": (replace(BASE, way="update", created=False), OLD),
    "exchange, new": (replace(BASE, way="exchange", definition=LOCAL), None),
    "exchange, empty": (replace(BASE, way="exchange", created=False, definition=LOCAL, empty=True), {}),
    "exchange": (replace(BASE, way="exchange", created=False, definition=LOCAL), OLD),
    "exchange, kept": (replace(BASE, way="exchange", created=False, definition=LOCAL, keep=True), OLD),
    "replace, new": (replace(BASE, way="replace"), None),
    "replace, empty": (replace(BASE, way="replace", created=False, empty=True), {}),
    "replace": (replace(BASE, way="replace", created=False), OLD),
    "replace, kept": (replace(BASE, way="replace", created=False, keep=True), OLD),
}


class Killed(BaseException):
    """What stands for SIGKILL: nothing of the module's own handles it."""


@pytest.fixture(autouse=True)
def _at_hand(monkeypatch):
    monkeypatch.setattr(_fill_run, "reach", folder_helper)
    monkeypatch.setattr(_fill_run, "why_not_here", lambda _engine: "")


def write(place, files):
    for name, text in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)


@pytest.fixture
def make(tmp_path):
    """Return a function that makes an engine with the source of a fill, and its target."""

    def it(name):
        fill, before = FILLS[name]
        root = tmp_path / str(len(list(tmp_path.iterdir())))
        engine = FolderEngine(root, plugins=[plugin_inspect(Name=PLUGIN.driver)])
        engine.create_volume("src", "local", {}, {})
        write(engine.folder("src"), NEW)
        if before is not None:
            engine.create_volume(fill.target, fill.definition.driver, fill.definition.options, fill.definition.labels)
            engine.place(fill.target).mkdir(parents=True, exist_ok=True)
            write(engine.place(fill.target), before)
        engine.calls.clear()
        return engine

    return it


def content(engine, name):
    place = engine.place(name)
    return {str(path.relative_to(place)): path.read_text() for path in sorted(place.rglob("*")) if path.is_file()}


def contents(engine):
    return {name: content(engine, name) for name in sorted(engine.volumes_by_name)}


def before_of(name):
    fill, before = FILLS[name]
    return {"src": NEW} if before is None else {fill.target: before, "src": NEW}


def after_of(name):
    fill, before = FILLS[name]
    kept = {fill.previous: before} if fill.keep else {}
    return {fill.target: NEW, **kept, "src": NEW}


def carry_out(engine, name, at_rest=None, quiesce=(), resume=()):
    fill = FILLS[name][0]
    steps = list(fill_steps(fill, quiesce, resume, at="swap"))
    return carry_out_fill(engine, steps, VolumeContent(Transfer("src")), at_rest or AtRest(engine, None, 0))


def _half(transfer, at, target, **_options):
    """Bring what a copy brings that is ended in the middle."""
    source = at.places[transfer.source]
    for name in [name for name in os.listdir(source) if name != "sub"]:
        shutil.copy(f"{source}/{name}", at.places[target])


@contextlib.contextmanager
def changing_calls(engine, wrapped):
    """Put `wrapped` around each call that changes something, in volumes or in their data."""
    with (
        mock.patch.object(engine, "create_volume", wrapped(engine.create_volume)),
        mock.patch.object(engine, "remove_volume", wrapped(engine.remove_volume)),
        mock.patch.object(engine, "create_helper", wrapped(engine.create_helper)),
        mock.patch.object(_folders, "move", wrapped(_folders.move)),
        mock.patch.object(_folders, "exchange", wrapped(_folders.exchange)),
        mock.patch.object(Transfer, "bring", wrapped(Transfer.bring, half=_half)),
        mock.patch.object(Transfer, "check", wrapped(Transfer.check)),
    ):
        yield


def stopped(engine, run, number, how, error=Killed):
    """Run something whose n-th call that changes something is the last; return whether there was an n-th.

    `how` says what becomes of that call: nothing, half of it, or all. Where the error is handled, return its words.
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

    said = ""
    with changing_calls(engine, stopping):
        try:
            run(engine)
        except Killed:
            pass
        except VolumesError as exc:
            said = str(exc)
    # The engine ends the helper container with its input.
    engine.containers = [one for one in engine.containers if not one["Id"].startswith("helper")]
    return said or count >= number


def full():
    return EngineError("Cannot do it", "no space left on device", status=500)


HOWS = ("before", "midway", "after")


@pytest.mark.parametrize("name", FILLS)
def test_a_fill_leaves_the_new_content_and_nothing_else(make, name):
    engine = make(name)
    carry_out(engine, name)
    assert contents(engine) == after_of(name)
    assert engine.volume("data").made_as(FILLS[name][0].definition)
    assert engine.containers == []
    assert look_for_fill(engine, "data") is None
    settle_fill(engine, "data")
    assert contents(engine) == after_of(name)


# What follows a call is what comes before the next one.
@pytest.mark.parametrize("how", ["before", "midway"])
@pytest.mark.parametrize("name", FILLS)
def test_a_killed_fill_is_settled_to_before_or_after_and_never_half(make, name, how):
    number = 1
    ends = []
    while stopped(engine := make(name), lambda engine: carry_out(engine, name), number, how):
        settle_fill(engine, "data")
        found = contents(engine)
        if name == "update":
            assert set(found) == {"data", "src"}
            # It goes on in place, and is never left as if it were whole.
            found = contents(engine) if found["data"] == NEW else before_of(name)
        assert found in (before_of(name), after_of(name)), number
        ends.append(found == after_of(name))
        number += 1
    # What was complete once is not undone any more.
    assert number > 5
    assert ends == sorted(ends)
    assert ends[-1]


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("name", [name for name in FILLS if name != "update"])
def test_a_fill_that_fails_is_undone_or_says_what_is_left(make, name, how):
    number = 1
    while said := stopped(engine := make(name), lambda engine: carry_out(engine, name), number, how, full):
        found = contents(engine)
        if said is True or "is in its place" in said:
            assert found["data"] == NEW, (number, said)
        elif "has content, which is complete" in said:
            assert found == after_of(name), (number, said)
        elif number > 1:
            assert "was removed again" in said or "is as it was before" in said
            assert found == before_of(name), (number, said)
        settle_fill(engine, "data")
        assert contents(engine) in (before_of(name), after_of(name)), number
        number += 1
    assert number > 5


@pytest.mark.parametrize("name", ["direct, new", "exchange, kept", "replace, new", "replace, kept"])
def test_killed_again_while_it_is_settled(make, name):
    first = 4
    while stopped(make(name), lambda engine: carry_out(engine, name), first, "midway"):
        second = 1
        again = True
        while again:
            engine = make(name)
            assert stopped(engine, lambda engine: carry_out(engine, name), first, "midway")
            again = stopped(engine, lambda engine: settle_fill(engine, "data"), second, "midway")
            settle_fill(engine, "data")
            assert contents(engine) in (before_of(name), after_of(name)), (first, second)
            second += 1
        first += 1


def meanwhile(engine, verb, change):
    """Let something happen right before the step."""
    do = _fill_run._Run.do

    def one(run, step):
        if step.verb == verb:
            run._let_go()
            change(engine)
        do(run, step)

    return mock.patch.object(_fill_run._Run, "do", one)


def put(engine):
    write(engine.place("data"), {"theirs": "theirs"})


@pytest.mark.parametrize(
    ("name", "verb"),
    [
        ("direct, empty", "fill"),
        ("direct, new", "fill"),
        ("exchange, empty", "fill"),
        ("exchange, empty", "swap"),
        ("exchange, new", "swap"),
        ("replace, empty", "save"),
        ("replace, empty", "swap"),
        ("replace, new", "swap"),
    ],
)
def test_what_somebody_puts_into_an_empty_target_meanwhile_is_kept(make, name, verb):
    engine = make(name)
    with meanwhile(engine, verb, put), pytest.raises(RefusedError, match=r"not empty any more|put content into"):
        carry_out(engine, name)
    assert contents(engine) == {"data": {"theirs": "theirs"}, "src": NEW}


@pytest.mark.parametrize("name", ["exchange, empty", "exchange, new", "replace, empty", "replace, new"])
def test_what_somebody_put_into_an_empty_target_after_a_killed_run_is_kept(make, name):
    engine = make(name)
    with meanwhile(engine, "swap", mock.Mock(side_effect=Killed)), pytest.raises(Killed):
        carry_out(engine, name)
    put(engine)
    there = contents(engine)
    for _run in range(2):
        with pytest.raises(RefusedError, match=r"remove 'data\.voltainer-filled' and 'data\.voltainer-fill'"):
            settle_fill(engine, "data")
        assert contents(engine) == there
    (engine.place("data") / "theirs").unlink()
    settle_fill(engine, "data")
    assert contents(engine) == after_of(name)


@pytest.mark.parametrize("name", [name for name in FILLS if "save" in [s.verb for s in fill_steps(FILLS[name][0])]])
def test_who_works_with_the_new_content_already_keeps_what_was_written_since(make, name):
    engine = make(name)
    with meanwhile(engine, "unmark", mock.Mock(side_effect=Killed)), pytest.raises(Killed):
        carry_out(engine, name)
    (engine.place("data") / "since").write_text("since")
    settle_fill(engine, "data")
    assert content(engine, "data") == {**NEW, "since": "since"}
    assert look_for_fill(engine, "data") is None


@pytest.mark.parametrize("name", ["replace", "replace, kept", "replace, empty", "exchange"])
def test_users_are_brought_back_after_what_failed_is_undone(make, name, monkeypatch):
    engine = make(name)
    seen = []

    @contextlib.contextmanager
    def quiesced(_engine, _rest, *, timeout):
        try:
            yield Resting()
        finally:
            seen.append(content(engine, "data"))

    monkeypatch.setattr(_fill_run, "quiesced", quiesced)
    at_rest = AtRest(engine, mock.Mock(spec=Rest), 10)
    around = ([Step("quiesce", "")], [Step("resume", "")])
    bring = Transfer.bring

    def failing(transfer, at, target, **options):
        if transfer.source == "data.voltainer-fill":
            _half(transfer, at, target)
            raise full()
        bring(transfer, at, target, **options)

    with (
        mock.patch.object(Transfer, "bring", failing),
        mock.patch.object(_folders, "exchange", mock.Mock(side_effect=full())),
        pytest.raises(VolumesError, match="is as it was before"),
    ):
        carry_out(engine, name, at_rest, *around)
    assert seen == [FILLS[name][1]]
    assert contents(engine) == before_of(name)


@pytest.mark.parametrize("verb", ["fill", "swap"])
@pytest.mark.parametrize("name", ["exchange", "replace"])
def test_the_target_of_a_running_container_is_left_alone(make, name, verb):
    engine = make(name)

    def start(engine):
        engine.containers.append(container("late", "data", FILLS[name][0].definition.driver))

    with meanwhile(engine, verb, start), pytest.raises(RefusedError, match=r"in use by .*late"):
        carry_out(engine, name)
    assert content(engine, "data") == OLD
    assert set(contents(engine)) == {"data", "src"}


def test_a_container_that_starts_while_folders_change_places_is_told_and_the_next_run_goes_on(make):
    engine = make("exchange")
    exchange = _folders.exchange

    def exchanging(one, other):
        exchange(one, other)
        engine.containers.append(container("late", "data"))

    with (
        mock.patch.object(_folders, "exchange", exchanging),
        pytest.raises(RefusedError, match=r"in use by .*late.*the next run of the task removes"),
    ):
        carry_out(engine, "exchange")
    assert content(engine, "data") == NEW
    engine.containers = []
    settle_fill(engine, "data")
    assert contents(engine) == after_of("exchange")


def test_a_target_that_is_in_use_or_changed_since_the_plan_was_made_is_left_alone(make):
    engine = make("exchange")
    engine.containers = [container("db", "data")]
    with pytest.raises(RefusedError, match=r"in use by .*db"):
        carry_out(engine, "exchange")
    engine.containers = [container("db", "data", state="exited")]
    carry_out(engine, "exchange")
    for change in (
        lambda engine: engine.remove_volume("data"),
        lambda engine: engine.create_volume("x", "local", {}, {}),
    ):
        engine = make("exchange")
        change(engine)
        engine.volumes_by_name.get("data", {})["Labels"] = {"other": "1"}
        with pytest.raises(RefusedError, match="changed or removed by somebody else"):
            carry_out(engine, "exchange")
        assert look_for_fill(engine, "data") is None


def test_a_run_that_finds_another_one_s_staging_volume_leaves_it_alone(make):
    engine = make("exchange")
    other = replace(FILLS["exchange"][0], nonce="50")
    held = _folders.held

    @contextlib.contextmanager
    def late(path, words):
        with held(path, words):
            # Another run took this one for an interrupted one, ended it, and began its own.
            engine.volumes_by_name[other.staging]["Labels"] = other.labels
            yield

    with mock.patch.object(_folders, "held", late), pytest.raises(RefusedError, match="by somebody else meanwhile"):
        carry_out(engine, "exchange")
    assert look_for_fill(engine, "data").fill == other
    with pytest.raises(RefusedError, match=r"there is another volume 'data\.voltainer-fill'"):
        carry_out(engine, "exchange")
    assert content(engine, "data") == OLD


@pytest.mark.parametrize("name", ["data.voltainer-filled", "data.before"])
def test_other_volumes_of_these_names_stay(make, name):
    fill = "replace, kept"
    engine = make(fill)
    # As an earlier fill of the volume may have left it.
    engine.create_volume(name, "local", {}, {"voltainer.volumes.previous": "data"})
    write(engine.folder(name), {"precious": "1"})
    with pytest.raises(RefusedError, match="there is another volume"):
        carry_out(engine, fill)
    assert contents(engine) == {**before_of(fill), name: {"precious": "1"}}


def test_a_staging_volume_that_was_removed_by_hand_does_not_take_the_content_of_before_along(make):
    engine = make("replace")
    with half_way(), pytest.raises(Killed):
        carry_out(engine, "replace")
    engine.remove_volume("data.voltainer-fill")
    there = contents(engine)
    assert there["data.before"] == {**OLD, name_of("4f"): ""}
    with pytest.raises(RefusedError, match=r"was removed by somebody else.*into 'data\.before', which has the content"):
        settle_fill(engine, "data")
    assert contents(engine) == there


def half_way():
    """Let the copy over a target be killed midway."""
    bring = Transfer.bring

    def one(transfer, at, target, **options):
        if transfer.source.endswith("-fill"):
            _half(transfer, at, target)
            raise Killed
        bring(transfer, at, target, **options)

    return mock.patch.object(Transfer, "bring", one)


def test_a_previous_content_that_was_removed_by_hand_is_not_copied_over_the_target(make):
    engine = make("replace")
    real = Transfer.bring

    def one(transfer, at, target, **options):
        if transfer.source.endswith("-fill"):
            engine.remove_volume("data.before")
            _half(transfer, at, target)
            raise full()
        real(transfer, at, target, **options)

    with mock.patch.object(Transfer, "bring", one), pytest.raises(VolumesError, match="could not be undone yet"):
        carry_out(engine, "replace")
    assert content(engine, "data.voltainer-fill") == NEW
    assert "data.before" not in contents(engine)
    settle_fill(engine, "data")
    assert contents(engine) == after_of("replace")


def test_a_source_that_is_removed_meanwhile_does_not_make_an_empty_copy(make):
    engine = make("replace")
    with (
        meanwhile(engine, "fill", lambda engine: engine.remove_volume("src")),
        pytest.raises(RefusedError, match="'src': there is no such volume"),
    ):
        carry_out(engine, "replace")
    assert contents(engine) == {"data": OLD}


@pytest.mark.parametrize("name", ["exchange", "replace", "exchange, new"])
def test_a_target_that_was_removed_after_a_killed_run_gets_the_new_content(make, name):
    engine = make(name)
    with meanwhile(engine, "swap", mock.Mock(side_effect=Killed)), pytest.raises(Killed):
        carry_out(engine, name)
    engine.remove_volume("data")
    settle_fill(engine, "data")
    assert contents(engine) == after_of(name)
    assert engine.volume("data").made_as(FILLS[name][0].definition)


@pytest.mark.parametrize("name", ["exchange", "exchange, kept"])
def test_a_target_that_was_removed_with_the_new_content_keeps_that_of_before(make, name):
    engine = make(name)
    with meanwhile(engine, "unmark", mock.Mock(side_effect=Killed)), pytest.raises(Killed):
        carry_out(engine, name)
    engine.remove_volume("data")
    with pytest.raises(RefusedError, match=r"is another one than before, or is gone\. All is kept"):
        settle_fill(engine, "data")
    assert OLD in contents(engine).values()


def test_another_folder_in_the_place_of_the_target_is_kept(make):
    engine = make("exchange")
    with meanwhile(engine, "swap", mock.Mock(side_effect=Killed)), pytest.raises(Killed):
        carry_out(engine, "exchange")
    engine.folder("data").rename(engine.root / "aside")
    write(engine.folder("data"), {"theirs": "theirs"})
    there = contents(engine)
    with pytest.raises(RefusedError, match="is another one than before"):
        settle_fill(engine, "data")
    assert contents(engine) == there


@pytest.mark.parametrize(("verb", "fills"), [("complete", False), ("swap", True), ("unmark", True)])
def test_an_exchange_is_not_settled_from_elsewhere_by_guesses(make, verb, fills):
    engine = make("exchange, new")
    with meanwhile(engine, verb, mock.Mock(side_effect=Killed)), pytest.raises(Killed):
        carry_out(engine, "exchange, new")
    put(engine)
    engine.is_here = False
    there = contents(engine)
    if fills:
        with pytest.raises(RefusedError, match="only on the host of the engine"):
            settle_fill(engine, "data")
        assert contents(engine) == there
        return
    # The volume is somebody else's meanwhile, though none of its folders is here.
    engine.volumes_by_name["data"]["Mountpoint"] = "/nowhere/data/_data"
    settle_fill(engine, "data")
    assert contents(engine) == {"data": {"theirs": "theirs"}, "src": NEW}


def test_two_runs_at_once_do_not_settle_each_other_s_fill(make):
    engine = make("exchange")

    def settle(engine):
        with pytest.raises(RefusedError, match="another run is at it"):
            settle_fill(engine, "data")

    with meanwhile(engine, "swap", settle):
        carry_out(engine, "exchange")
    assert contents(engine) == after_of("exchange")


@pytest.mark.parametrize("number", [2, 5, 9, 14])
def test_where_the_engine_is_gone_nothing_is_undone_and_the_next_run_does_it(make, number):
    engine = make("replace")

    def gone():
        return EngineUnreachableError("Cannot do it", "gone")

    said = stopped(engine, lambda engine: carry_out(engine, "replace"), number, "midway", gone)
    assert said == "Cannot do it: gone. The next run of the task brings the fill to an end."
    settle_fill(engine, "data")
    assert contents(engine) in (before_of("replace"), after_of("replace"))


def test_no_guard_is_left_in_the_new_content_and_its_folder_is_as_it_was(make):
    for name in ("direct, new", "replace, new", "exchange, new"):
        engine = make(name)
        os.utime(engine.folder("src"), ns=(10**18, 10**18))
        carry_out(engine, name)
        assert name_of("4f") not in os.listdir(engine.place("data"))
        assert engine.place("data").stat().st_mtime_ns == 10**18


@pytest.mark.parametrize("target", ["team/data", "d" * 255])
def test_a_target_whose_name_leaves_no_room_for_those_of_its_marks(tmp_path, target):
    old = name_beside(target, FILL_OLD_SUFFIX)
    fill = replace(BASE, target=target, way="replace", created=False, previous=old)
    for verb in ("fill", "complete", "swap", "unmark", ""):
        engine = FolderEngine(tmp_path / (verb or "none"), plugins=[plugin_inspect(Name=PLUGIN.driver)])
        engine.create_volume("src", "local", {}, {})
        write(engine.folder("src"), NEW)
        engine.create_volume(target, PLUGIN.driver, PLUGIN.options, PLUGIN.labels)
        write(engine.place(target), OLD)
        run = carry_out_fill, fill_steps(fill), VolumeContent(Transfer("src")), AtRest(engine, None, 0)
        with meanwhile(engine, verb, mock.Mock(side_effect=Killed)), contextlib.suppress(Killed):
            run[0](engine, *run[1:])
        settle_fill(engine, target)
        assert contents(engine) == {target: OLD if verb in {"fill", "complete", "swap"} else NEW, "src": NEW}


# Labels that somebody forged

GUARDED = {"voltainer.volumes.protected": "true"}


def forged(engine, fill, *, complete):
    """Make the volumes that tell of a fill which nobody began, with other content; return all that is there then."""
    staging = engine.create_volume(fill.staging, "local", {}, fill.labels)
    write(engine.folder(fill.staging), {"forged": "forged"})
    if complete:
        inodes = [_folders.inode(one.mountpoint) or 0 for one in (staging, engine.volume(fill.target))]
        engine.create_volume(fill.mark, "local", {}, fill.complete_labels(*inodes))
    return contents(engine)


def protect(engine, name):
    """Protect a volume, and return its definition."""
    engine.volumes_by_name[name]["Labels"] = {**engine.volumes_by_name[name]["Labels"], **GUARDED}
    return engine.volume(name).definition


@pytest.mark.parametrize("name", ["exchange", "exchange, kept", "replace", "replace, kept"])
@pytest.mark.parametrize("protected", [True, False])
def test_what_a_volume_holds_is_not_lost_by_settling_what_nobody_began(make, name, protected):
    engine = make(name)
    definition = protect(engine, "data") if protected else engine.volume("data").definition
    forged(engine, replace(FILLS[name][0], definition=definition), complete=True)
    settle_fill(engine, "data")
    assert contents(engine) == {"data": OLD, "src": NEW}


@pytest.mark.parametrize("name", ["exchange", "exchange, kept", "replace", "replace, kept"])
def test_what_users_wrote_after_a_kill_stays_where_the_swap_had_not_begun(make, name):
    engine = make(name)
    with meanwhile(engine, "swap", mock.Mock(side_effect=Killed)), pytest.raises(Killed):
        carry_out(engine, name)
    write(engine.place("data"), {"precious": "precious"})
    said = settle_fill(engine, "data")
    assert said == "The copy of the volume 'src' into the volume 'data' that was interrupted is undone now"
    assert contents(engine) == {"data": {**OLD, "precious": "precious"}, "src": NEW}
    assert settle_fill(engine, "data") == ""


@pytest.mark.parametrize("way", ["direct", "exchange", "replace"])
@pytest.mark.parametrize("protected", [True, False])
@pytest.mark.parametrize("held", [{}, OLD, {name_of("4f"): "", "half": "half"}])
def test_a_volume_that_should_be_the_fill_s_own_goes_only_where_that_is_proven(make, way, protected, held):
    # The target is there, with a definition that anybody can read.
    engine = make("exchange" if way == "exchange" else "direct, empty")
    definition = protect(engine, "data") if protected else engine.volume("data").definition
    shutil.rmtree(engine.place("data"))
    engine.place("data").mkdir()
    write(engine.place("data"), held)
    forged(engine, replace(BASE, way=way, definition=definition), complete=False)
    settle_fill(engine, "data")
    proven = name_of("4f") in held and way != "exchange"
    gone = proven or (not held and not protected)
    assert contents(engine) == ({"src": NEW} if gone else {"data": held, "src": NEW})


@pytest.mark.parametrize("keep", [True, False])
def test_what_an_earlier_fill_kept_is_not_removed_for_one_that_was_forged(make, keep):
    engine = make("replace, kept")
    carry_out(engine, "replace, kept")
    there = contents(engine)
    assert there["data.before"] == OLD
    fill = FILLS["replace, kept"][0]
    # All that is needed can be read from the labels.
    forged(engine, replace(fill, keep=keep), complete=False)
    settle_fill(engine, "data")
    assert contents(engine) == there


@pytest.mark.parametrize("suffix", ["voltainer-fill", "voltainer-filled"])
def test_a_volume_with_the_name_of_a_mark_that_is_none_is_not_removed(make, suffix):
    engine = make("exchange")
    with meanwhile(engine, "unmark", mock.Mock(side_effect=Killed)), pytest.raises(Killed):
        carry_out(engine, "exchange")
    other = f"data.{suffix}"
    engine.volumes_by_name[other]["Labels"] = {**engine.volumes_by_name[other]["Labels"], **GUARDED}
    write(engine.folder(other), {"precious": "1"})
    with pytest.raises(RefusedError, match=rf"'{other}' is not as it was made for that"):
        settle_fill(engine, "data")
    assert content(engine, other)["precious"] == "1"
