# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a play on this machine, apart from the settings and collections of whoever runs the tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import checkout


def run_play(folder: Path, play: Mapping[str, object], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the play, whose hosts and connection are this machine, in the folder, and return how it ended."""
    here = {"hosts": "localhost", "connection": "local", "gather_facts": False}
    (folder / "play.yml").write_text(json.dumps([{**here, **play}]))
    return subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", *arguments, "play.yml"],
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_HOME": str(folder / "ansible"),
            "ANSIBLE_COLLECTIONS_PATH": str(checkout.link()),
        },
    )
