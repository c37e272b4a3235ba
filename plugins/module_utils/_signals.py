# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signals that ask the process to end become an error, at the places where that does no harm."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from ansible_collections.voltainer.volumes.plugins.module_utils._errors import VolumesError

_SIGNALS = ("SIGTERM", "SIGINT", "SIGHUP")


class SignalledError(VolumesError):
    """The process was asked to end."""

    def __init__(self, number: int) -> None:
        super().__init__(
            "The task did not come to its end", f"its process was asked to end by {signal.Signals(number).name}"
        )


class Signals:
    """What came in of signals that ask to end. They interrupt what is done in `open`, and wait meanwhile elsewhere."""

    def __init__(self) -> None:
        """Begin closed."""
        self.seen: int | None = None
        self._open = False
        self._raised = False

    @contextmanager
    def open(self) -> Iterator[None]:
        """Let a signal end the block with SignalledError, also one that has waited."""
        try:
            self._open = True
            self.check()
            yield
        finally:
            self.close()

    def close(self) -> None:
        """Let signals wait from here on. One may interrupt this call, and none comes through after that."""
        self._open = False

    def check(self) -> None:
        """Raise SignalledError for a signal that came in and was not told yet."""
        if self.seen is not None and not self._raised:
            self._raised = True
            raise SignalledError(self.seen)

    def came(self, number: int, _frame: FrameType | None) -> None:
        """Take a signal; the handler."""
        if self.seen is None:
            self.seen = number
        # Only once: a second one would end what the first one made necessary.
        if self._open:
            self.check()


@contextmanager
def caught() -> Iterator[Signals]:
    """Catch the signals that ask the process to end, until the end of the block. Those that are ignored stay so."""
    signals = Signals()
    before: dict[int, Any] = {}
    # Python takes signals in its main thread, and lets only that one say what becomes of them.
    if threading.current_thread() is threading.main_thread():
        for name in _SIGNALS:
            number = getattr(signal, name)
            if signal.getsignal(number) != signal.SIG_IGN:
                before[number] = signal.signal(number, signals.came)
    try:
        yield signals
    finally:
        for number, handler in before.items():
            # None is a handler that was not made in Python, and cannot be put back by it.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
