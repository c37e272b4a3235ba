# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sizes for a reader."""

from __future__ import annotations

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils._size import size_words


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 bytes"),
        (1023, "1023 bytes"),
        (1024, "1.0 KiB"),
        (1536 * 1024, "1.5 MiB"),
        (5 << 30, "5.0 GiB"),
        (2**60, "1048576.0 TiB"),
    ],
)
def test_sizes_for_a_reader(size, words):
    assert size_words(size) == words
