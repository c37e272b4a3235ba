# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the collection importable by its full name, from a checkout of any name and with plain pytest."""

from __future__ import annotations

import sys
from pathlib import Path

from hypothesis import configuration, settings

sys.path.insert(0, str(Path(__file__).parent / "project"))

import checkout

sys.path.insert(0, str(checkout.link()))
configuration.set_hypothesis_home_dir(checkout.ROOT / ".cache" / "hypothesis")
# No deadline: a machine that is busy with something else makes no test wrong.
settings.register_profile("project", deadline=None)
settings.load_profile("project")
