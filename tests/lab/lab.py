# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes and removes labs of real Docker engines: see README.md beside this file."""

from __future__ import annotations

import argparse
import sys

from docker.errors import DockerException
from voltainer_lab import lab
from voltainer_lab.names import LabError, parse_host, parse_lab_name
from voltainer_lab.state import state_root


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lab.py", description="A lab of real Docker engines, reached by ssh.")
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="make a lab, or what is missing or broken of it")
    up.add_argument("--name", default="default", help="the lab's name (default: %(default)s)")
    up.add_argument(
        "--host",
        action="append",
        default=[],
        metavar="NAME=SUITE",
        help="a host and its Debian suite: bookworm, trixie or sid; may be repeated (default: host1=trixie)",
    )
    up.add_argument("--swarm", action="store_true", help="make a swarm of the hosts, the first is its manager")
    down = commands.add_parser("down", help="remove a lab")
    which = down.add_mutually_exclusive_group()
    which.add_argument("--name", default="default", help="the lab's name (default: %(default)s)")
    which.add_argument("--all", action="store_true", help="all labs of this checkout, and the engine the lab started")
    commands.add_parser("purge", help="down --all, and also the lab's images and caches")
    commands.add_parser("status", help="say what there is; exit code 1 if something of it does not work")
    return parser


def _run(arguments: argparse.Namespace) -> int:
    root = state_root()
    if arguments.command == "up":
        hosts = [parse_host(text) for text in arguments.host]
        lab.up(root, parse_lab_name(arguments.name), hosts, arguments.swarm)
    elif arguments.command == "down" and arguments.all:
        lab.down_all(root)
    elif arguments.command == "down":
        lab.down(root, parse_lab_name(arguments.name))
    elif arguments.command == "purge":
        lab.purge(root)
    else:
        return 0 if lab.status(root) else 1
    return 0


def main() -> int:
    try:
        return _run(_parser().parse_args())
    except LabError as error:
        message = str(error)
    except DockerException as error:
        message = f"the outer Docker engine says: {error}"
    except KeyboardInterrupt:
        print("lab: interrupted", file=sys.stderr)
        return 130
    print(f"lab: error: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
