# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan between a storage plugin as it is and as it should be. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from ansible_collections.voltainer.volumes.plugins.module_utils._errors import InvalidInputError, RefusedError
from ansible_collections.voltainer.volumes.plugins.module_utils._plan import ABSENT, Plan, Step
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin import Installed, Plugin, shown_plugin
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_note import Behind, Note, note_of
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_wanted import PluginWanted
from ansible_collections.voltainer.volumes.plugins.module_utils._privileges import (
    ALL,
    Approved,
    Privilege,
    as_yaml,
    from_config,
    from_engine,
    not_approved,
    unapproved,
    unasked,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._reference import parse_reference
from ansible_collections.voltainer.volumes.plugins.module_utils._secrets import mask
from ansible_collections.voltainer.volumes.plugins.module_utils._settings import (
    NO_EMPTY_ARGS,
    SettingsWanted,
    changed_settings,
    current_settings,
    empties_args,
    missing_defaults,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._usage import Use, listed

if TYPE_CHECKING:
    from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_config import FileFound


@dataclass(frozen=True)
class PluginFound:
    """What was observed; beyond the plugin and the note of a change under way only what the plan needs.

    `offered` is what the plugin in the registry asks for as the engine words it, `newest` the digest that the reference
    has there. `uses` and `volumes` are looked up where the plan would stop or remove the plugin. `not_listed` says why
    the volumes are not known, `no_way_back` why an upgrade could not be taken back. `behind` are the notes of config
    files that the plugin had yet to read, `reads_old` tells whether it still runs with what they were.
    """

    plugin: Plugin | None
    note: Note | None = None
    installed: Installed = field(default_factory=Installed)
    offered: tuple[Mapping[str, Any], ...] = ()
    newest: str | None = None
    uses: tuple[Use, ...] = ()
    volumes: tuple[str, ...] = ()
    not_listed: str = ""
    no_way_back: str = ""
    files: tuple[FileFound, ...] = ()
    behind: tuple[Behind, ...] = ()
    reads_old: bool = False

    @property
    def backups(self) -> dict[str, str]:
        """Where what the config files that change were before is kept, by path; "" where there was no file."""
        changed = (file for file in self.files if file.changes and (file.backup or not file.before.exists))
        return {file.path: file.backup for file in changed}

    @property
    def known(self) -> frozenset[str]:
        """The config files that are to be what the plugin runs with, whatever was deferred in between."""
        # Where a restart was killed, it may run with something else.
        knows = self.reads_old and self.note is None
        return frozenset(file.path for file in self.files if knows and file.goes_back)

    @property
    def unread(self) -> tuple[str, ...]:
        """The config files that were changed before, and that the plugin has yet to read."""
        paths = dict.fromkeys(path for behind in self.behind for path in behind.backups)
        return tuple(path for path in paths if self.reads_old and path not in self.known)

    @property
    def start(self) -> Note | None:
        """What the plugin was before its change: also before one that was killed on the way."""
        if self.plugin is None:
            return None
        return self.note or note_of(self.plugin, self.installed, self.backups, self.volumes)


def asks_registry(wanted: PluginWanted, found: PluginFound) -> bool:
    """Return whether only the registry can tell if the plugin must be upgraded."""
    plugin, remote = found.plugin, wanted.remote
    if plugin is None or remote is None or wanted.state == "absent" or wanted.pull != "changed" or remote.digest:
        return False
    return found.installed.digest is not None and parse_reference(plugin.reference).recorded == remote.recorded


def is_upgrade(wanted: PluginWanted, found: PluginFound) -> bool:
    """Return whether what the registry has must replace the plugin. Raises RefusedError where nobody can tell."""
    plugin, remote = found.plugin, wanted.remote
    if plugin is None or remote is None or wanted.state == "absent":
        return False
    digest = found.installed.digest
    if wanted.pull == "always":
        return True
    if remote.digest:
        return remote.digest != digest
    if parse_reference(plugin.reference).recorded != remote.recorded:
        return True
    if wanted.pull == "missing":
        return False
    if digest is None:
        raise RefusedError(
            f"Cannot tell whether '{remote}' has changed in its registry since '{plugin.name}' was installed",
            "which content is installed, the engine tells only root on its own host",
            "Run the task there as root over the engine's socket, give 'remote' by digest, or set 'pull' to 'always'",
        )
    return found.newest != digest


def settings_to_change(wanted: PluginWanted, found: PluginFound) -> dict[str, str]:
    """Return the settings of the installed plugin that differ from what they should be, by their keys.

    Raises InvalidInputError.
    """
    plugin = found.plugin
    if plugin is None:
        return {}
    settings = SettingsWanted(wanted.settings or {}, kept_settings(found, plugin), wanted.settings_exact)
    return changed_settings(plugin.name, settings, plugin.raw, found.installed.sources)


def kept_settings(found: PluginFound, now: Plugin, *, upgraded: bool = False) -> dict[str, str]:
    """Return what settings shall be that the task does not name, by their keys, where the engine lost it.

    An upgrade puts mounts back to their defaults, and leaves out what the new version brought along; so does one that
    was killed.
    """
    if found.start is None or not (upgraded or found.note):
        return {}
    old = current_settings(found.plugin.raw) if found.plugin and upgraded else {}
    return {**missing_defaults(now.raw), **old, **found.start.mounts}


def enabled_after(wanted: PluginWanted, found: PluginFound) -> bool:
    """Return whether the plugin is to be enabled in the end."""
    before = found.start.enabled if found.start else False
    return {"enabled": True, "disabled": False}.get(wanted.state, before)


def stops(wanted: PluginWanted, found: PluginFound) -> bool:
    """Return whether the plan will disable or remove the plugin, and so needs to know who uses it."""
    if found.plugin is None:
        return False
    if wanted.state == "absent":
        return True
    if not found.plugin.enabled:
        return False
    if not enabled_after(wanted, found) or is_upgrade(wanted, found):
        return True
    return wanted.on_change == "restart" and bool(restarts_for(wanted, found))


def restarts_for(wanted: PluginWanted, found: PluginFound) -> tuple[str, ...]:
    """Return what the plugin can take up only when it is started again, in words, an upgrade aside."""
    settings = settings_to_change(wanted, found)
    return (
        *((f"settings: {', '.join(settings)}",) if settings else ()),
        *(
            f"config file '{file.path}': {file.keys}"
            for file in found.files
            if file.changes and file.matters and file.path not in found.known
        ),
        *(f"config file '{path}': it was changed before, and the plugin has yet to read it" for path in found.unread),
    )


def check_identity(wanted: PluginWanted, plugin: Plugin) -> None:
    """Raise RefusedError where the plugin of that name is none that the task can mean."""
    what = f"Cannot bring the plugin '{plugin.name}' to state '{wanted.state}'"
    if not plugin.is_storage:
        raise not_storage(what, plugin)
    if wanted.remote is None:
        return
    installed = parse_reference(plugin.reference) if plugin.reference else None
    if installed is None or installed.repository != wanted.remote.repository:
        raise RefusedError(
            what,
            f"its name is taken by another plugin, installed from '{plugin.reference}', and not from '{wanted.remote}'",
            "Choose another 'alias', or remove the plugin that has the name first",
        )


def not_storage(what: str, plugin: Plugin) -> RefusedError:
    """Return the error for a plugin that is no storage plugin."""
    return RefusedError(
        what,
        f"it is no storage plugin: its interface is {', '.join(plugin.interfaces) or 'none'}",
        "Manage plugins of other kinds with 'docker plugin'",
    )


def plan_plugin(wanted: PluginWanted, found: PluginFound) -> Plan:
    """Return what must be done. Raises InvalidInputError and RefusedError where it must not."""
    plugin = found.plugin
    if plugin is None:
        if wanted.state == "absent":
            return _with_files(
                Plan(ABSENT, ABSENT, (*_unnote_steps(_noted(found)), *_file_steps("forget", found))), found
            )
        return _with_files(_plan_install(wanted, found), found)
    check_identity(wanted, plugin)
    if wanted.state == "absent":
        return _with_files(_plan_remove(wanted, plugin, found), found)
    return _with_files(_plan_change(wanted, plugin, found), found)


def _with_files(plan: Plan, found: PluginFound) -> Plan:
    """Return the plan with the config files that change in its diff, without their contents."""
    changed = [file for file in found.files if file.changes]
    if not changed:
        return plan
    before = {file.path: file.shown(file.now) for file in changed}
    after = {file.path: file.shown(file.after, told=file.keys) for file in changed}
    return replace(plan, before={**plan.before, "config_files": before}, after={**plan.after, "config_files": after})


def approved_by(wanted: PluginWanted, found: PluginFound) -> Approved:
    """Return what is approved: in the words of community.docker's module all, or of an installed plugin what it has."""
    if wanted.approved is not None or not wanted.drop_in:
        return wanted.approved
    return from_config(found.plugin.raw["Config"], sources=found.installed.sources) if found.plugin else ALL


def _plan_install(wanted: PluginWanted, found: PluginFound) -> Plan:
    what = f"Cannot install the plugin '{wanted.alias}'"
    if wanted.remote is None:
        raise InvalidInputError(what, "it is not installed, and the option 'remote' is missing", "Give its reference")
    if wanted.drop_in and wanted.state == "disabled":
        raise RefusedError(what, "it is not installed, so there is nothing to disable", "Use state 'present'")
    asked, approved = from_engine(found.offered), approved_by(wanted, found)
    if unapproved(asked, approved):
        raise not_approved(f"Cannot install the plugin '{wanted.remote}'", asked, wanted.approved)
    enable = wanted.state == "enabled"
    pull = Step("pull", f"Pull the plugin '{wanted.remote}' as '{wanted.alias}'")
    after = {
        "exists": True,
        "name": wanted.alias,
        "reference": wanted.remote.recorded,
        "enabled": enable,
        "settings": mask(wanted.settings or {}, wanted.secret_settings),
        "privileges": [privilege.as_result() for privilege in asked],
    }
    steps = (
        pull,
        *_file_steps("write", found),
        *_set_steps(wanted, wanted.settings or {}),
        *_enable_steps(wanted, enable),
        *_unnote_steps(_noted(found)),
    )
    return Plan(ABSENT, after, steps, _privilege_warnings(wanted, asked, approved))


def _plan_change(wanted: PluginWanted, plugin: Plugin, found: PluginFound) -> Plan:
    upgrade, enabled = is_upgrade(wanted, found), enabled_after(wanted, found)
    deferred = _deferred(wanted, plugin, found)
    changes = dict(wanted.settings or {}) if upgrade else {} if deferred else settings_to_change(wanted, found)
    stop = plugin.enabled and stops(wanted, found)
    warnings = _warnings(wanted, plugin, found, changes, upgrade)
    if stop:
        warnings += _check_unmounted(wanted, plugin, found, _verb(wanted, found, changes, upgrade=upgrade))
    if deferred:
        warnings += (_deferred_warning(plugin, deferred),)
    before = shown_plugin(plugin, wanted.secret_settings)
    after = {
        **before,
        "enabled": enabled,
        "settings": mask({**current_settings(plugin.raw), **changes}, wanted.secret_settings),
    }
    if upgrade and wanted.remote:
        had = from_config(plugin.raw["Config"], sources=found.installed.sources)
        before["privileges"] = [privilege.as_result() for privilege in had]
        after["reference"] = wanted.remote.recorded
        after["privileges"] = [privilege.as_result() for privilege in from_engine(found.offered)]
    if stop and enabled and found.not_listed and not (found.note and found.note.volumes):
        warnings += (_not_listed_warning(plugin, found),)
    noted = found.note is None and (upgrade or (stop and enabled))
    starts = enabled and (stop or not plugin.enabled)
    steps = (
        *_upgrade_steps(wanted, plugin, upgrade, stop=stop, noted=noted),
        *_behind_steps(plugin, found, deferred=bool(deferred)),
        *_file_steps("write", found),
        *_set_steps(wanted, changes, again=upgrade),
        *_enable_steps(wanted, starts, known=found.start.volumes if found.start else ()),
        # Who was killed may have been so before its canary.
        *(_test_steps(wanted, found.note.volumes) if enabled and not starts and found.note else ()),
        *_unnote_steps(
            noted or found.note is not None or (bool(found.behind) and not deferred), settled=not found.unread
        ),
    )
    return Plan(before, after, steps, warnings)


def _deferred(wanted: PluginWanted, plugin: Plugin, found: PluginFound) -> tuple[str, ...]:
    """Return what the plugin that runs will not know yet. Raises RefusedError where nothing may change under it."""
    if wanted.on_change == "restart" or not plugin.enabled or not enabled_after(wanted, found):
        return ()
    if is_upgrade(wanted, found):
        # That restarts it anyway, and was asked for.
        return ()
    reasons = restarts_for(wanted, found)
    if reasons and wanted.on_change == "fail":
        raise RefusedError(
            f"Cannot change the plugin '{plugin.name}'",
            f"it would have to be restarted, and 'on_change' is 'fail': {'; '.join(reasons)}",
            "Set 'on_change' to 'restart' when its volumes may be out of reach for a moment, or to 'defer'",
            deferred=list(reasons),
        )
    return reasons


def _deferred_warning(plugin: Plugin, deferred: Iterable[str]) -> str:
    return (
        f"The plugin '{plugin.name}' runs on as it was started. It does not know yet: {'; '.join(deferred)}. Config"
        " files it reads at its next start, settings change only in a task with 'on_change: restart'"
    )


def _not_listed_warning(plugin: Plugin, found: PluginFound) -> str:
    return (
        f"The plugin '{plugin.name}' did not tell which volumes it has, so it was not compared whether it still knows"
        f" them after the change: {found.not_listed}"
    )


def _verb(wanted: PluginWanted, found: PluginFound, changes: Mapping[str, str], *, upgrade: bool) -> str:
    if upgrade:
        return "upgrade"
    if changes:
        return "change the settings of"
    return "change the config files of" if restarts_for(wanted, found) else "disable"


def _upgrade_steps(wanted: PluginWanted, plugin: Plugin, upgrade: bool, *, stop: bool, noted: bool) -> tuple[Step, ...]:
    note = (Step("note", f"Note in the engine what the plugin '{plugin.name}' is before the change"),) if noted else ()
    disable = (Step("disable", f"Disable the plugin '{plugin.name}'"),) if stop else ()
    if not upgrade:
        return (*note, *disable)
    return (
        *note,
        Step("try", f"Pull '{wanted.remote}' under another name, check it, and remove that again"),
        *disable,
        Step("upgrade", f"Upgrade the plugin '{plugin.name}' from '{plugin.reference}' to '{wanted.remote}'"),
    )


def _plan_remove(wanted: PluginWanted, plugin: Plugin, found: PluginFound) -> Plan:
    warnings = _check_removable(wanted, plugin, found)
    if not plugin.enabled:
        # Until its next start the engine refuses to remove a plugin that has volumes; afterwards it has forgotten them,
        # and nobody can list the volumes of a disabled plugin (26.1.5).
        warnings += (
            f"The plugin '{plugin.name}' is disabled, so its volumes cannot be listed. If it has any, they keep their"
            " data and their names, and can be reached again only with the plugin installed under the same name. Before"
            " its next start, the engine may refuse the removal for them",
        )
    steps = (
        *((Step("disable", f"Disable the plugin '{plugin.name}'"),) if plugin.enabled else ()),
        Step("remove", f"Remove the plugin '{plugin.name}'"),
        *_unnote_steps(_noted(found)),
        # Never before: dockerd can panic where the mount source of an enabled plugin is missing at its start (20.10 to
        # 28.5).
        *_file_steps("forget", found),
    )
    return Plan(shown_plugin(plugin, wanted.secret_settings), ABSENT, steps, warnings)


def _check_removable(wanted: PluginWanted, plugin: Plugin, found: PluginFound) -> tuple[str, ...]:
    """Raise RefusedError where the plugin is needed, or return as warnings what is told of it."""
    if not found.uses and not found.volumes and not found.not_listed:
        return ()
    names = ", ".join(sorted(found.volumes))
    why = f"it still has {len(found.volumes)} volume(s): {names}" if found.volumes else ""
    if found.not_listed:
        why = f"it does not tell which volumes it has: {found.not_listed}"
    if found.uses:
        why = f"containers use its volumes: {listed(found.uses)}" + (f"; {why}" if why else "")
    if wanted.force and wanted.confirmed:
        stranded = "they cannot be reached any more, and their names stay taken"
        return (f"The plugin '{plugin.name}' is removed by force, although {why}; {stranded}",)
    raise RefusedError(
        f"Cannot remove the plugin '{plugin.name}'",
        why,
        (
            "See that the storage behind it answers, or keep the plugin: "
            if found.not_listed
            else f"Remove {'these containers and volumes' if found.uses else 'them'} first (with a volume most storage"
            " removes its data), or keep the plugin: "
        )
        + "without it they cannot be reached, and their names stay taken."
        f" 'force: true' together with 'confirm: {plugin.name}' removes it nevertheless",
        **({"users": [use.as_result() for use in found.uses]} if found.uses else {}),
        **({"volumes": sorted(found.volumes)} if found.volumes else {}),
    )


def _check_unmounted(wanted: PluginWanted, plugin: Plugin, found: PluginFound, verb: str) -> tuple[str, ...]:
    """Raise RefusedError where the plugin would be stopped under containers, or warn where that is wanted."""
    mounted = [use for use in found.uses if use.mounted]
    if not mounted:
        return ()
    if wanted.force:
        return (
            f"The plugin '{plugin.name}' is stopped under running containers, which may lose their volumes until they"
            f" are started again: {listed(mounted)}",
        )
    raise in_use(f"Cannot {verb} the plugin '{plugin.name}'", mounted)


def in_use(what: str, mounted: Iterable[Use]) -> RefusedError:
    """Return the error for a plugin that must be stopped, and that running containers need."""
    mounted = list(mounted)
    return RefusedError(
        what,
        f"that stops it, and running containers have its volumes mounted: {listed(mounted)}",
        "Stop these containers first, and start them again afterwards. 'force: true' stops the plugin under them",
        users=[use.as_result() for use in mounted],
    )


def _set_steps(wanted: PluginWanted, settings: Mapping[str, str], *, again: bool = False) -> tuple[Step, ...]:
    if again:
        # Which ones, shows only the new version: its settings can be others, and an upgrade puts mounts back.
        words = f"Set {', '.join(settings)}, and what else it was set to," if settings else "Set what it was set to"
        return (Step("set", f"{words} of the plugin '{wanted.alias}'", {"settings": dict(settings)}),)
    if not settings:
        return ()
    words = f"Set {', '.join(settings)} of the plugin '{wanted.alias}'"
    return (Step("set", words, {"settings": dict(settings)}),)


def _enable_steps(wanted: PluginWanted, enable: bool, *, known: tuple[str, ...] = ()) -> tuple[Step, ...]:
    if not enable:
        return ()
    words = f"Enable the plugin '{wanted.alias}'"
    ready = f", and wait until it lists its volumes, {wanted.wait_ready} s at most" if wanted.wait_ready else ""
    return (Step("enable", f"{words}{ready}"), *_test_steps(wanted, known))


def _test_steps(wanted: PluginWanted, known: tuple[str, ...]) -> tuple[Step, ...]:
    knows = Step("know", f"See that the plugin '{wanted.alias}' still knows its volumes ({len(known)})")
    # A driver that has lost its volumes may write that down as soon as it creates another.
    return (*((knows,) if known else ()), *_canary_steps(wanted))


def _canary_steps(wanted: PluginWanted) -> tuple[Step, ...]:
    if wanted.canary is None:
        return ()
    words = f"Create a small volume of the plugin '{wanted.alias}', write to it, read that back, and remove it"
    return (Step("canary", words),)


def _file_steps(verb: Literal["write", "forget"], found: PluginFound) -> tuple[Step, ...]:
    return tuple(Step(verb, file.words, {"file": file}) for file in found.files if file.changes)


def _behind_steps(plugin: Plugin, found: PluginFound, *, deferred: bool) -> tuple[Step, ...]:
    if not deferred or not any(file.changes and file.matters for file in found.files):
        return ()
    return (Step("behind", f"Note in the engine that the plugin '{plugin.name}' has yet to read its config files"),)


def _noted(found: PluginFound) -> bool:
    return found.note is not None or bool(found.behind)


def _unnote_steps(unnote: bool, *, settled: bool = False) -> tuple[Step, ...]:
    return (Step("unnote", "Remove the note of the change", {"settled": settled}),) if unnote else ()


def _warnings(
    wanted: PluginWanted, plugin: Plugin, found: PluginFound, changes: Mapping[str, str], upgrade: bool
) -> tuple[str, ...]:
    if not upgrade:
        emptied = empties_args(changes, plugin.raw)
        return _granted_warnings(wanted, plugin, found) + (
            (f"Plugin '{plugin.name}': {NO_EMPTY_ARGS}",) if emptied else ()
        )
    asked, approved = from_engine(found.offered), approved_by(wanted, found)
    if unapproved(asked, approved):
        raise not_approved(f"Cannot upgrade the plugin '{plugin.name}' to '{wanted.remote}'", asked, approved)
    had = from_config(plugin.raw["Config"], sources=found.installed.sources)
    more = unapproved(asked, had) if approved == ALL else ()
    told = (
        (f"The new version of '{plugin.name}' is granted more than the one before:\n{as_yaml(more)}",) if more else ()
    )
    way_back = (f"Should the new version not come up, there is no way back: {found.no_way_back}",)
    return _privilege_warnings(wanted, asked, approved) + told + (way_back if found.no_way_back else ())


def _privilege_warnings(wanted: PluginWanted, asked: tuple[Privilege, ...], approved: Approved) -> tuple[str, ...]:
    if approved == ALL and asked:
        return (f"The plugin '{wanted.remote}' is granted everything that it asks for:\n{as_yaml(asked)}",)
    spare = unasked(asked, wanted.approved)
    if spare:
        return (f"The plugin '{wanted.remote}' does not ask for these approved privileges:\n{as_yaml(spare)}",)
    return ()


def _granted_warnings(wanted: PluginWanted, plugin: Plugin, found: PluginFound) -> tuple[str, ...]:
    """Return a warning where the plugin has more than is approved. Raise RefusedError where the task would start it."""
    if not isinstance(wanted.approved, tuple):
        return ()
    beyond = unapproved(from_config(plugin.raw["Config"], fixed_only=True), wanted.approved)
    if not beyond:
        return ()
    if enabled_after(wanted, found) and found.start and not found.start.enabled:
        asked = from_config(plugin.raw["Config"], sources=found.installed.sources)
        raise not_approved(f"Cannot enable the plugin '{plugin.name}'", asked, wanted.approved)
    return (f"The installed plugin '{plugin.name}' has privileges that the task does not approve:\n{as_yaml(beyond)}",)
