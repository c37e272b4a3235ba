# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The line that tells how far a task is. Pure: from what the module wrote, and the time, to text."""

from __future__ import annotations

import json
import math
from collections import deque
from dataclasses import dataclass
from typing import Any

_WINDOW = 10.0  # seconds that the rate is taken over
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_LABEL = 128  # characters of a label or verb that are shown


@dataclass(frozen=True)
class State:
    """What the module's file said: `done` of `total` bytes, `at` seconds after the beginning of a phase."""

    label: str
    verb: str
    done: int
    total: int | None
    at: float
    phase: int


def parse(text: str) -> State | None:
    """Return the state that a command printed, or nothing where there is none; a host may print more around it."""
    for line in reversed(text.splitlines()):
        if line.strip().startswith("{"):
            try:
                return _state(json.loads(line))
            except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
                continue
    return None


def _state(values: dict[str, Any]) -> State | None:
    if not values["verb"]:
        return None
    total = values["total"]
    return State(
        label=_plain(values["label"]),
        verb=_plain(values["verb"]),
        done=max(0, int(values["done"])),
        total=None if total is None else int(total),
        at=max(0.0, float(values["at"])),
        phase=int(values["phase"]),
    )


def _plain(text: Any) -> str:
    """Return text that moves no cursor: the file comes from another host."""
    if not isinstance(text, str):
        raise TypeError
    return "".join(char if char.isprintable() else "?" for char in text[:_LABEL])


class Meter:
    """Turns states into lines; knows those before, for the rate."""

    def __init__(self) -> None:
        self._phase: int | None = None
        self._samples: deque[tuple[float, int]] = deque()

    def line(self, state: State, now: float) -> str:
        """Return the line for a state that was read at `now`."""
        total = state.total or None  # of nothing there is no share
        done = min(state.done, total) if total else state.done
        parts = [f"{state.label}: {state.verb} {amount(done, total)}"]
        rate = self._rate(state, now)
        parts.append(f"{speed(rate)}/s")
        if total and rate >= 1 and done < total:
            parts.append(f"{duration((total - done) / rate)} left")
        return ", ".join(parts)

    def _rate(self, state: State, now: float) -> float:
        """Return the bytes a second of the last ten seconds, or since the phase began, or since the look before."""
        if state.phase != self._phase or (self._samples and state.done < self._samples[-1][1]):
            self._phase = state.phase
            self._samples = deque([(now - state.at, 0)])
        # By the clock here, not the file's: one that is no longer written tells of a standstill.
        self._samples.append((now, state.done))
        while len(self._samples) > 2 and now - self._samples[1][0] >= _WINDOW:  # noqa: PLR2004 - two make a rate
            self._samples.popleft()
        since, before = self._samples[0]
        return (state.done - before) / (now - since) if now > since else 0.0


def amount(done: int, total: int | None) -> str:
    """Return how much is done, of how much where that is known: both in the unit of the larger."""
    largest = done if total is None else total
    scale, unit = _scale(largest)
    digits = 0 if unit == "B" or largest / scale >= 100 else 1  # noqa: PLR2004 - three digits tell enough
    shown = f"{done / scale:.{digits}f}"
    return f"{shown} {unit}" if total is None else f"{shown}/{total / scale:.{digits}f} {unit}"


def speed(rate: float) -> str:
    """Return bytes a second with two digits or more."""
    scale, unit = _scale(rate)
    digits = 1 if unit != "B" and rate / scale < 10 else 0  # noqa: PLR2004 - two digits tell enough
    return f"{rate / scale:.{digits}f} {unit}"


def _scale(value: float) -> tuple[int, str]:
    """Return the unit in which a value has fewer than five digits, rounded."""
    power = 0
    while round(value / 1024**power) >= 1024 and power < len(_UNITS) - 1:  # noqa: PLR2004 - KiB, MiB and so on
        power += 1
    return 1024**power, _UNITS[power]


def duration(seconds: float) -> str:
    """Return a time as people say it, the finer the shorter it is."""
    whole = max(1, round(seconds))
    minutes, rest = divmod(whole, 60)
    if not minutes:
        return f"{whole} s"
    if minutes < 10:  # noqa: PLR2004
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(math.ceil(whole / 60), 60)
    if not hours:
        return f"{minutes} min"
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"
