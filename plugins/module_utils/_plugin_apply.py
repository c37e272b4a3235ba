# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carry out the plan for a storage plugin, and where that fails, bring back what was before."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from ansible_collections.voltainer.volumes.plugins.module_utils._errors import (
    AlreadyThereError,
    EngineError,
    EngineUnreachableError,
    RefusedError,
    UnansweredError,
    VolumesError,
    sentence,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._plan import Plan, Step
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin import Plugin
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_engine import PluginEngine
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_note import Behind, Note, read_notes
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_plan import (
    PluginFound,
    approved_by,
    in_use,
    kept_settings,
    not_storage,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_wanted import PluginWanted
from ansible_collections.voltainer.volumes.plugins.module_utils._privileges import (
    Privilege,
    as_yaml,
    from_config,
    from_engine,
    not_approved,
    unapproved,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._reference import Reference, parse_reference
from ansible_collections.voltainer.volumes.plugins.module_utils._registry import Pulled
from ansible_collections.voltainer.volumes.plugins.module_utils._secrets import hide, leaves, secret_values
from ansible_collections.voltainer.volumes.plugins.module_utils._settings import (
    NO_EMPTY_ARGS,
    SettingsWanted,
    catalog,
    changed_settings,
    check_settings,
    current_settings,
    dropped_settings,
    empties_args,
    not_brought_along,
    sources_of,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._usage import Use
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import CANARY_PREFIX, LOCAL

if TYPE_CHECKING:
    from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_config import FileFound

_GOES_ON = (
    "The engine may go on with the upgrade, and the plugin is disabled meanwhile. Run the task again, which finishes"
    " the change or goes back"
)

# How long between two looks whether a driver answers.
_PAUSE_SECONDS = 0.5
# How long a driver may take to list its volumes again once it answers.
_KNOWS_SECONDS = 5
# How long it has for one list at least.
_LIST_SECONDS = 10


@dataclass
class Change:
    """One change of one plugin, and what came of it so far: what the registry told, and what the reader must know.

    `sources` are the defaults of the mounts and devices of the version that was tried. `uncertain` says that nobody
    knows whether the engine goes on with the upgrade. `stopped` says that the plugin did not run for a while, so that
    it may have read new config files, `kept` are the backups that were made, `canary` is what came of the test,
    `behind` the note that it runs on with old files. `known` are the volumes that it knew right before it was
    stopped, None where that is not known; `kept` says that its state files were kept then, and `came_up` that it
    answered after it was enabled. `back` is what it was brought back from.
    """

    engine: PluginEngine
    wanted: PluginWanted
    found: PluginFound
    digest: str | None = None
    log: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    sources: Mapping[str, str] | None = None
    upgraded: bool = False
    uncertain: bool = False
    noted: bool = False
    stopped: bool = False
    kept: tuple[str, ...] = ()
    behind: str = ""
    canary: Mapping[str, Any] | None = None
    known: frozenset[str] | None = None
    kept_state: bool = False
    came_up: bool = False
    back: str = ""

    @property
    def name(self) -> str:
        """The full local name of the plugin."""
        return self.wanted.alias

    @property
    def remote(self) -> Reference:
        """The plugin in its registry. Only steps that need it ask."""
        if self.wanted.remote is None:
            raise RefusedError(f"Cannot pull the plugin '{self.name}'", "no reference was given", "Give 'remote'")
        return self.wanted.remote

    def pulled(self, pulled: Pulled) -> None:
        """Keep what a pull told."""
        self.digest, self.log = pulled.digest, (*self.log, *pulled.log)


def apply_plugin(change: Change, plan: Plan) -> None:
    """Carry the plan out. Raises VolumesError, with the plugin as it was before wherever that can be."""
    undone = [step for step in plan.steps if step.verb != "forget"]
    if undone:
        _apply_undoing(change, undone)
    _forget_old_backups(change, plan)
    # Only once the plugin is gone, which nobody can take back.
    for step in plan.steps:
        if step.verb == "forget":
            _apply(change, step)
    _forget_state(change)


def _forget_state(change: Change) -> None:
    if change.wanted.state_files and (change.kept_state or change.found.note or change.wanted.state == "absent"):
        _state().forget(change.wanted.state_files)


def _forget_old_backups(change: Change, plan: Plan) -> None:
    # Not before all is done: until then the oldest may be needed for the way back, and the clock may have gone back.
    for step in plan.steps:
        if step.verb == "write" and step.arguments["file"].backup:
            try:
                _host_files().forget_old_backups(step.arguments["file"].path, step.arguments["file"].backup)
            except VolumesError as exc:
                change.warnings += (str(exc),)


def _apply_undoing(change: Change, steps: list[Step]) -> None:
    if steps[0].verb == "pull":
        # Not yet within the undoing: where the pull fails, a plugin of that name is somebody else's.
        _apply(change, steps.pop(0))
    with _undoing(change):
        for step in steps:
            _apply(change, step)


def _apply(change: Change, step: Step) -> None:
    _STEPS[step.verb](change, step)


def _pull(change: Change, _step: Step) -> None:
    engine, wanted = change.engine, change.wanted
    change.pulled(engine.pull_plugin(change.remote, change.name, change.found.offered, wanted.login))
    plugin = _there(change, "install")
    with _undoing(change):
        _check_pulled(change, plugin, f"Cannot install the plugin '{change.remote}'")


def _check_pulled(change: Change, plugin: Plugin, what: str) -> None:
    """Raise VolumesError where what came from the registry is not what was approved, or cannot be set as wanted."""
    if not plugin.is_storage:
        raise not_storage(what, plugin)
    # Engines before 29.4 do not compare one of the privileges with what was sent (read in their source).
    asked, approved = from_config(plugin.raw["Config"]), approved_by(change.wanted, change.found)
    if unapproved(asked, approved):
        raise not_approved(what, asked, approved, pulled=True)
    check_settings(change.name, change.wanted.settings or {}, catalog(plugin.raw))


def _note(change: Change, _step: Step) -> None:
    note = _start(change)
    change.noted = True
    made = change.engine.create_volume(note.volume, LOCAL, {}, note.labels())
    if read_notes([made]) != (note,):
        # What exists stays as it is, and the engine's answer is a success.
        change.noted = False
        raise RefusedError(
            f"Cannot note in the engine what the plugin '{change.name}' is before the change",
            f"there is already a volume '{note.volume}', which is no note",
            "See what it is for, and remove it",
        )


def _behind(change: Change, _step: Step) -> None:
    found = change.found
    changed = {file.path: file.backup for file in found.files if file.path in found.backups and file.matters}
    behind = Behind(_start(change).plugin_id, change.name, time.time_ns(), changed)
    change.engine.create_volume(behind.volume, LOCAL, {}, behind.labels())
    change.behind = behind.volume


def _unnote(change: Change, step: Step) -> None:
    # There is none where only a plugin that is gone had files to read.
    note = change.found.start or change.found.note
    if note is not None:
        _remove_trial(change, note)
    # A plugin that runs on as it was has still to read what they tell of, unless all of that was taken back.
    if change.stopped or not change.found.reads_old or step.arguments.get("settled"):
        for behind in change.found.behind:
            change.engine.remove_volume(behind.volume)
    # A look for a volume that is not there asks all drivers, and one may hang.
    if note is not None and (change.noted or change.found.note):
        change.engine.remove_volume(note.volume)


def _write(change: Change, step: Step) -> None:
    file = _seen_again(change, step.arguments["file"])
    keeps = file.backup and file.before.content is not None and file.now.content != file.after.content
    # What a task kept that was killed is older than this change, and stays.
    if keeps and not _host_files().look(file.backup).exists:
        change.kept += (file.backup,)
        _host_files().keep(file.path, file.backup, file.before.content)
    _host_files().write(file.path, file.after, file.wanted.directory_mode)


def _seen_again(change: Change, file: FileFound) -> FileFound:
    """Look once more at a file that the plugin writes to, too: only now is it stopped."""
    if file.wanted.strategy != "merge":
        return file
    from ansible_collections.voltainer.volumes.plugins.module_utils import _plugin_config  # noqa: PLC0415 - as below

    seen = _plugin_config.seen_again(file)
    files = tuple(seen if one.path == file.path else one for one in change.found.files)
    change.found = replace(change.found, files=files)
    return seen


def _forget(_change: Change, step: Step) -> None:
    file: FileFound = step.arguments["file"]
    _host_files().remove(file.path)


def _host_files() -> Any:
    # Loaded only where there are config files.
    from ansible_collections.voltainer.volumes.plugins.module_utils import _host_files as files  # noqa: PLC0415

    return files


def _state() -> Any:
    # Loaded only where the plugin has such files.
    from ansible_collections.voltainer.volumes.plugins.module_utils import _plugin_state as state  # noqa: PLC0415

    return state


def _canary(change: Change, _step: Step) -> None:
    # Loaded only where there is a canary.
    from ansible_collections.voltainer.volumes.plugins.module_utils import _plugin_canary  # noqa: PLC0415

    plugin = _there(change, "test")
    if not plugin.lists_volumes or change.wanted.canary is None:
        change.warnings += (f"The plugin '{change.name}' is no volume driver but a CSI driver, and was not tested",)
        return
    with _with_last_words(change, plugin):
        change.canary = _plugin_canary.fly(change.engine, change.name, change.wanted.canary)


def _try(change: Change, _step: Step) -> None:
    """Pull the new version under another name, so that nearly all that can fail does so while the plugin still runs."""
    engine, note, old = change.engine, _start(change), change.found.plugin
    _remove_trial(change, note)
    change.pulled(_pull_trial(change, note))
    trial = engine.plugin(note.trial)
    if trial is None or old is None:
        raise EngineError(f"Cannot try the plugin '{change.remote}'", "it is gone: somebody else removed it")
    _check_pulled(change, trial, f"Cannot upgrade the plugin '{change.name}' to '{change.remote}'")
    change.sources = sources_of(trial.raw)
    _warn_of_loss(change, old, trial)
    # On a failure it goes with the note.
    _remove_trial(change, note)


def _pull_trial(change: Change, note: Note, tries: int = 3) -> Pulled:
    try:
        return change.engine.pull_plugin(change.remote, note.trial, change.found.offered, change.wanted.login)
    except AlreadyThereError:
        # The engine goes on with the pull of a task that was killed (20.10 to 28.5).
        if tries == 1:
            raise
        _remove_trial(change, note)
        return _pull_trial(change, note, tries - 1)


def _warn_of_loss(change: Change, old: Plugin, trial: Plugin) -> None:
    lost = [
        *not_brought_along(old.raw, trial.raw, change.wanted.secret_settings),
        *(f"{key} is no setting of it any more" for key in dropped_settings(old.raw, trial.raw)),
    ]
    if lost:
        change.warnings += (f"The upgrade of '{change.name}' cannot bring all of the new version: {'; '.join(lost)}",)


def _remove_trial(change: Change, note: Note) -> None:
    if change.engine.plugin(note.trial) is not None:
        change.engine.remove_plugin(note.trial, force=True)


def _disable(change: Change, _step: Step) -> None:
    if change.noted or change.found.note:
        _remember(change)
    _stop(change)
    change.stopped = True


def _remember(change: Change) -> None:
    """Remember which volumes the plugin knows, and keep the files in which it keeps them, before it is stopped."""
    note, files = change.found.note, change.wanted.state_files
    change.known = _listed(change)
    # What a task kept that was killed is better where the plugin has only forgotten volumes since, and nobody knows
    # which one is where it does not tell.
    only_forgot = note is not None and (change.known is None or change.known < set(note.volumes))
    if files and not (only_forgot and _state().has_kept(files)):
        _state().keep(files)
        change.kept_state = True


def _listed(change: Change) -> frozenset[str] | None:
    """Return the names of the volumes that the plugin lists, or None where it does not tell."""
    plugin = _there(change, "look at")
    if not plugin.enabled or not plugin.lists_volumes:
        return None
    try:
        return frozenset(names_known(change.engine.volumes_of(plugin, seconds=seconds_to_list(change.wanted))))
    except EngineUnreachableError:
        raise
    except EngineError:
        return None


def names_known(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names of volumes but those of canaries, which come and go, on shared storage those of other nodes."""
    return tuple(name for name in names if not name.startswith(CANARY_PREFIX))


def seconds_to_list(wanted: PluginWanted) -> int:
    """Return how long a driver has to list its volumes: one that hangs must not hold up the task for minutes."""
    return max(wanted.wait_ready, _LIST_SECONDS)


def _stop(change: Change) -> None:
    engine, wanted = change.engine, change.wanted
    try:
        engine.disable_plugin(change.name)
    except EngineError as exc:
        if exc.status != HTTPStatus.CONFLICT:
            raise
        now = engine.plugin(change.name)
        if now is not None and not now.enabled:
            return
        # The engine counts volumes that no container uses, too. The plan made sure that nothing has one mounted; a
        # container that came in between would lose its mount, so look again right before.
        mounted = _mounted(change)
        if mounted and not wanted.force:
            raise in_use(f"Cannot disable the plugin '{change.name}'", mounted) from exc
        engine.disable_plugin(change.name, force=True)


def _upgrade(change: Change, _step: Step) -> None:
    engine, wanted = change.engine, change.wanted
    try:
        change.pulled(engine.upgrade_plugin(change.name, change.remote, change.found.offered, wanted.login))
    except (EngineUnreachableError, UnansweredError):
        change.uncertain = True
        raise
    change.upgraded = True
    plugin, start = _there(change, "upgrade"), _start(change)
    _check_pulled(change, plugin, f"Cannot upgrade the plugin '{change.name}' to '{change.remote}'")
    if plugin.id != start.plugin_id or parse_reference(plugin.reference).recorded != change.remote.recorded:
        raise EngineError(
            f"Cannot upgrade the plugin '{change.name}' to '{change.remote}'",
            f"the engine said yes, and then has '{plugin.reference}'",
            "Look for somebody else who changes plugins on this host",
        )


def _set(change: Change, _step: Step) -> None:
    # Which settings a plugin has is known only once it is pulled, so those of a fresh one are looked at here.
    wanted, found, plugin = change.wanted, change.found, _there(change, "set")
    sources = found.installed.sources
    if found.plugin is None:
        # Fresh from the registry, they are what it says.
        sources = sources_of(plugin.raw)
    elif change.upgraded:
        sources = change.sources
    kept = kept_settings(found, plugin, upgraded=change.upgraded)
    wanted_settings = SettingsWanted(wanted.settings or {}, kept, wanted.settings_exact)
    settings = changed_settings(change.name, wanted_settings, plugin.raw, sources)
    if settings:
        change.engine.set_plugin(change.name, settings)
        _verify(change, settings)


def _verify(change: Change, settings: dict[str, str]) -> None:
    plugin = _there(change, "set")
    now = current_settings(plugin.raw)
    differ = [key for key, value in settings.items() if now.get(key) != value]
    devices = [key for key in differ if catalog(plugin.raw)[key].kind == "device"]
    if devices:
        # The engine then changes only what a fresh install would run with (20.10 to 28.5).
        raise EngineError(
            f"Cannot set {', '.join(devices)} of the plugin '{change.name}'",
            "the engine changes a device only before its first restart and the first upgrade of the plugin after the"
            " install",
            "Remove the plugin, which needs its volumes to be removed first, and install it with this setting",
        )
    if differ:
        raise EngineError(
            f"Cannot set the plugin '{change.name}'",
            f"the engine said yes, and then has other values of {', '.join(differ)}",
            "Look for somebody else who changes plugins on this host",
        )


def _enable(change: Change, _step: Step) -> None:
    engine, wanted = change.engine, change.wanted
    plugin = _there(change, "enable")
    change.stopped = True
    if wanted.state_files and change.found.plugin and not (change.noted or change.found.note):
        # One that was disabled may forget its volumes, too.
        _state().keep(wanted.state_files)
        change.kept_state = True
    with _with_last_words(change, plugin):
        engine.enable_plugin(change.name, wanted.enable_timeout)
        # A CSI driver only answers the swarm.
        if wanted.wait_ready and plugin.lists_volumes:
            _wait_ready(engine, change.name, wanted.wait_ready)
    change.came_up = True


def _know(change: Change, _step: Step) -> None:
    before = _known_before(change)
    listed = _listed_with(change, before)
    if listed is None:
        change.warnings += (f"The plugin '{change.name}' does not tell whether it still knows its volumes",)
        return
    if _heals(change, before, listed):
        # What was kept has them. So where they are forgotten again, it is for what the plugin was started with now.
        change.known, change.kept_state = before, True
        listed = _healed(change, before)
    forgotten = before - listed
    if forgotten and change.found.note and not change.kept_state:
        change.warnings += (
            f"A change of the plugin '{change.name}' was ended midway, and since then {_forgotten_words(forgotten)}."
            " Where they were not removed on purpose, create them again with the options they had",
        )
    elif forgotten:
        _complain(change, forgotten)


def _known_before(change: Change) -> frozenset[str]:
    """Return the volumes that the plugin knew before its change, also one that was killed."""
    noted = frozenset(change.found.note.volumes if change.found.note else ())
    return noted if change.known is None or change.known < noted else change.known


def _complain(change: Change, forgotten: Iterable[str]) -> None:
    why = _forgotten_words(forgotten)
    if change.wanted.force:
        change.warnings += (f"The plugin '{change.name}' was changed, and {why}",)
        return
    with _with_last_words(change, _there(change, "test")):
        raise EngineError(
            f"Cannot change the plugin '{change.name}'",
            why,
            "Look whether the storage that they are on answers, and check its config file and settings."
            " 'force: true' goes on without these volumes",
            forgotten_volumes=sorted(forgotten),
        )


def _heals(change: Change, before: frozenset[str], listed: frozenset[str]) -> bool:
    """Return whether what a task kept that was killed has the volumes which the plugin has forgotten since.

    Where it lists others, too, or runs for somebody, time has passed, and they may have been removed on purpose.
    """
    files = change.wanted.state_files
    if not files or change.found.note is None or change.kept_state or not listed < before:
        return False
    return bool(_state().has_kept(files)) and not _mounted(change)


def _healed(change: Change, before: frozenset[str]) -> frozenset[str]:
    """Start the plugin with what was kept, and return the volumes that it lists then."""
    change.engine.disable_plugin(change.name, force=True)
    change.stopped = True
    _state().bring_back(change.wanted.state_files)
    change.engine.enable_plugin(change.name, change.wanted.enable_timeout)
    return _listed_with(change, before) or frozenset()


def _forgotten_words(names: Iterable[str]) -> str:
    return f"it no longer knows volumes that it had before: {', '.join(sorted(names))}"


def _mounted(change: Change) -> list[Use]:
    return [use for use in change.engine.users_of_driver(change.name) if use.mounted]


def _listed_with(change: Change, before: frozenset[str]) -> frozenset[str] | None:
    """Return the volumes that the plugin lists, once these are among them or its time is up; None for no answer."""
    if not before:
        return before
    ends = time.monotonic() + max(change.wanted.wait_ready, _KNOWS_SECONDS)
    while True:
        listed = _listed(change)
        if (listed is not None and before <= listed) or time.monotonic() > ends:
            return listed
        time.sleep(_PAUSE_SECONDS)


@contextmanager
def _with_last_words(change: Change, plugin: Plugin) -> Iterator[None]:
    """Where the block fails, say in the error what the plugin itself last said."""
    try:
        yield
    except VolumesError as exc:
        # Secrets that only the files hold are none that Ansible knows of.
        exc.why = hide(exc.why, _config_secrets(change))
        said = change.engine.said_by(plugin.id, _secrets(change, plugin))
        if said:
            exc.why = f"{exc.why.rstrip()}\nThe plugin's own last words were:\n" + "\n".join(f"  {one}" for one in said)
            exc.details["plugin_log"] = list(said)
        raise


def _secrets(change: Change, plugin: Plugin) -> set[str]:
    listed, before = change.wanted.secret_settings, change.found.plugin or plugin
    return {
        value
        # The last lines may be of the plugin as it was set before.
        for settings in (current_settings(before.raw), current_settings(plugin.raw), change.wanted.settings or {})
        for value in leaves(list(secret_values(settings, listed)))
    } | _config_secrets(change)


def _config_secrets(change: Change) -> set[str]:
    if not change.found.files:
        return set()
    from ansible_collections.voltainer.volumes.plugins.module_utils import _plugin_config  # noqa: PLC0415 - as above

    return _plugin_config.secrets_in_files(change.found.files)


def _wait_ready(engine: PluginEngine, name: str, seconds: int) -> None:
    ends = time.monotonic() + seconds
    why = "there was no time"
    while (left := ends - time.monotonic()) > 0:
        try:
            warnings = engine.volumes(name, seconds=left).warnings
        except EngineUnreachableError:
            raise
        except EngineError as exc:
            warnings = (exc.why,)
        if not warnings:
            return
        why = warnings[0]
        time.sleep(min(_PAUSE_SECONDS, max(ends - time.monotonic(), 0)))
    raise EngineError(
        f"Cannot use the plugin '{name}'",
        f"it was enabled, and then did not list its volumes within {seconds} s: {why}",
        "Look whether the storage behind it answers, and check its config file and settings",
    )


def _remove(change: Change, _step: Step) -> None:
    change.engine.remove_plugin(change.name, force=change.wanted.force and change.wanted.confirmed is not None)


_STEPS: dict[str, Callable[[Change, Step], None]] = {
    "pull": _pull,
    "note": _note,
    "try": _try,
    "disable": _disable,
    "upgrade": _upgrade,
    "set": _set,
    "enable": _enable,
    "remove": _remove,
    "unnote": _unnote,
    "behind": _behind,
    "write": _write,
    "forget": _forget,
    "know": _know,
    "canary": _canary,
}


# The way back


@contextmanager
def _undoing(change: Change) -> Iterator[None]:
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
    forgot = _has_forgotten(change, now)
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
        _state().bring_back(change.wanted.state_files)
    if change.behind:
        engine.remove_volume(change.behind)
    if settings:
        engine.set_plugin(change.name, settings)
    if start.enabled and (stop or not now.enabled):
        _enable_again(change, emptied=empties_args(settings, now.raw))
    if change.noted or change.found.note:
        _unnote(change, Step("unnote", ""))
    _forget_state(change)


def _uninstall(change: Change, now: Plugin | None) -> None:
    if now is not None:
        if now.enabled:
            change.engine.disable_plugin(change.name, force=True)
        change.engine.remove_plugin(change.name)
    _files_back(change)


def _has_forgotten(change: Change, now: Plugin) -> bool:
    """Return whether the state files that this task kept are better than what the plugin has made of them since.

    They are not where it lists volumes that they cannot have.
    """
    if not change.kept_state:
        return False
    listed = _listed(change) if change.came_up and now.enabled else None
    if listed is None:
        return not change.came_up or change.known is None
    return listed < change.known if change.known is not None else not listed


def _runs_on(change: Change, now: Plugin) -> bool:
    """Return whether the plugin runs as it did before this task, and with what it read then.

    Where a task was killed, it may run with what that one wrote, unless that was before it stopped the plugin.
    """
    return now.enabled and not change.stopped and (change.found.note is None or change.found.reads_old)


def _check_still_unmounted(change: Change) -> None:
    """Raise RefusedError where this task did not stop the plugin before, and to do so now would harm containers."""
    mounted = _mounted(change)
    if mounted and not change.stopped and not change.wanted.force:
        raise in_use(f"Cannot bring back the plugin '{change.name}'", mounted)


def _files_differ(change: Change) -> bool:
    return any(_host_files().look(file.path) != file.before for file in change.found.files)


def _files_back(change: Change, *, runs_on: bool = False) -> None:
    """Bring the config files back to what the plugin last worked with, and remove what was kept of that.

    Where it runs on, they go back to what they were before this task, which it may have yet to read.
    """
    for file in change.found.files:
        back = file.now if runs_on else file.before
        if _host_files().look(file.path) != back:
            _host_files().write(file.path, back, file.wanted.directory_mode)
        if file.backup and (not runs_on or file.backup in change.kept):
            _host_files().write(file.backup, _host_files().FileState())


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
    return _there(change, "bring back")


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
    _check_known(change)


def _check_known(change: Change) -> None:
    """Raise EngineError where the plugin is as it was before, but for volumes that it has forgotten."""
    before = _known_before(change)
    listed = _listed_with(change, before)
    if listed is None:
        return
    if _heals(change, before, listed):
        listed = _healed(change, before)
    elif change.found.note and not change.kept_state:
        return
    forgotten = sorted(before - listed)
    if forgotten:
        raise EngineError(
            f"Cannot bring back the plugin '{change.name}' with all its volumes",
            f"it no longer knows {', '.join(forgotten)}",
            "The storage may still have them: look there, and create them again with the options they had."
            " Containers that are started before may get new, empty volumes under these names",
        )


def _there(change: Change, verb: str) -> Plugin:
    plugin = change.engine.plugin(change.name)
    if plugin is None:
        raise EngineError(f"Cannot {verb} the plugin '{change.name}'", "it is gone: somebody else removed it")
    return plugin


def _start(change: Change) -> Note:
    start = change.found.start
    if start is None:
        raise EngineError(f"Cannot change the plugin '{change.name}'", "it is gone: somebody else removed it")
    return start
