# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure the collection against what users run today: `make bench`, or `make bench BENCH=single`.

Prints a table, writes all single measurements to build/bench/results.json, and exits with 1 where a limit is missed or
something could not be measured.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import time
from typing import Any

import data
import labhost
import measures
import peer

RESULTS = labhost.WORK / "results.json"
ALL = {**measures.ALL, "data": data.data}
BUILT = labhost.ROOT / "build" / "collections"


def measure(host: labhost.LabHost, names: list[str]) -> tuple[list[measures.Figure], dict[str, str]]:
    """Measure one thing after another, to the last; return the figures, and by name what went wrong."""
    figures: list[measures.Figure] = []
    errors: dict[str, str] = {}
    for name in names:
        print(f"measuring: {name} ... ", end="", flush=True)
        start = time.monotonic()
        try:
            figures += ALL[name](host)
            print(f"{time.monotonic() - start:.0f} s")
        except labhost.BenchError as exc:
            errors[name] = str(exc)
            print("failed")
    return figures, errors


def table(figures: list[measures.Figure], errors: dict[str, str]) -> str:
    """Return the lines of the table."""
    rows = [("what", "measured", "limit", "ok")]
    for one in figures:
        sign = ">=" if one.at_least else "<="
        measured = f"{one.measured:.{0 if one.measured > 10 else 2}f} {one.unit}"
        rows.append((one.what, measured, f"{sign} {one.limit:g} {one.unit}", "yes" if one.ok else "NO"))
    rows += [(name, "failed, see above", "", "NO") for name in errors]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def write(figures: list[measures.Figure], errors: dict[str, str], versions: dict[str, Any]) -> None:
    """Write what was measured, for whoever wants to compare runs."""
    content = {
        "versions": versions,
        "processors": os.cpu_count(),
        "figures": [{**dataclasses.asdict(one), "ok": one.ok} for one in figures],
        "errors": errors,
    }
    RESULTS.write_text(json.dumps(content, indent=2) + "\n")


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("name", nargs="*", help=f"what to measure: {', '.join(ALL)} (default: all)")
    parser.add_argument("--keep", action="store_true", help="leave the lab up")
    options = parser.parse_args()
    unknown = [name for name in options.name if name not in ALL]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}. There is: {', '.join(ALL)}")
    collections = [BUILT, peer.fetch()]
    with labhost.lab(keep=options.keep):
        host = labhost.LabHost(collections)
        versions = json.loads(host.engine("engine"))
        figures, errors = measure(host, options.name or list(ALL))
    write(figures, errors, versions)
    for name, text in errors.items():
        print(f"\n{name}: {text}", file=sys.stderr)
    print(f"\n{table(figures, errors)}\n\nAll single measurements: {RESULTS.relative_to(labhost.ROOT)}")
    return 0 if figures and not errors and all(one.ok for one in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
