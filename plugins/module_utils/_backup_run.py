# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Back a volume up: observe, plan, bring the users to rest, pack, let them go on, prove the archive, publish it."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ansible_collections.voltainer.volumes.plugins.module_utils._archive_kind import ArchiveKind
from ansible_collections.voltainer.volumes.plugins.module_utils._archive_run import (
    Packed,
    Packing,
    check_recipients,
    pack,
    read_back,
    synced,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._backup_folder import BackupFolder, backup_folder
from ansible_collections.voltainer.volumes.plugins.module_utils._backup_found import (
    BackupFound,
    StoredArchive,
    mine,
    name_of,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._backup_names import ArchiveName
from ansible_collections.voltainer.volumes.plugins.module_utils._backup_plan import plan_backup, to_prove, unchanged
from ansible_collections.voltainer.volumes.plugins.module_utils._backup_proof import proved, sized
from ansible_collections.voltainer.volumes.plugins.module_utils._backup_wanted import BackupWanted
from ansible_collections.voltainer.volumes.plugins.module_utils._beside import beside
from ansible_collections.voltainer.volumes.plugins.module_utils._copy_plan import around, writing
from ansible_collections.voltainer.volumes.plugins.module_utils._data_engine import DataEngine
from ansible_collections.voltainer.volumes.plugins.module_utils._data_look import (
    content_digest,
    engine_facts,
    folder_facts,
    now_of,
    stored_in,
    tools,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._entry import Keeps, shown
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import RefusedError, VolumesError
from ansible_collections.voltainer.volumes.plugins.module_utils._helper import Helper
from ansible_collections.voltainer.volumes.plugins.module_utils._manifest import (
    KEPT,
    MAX_CHANGED,
    Manifest,
    created_text,
    origin_of,
    recipients_of,
    some_changed,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._plan import Outcome, Plan, Step
from ansible_collections.voltainer.volumes.plugins.module_utils._progress import Progress
from ansible_collections.voltainer.volumes.plugins.module_utils._quiesce import Rest
from ansible_collections.voltainer.volumes.plugins.module_utils._quiesce_run import (
    Resting,
    look_for_rest,
    quiesced,
    resume_interrupted,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._reach import Reach, reach
from ansible_collections.voltainer.volumes.plugins.module_utils._restic import (
    BackedUp,
    Repository,
    RepositoryLockedError,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._restic_run import LOCK_SECONDS, Restic
from ansible_collections.voltainer.volumes.plugins.module_utils._tree import Measured, changed_since, measure
from ansible_collections.voltainer.volumes.plugins.module_utils._usage import Users
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import masked_inspect
from ansible_collections.voltainer.volumes.plugins.module_utils._volume_facts import some

# The kernel's clock for files lags behind by a tick.
_TICK_NS = 20_000_000
# What programs and the system say of a disk that is full.
_FULL = tuple(map(os.strerror, (errno.ENOSPC, errno.EDQUOT)))
# How often users come to rest for one snapshot, and the seconds for which they then wait for another restic.
_RESTS, _AT_REST = 3, 20


@dataclass
class _Seen:
    """What was seen on the way to a backup and while it was made, for the result of the task.

    The volume is held by `hold`, and reached by `at`. `changed` are files that changed meanwhile, None where nobody can
    see that.
    """

    found: BackupFound
    rest: Rest | None
    users: Users
    hold: ExitStack
    at: Reach | None = None
    measured: Measured | None = None
    resting: Resting = field(default_factory=Resting)
    packed: Packed = field(default_factory=Packed)
    changed: tuple[str, ...] | None = ()
    manifest: Manifest | None = None
    snapshot: str | None = None
    verify_seconds: float = 0.0
    warnings: list[str] = field(default_factory=list)


def back_up(engine: DataEngine, wanted: BackupWanted, check_mode: bool) -> Outcome:
    """Back the volume up, or in check mode only tell what would be done."""
    resumed = resume_interrupted(engine, wanted.name, check_mode=check_mode)
    with Progress.from_environment() as progress, ExitStack() as hold:
        seen = _observe(engine, wanted, hold, progress, check_mode=check_mode)
        plan = plan_backup(wanted, seen.found)
        if "pack" in plan.verbs and wanted.path:
            # Before anybody rests for a backup that nobody could read.
            check_recipients(wanted.name, _packing(wanted))
        steps = tuple(Step("resume", words) for words in resumed.actions)
        plan = replace(
            plan,
            steps=(*steps, *plan.steps),
            warnings=(*plan.warnings, *resumed.warnings, *_hot_warnings(wanted, seen, plan)),
        )
        if not check_mode:
            _carry_out(engine, wanted, seen, plan, progress)
    return _outcome(wanted, seen, plan)


def _observe(
    engine: DataEngine, wanted: BackupWanted, hold: ExitStack, progress: Progress, *, check_mode: bool
) -> _Seen:
    volume = engine.volume(wanted.name)
    users = engine.users(wanted.name)
    info = engine.info()
    facts = engine_facts(info, engine.transport.api_version)
    host_os = str(info.get("OperatingSystem") or "unknown")
    found = BackupFound(now=now_of(info), engine=facts, host_os=host_os, volume=volume)
    if wanted.path:
        found = _with_archives(wanted.path, wanted.name, found)
    found = replace(found, tools=tools(("tar", *wanted.programs)))
    if wanted.repository and "restic" in found.tools:
        restic = Restic(wanted.repository)
        there = restic.is_there(f"Cannot back up the volume '{wanted.name}'")
        host = wanted.repository.host or facts.name
        found = replace(
            found, repository_there=there, snapshots=tuple(restic.snapshots(wanted.name, host)) if there else ()
        )
    rest = look_for_rest(engine, wanted.quiesce, [wanted.name], users) if volume else None
    quiesce, resume = around(rest)
    seen = _Seen(replace(found, rest=quiesce, resume=resume), rest, users, hold)
    if volume:
        # Held from here on until it was read, so that users rest no longer than that takes.
        scratch = bool(rest and wanted.path and volume.definition.movable)
        seen.at = hold.enter_context(reach(engine, {wanted.name: False}, scratch=scratch))
        seen.changed = () if isinstance(seen.at, Helper) else None
        _look_inside(seen.at, wanted, seen, progress)
        _prove_last(wanted, seen, progress)
    return seen


def _with_archives(path: str, volume: str, found: BackupFound) -> BackupFound:
    found = replace(found, folder=folder_facts(path), archives=stored_in(path, volume))
    if not found.folder or found.folder.kind != "folder":
        return found
    own = mine(found)
    with backup_folder(path) as folder:
        archives = tuple(sized(folder, one) if one in own else one for one in found.archives)
        left = folder.left(volume)
    clean = tuple(
        Step("clean", f"Remove what a run that was killed left in '{path}': {', '.join(files)}", {"file": file})
        for file, files in left.files.items()
    )
    if found.folder.free is not None:
        # They are gone before there is anything new.
        found = replace(found, folder=replace(found.folder, free=found.folder.free + left.bytes))
    return replace(found, archives=archives, unknown=left.unknown, first=clean)


def _prove_last(wanted: BackupWanted, seen: _Seen, progress: Progress) -> None:
    """Read the newest archive where older ones are to go and no new one is made: it may be all that is left."""
    last = to_prove(wanted, seen.found)
    if last is None or wanted.path is None:
        return
    progress.phase(wanted.name, "verify", last.manifest.bytes if last.manifest else None)
    began = time.monotonic()
    with backup_folder(wanted.path) as folder:
        read = proved(folder, last, progress.advance)
    seen.verify_seconds = time.monotonic() - began
    archives = tuple(read if one == last else one for one in seen.found.archives)
    seen.found = replace(seen.found, archives=archives)


def _look_inside(at: Reach, wanted: BackupWanted, seen: _Seen, progress: Progress) -> None:
    """Measure the content, and find its digest where that may make a backup needless."""
    if isinstance(at, Helper):
        _refuse_inside(at, wanted)
        measured = measure(at.open(wanted.name), xattrs=False)
        seen.measured = measured
        seen.found = replace(seen.found, content_bytes=measured.bytes, entries=measured.entries)
    if wanted.unless_changed:
        progress.phase(wanted.name, "compare", seen.measured.bytes if seen.measured else None)
        digest = content_digest(at, wanted.name, progress).hexdigest()
        seen.found = replace(seen.found, content_digest=digest)


def _refuse_inside(at: Helper, wanted: BackupWanted) -> None:
    """Raise RefusedError where the place for the backup is in the volume, by whatever path."""
    place = wanted.path or (wanted.repository.folder if wanted.repository else None)
    volume = os.fstat(at.open(wanted.name))
    folder = os.path.realpath(place) if place else "/"
    while folder != "/":
        with contextlib.suppress(OSError):
            if os.path.samestat(os.stat(folder), volume):
                raise RefusedError(
                    f"Cannot back up the volume '{wanted.name}'",
                    f"the place for the backup, '{place}', is in the volume itself",
                    "Give a place outside, at best on other storage",
                )
        folder = os.path.dirname(folder)


def _hot_warnings(wanted: BackupWanted, seen: _Seen, plan: Plan) -> tuple[str, ...]:
    writers = writing(seen.users)
    if not writers or seen.rest or "pack" not in plan.verbs:
        return ()
    unseen = ", and from here nobody can see which files change" if seen.changed is None else ""
    return (
        f"The volume '{wanted.name}' is backed up while {writers} may write to it: the backup may mix what was before"
        f" and after a change{unseen}. The option 'quiesce' brings them to rest meanwhile",
    )


def _changed_warnings(wanted: BackupWanted, seen: _Seen) -> tuple[str, ...]:
    if not seen.changed:
        return ()
    return (
        f"Files of the volume '{wanted.name}' changed while they were read, and the backup may have them with a mixture"
        f" of what was before and after: {some(seen.changed)}",
    )


def _carry_out(engine: DataEngine, wanted: BackupWanted, seen: _Seen, plan: Plan, progress: Progress) -> None:
    for step in plan.steps:
        if step.verb == "clean" and wanted.path:
            with backup_folder(wanted.path) as folder:
                folder.clean(step.arguments["file"])
    if "pack" in plan.verbs and wanted.path:
        with backup_folder(wanted.path) as folder:
            name = next(step.arguments["name"] for step in plan.steps if step.verb == "pack")
            _archive(engine, wanted, seen, _Making(folder, name, progress))
    elif "pack" in plan.verbs and wanted.repository:
        _to_repository(engine, wanted, seen, plan, progress)
    for step in plan.steps:
        if step.verb == "prune-old":
            _remove_old(wanted, step, progress)


@dataclass(frozen=True)
class _Making:
    """An archive that is being made: where, under which name, and who is told how far it is."""

    folder: BackupFolder
    name: ArchiveName
    progress: Progress


def _reached(wanted: BackupWanted, seen: _Seen) -> Reach:
    if seen.at is None:
        raise RefusedError(f"Cannot back up the volume '{wanted.name}'", "there is no such volume", "Correct its name")
    return seen.at


def _archive(engine: DataEngine, wanted: BackupWanted, seen: _Seen, making: _Making) -> None:
    folder, name, progress = making.folder, making.name, making.progress
    with folder.partial(str(name)) as archive:
        _pack(engine, wanted, seen, making, archive)
        # The archive goes to the disk, and the engine ends its hold on the volume, while it is read back from memory.
        with _full_told(wanted, name), synced(archive), beside(seen.hold.close):
            seen.manifest = _proved(wanted, seen, archive, name, progress)
        folder.complete(name, seen.manifest.to_json())


def _pack(engine: DataEngine, wanted: BackupWanted, seen: _Seen, making: _Making, archive: int) -> None:
    """Write the archive, with the users at rest while the volume is read, or only while a snapshot of it is made."""
    at = _reached(wanted, seen)

    def packed(here: Reach) -> None:
        with _full_told(wanted, making.name):
            seen.packed = pack(here, wanted.name, archive, _packing(wanted), making.progress)

    making.progress.phase(wanted.name, "pack", seen.measured.bytes if seen.measured else None)
    calm = quiesced(engine, seen.rest or Rest((wanted.name,)), timeout=wanted.quiesce.timeout)
    with calm as seen.resting:
        began = _since(seen.rest)
        snapshot = at.snapshot(wanted.name, seen.measured) if isinstance(at, Helper) and seen.measured else None
        if snapshot is None:
            packed(at)
        seen.changed = _changed(at, wanted.name, began)
    if snapshot is not None:
        packed(snapshot)


@contextmanager
def _full_told(wanted: BackupWanted, name: ArchiveName) -> Iterator[None]:
    """Add the folder and a way out to an error of a block that finds no space there."""
    try:
        yield
    except VolumesError as exc:
        if any(words in exc.why for words in _FULL):
            exc.what = f"Cannot write the archive '{name}' to the folder '{wanted.path}'"
            exc.way_out = (
                "Make space there, or give a folder with more. What was written of the archive is gone again, and old"
                " archives stay until a new one is complete"
            )
        raise


def _packing(wanted: BackupWanted) -> Packing:
    kind = ArchiveKind(wanted.compression, wanted.encryption)
    return Packing(kind, wanted.level, wanted.threads, wanted.recipients, verify=wanted.verify)


def _since(rest: Rest | None) -> int:
    """Return from when on a file counts as changed, by the kernel's clock for files."""
    if rest:
        # What users wrote just before they came to rest is no change.
        time.sleep(_TICK_NS / 1e9)
    return time.time_ns() - _TICK_NS


def _changed(at: Reach, volume: str, since_ns: int) -> tuple[str, ...] | None:
    if not isinstance(at, Helper):
        return None
    return tuple(shown(path) for path in itertools.islice(changed_since(at.open(volume), since_ns), 2 * MAX_CHANGED))


def _proved(wanted: BackupWanted, seen: _Seen, archive: int, name: ArchiveName, progress: Progress) -> Manifest:
    """Read the archive back, and return its manifest. Raises VolumesError where it is not what was written."""
    began = time.monotonic()
    size = os.fstat(archive).st_size
    progress.phase(wanted.name, "verify", seen.measured.bytes if seen.measured else None)
    readable = wanted.encryption == "none"
    kind = ArchiveKind(wanted.compression if readable else "none", "none")
    digest, sha256 = seen.packed.digest, seen.packed.sha256
    if wanted.verify:
        checked = read_back(archive, kind, progress, packed=readable)
        if sha256 not in {None, checked.sha256} or (
            readable and digest and digest.hexdigest() != checked.digest.hexdigest()
        ):
            raise VolumesError(
                f"The archive '{name}' is not what was written to it",
                "what was read back is different",
                "Look at the disk that the folder is on. No archive was made",
            )
        sha256, digest = checked.sha256, checked.digest if readable else digest
    seen.verify_seconds = time.monotonic() - began
    if sha256 is None or digest is None:
        raise VolumesError(f"The archive '{name}' was not read", "nobody looked at what was written", "Report this")
    volume = seen.found.volume
    if volume is None:
        raise VolumesError(f"Cannot back up the volume '{wanted.name}'", "it vanished", "Run the task again")
    origin = origin_of(volume, wanted.secret_options, seen.found.engine.id)
    keeps = asdict(Keeps())
    return Manifest(
        volume=wanted.name,
        driver=origin.driver,
        options=origin.options,
        hidden_options=origin.hidden_options,
        labels=origin.labels,
        engine=seen.found.engine,
        host_os=seen.found.host_os,
        created=created_text(name.time),
        archive=str(name),
        compression=wanted.compression,
        encryption=wanted.encryption,
        bytes=size,
        sha256=sha256,
        content_digest=digest.hexdigest(),
        files=digest.files,
        entries=digest.entries,
        content_bytes=digest.bytes,
        tools=dict(seen.found.tools),
        keeps={name: bool(keeps[name]) for name in KEPT},
        quiesced=wanted.quiesce.mode if seen.rest else "none",
        changed_while_reading=None if seen.changed is None else some_changed(seen.changed),
        sockets_skipped=seen.measured.sockets_count if seen.measured else None,
        recipients=recipients_of(wanted.recipients),
    )


def _restic(repository: Repository, volume: str, progress: Progress) -> Restic:
    return Restic(repository, lambda: progress.phase(volume, "wait"))


def _to_repository(engine: DataEngine, wanted: BackupWanted, seen: _Seen, plan: Plan, progress: Progress) -> None:
    if wanted.repository is None:
        return
    restic = _restic(wanted.repository, wanted.name, progress)
    if "init" in plan.verbs:
        restic.make()
    made = _snapshot(engine, wanted, seen, plan, restic)
    seen.hold.close()
    seen.snapshot = made.snapshot
    if made.unread:
        seen.warnings.append(f"restic could not read these, and they are not in the snapshot: {', '.join(made.unread)}")
    if wanted.verify:
        began = time.monotonic()
        restic.check()
        seen.verify_seconds = time.monotonic() - began


def _snapshot(engine: DataEngine, wanted: BackupWanted, seen: _Seen, plan: Plan, restic: Restic) -> BackedUp:
    """Make the snapshot. Where another host prunes the repository, nobody rests until that has ended.

    It may begin when the users have come to rest already. So they go on then, and rest once more later.
    """
    at = _reached(wanted, seen)
    folder = restic.folder_of(at, engine.volume(wanted.name) or seen.found.volume, wanted.name)
    arguments = next(step.arguments for step in plan.steps if step.verb == "pack")

    def back_up(patience: float) -> BackedUp:
        since, began = _since(seen.rest), time.monotonic()
        made = restic.back_up(folder, arguments["host"], arguments["tags"], wanted.name, patience=patience)
        seen.packed.seconds = time.monotonic() - began
        seen.changed = _changed(at, wanted.name, since)
        return made

    if seen.rest is None:
        return back_up(LOCK_SECONDS)
    rests = 0
    while True:
        restic.wait(wanted.name)
        rests += 1
        try:
            with quiesced(engine, seen.rest, timeout=wanted.quiesce.timeout) as resting:
                seen.resting = resting
                return back_up(_AT_REST)
        except RepositoryLockedError:
            if rests == _RESTS:
                raise


def _remove_old(wanted: BackupWanted, step: Step, progress: Progress) -> None:
    """Remove what the plan says; the new backup is there, and proved."""
    if wanted.repository:
        _restic(wanted.repository, wanted.name, progress).forget(step.arguments["ids"])
    elif wanted.path:
        with backup_folder(wanted.path) as folder:
            folder.remove(step.arguments["name"])


def _outcome(wanted: BackupWanted, seen: _Seen, plan: Plan) -> Outcome:
    found = seen.found
    same = unchanged(wanted, found)
    # Where nothing changed, the backup that is there stands for the one that was not made.
    manifest = seen.manifest or (same.manifest if isinstance(same, StoredArchive) else None)
    plan = replace(
        plan, warnings=(*plan.warnings, *seen.resting.warnings, *_changed_warnings(wanted, seen), *seen.warnings)
    )
    archive = next((str(step.arguments["name"]) for step in plan.steps if step.verb == "publish"), None)
    if archive is None and same is not None and wanted.path:
        archive = name_of(same)
    removed = [name for step in plan.steps if step.verb == "prune-old" for name in _names(step.arguments)]
    values: dict[str, Any] = {
        "archive": os.path.join(wanted.path, archive) if wanted.path and archive else None,
        "snapshot": seen.snapshot or (name_of(same) if same and wanted.repository else None),
        "manifest": asdict(manifest) if manifest else None,
        "content_digest": manifest.content_digest if manifest else found.content_digest,
        "sha256": manifest.sha256 if manifest else None,
        "bytes": manifest.bytes if manifest else None,
        "content_bytes": manifest.content_bytes if manifest else found.content_bytes,
        "files": manifest.files if manifest else None,
        "changed_while_reading": None if seen.changed is None else list(some_changed(seen.changed)),
        "sockets_skipped": seen.measured.sockets_count if seen.measured else None,
        "removed": removed,
        "kept": _kept(found, removed, archive or seen.snapshot),
        "seconds_reading": round(seen.packed.seconds, 3),
        "seconds_verifying": round(seen.verify_seconds, 3),
        "seconds_quiesced": round(seen.resting.seconds, 3),
        "volume": masked_inspect(found.volume, wanted.secret_options) if found.volume else None,
    }
    return Outcome(plan, values)


def _names(arguments: Mapping[str, Any]) -> list[str]:
    return list(arguments["ids"]) if "ids" in arguments else [str(arguments["name"])]


def _kept(found: BackupFound, removed: Sequence[str], made: str | None) -> list[str]:
    """Return the names of all backups that are there afterwards, the oldest first; `made` may be one that was there."""
    there = [name for name in map(name_of, found.stored) if name not in removed]
    return there if made is None or made in there else [*there, made]
