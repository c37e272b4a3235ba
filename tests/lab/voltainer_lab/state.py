# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files a lab keeps: keys, certificates, the inventory, and what must stay the same from one `up` to the next."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from .names import Host, LabError

ENVIRONMENT = "LAB_STATE_DIR"
_REPOSITORY = Path(__file__).resolve().parents[3]


def state_root() -> Path:
    """Return the directory that holds the state of all labs of this checkout."""
    override = os.environ.get(ENVIRONMENT)
    return Path(override).resolve() if override else _REPOSITORY / ".lab"


def cache_dir(root: Path) -> Path:
    return root / "cache"


def log_dir(root: Path) -> Path:
    path = root / "log"
    path.mkdir(parents=True, exist_ok=True)
    return path


def write_atomically(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Write a file so that a reader sees the old or the new content, and nobody ever sees a secret with a wide mode."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.new")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(handle, "wb") as stream:
        stream.write(content)
    draft.replace(path)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock for as long as the block runs; a second command on the same thing waits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


@dataclass
class LabState:
    """One lab's memory. Host numbers are given once, so an address never moves from one host to another."""

    name: str
    directory: Path
    hosts: list[Host] = field(default_factory=list)
    password: str = ""

    @classmethod
    def load(cls, root: Path, name: str) -> LabState:
        """Read what an earlier `up` wrote, or begin anew."""
        state = cls(name, root / name)
        try:
            stored = json.loads(state._file.read_text())
            state.hosts = [Host(host["name"], host["suite"]) for host in stored["hosts"]]
            state.password = stored["password"]
        except FileNotFoundError:
            state.password = secrets.token_urlsafe(18)
        except (ValueError, KeyError, TypeError) as error:
            raise LabError(f"{state._file} is damaged ({error}): run `down --name {name}` and `up` again") from error
        return state

    @property
    def _file(self) -> Path:
        return self.directory / "lab.json"

    @property
    def inventory(self) -> Path:
        return self.directory / "inventory.yml"

    def save(self) -> None:
        stored = {
            "hosts": [{"name": host.name, "suite": host.suite} for host in self.hosts],
            "password": self.password,
        }
        write_atomically(self._file, json.dumps(stored, indent=2).encode())

    def remove(self) -> None:
        if self.directory.exists():
            shutil.rmtree(self.directory)


def known_labs(root: Path) -> list[str]:
    """Return the names of the labs that have state here."""
    return sorted(path.parent.name for path in root.glob("*/lab.json"))
