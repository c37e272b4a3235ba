# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files in which a storage plugin keeps which volumes it has, kept aside while it is changed.

rclone writes its anew when it is told to end, and leaves out each volume whose server it could not reach when it
started (1.60.1). To start it once with a wrong config file is enough for it to forget them all.
"""

from __future__ import annotations

from collections.abc import Iterable

from ansible_collections.voltainer.volumes.plugins.module_utils import _host_files as files
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import VolumesError

_KEPT = ".voltainer-kept"


def check(paths: Iterable[str]) -> None:
    """Raise VolumesError for a path under which there is anything but a file.

    A link is none: the plugin, which can make one there, must not have the files of others read or written.
    """
    try:
        for path in paths:
            files.look_at(path)
    except VolumesError as exc:
        way_out = "Give the plugin's own file in 'state_files', or leave it out"
        raise VolumesError("The option 'state_files' is invalid", f"{exc.what}: {exc.why}", way_out) from exc


def keep(paths: Iterable[str]) -> None:
    """Keep each file that is there beside itself, and nothing of one that is not, in the place of what was kept."""
    for path in paths:
        now = files.look_at(path)
        if now.exists:
            files.replace_file(_kept(path), now)
        else:
            files.discard(_kept(path))


def has_kept(paths: Iterable[str]) -> bool:
    """Return whether something is kept of any of the files."""
    return any(files.look_at(_kept(path)).exists for path in paths)


def bring_back(paths: Iterable[str]) -> None:
    """Bring each file back to what was kept of it, where something was. The plugin must not run."""
    for path in paths:
        kept = files.look_at(_kept(path))
        if kept.exists and files.look_at(path) != kept:
            files.replace_file(path, kept)


def forget(paths: Iterable[str]) -> None:
    """Remove what was kept."""
    for path in paths:
        files.discard(_kept(path))


def _kept(path: str) -> str:
    return f"{path}{_KEPT}"
