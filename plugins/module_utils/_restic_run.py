# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run restic on this host (see `_restic`)."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timezone
from typing import TypeVar

from ansible_collections.voltainer.volumes.plugins.module_utils._errors import RefusedError
from ansible_collections.voltainer.volumes.plugins.module_utils._helper import Helper
from ansible_collections.voltainer.volumes.plugins.module_utils._program import PATH, Program, find, start
from ansible_collections.voltainer.volumes.plugins.module_utils._reach import Reach
from ansible_collections.voltainer.volumes.plugins.module_utils._restic import (
    AlreadyMadeError,
    BackedUp,
    NoRepositoryError,
    Repository,
    RepositoryLockedError,
    Snapshot,
    Version,
    backup_command,
    check_command,
    environment,
    failure,
    forget_command,
    init_command,
    is_hopeless,
    look_command,
    parse_backup,
    parse_snapshots,
    parse_version,
    restore_command,
    snapshots_command,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._restic_lock import (
    LEFT_BEHIND,
    lock_command,
    locks_command,
    may_unlock,
    parse_ids,
    parse_lock,
    unlock_command,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import Volume

Result = TypeVar("Result")

# Seconds that restic has to find a repository, and for a few small files: an ssh or a connection to a host that is not
# there takes two minutes, and restic tries again for 15.
_ANSWER = 60
# Seconds for what is more with each snapshot, one file for each.
_LIST = 600
# Seconds to wait for other restics. What a host that went down has locked is free again after a while.
LOCK_SECONDS = LEFT_BEHIND.total_seconds() + 300
_FIRST_PAUSE, _LONGEST_PAUSE, _UNLOCK_EVERY = 1.0, 15.0, 60.0
# Seconds for restic to remove its lock when it is to end.
_GRACE = 5.0
_TICK = 0.2
# Of an output, more is not kept than this: restic tells of each file where it is asked for JSON.
_OUTPUT = 64 << 20


class Restic:
    """A repository of restic, reached from this host. `told` is called when it is waited for another restic."""

    def __init__(self, repository: Repository, told: Callable[[], None] = lambda: None) -> None:
        """Take the repository; nothing is asked yet."""
        self._repository = repository
        self._told = told
        self._known: Version | None = None

    def is_there(self, what: str) -> bool:
        """Return whether there is a repository that opens with the password.

        Raises VolumesError, about the action `what`, for a wrong password, and where nobody can tell.
        """
        try:
            # Without a lock: a backup that goes on elsewhere is no reason to fail.
            self._must(what, look_command(), limit=_ANSWER)
        except NoRepositoryError:
            return False
        return True

    def wait(self, volume: str) -> None:
        """Wait until no other restic needs the repository for itself alone."""
        self._locked(f"Cannot back up the volume '{volume}'", look_command(lock=True), LOCK_SECONDS)

    def snapshots(self, volume: str | None = None, host: str | None = None) -> list[Snapshot]:
        """Return the snapshots, those of a volume and host where these are given, the oldest first."""
        output = self._must("Cannot list the snapshots", snapshots_command(volume, host), limit=_LIST)
        return parse_snapshots(output, self._repository)

    def make(self) -> None:
        """Make the repository, unless another host has done so meanwhile."""
        what = f"Cannot make {self._shown}"
        try:
            self._must(what, init_command(), limit=_ANSWER)
        except AlreadyMadeError:
            if not self.is_there(what):
                raise

    def back_up(self, folder: str, host: str, tags: Iterable[str], volume: str, *, patience: float) -> BackedUp:
        """Make a snapshot of the folder, and return what restic tells of it. Waits so many seconds for a lock."""
        what = f"Cannot back up the volume '{volume}'"
        command = backup_command(host, tags, os.path.basename(folder))

        def attempt() -> BackedUp:
            code, output, errors = self._run(command, folder=os.path.dirname(folder))
            return parse_backup(what, self._repository, code, output, errors)

        return self._waiting(attempt, patience)

    def check(self) -> None:
        """Check the repository's structure."""
        what = f"The check of {self._shown} failed, with the new snapshot in it"
        code, _output, _errors = self._run(check_command(lock=False))
        if code != 0:
            # What a prune of another host takes away meanwhile looks like damage.
            self._locked(what, check_command(lock=True), LOCK_SECONDS)

    def forget(self, ids: Sequence[str]) -> None:
        """Remove these snapshots."""
        command = forget_command(ids, prune=self._repository.prune)
        self._locked("Cannot remove old snapshots; the new one is there", command, LOCK_SECONDS)

    def restore(self, snapshot: str, target: str, *, verify: bool) -> None:
        """Put a snapshot into the folder `target`."""
        command = restore_command(self._version, snapshot, target, verify=verify)
        self._locked(f"Cannot restore the snapshot {snapshot[:8]}", command, LOCK_SECONDS)

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
    def _shown(self) -> str:
        return f"the repository at '{self._repository.location}'"

    @property
    def _version(self) -> Version:
        if self._known is None:
            code, output, errors = self._run(["restic", "version"])
            self._known = parse_version(output)
            if self._known is None:
                raise failure("Cannot find out the version of restic", self._repository, code, output, errors)
        return self._known

    def _locked(self, what: str, command: list[str], patience: float) -> str:
        """Run what takes a lock, and return its output."""
        return self._waiting(lambda: self._must(what, command), patience)

    def _waiting(self, attempt: Callable[[], Result], patience: float) -> Result:
        """Attempt what takes a lock, until no other restic is in its way, or the patience in seconds is at its end.

        Not by `--retry-lock`: it is only there since 0.16, and waits for those that will not come back as well.
        """
        ends = time.monotonic() + patience
        pause, unlocks = _FIRST_PAUSE, time.monotonic()
        while True:
            try:
                return attempt()
            except RepositoryLockedError:
                if time.monotonic() >= ends:
                    raise
            if pause == _FIRST_PAUSE:
                self._told()
            if time.monotonic() >= unlocks:
                self._unlock()
                unlocks = time.monotonic() + _UNLOCK_EVERY
            # Not in step with other hosts that wait: two that lock at once are in each other's way.
            time.sleep(min(pause * random.uniform(0.5, 1.5), max(0.0, ends - time.monotonic())))  # noqa: S311
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _unlock(self) -> None:
        """Remove locks of what does not run any more, if there are some. Whatever fails is tried again later."""
        code, output, _errors = self._run(locks_command(), _ANSWER)
        # What is gone by now has unlocked itself.
        said = [self._run(lock_command(one), _ANSWER) for one in parse_ids(output)] if code == 0 else []
        locks = [lock for code, output, _errors in said if code == 0 for lock in [parse_lock(output)] if lock]
        if may_unlock(
            locks, os.uname().nodename, datetime.now(timezone.utc), lambda pid: os.path.exists(f"/proc/{pid}")
        ):
            self._run(unlock_command(), _ANSWER)

    def _must(self, what: str, command: list[str], limit: float | None = None) -> str:
        code, output, errors = self._run(command, limit)
        if code != 0:
            raise failure(what, self._repository, code, output, errors)
        return output

    def _run(
        self, command: list[str], limit: float | None = None, folder: str | None = None
    ) -> tuple[int | None, str, str]:
        """Run restic and return its exit code and what it says. Where it has a limit in seconds and no answer within
        it, or tries in vain, the code is None.
        """
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
                grace=_GRACE,
            )
            try:
                code = program.process.wait() if limit is None else _within(program, limit)
                output.seek(0)
                said = output.read(_OUTPUT).decode("utf-8", "replace")
                return code, said, program.said
            finally:
                program.stop()


def _within(program: Program, seconds: float) -> int | None:
    """Wait for the end of restic and return its exit code, or None where nothing comes of it."""
    began = time.monotonic()
    while (spent := time.monotonic() - began) < seconds and not is_hopeless(program.said, spent):
        with contextlib.suppress(subprocess.TimeoutExpired):
            return program.process.wait(_TICK)
    return None
