# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a command of the shell, and tell how long it took. What comes `before` it, and `after` it, is not counted."""

from __future__ import annotations

import subprocess
import time

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    """Run the module."""
    parts = ("before", "command", "after")
    module = AnsibleModule(argument_spec={name: {"type": "str", "default": "true"} for name in parts})
    seconds = {}
    for name in parts:
        start = time.perf_counter()
        command = ["/bin/bash", "-euo", "pipefail", "-c", module.params[name]]
        result = subprocess.run(command, check=False, capture_output=True, text=True)
        seconds[name] = time.perf_counter() - start
        if result.returncode:
            module.fail_json(msg=f"{module.params[name]}: exit code {result.returncode}: {result.stderr}")
    module.exit_json(changed=True, seconds_command=seconds["command"])


if __name__ == "__main__":
    main()
