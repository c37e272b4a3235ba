# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run tasks that are to be refused, and look after each whether it has left anything or changed anything.

    refused.py backup|restore < CASES

CASES is JSON: `look` is the command that shows all, `options` what the tasks have in common, `hidden` what none may
say, and `cases` the tasks, each with `options` of its own, the `words` of its error, and `late` where only a run for
real can know it. Prints what was wrong, a line for each.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import killing
from ansible_collections.voltainer.volumes.plugins.modules import docker_volume_x_backup, docker_volume_x_restore

MODULES = {"backup": docker_volume_x_backup.main, "restore": docker_volume_x_restore.main}
# How many lines of a difference are shown.
SHOWN = 6


def seen(look: list[str]) -> set[str]:
    """Return all that there is, line by line."""
    # The command is the test's own.
    done = subprocess.run(look, check=True, capture_output=True, text=True)  # noqa: S603
    return set(done.stdout.splitlines())


def wrong(module: str, case: dict[str, Any], given: dict[str, Any], *, check: bool) -> Iterator[str]:
    """Run a task, and yield what is wrong with what it says."""
    done = killing.run(MODULES[module], {**given["options"], **case["options"]}, check=check)
    said = json.dumps({key: value for key, value in done.result.items() if key != "invocation"})
    if check and case.get("late"):
        if done.failed:
            yield f"it fails in check mode already: {done.result.get('msg')}"
    elif not done.failed:
        yield "it does not fail"
    elif not re.search(case["words"], done.result["msg"], re.DOTALL):
        yield f"it says: {done.result['msg']}"
    elif "Traceback" in said:
        yield f"it breaks: {said}"
    yield from (f"it tells '{word}'" for word in given.get("hidden", ()) if word in said)


def main() -> None:
    """Do what the standard input asks for."""
    given = json.load(sys.stdin)
    before = seen(given["look"])
    for case in given["cases"]:
        for check in (True, False):
            for what in wrong(sys.argv[1], case, given, check=check):
                print(f"{case['options']}, check mode {check}: {what}", flush=True)
            after = seen(given["look"])
            if after != before:
                print(
                    f"{case['options']}, check mode {check}: {sorted(after ^ before)[:SHOWN]} is different", flush=True
                )
                before = after


if __name__ == "__main__":
    main()
