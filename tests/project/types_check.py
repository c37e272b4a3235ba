# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check types with mypy: module_utils, under the names by which it is imported, and the tests' own tools."""

from __future__ import annotations

import os
import subprocess
import sys

import checkout

PREFIX = f"{checkout.LINKED.relative_to(checkout.ROOT)}/"


def mypy(*arguments: str) -> int:
    """Run mypy and print what it finds under the paths of the checkout."""
    tests = checkout.ROOT / "tests"
    paths = [checkout.BUILD / "src", tests / "project", tests / "lab", tests / "benchmarks"]
    environment = {**os.environ, "MYPYPATH": os.pathsep.join(map(str, paths))}
    command = [sys.executable, "-m", "mypy", "--namespace-packages", "--explicit-package-bases", *arguments]
    result = subprocess.run(command, check=False, capture_output=True, text=True, cwd=checkout.ROOT, env=environment)
    print((result.stdout + result.stderr).replace(PREFIX, ""), end="", flush=True)
    return result.returncode


def main() -> int:
    """Check every part; modules are left to ansible-test, which knows their argument specs."""
    checkout.link()
    codes = [mypy(f"{PREFIX}plugins/module_utils"), mypy("tests/project"), mypy("tests/benchmarks")]
    if (checkout.ROOT / "tests" / "lab").is_dir():
        codes.append(mypy("tests/lab"))
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
