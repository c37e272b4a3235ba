# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A volume that is filled with content from elsewhere: how far that has come, as labels tell it, and the steps. Pure.

Two volumes of the engine's own driver say so. `<target>.voltainer-fill` is made before anything else and is there until
all is done; where the target has data, the new content is staged in it. `<target>.voltainer-filled` is made once the
new content is complete and verified there, and from then on the fill is finished and not undone. (What the names are of
a target whose own name that driver does not take, `name_beside` tells.) So:

    neither              nothing is under way
    fill                 the target is not complete (direct), or as it was before (staged): undo
    fill and filled      the new content is complete, and its place may be any of the two: finish; but where the target
                         has content of its own that is still whole, undo, since that may have changed meanwhile
    filled               all is in place: only this one is left to be removed
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from ansible_collections.voltainer.volumes.plugins.module_utils._plan import Step
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import (
    FILL,
    FILL_SUFFIX,
    FILLED_SUFFIX,
    LOCAL,
    RESERVED,
    Definition,
    Volume,
    definition_of,
    name_beside,
)

# exchange: staged, and the folders of both volumes change places; replace: staged, and then copied over; direct: into a
# volume that is empty; update: into one whose content is brought up to date in place.
Way = Literal["direct", "update", "exchange", "replace"]
# On the volume that keeps the content of another from before: the name of that.
PREVIOUS = f"{RESERVED}previous"
# And the nonce of the fill that made it: others of the same volume may have kept theirs.
_PREVIOUS_OF = f"{RESERVED}previous-of"


@dataclass(frozen=True)
class Fill:
    """A volume `target` that is filled; `words` say with what, and are shown ("copy of the volume 'a'").

    `created` says that the target was not there before, `empty` that it had no content then, `definition` what it is,
    or is made with. `previous` is the
    name of the volume that gets the content of before, or holds it until all is done (`keep` tells which). `nonce` is
    in the name of a file that a target which is filled directly has until its content is complete: whatever has no such
    file, somebody else may have put there.
    """

    target: str
    words: str
    way: Way
    created: bool
    definition: Definition
    previous: str = ""
    keep: bool = False
    nonce: str = ""
    empty: bool = False

    @property
    def staged(self) -> bool:
        """Whether the new content is complete in the staging volume before the target is touched."""
        return self.way in {"exchange", "replace"}

    @property
    def keeps_others(self) -> bool:
        """Whether there was nothing in the target: what is there later without a guard is somebody else's."""
        return self.created or self.empty

    @property
    def staging(self) -> str:
        """The name of the volume that marks the fill, and stages the content."""
        return name_beside(self.target, FILL_SUFFIX)

    @property
    def mark(self) -> str:
        """The name of the volume that tells that the new content is complete."""
        return name_beside(self.target, FILLED_SUFFIX)

    @property
    def labels(self) -> dict[str, str]:
        """The labels of the volume that marks the fill."""
        return {FILL: json.dumps(self._record, sort_keys=True)}

    def complete_labels(self, new: int, old: int) -> dict[str, str]:
        """The labels of the volume that tells that the content is complete, with the inodes of both contents."""
        return {FILL: json.dumps({**self._record, "new": new, "old": old}, sort_keys=True)}

    @property
    def _record(self) -> dict[str, Any]:
        return {
            "target": self.target,
            "words": self.words,
            "way": self.way,
            "created": self.created,
            "definition": self.definition.as_record(),
            "previous": self.previous,
            "keep": self.keep,
            "nonce": self.nonce,
            "empty": self.empty,
        }


@dataclass(frozen=True)
class Unfinished:
    """A fill that was begun: the volume that marks it, where it is there, and that which tells of the content."""

    fill: Fill
    staging: Volume | None
    mark: Volume | None
    new: int = 0
    old: int = 0


def fill_of(volume: Volume) -> tuple[Fill, int, int] | None:
    """Return the fill that the volume is a mark of, and the inodes of the new and the old content (0: none)."""
    text = (volume.labels or {}).get(FILL)
    if text is None:
        return None
    try:
        record = json.loads(text)
        inodes = (record.pop("new", 0), record.pop("old", 0))
        fill = Fill(**{**record, "definition": definition_of(record["definition"])})
    # RecursionError: JSON that is nested without end. The label may be anybody's.
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    texts = (fill.target, fill.words, fill.previous, fill.nonce)
    known = fill.way in get_args(Way) and all(isinstance(text, str) and text.isprintable() for text in texts)
    flags = (fill.created, fill.keep, fill.empty)
    if not (
        known and all(isinstance(flag, bool) for flag in flags) and all(isinstance(inode, int) for inode in inodes)
    ):
        return None
    # A volume that only carries a copy of the label marks nothing.
    return (fill, *inodes) if volume.name in {fill.staging, fill.mark} and volume.definition.is_local else None


def unfinished_fill(target: str, marks: Iterable[Volume]) -> Unfinished | None:
    """Return the fill of the volume `target` that `marks`, the volumes with the label, tell of."""
    read = ((volume, fill_of(volume)) for volume in marks)
    by_name = {volume.name: (volume, found) for volume, found in read if found and found[0].target == target}
    staging = by_name.get(name_beside(target, FILL_SUFFIX))
    mark = by_name.get(name_beside(target, FILLED_SUFFIX))
    if mark:
        fill, new, old = mark[1]
        return Unfinished(fill, staging[0] if staging else None, mark[0], new, old)
    return Unfinished(staging[1][0], staging[0], None) if staging else None


def settle_fill_step(fill: Fill) -> Step:
    """Return the step that brings an interrupted fill to an end."""
    return Step("settle", f"Finish or undo the interrupted {fill.words} into '{fill.target}'", {"fill": fill})


def fill_steps(
    fill: Fill,
    quiesce: Iterable[Step] = (),
    resume: Iterable[Step] = (),
    *,
    at: Literal["fill", "swap"] = "fill",
    verify: bool = True,
) -> Iterable[Step]:
    """Yield the steps of a fill, in order. Each carries the fill.

    `quiesce` and `resume` are the steps that bring users to rest, and back: around the step `at` alone. `verify` says
    that the content compares what it brings.
    """
    about = {"fill": fill}
    into = fill.staging if fill.staged else fill.target
    yield Step("mark", f"Create the volume '{fill.staging}', which tells of the {fill.words} until it is done", about)
    create = Step("create", f"Create the volume '{fill.target}' with the driver '{fill.definition.driver}'", about)
    if fill.created and not fill.staged:
        yield create
    fill_quiesce, fill_resume = (quiesce, resume) if at == "fill" else ((), ())
    swap_quiesce, swap_resume = (quiesce, resume) if at == "swap" else ((), ())
    yield from fill_quiesce
    yield Step("fill", f"Bring the {fill.words} into '{into}'", {**about, "volume": into})
    yield from fill_resume
    words = f"Compare '{into}' with what it is to be" if verify else f"Have what is in '{into}' on the disk"
    yield Step("verify", words, {**about, "volume": into})
    if fill.created and fill.staged:
        yield create
    # From the copy of what is there on, nobody may change it.
    if fill.way == "replace":
        yield from swap_quiesce
    if fill.way == "replace" and not fill.created:
        words = f"Copy what is in '{fill.target}' to '{fill.previous}', and compare"
        yield Step("save", words, about)
    if fill.staged:
        yield Step("complete", f"Create the volume '{fill.mark}', which tells that the new content is complete", about)
        if fill.way == "exchange":
            yield from swap_quiesce
        yield Step("swap", _swap_words(fill), about)
        yield from swap_resume
    if fill.way == "exchange" and fill.keep:
        yield Step("keep", f"Create the volume '{fill.previous}' with the content of before", about)
    goes = fill.way == "exchange" and not fill.keep and not fill.created
    lost = f", with what was in '{fill.target}' before" if goes else ""
    yield Step("unmark", f"Remove the volume '{fill.staging}'{lost}", about)


def previous_definition(fill: Fill) -> Definition:
    """Return what the volume with the content of before is made with."""
    labels = {key: value for key, value in fill.definition.labels.items() if not key.startswith(RESERVED)}
    return Definition(LOCAL, {}, {**labels, PREVIOUS: fill.target, _PREVIOUS_OF: fill.nonce})


def is_previous(volume: Volume, fill: Fill) -> bool:
    """Whether the volume was made for the content of before this fill, and is as it was made."""
    return volume.made_as(previous_definition(fill))


def is_mark(volume: Volume, fill: Fill) -> bool:
    """Whether the volume is one of the two that tell of this fill, and is as it was made: it may go with the fill."""
    found = fill_of(volume)
    # With other labels, above all that of protection, or with options, it is not what was made for the fill.
    return found is not None and found[0] == fill and not volume.options and set(volume.labels or ()) == {FILL}


def _swap_words(fill: Fill) -> str:
    if fill.way == "exchange":
        return f"Exchange the folders of '{fill.target}' and '{fill.staging}'"
    return f"Copy '{fill.staging}' to '{fill.target}', in place of what is there, and compare"
