# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carry out a fill of a volume, and bring one that was interrupted to an end (see `_fill`).

At each moment the target has all of its content from before, or all of the new one, or the staging volume has; which
one the labels tell, and the inodes of the folders.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Protocol

from ansible_collections.voltainer.volumes.plugins.module_utils import _folders
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import (
    EngineError,
    EngineUnreachableError,
    RefusedError,
    VolumesError,
    sentence,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._fill import (
    Fill,
    Unfinished,
    fill_of,
    is_mark,
    is_previous,
    previous_definition,
    unfinished_fill,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._guard import name_of
from ansible_collections.voltainer.volumes.plugins.module_utils._helper import Helper, why_not_here
from ansible_collections.voltainer.volumes.plugins.module_utils._helper_engine import HelperEngine
from ansible_collections.voltainer.volumes.plugins.module_utils._plan import Step
from ansible_collections.voltainer.volumes.plugins.module_utils._quiesce import Rest
from ansible_collections.voltainer.volumes.plugins.module_utils._quiesce_engine import QuiesceEngine
from ansible_collections.voltainer.volumes.plugins.module_utils._quiesce_run import Resting, quiesced
from ansible_collections.voltainer.volumes.plugins.module_utils._reach import Reach, reach
from ansible_collections.voltainer.volumes.plugins.module_utils._stream import StreamContent
from ansible_collections.voltainer.volumes.plugins.module_utils._transfer import Report, Transfer, check_fits
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import FILL, LOCAL, Volume
from ansible_collections.voltainer.volumes.plugins.module_utils._volume_plan import in_use
from ansible_collections.voltainer.volumes.plugins.module_utils._volume_steps import (
    changed_meanwhile,
    create_volume,
    remove_volume,
)


class Content(Protocol):
    """What a volume is filled with."""

    @property
    def sources(self) -> Mapping[str, bool]:
        """The volumes that it is read from; False for each, since none is written to."""

    def bring(self, at: Reach, target: str, *, update: bool = False) -> None:
        """Bring it into the volume `target`, which is empty or, with `update`, is made equal to it."""

    def check(self, at: Reach, target: str, *, besides: str = "") -> None:
        """Compare the volume `target` with it, apart from a file. Raises VolumesError where they differ."""


@dataclass
class VolumeContent:
    """The content of a volume of the same engine, on its host."""

    transfer: Transfer

    @property
    def report(self) -> Report:
        """What was seen on the way."""
        return self.transfer.report

    @property
    def sources(self) -> Mapping[str, bool]:
        """See Content."""
        return {self.transfer.source: False}

    def bring(self, at: Reach, target: str, *, update: bool = False) -> None:
        """See Content."""
        self.transfer.bring(_here(at), target, update=update)

    def check(self, at: Reach, target: str, *, besides: str = "") -> None:
        """See Content."""
        self.transfer.check(_here(at), target, besides=besides)


def _here(at: Reach) -> Helper:
    if not isinstance(at, Helper):
        raise RefusedError("Cannot copy volumes", "the engine is on another host", "Run the task there")
    return at


@dataclass(frozen=True)
class AtRest:
    """Who of `engine` is at rest between the steps that say so, with `timeout` seconds to come to it."""

    engine: QuiesceEngine
    rest: Rest | None
    timeout: int


def carry_out_fill(engine: HelperEngine, steps: Iterable[Step], content: Content, at_rest: AtRest) -> Resting:
    """Carry out the steps of a fill. Where one fails, the target is as before, or the error says how it is."""
    mark, *others = steps
    fill: Fill = mark.arguments["fill"]
    staging = _mark(engine, fill)
    with _held(engine, staging, fill):
        _check_still(engine, fill)
        run = _Run(engine, fill, content, at_rest)
        try:
            with run:
                for step in others:
                    run.do(step)
                return run.resting
        except EngineUnreachableError as exc:
            exc.way_out = f"{sentence(exc.way_out)} The next run of the task brings the fill to an end".strip()
            raise
        except VolumesError as exc:
            undone = run.undone or _undone(engine, fill, touched=run.touched)
            exc.way_out = " ".join(filter(None, [sentence(exc.way_out), undone]))
            raise


def words_of(fill: Fill) -> str:
    """Return what the fill is, for errors."""
    return f"{fill.words} into the volume '{fill.target}'"


def look_for_fill(engine: HelperEngine, target: str) -> Unfinished | None:
    """Return the interrupted fill of the volume, or None."""
    # By a list of the engine's own volumes: for a name that is not there, it would ask all drivers, and one may hang.
    return unfinished_fill(target, engine.volumes(LOCAL, label=FILL, seconds=engine.timeout).volumes)


def settle_fill(engine: HelperEngine, target: str, *, confirmed: bool = False) -> str:
    """Bring the interrupted fill of the volume to an end: undo it, or finish it. Raises VolumesError.

    Return what was done, as a sentence; "" where there was nothing to do.

    What is protected is not removed, unless that is `confirmed`: the task that began the fill may have been, but all
    that tells of it is a label.
    """
    found = look_for_fill(engine, target)
    holder = (found.staging or found.mark) if found else None
    if found is None or holder is None:
        return ""
    with _held(engine, holder, found.fill):
        # Another run may have done it before this one had the hold.
        found = look_for_fill(engine, target)
        if found is None:
            return ""
        finished = bool(found.mark) and _finished(engine, found)
        if not finished:
            _undo(engine, found.fill, own=False, confirmed=confirmed)
    return f"The {words_of(found.fill)} that was interrupted is {'finished' if finished else 'undone'} now"


def _held(engine: HelperEngine, volume: Volume, fill: Fill) -> AbstractContextManager[None]:
    # The folder of an engine elsewhere cannot be held, and two runs at once are not kept apart.
    if not engine.is_here or not _folders.can_hold(volume.mountpoint):
        return nullcontext()
    return _folders.held(volume.mountpoint, words_of(fill))


# What is in a target: "emptied" was what the guard proved to be the fill's own; "" is what is complete, or another's.
Left = Literal["emptied", "nothing", ""]
# How far the complete new content is in a target: all of it, a part, or nothing.
Far = Literal["done", "begun", "not"]
# While these are done, the helper container stays.
_WITH_HELPER = frozenset({"fill", "verify", "quiesce", "resume"})


class _Run:
    """A fill that is being carried out, step by step."""

    def __init__(self, engine: HelperEngine, fill: Fill, content: Content, at_rest: AtRest) -> None:
        self.resting = Resting()
        # Whether the content of before may be gone from the target already, and what was done about it.
        self.touched = False
        self.undone = ""
        self._to_rest: AtRest | None = at_rest if at_rest.rest else None
        self._at_rest = ExitStack()
        self._engine = engine
        self._fill = fill
        self._content = content
        self._stack = ExitStack()
        self._at: Reach | None = None
        self._brought = False
        self._steps: Mapping[str, Callable[[Step], None]] = {
            "quiesce": self._quiesce,
            "resume": self._resume,
            "create": self._create,
            "fill": self._bring,
            "verify": self._verify,
            "save": self._save,
            "complete": self._complete,
            "swap": self._swap,
            "keep": lambda _step: _keep(engine, fill),
            "unmark": lambda _step: _unmark(engine, fill),
        }

    def __enter__(self) -> _Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Those at rest first: they wait. But they must not find half of the content.
        try:
            if self.touched and isinstance(exc, VolumesError) and not isinstance(exc, EngineUnreachableError):
                self._let_go()
                self.undone = _undone(self._engine, self._fill, touched=True)
            self._at_rest.__exit__(kind, exc, trace)
        finally:
            self._let_go()

    def do(self, step: Step) -> None:
        """Carry out one step."""
        if step.verb not in _WITH_HELPER:
            # As long as the helper container is there, no volume of it can be removed.
            self._let_go()
        try:
            self._steps[step.verb](step)
        except OSError as exc:
            what = f"Cannot go on with the {words_of(self._fill)}"
            where = f" ('{exc.filename}')" if exc.filename else ""
            why = f"{exc.strerror or exc}{where}, in the step: {step.words}"
            raise VolumesError(what, why, "Look at the disk and its file system, and at the engine's log") from exc

    def _let_go(self) -> None:
        self._at = None
        self._stack.close()

    def _helper(self, volume: str) -> Reach:
        if self._at is None:
            self._at = self._stack.enter_context(reach(self._engine, {**self._content.sources, volume: True}))
        return self._at

    def _quiesce(self, _step: Step) -> None:
        # One step for each who is brought to rest, and one call for all of them.
        if self._to_rest and self._to_rest.rest:
            if not self._brought:
                # Held before anybody rests, so that they rest no longer than it takes to read.
                self._helper(self._fill.staging if self._fill.staged else self._fill.target)
            calm = quiesced(self._to_rest.engine, self._to_rest.rest, timeout=self._to_rest.timeout)
            self.resting = self._at_rest.enter_context(calm)
            self._to_rest = None

    def _resume(self, _step: Step) -> None:
        self._at_rest.close()

    def _create(self, _step: Step) -> None:
        create_volume(self._engine, self._fill.target, self._fill.definition)

    def _bring(self, step: Step) -> None:
        volume = str(step.arguments["volume"])
        at = self._helper(volume)
        if self._fill.way != "update" and at.has_data(volume):
            raise RefusedError(
                f"Cannot fill the volume '{volume}'", "it is not empty any more", "Find out who writes to it"
            )
        if self._fill.way == "direct":
            at.guard(volume, self._fill.nonce)
        self._brought = True
        self._content.bring(at, volume, update=self._fill.way == "update")

    def _verify(self, step: Step) -> None:
        volume = str(step.arguments["volume"])
        at = self._helper(volume)
        direct = self._fill.way == "direct"
        self._content.check(at, volume, besides=name_of(self._fill.nonce) if direct else "")
        if direct:
            at.unguard(volume, self._fill.nonce)
        # From here on, it may be the only copy.
        at.sync(volume)

    def _save(self, _step: Step) -> None:
        fill = self._fill
        if self._engine.volume(fill.previous):
            raise _another(fill)
        _refuse_content(self._engine, fill)
        create_volume(self._engine, fill.previous, previous_definition(fill))
        _copy_previous(self._engine, fill)

    def _check_fits(self) -> None:
        """Raise RefusedError where the target cannot take what is staged. It is still as it was."""
        fill = self._fill
        with reach(self._engine, {fill.staging: False, fill.target: True}) as at:
            # What an engine elsewhere can keep, only the comparison tells.
            if isinstance(at, Helper):
                self.resting.warnings += check_fits(at, fill.staging, fill.target)

    def _complete(self, _step: Step) -> None:
        engine, fill = self._engine, self._fill
        if fill.way == "replace":
            self._check_fits()
        staging, target = _there(engine, fill.staging), _there(engine, fill.target)
        new = old = 0
        # Nothing but an exchange needs the folders, which are out of reach without root.
        if fill.way == "exchange":
            new = _folders.inode(staging.mountpoint) or 0
            old = _folders.inode(target.mountpoint) or 0
        labels = fill.complete_labels(new, old)
        if engine.create_volume(fill.mark, LOCAL, {}, labels).labels != labels:
            raise RefusedError(
                f"Cannot go on with the {words_of(fill)}",
                f"there is another volume '{fill.mark}'",
                "Rename or remove that volume",
            )

    def _swap(self, _step: Step) -> None:
        _refuse_users(self._engine, self._fill.target)
        _refuse_content(self._engine, self._fill)
        self.touched = True
        _swap(self._engine, self._fill)


def _mark(engine: HelperEngine, fill: Fill) -> Volume:
    staging = engine.create_volume(fill.staging, LOCAL, {}, fill.labels)
    found = fill_of(staging)
    if found is None or found[0] != fill:
        raise RefusedError(
            f"Cannot begin the {words_of(fill)}",
            f"there is another volume '{fill.staging}', or another fill of it began at the same moment",
            "Run the task again; where no fill of the volume is under way, rename or remove that volume",
        )
    return staging


def _check_still(engine: HelperEngine, fill: Fill) -> None:
    """Raise RefusedError where the target is not as it was any more when the plan was made."""
    staging = engine.volume(fill.staging)
    target = engine.volume(fill.target)
    as_planned = target is None if fill.created else bool(target and target.made_as(fill.definition))
    # Another run may have taken this one for an interrupted one, and begun its own since.
    found = fill_of(staging) if staging is not None else None
    if found is None or found[0] != fill:
        raise changed_meanwhile(fill.target)
    if not as_planned:
        remove_volume(engine, fill.staging)
        raise changed_meanwhile(fill.target)
    if fill.staged:
        # It is left alone for now. Who uses it may come to rest before it is touched; then users are looked for again.
        return
    try:
        _refuse_users(engine, fill.target)
    except VolumesError:
        remove_volume(engine, fill.staging)
        raise


def _refuse_users(engine: HelperEngine, name: str) -> None:
    users = engine.users(name)
    # A container that does not run has the volume's name, and not its folder.
    if any(use.mounted for use in users.containers):
        raise in_use("fill", name, users, waits=False)


def _there(engine: HelperEngine, name: str) -> Volume:
    volume = engine.volume(name)
    if volume is None:
        raise RefusedError(f"Cannot go on with the volume '{name}'", "it vanished meanwhile", "Find out who removed it")
    return volume


def _copy_previous(engine: HelperEngine, fill: Fill) -> None:
    """Copy what is in the target to the volume for the content of before, compared and on the disk.

    That keeps a guard as long as it may go with the fill: it proves whose it is, where labels only say so.
    """
    content = content_of(engine, fill.target)
    with reach(engine, {fill.target: False, fill.previous: True}) as at:
        at.guard(fill.previous, fill.nonce)
        content.bring(at, fill.previous)
        content.check(at, fill.previous, besides=name_of(fill.nonce))
        at.sync(fill.previous)
    _refuse_unverified(content, fill.target, fill.previous)


def _bring_back(engine: HelperEngine, fill: Fill) -> None:
    """Make the target equal to the content of before again, compared and on the disk."""
    content = content_of(engine, fill.previous)
    with reach(engine, {fill.previous: False, fill.target: True}) as at:
        _empty(at, fill)
        content.bring(at, fill.target)
        # What is copied has the guard as well.
        content.check(at, fill.target)
        at.sync(fill.target)
        at.unguard(fill.target, fill.nonce)
    _refuse_unverified(content, fill.previous, fill.target)


def _refuse_unverified(content: VolumeContent | StreamContent, source: str, target: str) -> None:
    if content.report.unverified:
        raise VolumesError(
            f"Cannot copy the volume '{source}' to '{target}'",
            f"somebody changed '{content.report.unverified[0]}' meanwhile",
            "Find out who writes to it, and run the task again",
        )


def _copy_over(engine: HelperEngine, fill: Fill) -> None:
    """Make the target equal to the staging volume; what is in the target goes, unless somebody else put it there."""
    _refuse_content(engine, fill)
    content = content_of(engine, fill.staging)
    with reach(engine, {fill.staging: True, fill.target: True}) as at:
        _empty(at, fill)
        content.bring(at, fill.target)
        content.check(at, fill.target, besides=name_of(fill.nonce))
        at.sync(fill.target)
        # From here on, who works with the target must not find it replaced once more.
        at.guard(fill.staging, fill.nonce)
        at.sync(fill.staging)
        at.unguard(fill.target, fill.nonce)


def _empty(at: Reach, fill: Fill) -> None:
    """Empty the target, which has the guard from before that until it is complete again."""
    if not at.is_guarded(fill.target, fill.nonce):
        at.guard(fill.target, fill.nonce)
        at.sync(fill.target)
    at.empty(fill.target, besides=name_of(fill.nonce))


def content_of(engine: HelperEngine, source: str) -> VolumeContent | StreamContent:
    """Return the content of a volume of the engine, as it can be reached."""
    return StreamContent(engine, source) if why_not_here(engine) else VolumeContent(Transfer(source))


def _swap(engine: HelperEngine, fill: Fill) -> None:
    _refuse_users(engine, fill.target)
    if fill.way == "replace":
        _copy_over(engine, fill)
        return
    _refuse_content(engine, fill)
    _folders.exchange(_there(engine, fill.target).mountpoint, _there(engine, fill.staging).mountpoint)
    # A container that was started in between has the folder of before; it is told, and the next run goes on.
    _refuse_users(engine, fill.target)


def _keep(engine: HelperEngine, fill: Fill) -> None:
    previous = engine.volume(fill.previous) or create_volume(engine, fill.previous, previous_definition(fill))
    if not is_previous(previous, fill):
        raise _another(fill)
    staging = _there(engine, fill.staging)
    if _folders.inode(staging.mountpoint) is not None:
        _folders.move(staging.mountpoint, previous.mountpoint)


def _another(fill: Fill) -> RefusedError:
    return RefusedError(
        f"Cannot keep the content of before in the volume '{fill.previous}'",
        "there is another volume of that name",
        "Rename or remove it",
    )


def _refuse_content(engine: HelperEngine, fill: Fill) -> None:
    """Raise RefusedError where there is content in a target that had none: nobody said that it may go."""
    if not fill.keeps_others:
        return
    with reach(engine, {fill.target: False}) as at:
        if not at.has_data(fill.target) or at.is_guarded(fill.target, fill.nonce):
            return
    raise RefusedError(
        f"Cannot go on with the {words_of(fill)}",
        "somebody else put content into that volume meanwhile",
        f"Look into it. Where it is needed, remove '{fill.mark}' and '{fill.staging}', as far as they are there;"
        " otherwise remove what is in it, and run the task again",
    )


def _unmark(engine: HelperEngine, fill: Fill) -> None:
    """Remove what tells of the fill, that which tells of its end last."""
    if fill.way == "replace" and not fill.created:
        if fill.keep:
            _hand_over_previous(engine, fill)
        else:
            _remove_previous(engine, fill)
    _remove_mark(engine, fill.staging, fill)
    if fill.staged:
        _remove_mark(engine, fill.mark, fill)


def _remove_mark(engine: HelperEngine, name: str, fill: Fill) -> None:
    volume = engine.volume(name)
    if volume is None:
        return
    if not is_mark(volume, fill):
        raise RefusedError(
            f"Cannot bring the {words_of(fill)} to an end",
            f"the volume '{name}' is not as it was made for that: somebody else made it, with other labels or options",
            "Look into it, and rename or remove it",
        )
    remove_volume(engine, name)


def _hand_over_previous(engine: HelperEngine, fill: Fill) -> None:
    """Leave the content of before to whom it belongs: from here on, nobody here removes it."""
    previous = engine.volume(fill.previous)
    if previous and is_previous(previous, fill):
        with reach(engine, {fill.previous: True}) as at:
            if at.is_guarded(fill.previous, fill.nonce):
                at.unguard(fill.previous, fill.nonce)


def _remove_previous(engine: HelperEngine, fill: Fill) -> None:
    previous = engine.volume(fill.previous)
    if previous is None or not is_previous(previous, fill):
        return
    with reach(engine, {fill.previous: False}) as at:
        # Who may make volumes may put these labels on another one, or name one that was kept before.
        proven = at.is_guarded(fill.previous, fill.nonce) or not at.has_data(fill.previous)
    if proven:
        remove_volume(engine, fill.previous)


def _finished(engine: HelperEngine, found: Unfinished) -> bool:
    """Put the complete new content in its place, wherever it is; return False where the old one is whole there.

    Users may have gone on with that since, and whoever runs a task now may want something else: it stays, and is only
    free of the mark then. The new content can be brought again.
    """
    fill, staging = found.fill, found.staging
    if staging is not None:
        target = engine.volume(fill.target)
        if target is None and _is_staged(engine, found):
            create_volume(engine, fill.target, fill.definition)
        far = _how_far(engine, found)
        if far == "not" and target is not None and not fill.keeps_others:
            _remove_mark(engine, fill.mark, fill)
            return False
        if far != "done":
            _swap(engine, fill)
        if fill.way == "exchange" and fill.keep:
            _keep(engine, fill)
    elif fill.way == "replace" and not fill.keep and engine.volume(fill.previous):
        raise RefusedError(
            f"Cannot bring the interrupted {words_of(fill)} to an end",
            f"the volume '{fill.staging}' with the new content was removed by somebody else",
            f"Look into '{fill.target}', and into '{fill.previous}', which has the content of before. Remove that and"
            f" '{fill.mark}' where they are not needed, and run the task again",
        )
    _unmark(engine, fill)
    return True


def _how_far(engine: HelperEngine, found: Unfinished) -> Far:
    """Return how far the new content is in its place."""
    fill = found.fill
    if fill.way == "exchange":
        return "done" if _is_swapped(engine, found) else "not"
    with reach(engine, {fill.staging: False, fill.target: True}) as at:
        begun = at.is_guarded(fill.target, fill.nonce)
        if not at.is_guarded(fill.staging, fill.nonce):
            return "begun" if begun else "not"
        if begun:
            at.unguard(fill.target, fill.nonce)
    return "done"


def _is_staged(engine: HelperEngine, found: Unfinished) -> bool:
    """Whether the new content is in the staging volume, and was not in the target yet."""
    if found.fill.way == "replace":
        with reach(engine, {found.fill.staging: False}) as at:
            return not at.is_guarded(found.fill.staging, found.fill.nonce)
    _refuse_unreachable(engine, found.fill, found.staging)
    return found.staging is not None and _folders.inode(found.staging.mountpoint) == found.new


def _is_swapped(engine: HelperEngine, found: Unfinished) -> bool:
    target = engine.volume(found.fill.target)
    _refuse_unreachable(engine, found.fill, target, found.staging)
    inode = _folders.inode(target.mountpoint) if target else None
    if target and inode == found.new:
        return True
    if target and _is_staged(engine, found) and (inode == found.old or not _folders.has_data(target.mountpoint)):
        return False
    raise RefusedError(
        f"Cannot bring the interrupted {words_of(found.fill)} to an end",
        f"the folder of '{found.fill.target}' is another one than before, or is gone",
        f"All is kept: look into it and into '{found.fill.staging}', and remove the latter and then"
        f" '{found.fill.mark}' where they are not needed",
    )


def _refuse_unreachable(engine: HelperEngine, fill: Fill, *volumes: Volume | None) -> None:
    for volume in volumes:
        why = volume and _folders.why_unreachable(volume.mountpoint, engine_is_here=engine.is_here)
        if why:
            raise RefusedError(
                f"Cannot bring the interrupted {words_of(fill)} to an end",
                why,
                "Run the task as root ('become: true') on the host of the engine",
            )


def _undone(engine: HelperEngine, fill: Fill, *, touched: bool) -> str:
    """Undo what was done of the fill; return what became of the target. `touched` says that it was worked on."""
    try:
        found = look_for_fill(engine, fill.target)
        if found is None:
            return f"The new content of '{fill.target}' is in its place"
        if found.mark:
            if not _taken_back(engine, found, touched=touched):
                return "The new content is in its place; the next run of the task removes what is left of the fill"
        else:
            _undo(engine, fill, own=True)
        target = engine.volume(fill.target)
    except VolumesError as exc:
        return f"What was begun could not be undone yet: {exc} Run the task again after that"
    if fill.created and target is None:
        became = "was removed again"
    elif fill.way == "update":
        became = "is brought up to date in part; the next run of the task goes on"
    elif fill.way == "direct" and (fill.created or not _is_empty(engine, fill)):
        became = "has content, which is complete, or somebody else's"
    else:
        became = "is as it was before"
    return f"The volume '{fill.target}' {became}"


def _taken_back(engine: HelperEngine, found: Unfinished, *, touched: bool) -> bool:
    """Bring back the content of before, though the new one is complete; return False where that is in its place."""
    fill = found.fill
    if found.staging is None or (touched and _how_far(engine, found) == "done"):
        return False
    if touched and fill.way == "replace" and not fill.created:
        _refuse_users(engine, fill.target)
        _there(engine, fill.previous)
        _bring_back(engine, fill)
    _remove_mark(engine, fill.mark, fill)
    _undo(engine, fill, own=True)
    return True


def _undo(engine: HelperEngine, fill: Fill, *, own: bool, confirmed: bool = False) -> None:
    """Bring the target back to how it was; its staging volume, if any, is not complete.

    `own` says that it is this process that made what is there, and not one that only left labels behind.
    """
    target = engine.volume(fill.target)
    if target is not None and target.made_as(fill.definition):
        left = _left_by(engine, fill)
        # That nothing is in it proves nothing: somebody may need it so.
        spared = target.protected and left != "emptied" and not (own or confirmed)
        if fill.created and left and not spared:
            _refuse_users(engine, fill.target)
            remove_volume(engine, fill.target)
    if fill.way == "replace" and not fill.created:
        _remove_previous(engine, fill)
    _remove_mark(engine, fill.staging, fill)


def _left_by(engine: HelperEngine, fill: Fill) -> Left:
    """Return what is left in the target of what the fill brought, which is taken away where that is not complete."""
    if fill.way == "direct" or (fill.way == "replace" and fill.created):
        return _unfilled(engine, fill)
    return "nothing" if fill.way == "exchange" and fill.created and _is_empty(engine, fill) else ""


def _unfilled(engine: HelperEngine, fill: Fill) -> Left:
    try:
        return _emptied(engine, fill)
    except EngineError as exc:
        # A new volume that cannot be mounted, since its options are wrong, say: of the engine's own driver it only
        # refers to data, which stays where it is.
        if fill.created and fill.definition.owner_kind == "referenced":
            return "nothing"
        if fill.created:
            exc.way_out = f"{sentence(exc.way_out)} Or remove the volumes '{fill.target}' and '{fill.staging}'".strip()
        raise


def _emptied(engine: HelperEngine, fill: Fill) -> Left:
    """Take away what a direct fill brought that is not complete."""
    _refuse_users(engine, fill.target)
    with reach(engine, {fill.target: True}) as at:
        guarded = at.is_guarded(fill.target, fill.nonce)
        if guarded:
            at.empty(fill.target)
        # What is there without the guard is complete, or somebody else's.
        if at.has_data(fill.target):
            return ""
    return "emptied" if guarded else "nothing"


def _is_empty(engine: HelperEngine, fill: Fill) -> bool:
    with reach(engine, {fill.target: False}) as at:
        return not at.has_data(fill.target)
