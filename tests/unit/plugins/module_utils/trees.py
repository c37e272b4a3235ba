# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of trees of files share."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

from ansible_collections.voltainer.volumes.plugins.module_utils._digest import TreeDigest
from ansible_collections.voltainer.volumes.plugins.module_utils._entry import Keeps

TORTURE = Path(__file__).parents[4] / "tests" / "lab" / "torture.py"


@contextlib.contextmanager
def opened(folder):
    """Give the descriptor of a folder."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield fd
    finally:
        os.close(fd)


def digest(entries, keeps=None):
    """Return the digest of entries."""
    total = TreeDigest(keeps or Keeps())
    for entry in entries:
        total.add(entry)
    return total.hexdigest()


def listed(folder, *options):
    """Return what the independent lister says of a folder, without paths that tar cannot unpack."""
    command = [sys.executable, TORTURE, "list", folder, "--without", "deep", *options]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
