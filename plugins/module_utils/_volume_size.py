# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much space the data of volumes takes, found in their folders where this host has them."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ansible_collections.voltainer.volumes.plugins.module_utils._volume import Volume
from ansible_collections.voltainer.volumes.plugins.module_utils._volume_facts import is_cluster, some

# What st_blocks counts, whatever the block size of the file system.
_BLOCK = 512


@dataclass(frozen=True)
class Sizes:
    """The sizes in bytes, by the names of the volumes, and why those of others are unknown."""

    by_name: dict[str, int]
    warnings: tuple[str, ...] = ()


def measure(volumes: Iterable[Volume], *, engine_is_here: bool) -> Sizes:
    """Return the sizes of the volumes. Time and reads grow with the number of their files.

    The engine's own way, GET /system/df, is not used: it looks at all images, containers and volumes, for minutes where
    there are many files, and knows no size of a plugin's volume either (20.10 to 28.5).
    """
    sizes: dict[str, int] = {}
    unknown: dict[str, list[str]] = {}
    for volume in volumes:
        why = why_unknown(volume, engine_is_here=engine_is_here)
        if why is None:
            try:
                sizes[volume.name] = used_bytes(volume.mountpoint)
            except OSError as exc:
                why = f"'{exc.filename or volume.mountpoint}' cannot be read: {exc.strerror}"
        if why is not None:
            unknown.setdefault(why, []).append(volume.name)
    return Sizes(
        sizes,
        tuple(
            f"The size of {len(names)} volume(s) is unknown ({some(names)}): {why}" for why, names in unknown.items()
        ),
    )


def why_unknown(volume: Volume, *, engine_is_here: bool) -> str | None:
    """Return why the volume cannot be measured from here, or None where it can."""
    if not volume.definition.is_local or is_cluster(volume):
        return "their data is reached only through their driver"
    if volume.definition.owner_kind == "referenced":
        return "they only refer to data, which is not measured"
    return _why_out_of_reach(volume.mountpoint, engine_is_here)


def used_bytes(folder: str) -> int:
    """Return the bytes that the folder takes on its file system, as du(1) counts: blocks, each hard link once.

    What is removed meanwhile does not count. Raises OSError for what cannot be read.
    """
    top = os.lstat(folder)
    blocks, folders = top.st_blocks, [folder]
    linked: set[int] = set()
    while folders:
        for path, status in _inside(folders.pop()):
            # What is mounted inside is not the volume's.
            if status.st_dev != top.st_dev or status.st_ino in linked:
                continue
            blocks += status.st_blocks
            if stat.S_ISDIR(status.st_mode):
                folders.append(path)
            elif status.st_nlink > 1:
                linked.add(status.st_ino)
    return blocks * _BLOCK


def _why_out_of_reach(mountpoint: str, engine_is_here: bool) -> str | None:
    if not engine_is_here:
        return "the module must run on the engine's host to measure, and reach the engine by its socket"
    if not mountpoint.startswith("/"):
        return "the folders of an engine on Windows cannot be read from here"
    if os.geteuid() != 0:
        return "the module must run as root to measure ('become: true')"
    if not os.path.isdir(mountpoint) or os.path.islink(mountpoint):
        return "their folders are not on this host, but where the engine runs"
    return None


def _inside(folder: str) -> Iterator[tuple[str, os.stat_result]]:
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    yield entry.path, entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return
