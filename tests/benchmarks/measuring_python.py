# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Be `ansible_python_interpreter` on the host: run Python as asked, and note its time and the memory that it needed.

Appends one line of JSON to the file beside this one. The memory is the peak resident set, in KiB, as the kernel counts
it for the process of the module when that has ended. The shebang is added where it is put on the host.
"""

import json
import resource
import subprocess
import sys
import time

start = time.perf_counter()
code = subprocess.call(["/usr/bin/python3", *sys.argv[1:]])
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
with open(f"{sys.argv[0]}.jsonl", "a") as stream:
    stream.write(json.dumps({"seconds": seconds, "peak_kib": peak}) + "\n")
sys.exit(code)
