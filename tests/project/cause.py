# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find what made a gate fail in all that it printed: CI's readers may see little more than one line of a failure."""

from __future__ import annotations

import re

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_STARS = re.compile(r"\s*\*+$")
_RECAP = re.compile(r"^(?P<host>\S+)\s+: ok=.* (?:unreachable=[1-9]|failed=[1-9])")
_FATAL = re.compile(r"^(?:fatal|failed): \[(?P<host>[^\]\s]+)[\]\s]")
_BLANKS = re.compile(r"\s+")
_LAST_LINES = 3


def cause(output: str, limit: int = 1500) -> str:
    """Return one line that tells why the command failed: the tasks that ended an Ansible play, else the last lines.

    Of a play, only hosts that the recap counts as failed matter, and of those the last failure: what a block rescued
    or a task ignored came before it.
    """
    lines = [_COLOURS.sub("", line) for line in output.splitlines()]
    told = _failures(lines) or [line for line in lines if line.strip()][-_LAST_LINES:]
    return _BLANKS.sub(" ", " | ".join(told)).strip()[:limit] or "it printed nothing"


def _failures(lines: list[str]) -> list[str]:
    """Return the task and the answer of each host that ended as failed, a host once."""
    failed = [match["host"] for line in lines if (match := _RECAP.match(line))]
    found: dict[str, str] = {}
    for number in range(len(lines) - 1, -1, -1):
        match = _FATAL.match(lines[number])
        if match and match["host"] in failed and match["host"] not in found and not _ignored(lines, number):
            found[match["host"]] = f"{_task(lines, number)} {_answer(lines, number)}"
    return [found[host] for host in dict.fromkeys(failed) if host in found]


def _ignored(lines: list[str], number: int) -> bool:
    end = number + len(_answer_lines(lines, number))
    return end < len(lines) and lines[end].strip() == "...ignoring"


def _task(lines: list[str], number: int) -> str:
    for line in reversed(lines[:number]):
        if line.startswith(("TASK [", "RUNNING HANDLER [")):
            return _STARS.sub("", line)
    return "TASK [none]"


def _answer_lines(lines: list[str], number: int) -> list[str]:
    """Return the line that tells of the failure and the indented ones that belong to it."""
    end = number + 1
    while end < len(lines) and lines[end].startswith((" ", "\t")):
        end += 1
    return lines[number:end]


def _answer(lines: list[str], number: int) -> str:
    """Return the failure, what the module says of itself before its other results."""
    first, *rest = _answer_lines(lines, number)
    starts = [at for at, line in enumerate(rest) if re.match(r"\s+(msg|assertion|stderr):", line)]
    return " ".join([first, *(rest[starts[0] :] + rest[: starts[0]] if starts else rest)])
