# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore a volume: choose the backup, prove it, unpack it beside the volume, prove that, and let them swap."""

from __future__ import annotations

import itertools
import os
import secrets
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, replace
from typing import Any

from ansible_collections.voltainer.volumes.plugins.module_utils import _folders
from ansible_collections.voltainer.volumes.plugins.module_utils._archive_kind import HEAD, archive_kind
from ansible_collections.voltainer.volumes.plugins.module_utils._archive_layout import Outline, outline_of
from ansible_collections.voltainer.volumes.plugins.module_utils._archive_run import (
    Checked,
    open_archive,
    read_back,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._backup_folder import backup_folder
from ansible_collections.voltainer.volumes.plugins.module_utils._backup_names import MANIFEST_ENDING
from ansible_collections.voltainer.volumes.plugins.module_utils._backup_source import choose_archive, choose_snapshot
from ansible_collections.voltainer.volumes.plugins.module_utils._copy_plan import around
from ansible_collections.voltainer.volumes.plugins.module_utils._copy_run import with_resumed
from ansible_collections.voltainer.volumes.plugins.module_utils._data_engine import DataEngine
from ansible_collections.voltainer.volumes.plugins.module_utils._data_look import (
    content_digest,
    engine_facts,
    now_of,
    stored_in,
    tools,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._entry import Keeps, shown
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import RefusedError, VolumesError, after
from ansible_collections.voltainer.volumes.plugins.module_utils._fill import Unfinished, settle_fill_step
from ansible_collections.voltainer.volumes.plugins.module_utils._fill_run import (
    AtRest,
    carry_out_fill,
    look_for_fill,
    settle_fill,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._helper import Helper, why_not_here
from ansible_collections.voltainer.volumes.plugins.module_utils._manifest import Manifest, Origin, from_json
from ansible_collections.voltainer.volumes.plugins.module_utils._plan import Outcome, Plan
from ansible_collections.voltainer.volumes.plugins.module_utils._progress import Progress
from ansible_collections.voltainer.volumes.plugins.module_utils._quiesce import Rest
from ansible_collections.voltainer.volumes.plugins.module_utils._quiesce_run import (
    Resting,
    Resumed,
    look_for_rest,
    quiesced,
    resume_interrupted,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._reach import reach
from ansible_collections.voltainer.volumes.plugins.module_utils._restic import Snapshot
from ansible_collections.voltainer.volumes.plugins.module_utils._restic_run import Restic
from ansible_collections.voltainer.volumes.plugins.module_utils._restore_content import (
    ArchiveContent,
    BackupContent,
    SnapshotContent,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._restore_plan import (
    ArchiveFacts,
    RestoreFound,
    check_source,
    plan_restore,
    wanted_definition,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._restore_wanted import SRC_VARIABLE, RestoreWanted
from ansible_collections.voltainer.volumes.plugins.module_utils._tree import measure
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import LOCAL, masked_inspect


def restore(engine: DataEngine, wanted: RestoreWanted, check_mode: bool) -> Outcome:
    """Restore the volume, or in check mode only tell what would be done."""
    why = why_not_here(engine)
    if why and wanted.repository:
        # restic writes into the folder of a volume.
        raise RefusedError(f"Cannot restore the volume '{wanted.name}'", why, "Run the task as root on that host")
    unfinished = look_for_fill(engine, wanted.name)
    first, words = _settle(engine, wanted) if unfinished and not check_mode else (Resumed(), "")
    then = resume_interrupted(engine, wanted.name, check_mode=check_mode)
    resumed = Resumed([*first.actions, *then.actions], [*first.warnings, *then.warnings])
    with Progress.from_environment() as progress, ExitStack() as stack:
        with after(words):
            content = _content(engine, wanted, progress, stack)
            found, rest = _observe(engine, wanted, content, unfinished)
            plan = with_resumed(plan_restore(wanted, found), resumed)
        resting = Resting()
        if not check_mode and "mark" in plan.verbs:
            steps = itertools.dropwhile(lambda step: step.verb != "mark", plan.steps)
            resting = carry_out_fill(engine, steps, content, AtRest(engine, rest, wanted.quiesce.timeout))
    return _outcome(engine, wanted, content, plan, resting)


def _content(engine: DataEngine, wanted: RestoreWanted, progress: Progress, stack: ExitStack) -> BackupContent:
    """Choose the backup, and prove it before anything is touched."""
    if wanted.repository:
        restic = Restic(wanted.repository, lambda: progress.phase(wanted.name, "wait"))
        what = f"Cannot restore the volume '{wanted.name}'"
        if not restic.is_there(what):
            raise RefusedError(
                what,
                f"there is no repository at '{wanted.repository.location}'",
                "Give the right location. Nothing was changed",
            )
        info = engine.info()
        facts = engine_facts(info, engine.transport.api_version)
        host = wanted.repository.host or facts.name
        snapshot, warnings = choose_snapshot(wanted, restic.snapshots(), host, now_of(info))
        digest = snapshot.origin.content_digest if snapshot.origin else None
        return SnapshotContent(
            snapshot,
            digest,
            verify=wanted.verify,
            warnings=[*warnings],
            restic=restic,
            engine=engine,
            snapshot=snapshot,
            allow_devices=wanted.allow_devices,
        )
    return _archive_content(engine, wanted, progress, stack)


def _archive_content(engine: DataEngine, wanted: RestoreWanted, progress: Progress, stack: ExitStack) -> ArchiveContent:
    path = str(wanted.path)
    warnings: tuple[str, ...] = ()
    if os.path.isdir(path):
        there, info = stored_in(path, wanted.backed_up), engine.info()
        chosen, warnings = choose_archive(wanted, there, engine_facts(info, engine.transport.api_version), now_of(info))
        path = os.path.join(path, str(chosen.name))
    handle = open_archive(path)
    stack.callback(os.close, handle)
    kind = archive_kind(os.pread(handle, HEAD, 0), os.path.basename(path))
    # An archive of the controller is only here for this task; the reader knows it by the path there.
    known_as = os.environ.pop(SRC_VARIABLE, "") or path
    facts = ArchiveFacts(known_as, os.fstat(handle).st_size, kind, _manifest_beside(path))
    content = ArchiveContent(
        facts,
        verify=wanted.verify,
        warnings=[*warnings],
        handle=handle,
        facts=facts,
        identity_file=wanted.identity_file,
        progress=progress,
    )
    _prove(wanted, content, facts, progress)
    return content


def _manifest_beside(path: str) -> Manifest | None:
    folder, name = os.path.split(path)
    if not os.path.lexists(path + MANIFEST_ENDING):
        return None
    with backup_folder(folder) as opened:
        manifest = from_json(opened.read(name + MANIFEST_ENDING), path + MANIFEST_ENDING)
    if manifest.archive != name:
        raise RefusedError(
            f"Cannot restore from '{path}'",
            f"the manifest beside it is of another archive, '{manifest.archive}'",
            "Give both files the names that they had, or move the manifest away",
        )
    return manifest


def _prove(wanted: RestoreWanted, content: ArchiveContent, facts: ArchiveFacts, progress: Progress) -> None:
    """Read all of the archive. Raises VolumesError where it is damaged, not that of its manifest, or dangerous."""
    manifest, what = facts.manifest, f"Cannot restore the volume '{wanted.name}' from '{facts.path}'"
    # To read it may take long.
    check_source(wanted, facts)
    progress.phase(wanted.name, "verify", manifest.content_bytes if manifest else None)
    outline = outline_of(wanted.strip, wanted.backed_up, ours=manifest is not None)
    try:
        checked = read_back(
            content.handle,
            facts.kind,
            progress,
            identity_file=wanted.identity_file,
            on_entry=outline.add if outline else None,
        )
    except VolumesError as exc:
        # Only here it is known of which archive this is.
        exc.what, exc.way_out = what, exc.way_out or "Take another backup. Nothing was changed"
        raise
    progress.finish()
    digest = checked.digest.hexdigest()
    if manifest and (manifest.sha256, manifest.content_digest) != (checked.sha256, digest):
        raise RefusedError(
            what,
            "it is not the archive that its manifest is of: it is damaged, or was changed",
            "Take another backup. Nothing was changed",
        )
    _refuse_dangers(wanted, checked, what, known=manifest is not None)
    content.digest = digest if manifest else None
    content.content_bytes, content.files = checked.digest.bytes, checked.digest.files
    content.unpacked = checked.unpacked
    if outline:
        _place(content, outline, what)


def _place(content: ArchiveContent, outline: Outline, what: str) -> None:
    """Find out which part of the archive is the volume's, and how much that is. Raises RefusedError."""
    try:
        content.inside = inside = outline.layout()
    except RefusedError as exc:
        # Only here it is known of which archive this is.
        exc.what = what
        raise
    if inside.hint:
        content.warnings.append(inside.hint)
    if inside.prefix:
        # What is below a folder only has another digest.
        content.digest = None
        content.content_bytes, content.files = inside.amount.bytes, inside.amount.files
        # Files may have holes, which the archive does not have.
        content.unpacked = min(content.unpacked or 0, inside.amount.bytes)


def _refuse_dangers(wanted: RestoreWanted, checked: Checked, what: str, *, known: bool) -> None:
    links = [one for one in checked.dangers if "symbolic link" in one]
    others = [one for one in checked.dangers if one not in links]
    refused = others + ([] if known or wanted.allow_links else links)
    ways = ["Nothing was changed"]
    if refused and not others:
        ways.insert(0, "If these links are meant, set 'allow_links: true'")
    if checked.devices and not wanted.allow_devices:
        refused += checked.devices
        ways.insert(0, "If the devices are meant, set 'allow_devices: true'")
    if refused:
        raise RefusedError(
            what, f"it has entries that are dangerous: {'; '.join(refused)}", ". ".join(ways), dangers=refused
        )


def _settle(engine: DataEngine, wanted: RestoreWanted) -> tuple[Resumed, str]:
    """Bring an interrupted fill of the volume to an end, with its users at rest where they are in the way.

    Before those are brought back whom the interrupted run left at rest: they must not find half of the content. Return
    who was brought back nevertheless, and what became of the fill, as a sentence.
    """
    try:
        return Resumed(), settle_fill(engine, wanted.name, confirmed=wanted.confirmed)
    except RefusedError:
        if not any(use.mounted for use in engine.users(wanted.name).containers):
            raise
    # Somebody runs, so nobody who rests waits for a content that is swapped in half.
    resumed = resume_interrupted(engine, wanted.name)
    rest = look_for_rest(engine, wanted.quiesce, [wanted.name], engine.users(wanted.name))
    with quiesced(engine, rest, timeout=wanted.quiesce.timeout):
        return resumed, settle_fill(engine, wanted.name, confirmed=wanted.confirmed)


def _observe(
    engine: DataEngine, wanted: RestoreWanted, content: BackupContent, unfinished: Unfinished | None
) -> tuple[RestoreFound, Rest | None]:
    volume, users, info = engine.volume(wanted.name), engine.users(wanted.name), engine.info()
    rest = look_for_rest(engine, wanted.quiesce, [wanted.name], users) if volume else None
    quiesce, resume = around(rest)
    source = content.source
    kinds = source.kind.programs if isinstance(source, ArchiveFacts) else ("restic",)
    found = RestoreFound(
        now=now_of(info),
        source=source,
        volume=volume,
        users=users,
        resting=rest.ids if rest else frozenset(),
        unreachable=_why_copied(engine, wanted, source.origin, volume),
        names=frozenset(one.name for one in engine.volumes(LOCAL).volumes),
        tools=tools(kinds),
        free=_free(engine, info),
        unpacked=content.unpacked if isinstance(content, ArchiveContent) else None,
        strip=_strip_of(content),
        first=(settle_fill_step(unfinished.fill),) if unfinished else (),
        rest=quiesce,
        resume=resume,
        nonce=secrets.token_hex(8),
    )
    if volume is None:
        return found, rest
    with reach(engine, {wanted.name: False}) as at:
        may_be_equal = content.digest is not None
        if isinstance(at, Helper):
            measured = measure(at.open(wanted.name), xattrs=False)
            # Its root is an entry, too.
            found = replace(found, entries=measured.entries - 1)
            may_be_equal = may_be_equal and content.may_be(measured)
        if may_be_equal and at.keeps(wanted.name, may_write=False) == Keeps():
            found = replace(found, content_digest=content_digest(at, wanted.name).hexdigest())
    return found, rest


def _strip_of(content: BackupContent) -> str:
    """Return the folder of the archive that is the volume's, for the reader; "" for all of it."""
    prefix = content.inside.prefix if isinstance(content, ArchiveContent) else ""
    return shown(os.fsencode(prefix)) if prefix else ""


def _free(engine: DataEngine, info: Mapping[str, Any]) -> int | None:
    """Return how many bytes are free where the engine has its volumes; None where nobody here can tell."""
    if why_not_here(engine):
        return None
    try:
        found = os.statvfs(os.path.join(str(info["DockerRootDir"]), "volumes"))
    except (OSError, KeyError):
        return None
    return found.f_bavail * found.f_frsize


def _why_copied(engine: DataEngine, wanted: RestoreWanted, origin: Origin | None, volume: Any) -> str:
    """Return why the content is copied to its place and not moved there; "" where folders change places."""
    definition = volume.definition if volume else wanted_definition(wanted, origin)
    if why_not_here(engine) or not definition.movable:
        return "its data is not in a folder that can be moved from here"
    return _folders.why_unreachable(volume.mountpoint, engine_is_here=engine.is_here) if volume else ""


def _outcome(
    engine: DataEngine, wanted: RestoreWanted, content: BackupContent, plan: Plan, resting: Resting
) -> Outcome:
    volume = engine.volume(wanted.name)
    source = content.source
    previous = next((step.arguments["fill"] for step in plan.steps if step.verb == "mark"), None)
    archive = source if isinstance(source, ArchiveFacts) else None
    values = {
        "archive": archive.path if archive else None,
        "manifest": asdict(archive.manifest) if archive and archive.manifest else None,
        "snapshot": source.id if isinstance(source, Snapshot) else None,
        "strip": _strip_of(content),
        "content_digest": content.digest,
        "content_bytes": content.content_bytes,
        "files": content.files,
        "previous": previous.previous if previous and previous.keep else None,
        "seconds_unpacking": round(content.seconds, 3),
        "seconds_quiesced": round(resting.seconds, 3),
        "volume": masked_inspect(volume, wanted.secret_options) if volume else None,
    }
    return Outcome(replace(plan, warnings=(*plan.warnings, *resting.warnings, *content.warnings)), values)
