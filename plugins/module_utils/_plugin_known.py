# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a storage plugin still knows its volumes after a change.

Some forget a volume that they could not reach once, and then a container gets a new, empty one of that name. So the
volumes are compared, and the files in which a plugin keeps them are kept aside; see _plugin_state.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from ansible_collections.voltainer.volumes.plugins.module_utils._errors import EngineError, EngineUnreachableError
from ansible_collections.voltainer.volumes.plugins.module_utils._plan import Step
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin import Plugin
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_change import (
    Change,
    there,
    who_mounts,
    with_last_words,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_wanted import PluginWanted
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import CANARY_PREFIX

# How long between two looks.
_PAUSE_SECONDS = 0.5
# How long a driver may take to list its volumes again once it answers.
_KNOWS_SECONDS = 5
# How long it has for one list at least.
_LIST_SECONDS = 10


def names_known(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names of volumes but those of canaries, which come and go, on shared storage those of other nodes."""
    return tuple(name for name in names if not name.startswith(CANARY_PREFIX))


def seconds_to_list(wanted: PluginWanted) -> int:
    """Return how long a driver has to list its volumes: one that hangs must not hold up the task for minutes."""
    return max(wanted.wait_ready, _LIST_SECONDS)


def remember(change: Change) -> None:
    """Remember which volumes the plugin knows, and keep the files in which it keeps them, before it is stopped."""
    note, files = change.found.note, change.wanted.state_files
    change.known = _listed(change)
    # What a task kept that was killed is better where the plugin has only forgotten volumes since, and nobody knows
    # which one is where it does not tell.
    only_forgot = note is not None and (change.known is None or change.known < set(note.volumes))
    if files and not (only_forgot and state_files().has_kept(files)):
        state_files().keep(files)
        change.kept_state = True


def forget_state(change: Change) -> None:
    """Remove what was kept of the files in which the plugin keeps its volumes, once nothing needs it any more."""
    if change.wanted.state_files and (change.kept_state or change.found.note or change.wanted.state == "absent"):
        state_files().forget(change.wanted.state_files)


def know(change: Change, _step: Step) -> None:
    """See that the plugin lists the volumes that it knew before. Raises EngineError where it does not."""
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


def has_forgotten(change: Change, now: Plugin) -> bool:
    """Return whether the state files that this task kept are better than what the plugin has made of them since.

    They are not where it lists volumes that they cannot have.
    """
    if not change.kept_state:
        return False
    listed = _listed(change) if change.came_up and now.enabled else None
    if listed is None:
        return not change.came_up or change.known is None
    return listed < change.known if change.known is not None else not listed


def check_known(change: Change) -> None:
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


def _known_before(change: Change) -> frozenset[str]:
    """Return the volumes that the plugin knew before its change, also one that was killed."""
    noted = frozenset(change.found.note.volumes if change.found.note else ())
    return noted if change.known is None or change.known < noted else change.known


def _complain(change: Change, forgotten: Iterable[str]) -> None:
    why = _forgotten_words(forgotten)
    if change.wanted.force:
        change.warnings += (f"The plugin '{change.name}' was changed, and {why}",)
        return
    with with_last_words(change, there(change, "test")):
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
    return bool(state_files().has_kept(files)) and not who_mounts(change)


def _healed(change: Change, before: frozenset[str]) -> frozenset[str]:
    """Start the plugin with what was kept, and return the volumes that it lists then."""
    change.engine.disable_plugin(change.name, force=True)
    change.stopped = True
    state_files().bring_back(change.wanted.state_files)
    change.engine.enable_plugin(change.name, change.wanted.enable_timeout)
    return _listed_with(change, before) or frozenset()


def _forgotten_words(names: Iterable[str]) -> str:
    return f"it no longer knows volumes that it had before: {', '.join(sorted(names))}"


def _listed(change: Change) -> frozenset[str] | None:
    """Return the names of the volumes that the plugin lists, or None where it does not tell."""
    plugin = there(change, "look at")
    if not plugin.enabled or not plugin.lists_volumes:
        return None
    try:
        return frozenset(names_known(change.engine.volumes_of(plugin, seconds=seconds_to_list(change.wanted))))
    except EngineUnreachableError:
        raise
    except EngineError:
        return None


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


def state_files() -> Any:
    """Return the module that keeps state files, which few tasks need."""
    # Loaded only where the plugin has such files.
    from ansible_collections.voltainer.volumes.plugins.module_utils import _plugin_state as state  # noqa: PLC0415

    return state
