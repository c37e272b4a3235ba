# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ways to the data of volumes: from the engine's host, or through its API from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, Union

from ansible_collections.voltainer.volumes.plugins.module_utils._helper import Helper, helper, why_not_here
from ansible_collections.voltainer.volumes.plugins.module_utils._helper_engine import HelperEngine
from ansible_collections.voltainer.volumes.plugins.module_utils._remote import Remote, remote

Reach = Union[Helper, Remote]


class Source(Protocol):
    """A tar file that is read."""

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, and none at the end."""


class Sink(Protocol):
    """Where a tar file is written to."""

    def write(self, data: bytes) -> object:
        """Write all of it."""


def reach(engine: HelperEngine, volumes: Mapping[str, bool], *, scratch: bool = False) -> AbstractContextManager[Reach]:
    """Hold the volumes, by name and whether they are written to, and yield the best way to their data.

    With `scratch`, there is room for a snapshot where this is their host. Raises RefusedError where there is none, and
    EngineError.
    """
    return _reached(engine, volumes, scratch)


def packed_by(at: Reach, volume: str) -> AbstractContextManager[Source]:
    """Yield a tar file of the volume, as it is read. Raises ProgramError where tar fails."""
    return at.packed(volume)


@contextmanager
def _reached(engine: HelperEngine, volumes: Mapping[str, bool], scratch: bool) -> Iterator[Reach]:
    if why_not_here(engine):
        with remote(engine, volumes) as there:
            yield there
    else:
        with helper(engine, volumes, scratch=scratch) as here:
            yield here
