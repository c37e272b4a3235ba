# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work that waits for somebody else, done beside other work."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def beside(work: Callable[[], object]) -> Iterator[None]:
    """Do `work` in a thread of its own while the block is carried out; both have ended afterwards.

    Raises what the block raises, and otherwise what the work does.
    """
    errors: list[BaseException] = []

    def done() -> None:
        try:
            work()
        except BaseException as exc:  # noqa: BLE001 - it is raised where somebody waits for it
            errors.append(exc)

    thread = threading.Thread(target=done, daemon=True)
    thread.start()
    try:
        yield
    finally:
        thread.join()
    if errors:
        raise errors[0]
