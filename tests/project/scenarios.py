# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run Molecule's scenarios one after another, each judged by Molecule's exit code.

The scenario `default` makes the lab before a scenario and destroys it afterwards. Molecule remembers "created" and
"prepared" in its ephemeral folder, which `shared_state` would make one folder for all: then only the first scenario is
ever prepared. So each gets a folder of its own, emptied before a test; making the lab again finds the one there is.
A scenario with a destroy playbook has a lab of its own, which nothing else uses and its cleanup takes away.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCENARIOS = ROOT / "extensions" / "molecule"
STATE = ROOT / ".cache" / "molecule"
LAB_SCENARIO = "default"


def found() -> list[str]:
    """Return the names of all scenarios but the one that makes the lab."""
    return sorted(path.parent.name for path in SCENARIOS.glob("*/molecule.yml") if path.parent.name != LAB_SCENARIO)


def own_labs() -> list[str]:
    """Return the names of the scenarios that make a lab of their own."""
    return [name for name in found() if (SCENARIOS / name / "destroy.yml").exists()]


def molecule(*arguments: str, scenario: str) -> int:
    """Run Molecule in the checkout, from where it finds the scenarios of a collection, and return its exit code."""
    environment = {
        **os.environ,
        "MOLECULE_EPHEMERAL_DIRECTORY": str(STATE / scenario),
        "MOLECULE_PROJECT_DIRECTORY": str(ROOT),
        "MOLECULE_COMMAND_BORDERS": "false",  # the frame breaks long lines, and error messages with them
    }
    command = ["molecule", *arguments, "--scenario-name", scenario]
    return subprocess.run(command, check=False, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL).returncode


def destroy() -> int:
    """Destroy the labs and forget what was made in them."""
    codes = [molecule("destroy", scenario=name) for name in (LAB_SCENARIO, *own_labs())]
    shutil.rmtree(STATE, ignore_errors=True)
    return max(codes)


def run_one(scenario: str, action: str, *, keep: bool) -> int:
    """Run one scenario; where a test fails, even a kept lab is destroyed, so that the next one finds it clean."""
    if action != "test":
        return molecule(action, scenario=scenario)
    shutil.rmtree(STATE / scenario, ignore_errors=True)
    code = molecule("test", f"--destroy={'never' if keep else 'always'}", scenario=scenario)
    if code and keep:
        # Not all labs: a scenario that has one of its own may run beside this one.
        molecule("destroy", scenario=LAB_SCENARIO)
    return code


def run(names: list[str], action: str, *, keep: bool) -> int:
    """Run scenarios to the last, whatever fails, and name those that did."""
    known = found()
    unknown = [name for name in names if name not in known]
    if unknown or not known:
        print(
            f"No such scenario: {', '.join(unknown) or 'none exists'}. Scenarios: {', '.join(known)}", file=sys.stderr
        )
        return 2
    failed = []
    for name in names or known:
        start = time.monotonic()
        code = run_one(name, action, keep=keep)
        outcome = f"FAILED with exit code {code}" if code else "passed"
        print(f"scenario {name}: {action} {outcome} in {time.monotonic() - start:.0f} s", flush=True)
        if code:
            failed.append(name)
    return 1 if failed else 0


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    commands = parser.add_subparsers(dest="command", required=True)
    runner = commands.add_parser("run")
    runner.add_argument("scenario", nargs="*")
    runner.add_argument("--action", default="test")
    runner.add_argument("--keep", action="store_true")
    commands.add_parser("destroy")
    options = parser.parse_args()
    return destroy() if options.command == "destroy" else run(options.scenario, options.action, keep=options.keep)


if __name__ == "__main__":
    sys.exit(main())
