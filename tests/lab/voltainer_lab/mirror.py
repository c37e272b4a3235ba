# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where Debian's packages come from: the machine's own mirror, never one written down in this repository."""

from __future__ import annotations

import os
import shutil
import subprocess

ENVIRONMENT = "LAB_DEBIAN_MIRROR"
INDEX_FORMAT = "$(REPO_URI)|$(ORIGIN)|$(LABEL)|$(COMPONENT)|$(CREATED_BY)"


def parse_index_targets(text: str) -> str | None:
    """Pick the main Debian archive out of `apt-get indextargets` lines in INDEX_FORMAT.

    Origin and label are those of the archive's Release file, so a derivative, the security archive and third-party
    repositories fall out. Only http and https count: debootstrap does not know apt's other transports.
    """
    for line in text.splitlines():
        fields = line.strip().split("|")
        if len(fields) != INDEX_FORMAT.count("|") + 1:
            continue
        uri, origin, label, component, created_by = fields
        is_archive = (origin, label, component, created_by) == ("Debian", "Debian", "main", "Packages")
        if is_archive and uri.startswith(("http://", "https://")):
            return uri.rstrip("/")
    return None


def find_mirror() -> str | None:
    """Return the mirror to build from, or None for debootstrap's own default."""
    override = os.environ.get(ENVIRONMENT)
    if override:
        return override.rstrip("/")
    if not shutil.which("apt-get"):
        return None
    found = subprocess.run(
        ["apt-get", "indextargets", "--format", INDEX_FORMAT], capture_output=True, text=True, check=False
    )
    return parse_index_targets(found.stdout) if found.returncode == 0 else None
