# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Know the files of this checkout, and lay them out as Ansible's own tools want them.

A checkout has any name; Ansible's tools want `.../ansible_collections/voltainer/volumes`. There are two ways to such a
path: `link` makes a symbolic link to the checkout (for pytest and mypy, which then report on the real files), `stage` a
copy (for ansible-test, which resolves links). The copy holds what git tracks or would track: no local leftovers.
"""

from __future__ import annotations

import filecmp
import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAMESPACE, NAME = "voltainer", "volumes"
BUILD = ROOT / "build"
TREE = Path("ansible_collections") / NAMESPACE / NAME
LINKED = BUILD / "src" / TREE
STAGED = BUILD / "stage" / TREE


def _git(*arguments: str) -> str:
    # safe.directory: a checkout that is mounted into a container may belong to another user.
    command = ["git", "-C", str(ROOT), "-c", f"safe.directory={ROOT}", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def files() -> list[str]:
    """Return the sorted paths, relative to the checkout, that git tracks or would add, without those deleted."""
    listing = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    if (ROOT / ".git").exists():
        names = _git(*listing)
    else:
        # An unpacked archive: an empty repository elsewhere lends its rules, and nothing is written here.
        with tempfile.TemporaryDirectory() as scratch:
            subprocess.run(["git", "init", "-q", scratch], check=True)
            names = _git(f"--git-dir={scratch}/.git", f"--work-tree={ROOT}", *listing)
    return sorted({name for name in names.split("\0") if name and (ROOT / name).is_file()})


def digest(names: list[str]) -> str:
    """Return one hash over the names, modes and contents of files of the checkout."""
    total = hashlib.sha256()
    for name in names:
        path = ROOT / name
        total.update(f"{name}\0{path.stat().st_mode:o}\0".encode())
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def link() -> Path:
    """Make the link to the checkout where it is missing or wrong, and return the folder to put on the import path."""
    if not LINKED.is_symlink() or LINKED.resolve() != ROOT:
        LINKED.parent.mkdir(parents=True, exist_ok=True)
        LINKED.unlink(missing_ok=True)
        LINKED.symlink_to(ROOT)
    return BUILD / "src"


def stage() -> Path:
    """Bring the copy in line with the checkout and return its folder."""
    wanted = files()
    STAGED.mkdir(parents=True, exist_ok=True)
    if not (STAGED / ".git").exists():
        # ansible-test would find the repository above instead, in which `build` is ignored, and test no file at all.
        subprocess.run(["git", "init", "-q", str(STAGED)], check=True)
    for name in wanted:
        source, target = ROOT / name, STAGED / name
        if (
            target.is_file()
            and filecmp.cmp(source, target, shallow=False)
            and source.stat().st_mode == target.stat().st_mode
        ):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
    _remove_others(set(wanted))
    return STAGED


def _remove_others(wanted: set[str]) -> None:
    for path in sorted(STAGED.rglob("*"), reverse=True):
        name = path.relative_to(STAGED).as_posix()
        if name.split("/")[0] == ".git" or name.startswith("tests/output"):
            continue
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif name not in wanted:
            path.unlink()


def main() -> None:
    """Do what the command line asks for and print the folder that came of it."""
    actions = {"link": link, "stage": stage}
    if len(sys.argv) != 2 or sys.argv[1] not in actions:
        sys.exit(f"usage: {sys.argv[0]} {'|'.join(actions)}")
    print(actions[sys.argv[1]]())


if __name__ == "__main__":
    main()
