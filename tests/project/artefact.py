# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the collection, install what was built into `build/collections`, and check it.

`build` does so when a file of the checkout has changed since; scenarios, the demo and ansible-lint use that folder, so
that they meet what a user installs. `check` starts from an empty folder, compares the files and reads the docs.
"""

from __future__ import annotations

import fnmatch
import json
import os
import shutil
import subprocess
import sys

import checkout
import yaml

COLLECTIONS = checkout.BUILD / "collections"
INSTALLED = COLLECTIONS / checkout.TREE
STAMP = checkout.BUILD / "collections.stamp"
FULL_NAME = f"{checkout.NAMESPACE}.{checkout.NAME}"
WRITTEN_BY_BUILD = {"FILES.json", "MANIFEST.json"}
NOT_BUILT = {"galaxy.yml"}  # ansible-galaxy turns it into MANIFEST.json


def run(*command: str) -> str:
    """Run a command away from the checkout, so that it sees nothing but what is installed, and return its output."""
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS)}
    result = subprocess.run(command, check=False, capture_output=True, text=True, cwd=checkout.BUILD, env=environment)
    if result.returncode or "WARNING" in result.stderr or "ERROR" in result.stderr:
        sys.exit(f"{' '.join(command)}: exit code {result.returncode}\n{result.stdout}{result.stderr}")
    return result.stdout


def build() -> None:
    """Build from the checkout itself, as for a release, and install the file."""
    artefacts = checkout.BUILD / "artefact"
    for folder in (artefacts, COLLECTIONS):
        shutil.rmtree(folder, ignore_errors=True)
    STAMP.unlink(missing_ok=True)
    COLLECTIONS.mkdir(parents=True)
    run("ansible-galaxy", "collection", "build", str(checkout.ROOT), "--output-path", str(artefacts))
    (artefact,) = artefacts.iterdir()
    run(
        "ansible-galaxy",
        "collection",
        "install",
        str(artefact),
        "--collections-path",
        str(COLLECTIONS),
        "--offline",
        "--no-deps",
    )
    print(f"{artefact.name} ({artefact.stat().st_size // 1024} KiB) is installed in {COLLECTIONS}")


def build_if_changed() -> None:
    """Build unless what is installed was made from the very files that the checkout has now."""
    now = checkout.digest(checkout.files())
    if STAMP.is_file() and STAMP.read_text() == now and INSTALLED.is_dir():
        return
    build()
    STAMP.write_text(now)


def ignored(name: str, patterns: list[str]) -> bool:
    """Tell whether `build_ignore` leaves a file out: a pattern matches the file or a folder that it is in."""
    parts = name.split("/")
    return any(
        fnmatch.fnmatch("/".join(parts[: depth + 1]), pattern) for depth in range(len(parts)) for pattern in patterns
    )


def check_files() -> None:
    """Fail where the artefact holds a file that git does not know, or lacks one that it should hold."""
    patterns = yaml.safe_load((checkout.ROOT / "galaxy.yml").read_text())["build_ignore"]
    wanted = {name for name in checkout.files() if not ignored(name, patterns)} - NOT_BUILT
    present = {
        path.relative_to(INSTALLED).as_posix() for path in INSTALLED.rglob("*") if path.is_file()
    } - WRITTEN_BY_BUILD
    problems = [f"junk in the artefact: {name}" for name in sorted(present - wanted)]
    problems += [f"missing in the artefact: {name}" for name in sorted(wanted - present)]
    unshipped = [
        n for n in checkout.files() if n.split("/")[0] in {"plugins", "roles", "playbooks", "meta"} and n not in present
    ]
    problems += [f"build_ignore leaves out what users need: {name}" for name in unshipped]
    if problems:
        sys.exit("\n".join(problems))
    print(f"The artefact holds the {len(present)} files that it should, and no other.")


# By kind: where documented content lies, and the parts that its documentation must have.
CONTENT = {
    "module": ("plugins/modules", "*.py", ("doc", "examples", "return")),
    "filter": ("plugins/filter", "*.yml", ("doc", "examples", "return")),
    "role": ("roles", "*/", ("entry_points",)),
}


def names(kind: str) -> list[str]:
    """Return the full names of what is installed of a kind."""
    folder, pattern, _parts = CONTENT[kind]
    return [f"{FULL_NAME}.{path.stem}" for path in sorted((INSTALLED / folder).glob(pattern))]


def check_documentation() -> None:
    """Fail where `ansible-doc` cannot show a module, filter or role, or shows nothing to read."""
    for kind, (_folder, _pattern, parts) in CONTENT.items():
        wanted = names(kind)
        shown = json.loads(run("ansible-doc", "--json", "--type", kind, *wanted)) if wanted else {}
        for name in wanted:
            content = shown.get(name) or {}
            lacking = [part for part in parts if not content.get(part)]
            if lacking:
                sys.exit(f"ansible-doc shows no {', '.join(lacking)} of the {kind} {name}")
        print(f"ansible-doc shows {len(wanted)} {kind}(s): {', '.join(wanted) or 'none'}")
    if not names("module"):
        sys.exit(f"no module was installed in {INSTALLED}")


def main() -> None:
    """Do what the command line asks for."""
    match sys.argv[1:]:
        case ["build"]:
            build_if_changed()
        case ["check"]:
            STAMP.unlink(missing_ok=True)
            build_if_changed()
            check_files()
            check_documentation()
        case _:
            sys.exit(f"usage: {sys.argv[0]} build|check")


if __name__ == "__main__":
    main()
