# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option of modules whose work may take long."""

from __future__ import annotations


class ModuleDocFragment:
    """The documentation fragment `voltainer.volumes.progress`."""

    DOCUMENTATION = r"""
options:
  progress_interval:
    description:
      - >-
        How many seconds pass between two lines that tell how far the task is, such as
        C(pgdata: copy 3.2/8.0 GiB, 214 MiB/s, 23 s left). V(0) for no such lines.
      - Nothing is shown for work of less than 5 seconds, in check mode, with C(async), or with C(no_log).
      - The lines go to the standard output, or to the error output where a callback writes JSON to the other one.
        The result is the same with and without them.
    type: float
    default: 5
"""
