# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetch what the collection is measured against: community.docker, out of the package `ansible` that the lock names."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements" / "bench.txt"
CACHE = ROOT / ".cache" / "bench"
COLLECTIONS = CACHE / "collections"
STAMP = CACHE / "collections.stamp"
NEEDED = ("docker", "library_inventory_filtering_v1")  # the second one is what the first one depends on


def fetch() -> Path:
    """Return the folder for ANSIBLE_COLLECTIONS_PATH; it is filled once for each state of the lock."""
    wanted = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    if STAMP.is_file() and STAMP.read_text() == wanted:
        return COLLECTIONS
    shutil.rmtree(CACHE, ignore_errors=True)
    download = CACHE / "download"
    print(f"fetching community.docker out of the package that {LOCK.relative_to(ROOT)} names", flush=True)
    pip = [sys.executable, "-m", "pip", "download", "-qq", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*pip, "--require-hashes", "--dest", str(download), "-r", str(LOCK)], check=True)
    (wheel,) = download.iterdir()
    prefixes = tuple(f"ansible_collections/community/{name}/" for name in NEEDED)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(COLLECTIONS, [name for name in archive.namelist() if name.startswith(prefixes)])
    shutil.rmtree(download)
    STAMP.write_text(wanted)
    return COLLECTIONS
