# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way back: where a change of a storage plugin fails, bring back what was before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ansible_collections.voltainer.volumes.plugins.module_utils._errors import (
    EngineError,
    VolumesError,
    sentence,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._plan import Step
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin import Plugin
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_change import (
    Change,
    host_files,
    there,
    who_mounts,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_known import (
    check_known,
    forget_state,
    has_forgotten,
    state_files,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_note import Note
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_plan import in_use
from ansible_collections.voltainer.volumes.plugins.module_utils._privileges import (
    Privilege,
    as_yaml,
    from_config,
    from_engine,
    unapproved,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._reference import Reference, parse_reference
from ansible_collections.voltainer.volumes.plugins.module_utils._settings import (
    NO_EMPTY_ARGS,
    catalog,
    current_settings,
    empties_args,
)

_GOES_ON = (
    "The engine may go on with the upgrade, and the plugin is disabled meanwhile. Run the task again, which finishes"
    " the change or goes back"
)


@contextmanager
def undoing(change: Change) -> Iterator[None]:
    """Where the block fails, bring the plugin back to what it was (or to not installed), and say so in the error."""
    try:
        yield
    except Exception as exc:
        if change.uncertain and isinstance(exc, VolumesError):
            # The engine goes on with an upgrade when the client is gone (20.10 to 28.5). To enable the plugin now could
            # let its version change while it runs; the note brings the next task onto the right way.
            raise VolumesError(exc.what, exc.why, f"{_GOES_ON}. {exc.way_out}".strip(), **exc.details) from exc
        second = _restore_error(change)
        if not isinstance(exc, VolumesError):
            raise
        if second is not None:
            # What the plugin said stands on lines of its own; ours must not look like one of them.
            between = "\n" if "\n" in exc.why else ". "
            why = f"{exc.why.rstrip()}{between}Bringing back what was before failed, too: {second.what}: {second.why}"
            raise VolumesError(exc.what, why, _way_on(change, exc, second), **exc.details) from exc
        raise VolumesError(exc.what, exc.why, f"{_told(change)}. {exc.way_out}".strip(), **exc.details) from exc


def unnote(change: Change, step: Step) -> None:
    """Remove the note of the change, and what it was about."""
    # There is none where only a plugin that is gone had files to read.
    note = change.found.start or change.found.note
    if note is not None:
        remove_trial(change, note)
    # A plugin that runs on as it was has still to read what they tell of, unless all of that was taken back.
    if change.stopped or not change.found.reads_old or step.arguments.get("settled"):
        for behind in change.found.behind:
            change.engine.remove_volume(behind.volume)
    # A look for a volume that is not there asks all drivers, and one may hang.
    if note is not None and (change.noted or change.found.note):
        change.engine.remove_volume(note.volume)


def remove_trial(change: Change, note: Note) -> None:
    """Remove the plugin that a new version was tried as."""
    if change.engine.plugin(note.trial) is not None:
        change.engine.remove_plugin(note.trial, force=True)


def _way_on(change: Change, first: VolumesError, second: VolumesError) -> str:
    """Return what can be done where a failure could not be undone."""
    again = "The plugin may be disabled now: run the task again, which finishes the change or goes back"
    ways = [first.way_out, second.way_out, again if change.noted or change.found.note else ""]
    return " ".join(sentence(way) for way in dict.fromkeys(ways) if way)


def _told(change: Change) -> str:
    start = change.found.start
    if start is None:
        return "The plugin was removed again"
    if change.upgraded:
        return f"The plugin is again as it was before, '{change.back or start.reference}'"
    return "The plugin is again as it was before"


def _restore_error(change: Change) -> VolumesError | None:
    try:
        _restore(change)
    except VolumesError as exc:
        return exc
    return None


def _restore(change: Change) -> None:
    engine, start = change.engine, change.found.start
    now = engine.plugin(change.name)
    if start is None:
        _uninstall(change, now)
        return
    if now is None:
        raise EngineError(f"Cannot bring back the plugin '{change.name}'", "it is not there any more")
    forgot = has_forgotten(change, now)
    now = _downgrade(change, now, start)
    settings = _settings_back(change, now, start)
    runs_on = _runs_on(change, now)
    differs = bool(settings) or not start.enabled or (not runs_on and _files_differ(change))
    stop = now.enabled and (differs or forgot)
    if stop:
        _check_still_unmounted(change)
        engine.disable_plugin(change.name, force=True)
    change.stopped = change.stopped or stop or not now.enabled
    _files_back(change, runs_on=runs_on)
    if forgot:
        state_files().bring_back(change.wanted.state_files)
    if change.behind:
        engine.remove_volume(change.behind)
    if settings:
        engine.set_plugin(change.name, settings)
    if start.enabled and (stop or not now.enabled):
        _enable_again(change, emptied=empties_args(settings, now.raw))
    if change.noted or change.found.note:
        unnote(change, Step("unnote", ""))
    forget_state(change)


def _uninstall(change: Change, now: Plugin | None) -> None:
    if now is not None:
        if now.enabled:
            change.engine.disable_plugin(change.name, force=True)
        change.engine.remove_plugin(change.name)
    _files_back(change)


def _runs_on(change: Change, now: Plugin) -> bool:
    """Return whether the plugin runs as it did before this task, and with what it read then.

    Where a task was killed, it may run with what that one wrote, unless that was before it stopped the plugin.
    """
    return now.enabled and not change.stopped and (change.found.note is None or change.found.reads_old)


def _check_still_unmounted(change: Change) -> None:
    """Raise RefusedError where this task did not stop the plugin before, and to do so now would harm containers."""
    mounted = who_mounts(change)
    if mounted and not change.stopped and not change.wanted.force:
        raise in_use(f"Cannot bring back the plugin '{change.name}'", mounted)


def _files_differ(change: Change) -> bool:
    return any(host_files().look(file.path) != file.before for file in change.found.files)


def _files_back(change: Change, *, runs_on: bool = False) -> None:
    """Bring the config files back to what the plugin last worked with, and remove what was kept of that.

    Where it runs on, they go back to what they were before this task, which it may have yet to read.
    """
    for file in change.found.files:
        back = file.now if runs_on else file.before
        if host_files().look(file.path) != back:
            host_files().write(file.path, back, file.wanted.directory_mode)
        if file.backup and (not runs_on or file.backup in change.kept):
            host_files().write(file.backup, host_files().FileState())


def _settings_back(change: Change, now: Plugin, start: Note) -> dict[str, str]:
    """Return the settings that must be set again; those that were not there before stay, as nobody can unset one."""
    old = current_settings(change.found.plugin.raw) if change.found.plugin else {}
    known = catalog(now.raw)
    wanted = {key: value for key, value in {**old, **start.mounts}.items() if key in known and known[key].settable}
    return {key: value for key, value in wanted.items() if known[key].current != value}


def _downgrade(change: Change, now: Plugin, start: Note) -> Plugin:
    """Bring the version back that was there before, where it is not there still, and return the plugin."""
    engine, login = change.engine, change.wanted.login
    before = _look_back(change, now, start)
    if before is None:
        return now
    offered = engine.privileges(before, login)
    if before.digest is None and start.digest is None:
        _check_no_more(change, before, from_engine(offered))
    if now.enabled:
        engine.disable_plugin(change.name, force=True)
    engine.upgrade_plugin(change.name, before, offered, login)
    change.back = before.recorded
    return there(change, "bring back")


def _check_no_more(change: Change, before: Reference, asked: tuple[Privilege, ...]) -> None:
    """Raise EngineError where a tag, which may have moved on, asks for more than was approved, and than was there."""
    old = change.found.plugin
    had = from_config(old.raw["Config"], sources=change.found.installed.sources) if old else ()
    beyond = unapproved(asked, had)
    if beyond and unapproved(asked, change.wanted.approved):
        raise EngineError(
            f"Cannot bring back '{before}'",
            f"its tag has moved on in the registry, and now asks for more:\n{as_yaml(beyond)}",
            "Give a tag that has a version which works",
        )


def _look_back(change: Change, now: Plugin, start: Note) -> Reference | None:
    """Return from where the version before comes, or None where it is there still."""
    engine = change.engine
    digest = engine.installed(now).digest
    # The engine goes on with an upgrade even where the connection broke, so what is there counts.
    known = digest is not None and start.digest is not None
    if now.reference == start.reference and (digest == start.digest if known else not change.upgraded):
        return None
    before = parse_reference(start.reference)
    if before.digest or start.digest is None:
        return before
    if engine.registry_digest(before, change.wanted.login) == start.digest:
        return before
    if engine.digests_work():
        return Reference(before.domain, before.path, None, start.digest)
    raise EngineError(
        f"Cannot bring back '{before}'",
        "its tag has moved on in the registry, and this engine cannot pull by digest",
        "Give a tag that has a version which works",
    )


def _enable_again(change: Change, *, emptied: bool) -> None:
    try:
        change.engine.enable_plugin(change.name, change.wanted.enable_timeout)
    except EngineError as exc:
        if not emptied:
            raise
        why = f"{exc.why} ({NO_EMPTY_ARGS})"
        way_out = "Set arguments that the plugin takes, or remove and install it"
        raise EngineError(exc.what, why, way_out, status=exc.status) from exc
    check_known(change)
