# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that containers get before they are started: scripts, configuration, keys."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_SOURCES = Path(__file__).resolve().parent.parent / "rootfs"


@dataclass(frozen=True)
class PutFile:
    """A file's content and mode; the owner is always root."""

    content: bytes
    mode: int = 0o644


def shipped(kind: str) -> dict[str, PutFile]:
    """Return the scripts and the configuration of a kind of container, by absolute path."""
    return read_tree(_SOURCES / kind)


def read_tree(root: Path) -> dict[str, PutFile]:
    """Read the files below root. Their place decides on their mode, so that a checkout's umask does not matter."""
    found = sorted(path for path in root.rglob("*") if path.is_file())
    return {
        f"/{path.relative_to(root)}": PutFile(path.read_bytes(), 0o755 if path.parent.name == "sbin" else 0o644)
        for path in found
    }


def pack(files: Mapping[str, PutFile]) -> bytes:
    """Pack files and the folders that they need into a tar archive, owned by root."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for folder in sorted({str(parent) for path in files for parent in Path(path.lstrip("/")).parents} - {"."}):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
        for path, file in files.items():
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = len(file.content), file.mode
            archive.addfile(entry, io.BytesIO(file.content))
    return buffer.getvalue()
