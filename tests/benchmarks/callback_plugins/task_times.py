# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A callback plugin that writes how long each task took: one line of JSON each, into the file that TASK_TIMES names.

What the task itself tells of its time goes with it: all keys of its result that begin with "seconds_".
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: task_times
type: aggregate
short_description: Write how long each task took
description: Writes one line of JSON for each task into the file that the environment variable TASK_TIMES names.
"""


class CallbackModule(CallbackBase):  # type: ignore[misc]  # ansible-core carries no types
    """The time of a task runs from its start to its result, all items of a loop included. Made for a single host."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "task_times"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        """Take the file's name from the environment."""
        super().__init__()
        self._file = Path(os.environ["TASK_TIMES"])
        self._start = 0.0

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        """Begin to count."""
        self._start = time.perf_counter()

    def v2_runner_on_ok(self, result: Any) -> None:
        """Write down what was counted."""
        seconds = time.perf_counter() - self._start
        line = {"task": result.task.get_name(), "seconds": seconds, "changed": result.is_changed()}
        line["told"] = {key: value for key, value in result.result.items() if key.startswith("seconds_")}
        with self._file.open("a") as stream:
            stream.write(json.dumps(line) + "\n")
