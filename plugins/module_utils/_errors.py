# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The errors of this collection: each names the object, the action, the cause and the way out."""

from __future__ import annotations

from typing import Any


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
        sentence = f"{self.what}: {_ended(self.why)}"
        between = "\n" if "\n" in self.why else " "
        return f"{sentence}{between}{_ended(self.way_out)}" if self.way_out else sentence


class InvalidInputError(VolumesError):
    """An option's value is wrong; found before the engine was asked."""


class RefusedError(VolumesError):
    """The plan must not be carried out: it would harm somebody, or it was not approved."""


class EngineUnreachableError(VolumesError):
    """No engine answers at the given address, or not to us."""


class EngineError(VolumesError):
    """The engine answered with an error. `status` is the HTTP status, or None for an error inside a 200 stream."""

    def __init__(self, what: str, why: str, way_out: str = "", *, status: int | None = None, **details: Any) -> None:
        super().__init__(what, why, way_out, **details)
        self.status = status


class DriverUnavailableError(EngineError):
    """The volume exists, but the plugin that it belongs to is disabled or gone."""


def _ended(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?", "]", "}")) or "\n" in text else f"{text}."
