# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run `ansible-test sanity` on a staged copy, with every supported Python that this machine has.

ansible-test keeps environments of its own below the home folder, and downloads a bootstrap script for pip that package
registries do not carry. So it gets a home folder inside this checkout (`make clean` removes it) and a bootstrap script
which uses the pip that comes with Python.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import checkout

HOME = checkout.ROOT / ".cache" / "home"
VERSIONS = (
    "3.9",
    "3.10",
    "3.11",
    "3.12",
    "3.13",
)  # what hosts may have; tests/config.yml tells ansible-test the lowest
BOOTSTRAP = (
    HOME / ".ansible" / "test" / "cache" / "get_pip_24_2.py"
)  # the name under which ansible-core 2.19 looks for it


def works(python: Path) -> bool:
    """Tell whether a Python starts and can make virtual environments. A version manager's shim may do neither."""
    command = [str(python), "-c", "import venv, ensurepip"]
    return subprocess.run(command, check=False, capture_output=True, stdin=subprocess.DEVNULL).returncode == 0


def find_pythons(folders: list[Path]) -> dict[str, Path]:
    """Return, for each version found, the first folder whose `pythonX.Y` works."""
    managed = sorted(Path.home().glob(".pyenv/versions/*/bin"))
    found: dict[str, Path] = {}
    for version in VERSIONS:
        for folder in [*folders, *managed]:
            candidate = folder / f"python{version}"
            if candidate.is_file() and os.access(candidate, os.X_OK) and works(candidate):
                found[version] = folder
                break
    return found


def search_path(found: dict[str, Path], folders: list[Path]) -> str:
    """Return a PATH on which each version leads to the Python that was found, and no broken one is met."""
    broken = [
        f
        for f in folders
        if f not in found.values() and any((f / f"python{v}").exists() for v in VERSIONS if v not in found)
    ]
    first = dict.fromkeys([Path(sys.executable).parent, *found.values()])
    return os.pathsep.join(map(str, [*first, *(f for f in folders if f not in first and f not in broken)]))


def write_home() -> None:
    """Fill the home folder: the bootstrap script, and pip's settings, of which ansible-test would pass on none."""
    BOOTSTRAP.parent.mkdir(parents=True, exist_ok=True)
    BOOTSTRAP.write_text("import ensurepip\n\nensurepip.bootstrap(default_pip=True)\n")
    listing = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], check=True, capture_output=True, text=True
    ).stdout
    # `:env:.` are the PIP_* variables of this process, `global.` the settings files. The variables come last and win.
    settings = dict(re.findall(r"^global\.([\w-]+)='(.*)'$", listing, re.MULTILINE))
    settings.update(re.findall(r"^:env:\.([\w-]+)='(.*)'$", listing, re.MULTILINE))
    settings.pop("config-file", None)
    settings.pop("constraint", None)  # ansible-test pins all that it installs
    settings["quiet"] = "2"  # errors only, among results that are to be read
    target = HOME / ".config" / "pip" / "pip.conf"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.touch(mode=0o600)  # an index's address may hold a password
    lines = [f"{key} = {value}".replace("\\n", "\n    ") for key, value in settings.items()]
    target.write_text("\n".join(["[global]", *lines, ""]))


def main() -> int:
    """Run the tests; options on the command line go to ansible-test, `--test import` for example."""
    folders = list(dict.fromkeys(Path(p) for p in os.environ["PATH"].split(os.pathsep) if p))
    found = find_pythons(folders)
    ignore_files = [name for name in checkout.files() if re.match(r"tests/sanity/ignore.*", name)]
    if ignore_files:
        print(f"Correct the code instead of excusing it: {', '.join(ignore_files)}", file=sys.stderr)
        return 1
    absent = [version for version in VERSIONS if version not in found]
    print(f"Python versions found: {', '.join(found)}; not on this machine: {', '.join(absent) or 'none'}")
    write_home()
    staged = checkout.stage()
    environment = {**os.environ, "HOME": str(HOME), "PATH": search_path(found, folders)}
    environment.pop("ANSIBLE_CONFIG", None)
    command = [
        shutil.which("ansible-test", path=environment["PATH"]) or "ansible-test",
        "sanity",
        "--local",
        "--color",
        "no",
        *sys.argv[1:],
    ]
    return subprocess.run(command, check=False, cwd=staged, env=environment, stdin=subprocess.DEVNULL).returncode


if __name__ == "__main__":
    sys.exit(main())
