# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Be `ansible_python_interpreter` on the host: run Python as asked, and note its time and the memory that it needed.

Appends one line of JSON to the file beside this one. The memory is the peak resident set, in KiB: one is what the
kernel tells at the end of the module, and counts the largest of its children as well; the other one is of the
process alone, but for the last 20 ms. The shebang is added where it is put on the host.
"""

import json
import re
import resource
import subprocess
import sys
import threading
import time

EVERY = 0.02


def own_peak(pid: int, ended: threading.Event, peaks: list[int]) -> None:
    """Look at the peak of one process until it ends; it never falls."""
    while not ended.wait(EVERY):
        try:
            with open(f"/proc/{pid}/status") as lines:
                found = re.search(r"VmHWM:\s*(\d+)", lines.read())
        except OSError:
            return
        if found:
            peaks.append(int(found[1]))


start = time.perf_counter()
process = subprocess.Popen(["/usr/bin/python3", *sys.argv[1:]])
ended, peaks = threading.Event(), [0]
looking = threading.Thread(target=own_peak, args=(process.pid, ended, peaks))
looking.start()
code = process.wait()
seconds = time.perf_counter() - start
ended.set()
looking.join()
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
with open(f"{sys.argv[0]}.jsonl", "a") as stream:
    stream.write(json.dumps({"seconds": seconds, "peak_kib": peak, "own_peak_kib": max(peaks)}) + "\n")
sys.exit(code)
