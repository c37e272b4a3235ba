# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers of bytes as words."""

from __future__ import annotations

_STEP = 1024


def size_words(size: float) -> str:
    """Return a number of bytes for a reader: 1.5 GiB."""
    units = ["bytes", "KiB", "MiB", "GiB", "TiB"]
    while size >= _STEP and len(units) > 1:
        size, units = size / _STEP, units[1:]
    return f"{size:.0f} bytes" if units[0] == "bytes" else f"{size:.1f} {units[0]}"
