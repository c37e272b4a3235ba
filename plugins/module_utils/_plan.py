# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan: what is to be done, in order, and what stands before and after it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.voltainer.volumes.plugins.module_utils._errors import VolumesError

# What a diff shows of something that does not exist.
ABSENT: Mapping[str, Any] = {"exists": False}


@dataclass(frozen=True)
class Step:
    """One call that changes something: `verb` and `arguments` are for the code that applies it, `words` for the reader.

    `arguments` may hold secrets and are never shown.
    """

    verb: str
    words: str
    arguments: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Plan:
    """Steps in order, and the object before and after them as it is shown in a diff (secrets already hidden)."""

    before: Mapping[str, Any]
    after: Mapping[str, Any]
    steps: tuple[Step, ...] = ()
    warnings: tuple[str, ...] = ()
    drift: tuple[Mapping[str, Any], ...] = ()

    @property
    def verbs(self) -> tuple[str, ...]:
        """The verbs of the steps, in order."""
        return tuple(step.verb for step in self.steps)


@dataclass
class Outcome:
    """What a module returns: `values` are the result keys beside changed, actions and diff.

    With `failure`, the plan holds what was done nevertheless, and the module returns all that and fails.
    """

    plan: Plan
    values: dict[str, Any] = field(default_factory=dict)
    failure: VolumesError | None = None


@dataclass
class Facts:
    """What a module returns that only looks."""

    values: dict[str, Any]
    warnings: tuple[str, ...] = ()
