# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names, labels and what the command line may ask for. Nothing here talks to an engine."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

PREFIX = "voltainer-lab-"

LABEL_LAB = "voltainer.lab.name"
LABEL_ROOT = "voltainer.lab.root"
LABEL_ROLE = "voltainer.lab.role"
LABEL_CONFIG = "voltainer.lab.config"
LABEL_SUITE = "voltainer.lab.suite"
LABEL_IMAGE = "voltainer.lab.image"

# What stands in the place of a lab's name in those of the containers that push the plugins.
SEED = "seed"

SUITES = ("bookworm", "trixie", "sid")
DEFAULT_SUITE = "trixie"
SERVICES = ("registry", "registry-auth", "sftp")

_LAB_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")
_HOST_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")


class LabError(Exception):
    """Something the reader of the message can act on; it is printed without a traceback."""


@dataclass(frozen=True)
class Host:
    """One host that somebody asked for."""

    name: str
    suite: str


def parse_lab_name(text: str) -> str:
    """Return a lab's name as given, or raise LabError where it cannot be part of a container's name."""
    if text == SEED:
        raise LabError(f"lab name {text!r} is taken by the containers that push plugins: choose another one")
    if not _LAB_NAME.fullmatch(text):
        raise LabError(f"lab name {text!r}: use up to 31 lower-case letters, digits and dashes, no dash first")
    return text


def parse_host(text: str) -> Host:
    """Read `NAME=SUITE`, or `NAME` alone for the default suite."""
    name, _equals, suite = text.partition("=")
    suite = suite or DEFAULT_SUITE
    if not _HOST_NAME.fullmatch(name):
        raise LabError(f"host name {name!r}: use up to 31 lower-case letters, digits and dashes, a letter first")
    if name in SERVICES:
        raise LabError(f"host name {name!r} is taken by one of the lab's services ({', '.join(SERVICES)})")
    if suite not in SUITES:
        raise LabError(f"host {name}: unknown suite {suite!r}, the lab knows {', '.join(SUITES)}")
    return Host(name, suite)


def merge_hosts(existing: list[Host], wanted: list[Host]) -> list[Host]:
    """Return the existing hosts, then the wanted ones that are new; a host cannot change its suite."""
    merged = {host.name: host for host in existing}
    for host in wanted:
        known = merged.setdefault(host.name, host)
        if known.suite != host.suite:
            raise LabError(
                f"host {host.name} is {known.suite} and cannot become {host.suite}: "
                "take the lab down first, or choose another host name"
            )
    return list(merged.values())


def network_name(root: Path, lab: str) -> str:
    """Return the name of a lab's network, which its containers' names begin with.

    It tells checkouts apart: each may have a lab of the same name in one engine.
    """
    return f"{PREFIX}{lab}-{hashlib.sha256(str(root).encode()).hexdigest()[:6]}"


def container_name(root: Path, lab: str, member: str) -> str:
    return f"{network_name(root, lab)}-{member}"
