# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attributes that the modules of this collection have in common."""

from __future__ import annotations


class ModuleDocFragment:
    """The documentation fragment `voltainer.volumes.attributes`."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode and tell what would be changed, without changing it.
  diff_mode:
    description: Returns what stands before and after the change, secrets hidden.
  idempotent:
    description: A second run with the same options changes nothing.
  action_group:
    description: Belongs to the action group C(group/voltainer.volumes.docker), for C(module_defaults).
"""

    CHANGES = r"""
options: {}
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
  action_group:
    support: full
    membership:
      - voltainer.volumes.docker
"""

    INFO = r"""
options: {}
attributes:
  check_mode:
    support: full
    details:
      - Changes nothing, in check mode or not.
  diff_mode:
    support: none
    details:
      - Changes nothing.
  idempotent:
    support: full
  action_group:
    support: full
    membership:
      - voltainer.volumes.docker
"""
