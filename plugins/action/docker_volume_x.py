# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the module docker_volume_x, and shows how far it is where that takes long."""

from __future__ import annotations

from ansible_collections.voltainer.volumes.plugins.plugin_utils._progress_action import ProgressAction


class ActionModule(ProgressAction):
    """The action of docker_volume_x."""
