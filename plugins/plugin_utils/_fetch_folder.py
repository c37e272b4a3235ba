# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder of the controller with backups that were fetched: files appear in it whole, and take the place of no other.

Names have the volume and the second alone, so two hosts may have different archives of one name.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

_PIECE = 1 << 20
# No fetch takes as long: what is older was left by a controller that was killed.
_LEFT = 7 * 86400
_PARTIAL = re.compile(r"\.voltainer-[0-9a-f]{16}\.partial\Z")


class OtherFileError(Exception):
    """The folder has another file of the name."""

    def __init__(self, path: str) -> None:
        """Take the path of that file."""
        super().__init__(path)
        self.path = path


class DamagedError(Exception):
    """What arrived is not what was sent; `sha256` is what it has."""

    def __init__(self, sha256: str | None) -> None:
        """Take the digest."""
        super().__init__(sha256)
        self.sha256 = sha256


@dataclass(frozen=True)
class Backup:
    """A backup that the folder is to have: the name of its archive, the digest of that, and what its manifest says."""

    name: str
    sha256: str
    manifest: Mapping[str, Any]

    @property
    def text(self) -> str:
        """The manifest as it lies beside the archive on the host."""
        return json.dumps(self.manifest, indent=2, sort_keys=True) + "\n"


class FetchFolder:
    """The folder, which need not be there."""

    def __init__(self, path: str) -> None:
        """Take its path."""
        self.path = path

    def lacks(self, backup: Backup) -> bool:
        """Return whether the archive or its manifest is missing. Raises OtherFileError."""
        there = (self._has_archive(backup), self._has_manifest(backup))
        return not all(there)

    @contextmanager
    def partial(self, backup: Backup) -> Iterator[str]:
        """Yield the path to which the archive is to be brought; without `publish` within, nothing is left of it.

        It is in a folder of its own: ways to bring files have names of their own meanwhile, and other rights.
        """
        os.makedirs(self.path, mode=0o700, exist_ok=True)
        self._clean()
        folder = os.path.join(self.path, f".voltainer-{secrets.token_hex(8)}.partial")
        os.mkdir(folder, 0o700)
        try:
            yield os.path.join(folder, backup.name)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def publish(self, partial: str, backup: Backup) -> None:
        """Give the archive, which was brought to `partial`, and its manifest their names.

        Raises DamagedError, and OtherFileError where somebody else was faster.
        """
        found = _sha256(partial)
        if found != backup.sha256:
            raise DamagedError(found)
        os.chmod(partial, 0o600)
        _sync(partial)
        beside = f"{partial}.json"
        with open(beside, "x", encoding="utf-8", opener=_private) as file:
            file.write(backup.text)
        _sync(beside)
        # The manifest first: whoever sees the archive sees all of the backup.
        there = self._has_manifest(backup)
        if not there:
            _give_name(beside, self._manifest(backup))
        try:
            if not self._has_archive(backup):
                _give_name(partial, self._archive(backup))
        except (OSError, OtherFileError):
            if not there:
                os.unlink(self._manifest(backup))
            raise
        _sync(self.path)

    def _archive(self, backup: Backup) -> str:
        return os.path.join(self.path, backup.name)

    def _manifest(self, backup: Backup) -> str:
        return f"{self._archive(backup)}.json"

    def _has_archive(self, backup: Backup) -> bool:
        path = self._archive(backup)
        if not os.path.lexists(path):
            return False
        if _sha256(path) != backup.sha256:
            raise OtherFileError(path)
        return True

    def _has_manifest(self, backup: Backup) -> bool:
        path = self._manifest(backup)
        if not os.path.lexists(path):
            return False
        try:
            with open(path, encoding="utf-8") as file:
                said = json.load(file)
        except ValueError:
            raise OtherFileError(path) from None
        # Another version of this collection may tell more or less of the same archive.
        if not isinstance(said, dict) or (said.get("archive"), said.get("sha256")) != (backup.name, backup.sha256):
            raise OtherFileError(path)
        return True

    def _clean(self) -> None:
        """Remove what controllers that were killed left."""
        for name in filter(_PARTIAL.match, os.listdir(self.path)):
            folder = os.path.join(self.path, name)
            with contextlib.suppress(OSError):
                if os.stat(folder, follow_symlinks=False).st_mtime < time.time() - _LEFT:
                    shutil.rmtree(folder)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _give_name(path: str, name: str) -> None:
    """Give a file its name. Raises OtherFileError where there is one."""
    try:
        # Not a rename: that would take the place of a file which somebody made meanwhile.
        os.link(path, name)
    except FileExistsError:
        raise OtherFileError(name) from None
    except OSError:
        # File systems without hard links, where the time between is as short as can be.
        if os.path.lexists(name):
            raise OtherFileError(name) from None
        os.rename(path, name)


def _sync(path: str) -> None:
    """Have a file, or the names in a folder, on the disk where the file system can."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):
            os.fsync(handle)
    finally:
        os.close(handle)


def _sha256(path: str) -> str | None:
    """Return the digest of a file, or None where there is none."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            for piece in iter(lambda: file.read(_PIECE), b""):
                digest.update(piece)
    except FileNotFoundError:
        return None
    return digest.hexdigest()
