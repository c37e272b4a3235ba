# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files in which a storage plugin keeps which volumes it has, kept aside while it is changed.

rclone writes its anew when it is told to end, and leaves out each volume whose server it could not reach when it
started (1.60.1). To start it once with a wrong config file is enough for it to forget them all.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from ansible_collections.voltainer.volumes.plugins.module_utils import _host_files as files
from ansible_collections.voltainer.volumes.plugins.module_utils._host_files import FileState

_KEPT = ".voltainer-kept"


def keep(paths: Iterable[str], *, anew: bool) -> None:
    """Keep each file that is there beside itself; what is kept already stays unless it is to be kept `anew`."""
    for path in paths:
        now = files.look(path)
        if now.exists and (anew or not files.look(_kept(path)).exists):
            files.write(_kept(path), now)


def bring_back(paths: Iterable[str]) -> None:
    """Bring each file back to what was kept of it, where something was. The plugin must not run."""
    for path in paths:
        kept = files.look(_kept(path))
        if kept.exists and files.look(path) != kept:
            files.write(path, kept)


def forget(paths: Iterable[str]) -> None:
    """Remove what was kept."""
    for path in paths:
        files.write(_kept(path), FileState())


def _kept(path: str) -> str:
    return f"{os.path.realpath(path)}{_KEPT}"
