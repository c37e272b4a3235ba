# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The errors of this collection: each names the object, the action, the cause and the way out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

_PLACE = re.compile(r"\w\[[0-9]+\]\Z")


class VolumesError(Exception):
    """Something that was asked for cannot be done.

    `what` is the action and its object ("Cannot remove volume 'pgdata'"), `why` the cause, `way_out` what the reader
    can do about it. `details` are result keys that a playbook can read from the failed task.
    """

    def __init__(self, what: str, why: str, way_out: str = "", **details: Any) -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.way_out = way_out
        self.details = details

    def __str__(self) -> str:
        """Join the parts to "what: why. way out."."""
        colon = "" if self.what.endswith("!") else ":"
        gap = "" if self.why.startswith("\n") else " "
        start = f"{self.what}{colon}{gap}{sentence(self.why)}"
        between = "\n" if "\n" in self.why else " "
        return f"{start}{between}{sentence(self.way_out)}" if self.way_out else start


class InvalidInputError(VolumesError):
    """An option's value is wrong; found before the engine was asked."""


class RefusedError(VolumesError):
    """The plan must not be carried out: it would harm somebody, or it was not approved."""


class OtherDataError(RefusedError):
    """Where data is to go, there is other data, and nobody can tell here which of the two is needed."""


class EngineUnreachableError(VolumesError):
    """No engine answers at the given address, or not to us."""


class SdkMissingError(VolumesError):
    """The Docker SDK for Python is not there, and a connection or a registry needs it. `trace` is of its import."""

    def __init__(self, trace: str) -> None:
        super().__init__("Cannot reach the Docker Engine", "the Docker SDK for Python is missing")
        self.trace = trace


class EngineError(VolumesError):
    """The engine answered with an error. `status` is the HTTP status, or None for an error inside a 200 stream."""

    def __init__(self, what: str, why: str, way_out: str = "", *, status: int | None = None, **details: Any) -> None:
        super().__init__(what, why, way_out, **details)
        self.status = status


class UnansweredError(EngineError):
    """The engine did not answer in time. It may go on with what it was asked for."""


class AlreadyThereError(EngineError):
    """What was to be made is there meanwhile, by somebody else or by what the engine did for a task that was killed."""


class DriverUnavailableError(EngineError):
    """The volume exists, but the plugin that it belongs to is disabled or gone."""


def together(outcome: str, errors: Sequence[VolumesError]) -> VolumesError:
    """Return one error for several; a single one is returned as it is. `outcome` says what became of the task.

    Result keys that hold lists are joined, each error's own text is in `errors`. What has the same text is one error.
    """
    different = {str(error): error for error in errors}
    if len(different) == 1:
        return errors[0]
    details: dict[str, Any] = {}
    for error in different.values():
        for key, value in error.details.items():
            details[key] = [*details.get(key, []), *value] if isinstance(value, list) else value
    return VolumesError(
        f"There are {len(different)} errors",
        "\n" + "\n".join(f"- {text}" for text in different),
        outcome,
        **{**details, "errors": list(different)},
    )


@contextmanager
def after(words: str) -> Iterator[None]:
    """Have an error also tell what was done before, as a sentence: it stays done. "" is nothing."""
    try:
        yield
    except VolumesError as exc:
        exc.way_out = " ".join(filter(None, [sentence(exc.way_out), words]))
        raise


def sentence(text: str) -> str:
    """Return `text` with a full stop at its end, where it needs one."""
    text = text.rstrip()
    if not text or text.endswith((".", "!", "?", "}")) or "\n" in text:
        return text
    # What ends with a list stands for itself, the place of a key (FlashArrays[0]) does not.
    return text if text.endswith("]") and not _PLACE.search(text) else f"{text}."
