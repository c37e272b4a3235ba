# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run restic on this host (see `_restic`)."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Sequence

from ansible_collections.voltainer.volumes.plugins.module_utils._errors import RefusedError
from ansible_collections.voltainer.volumes.plugins.module_utils._helper import Helper
from ansible_collections.voltainer.volumes.plugins.module_utils._program import PATH, find, start
from ansible_collections.voltainer.volumes.plugins.module_utils._reach import Reach
from ansible_collections.voltainer.volumes.plugins.module_utils._restic import (
    BackedUp,
    Repository,
    Snapshot,
    Version,
    backup_command,
    check_command,
    environment,
    failure,
    forget_command,
    init_command,
    look_command,
    parse_backup,
    parse_snapshots,
    parse_version,
    restore_command,
    snapshots_command,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import Volume

# What restic ends with where there is no repository (0.17 and later), and what all versions say then.
_NO_REPOSITORY = 10
_NONE_THERE = "Is there a repository at the following location"
# Of an output, more is not kept than this: restic tells of each file where it is asked for JSON.
_OUTPUT = 64 << 20


class Restic:
    """A repository of restic, reached from this host."""

    def __init__(self, repository: Repository) -> None:
        """Take the repository; nothing is asked yet."""
        self._repository = repository
        self._known: Version | None = None

    def is_there(self) -> bool:
        """Return whether there is a repository that opens with the password. Raises VolumesError for a wrong one."""
        what = f"Cannot look into the repository at '{self._repository.location}'"
        code, output, errors = self._run(look_command())
        if code == _NO_REPOSITORY or (code != 0 and _NONE_THERE in errors + output):
            return False
        self._check(what, code, output, errors)
        return True

    def snapshots(self, volume: str | None = None, host: str | None = None) -> list[Snapshot]:
        """Return the snapshots, those of a volume and host where these are given, the oldest first."""
        output = self._must("Cannot list the snapshots", snapshots_command(volume, host))
        return parse_snapshots(output, self._repository)

    def make(self) -> None:
        """Make the repository."""
        self._must(f"Cannot make the repository at '{self._repository.location}'", init_command())

    def back_up(self, folder: str, host: str, tags: Iterable[str], volume: str) -> BackedUp:
        """Make a snapshot of the folder, and return what restic tells of it."""
        what = f"Cannot back up the volume '{volume}'"
        command = backup_command(self._version, host, tags, os.path.basename(folder))
        code, output, errors = self._run(command, folder=os.path.dirname(folder))
        return parse_backup(what, self._repository, code, output, errors)

    def check(self) -> None:
        """Check the repository's structure."""
        what = f"The check of the repository at '{self._repository.location}' failed, with the new snapshot in it"
        self._must(what, check_command(self._version))

    def forget(self, ids: Sequence[str]) -> None:
        """Remove these snapshots."""
        command = forget_command(self._version, ids, prune=self._repository.prune)
        self._must("Cannot remove old snapshots; the new one is there", command)

    def restore(self, snapshot: str, target: str, *, verify: bool) -> None:
        """Put a snapshot into the folder `target`."""
        self._must(
            f"Cannot restore the snapshot {snapshot[:8]}",
            restore_command(self._version, snapshot, target, verify=verify),
        )

    def folder_of(self, at: Reach, volume: Volume | None, name: str) -> str:
        """Return where this host has the folder that is the volume, as long as it is held. Raises RefusedError."""
        path = volume.mountpoint if volume else ""
        try:
            here = isinstance(at, Helper) and os.path.samestat(os.stat(path), os.fstat(at.open(name)))
        except OSError:
            here = False
        if not here:
            raise RefusedError(
                f"Cannot back up the volume '{name}' with restic",
                f"its folder '{path}' is not on this host, or not where the engine says",
                "Run the task as root on the host of the engine, or back up to a folder with 'path'",
            )
        return path

    @property
    def _version(self) -> Version:
        if self._known is None:
            code, output, errors = self._run(["restic", "version"])
            self._known = parse_version(output)
            if self._known is None:
                raise failure("Cannot find out the version of restic", self._repository, code, output, errors)
        return self._known

    def _must(self, what: str, command: list[str]) -> str:
        code, output, errors = self._run(command)
        self._check(what, code, output, errors)
        return output

    def _check(self, what: str, code: int, output: str, errors: str) -> None:
        if code != 0:
            raise failure(what, self._repository, code, output, errors)

    def _run(self, command: list[str], folder: str | None = None) -> tuple[int, str, str]:
        path = find(command[0])
        if path is None:
            raise RefusedError("Cannot run restic", "the host does not have it", "Install the package restic there")
        with tempfile.TemporaryFile() as output:
            base = {key: value for key, value in os.environ.items() if key != "PATH"}
            program = start(
                [path, *command[1:]],
                stdout=output,
                environment={**environment(self._repository, base), "PATH": PATH},
                folder=folder,
            )
            try:
                code = program.process.wait()
                output.seek(0)
                said = output.read(_OUTPUT).decode("utf-8", "replace")
                return code, said, program.said
            finally:
                program.stop()
