# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take a node of a swarm out of service, or bring it back: look, plan, change it at once, and wait for its tasks.

Nothing but the label on the node is kept, so a run that was killed goes on with the next one. Where the tasks do not
leave in time, the node is brought back.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from ansible_collections.voltainer.volumes.plugins.module_utils._drain import (
    DrainWanted,
    Moving,
    before_of,
    drain_values,
    find_node,
    is_foreign,
    moving,
    not_drained,
    not_settled,
    plan_active,
    plan_drained,
    planned_node,
    to_settle,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import EngineError, VolumesError
from ansible_collections.voltainer.volumes.plugins.module_utils._plan import Outcome, Plan
from ansible_collections.voltainer.volumes.plugins.module_utils._swarm import Swarm, SwarmNode
from ansible_collections.voltainer.volumes.plugins.module_utils._swarm_engine import OutOfSequenceError, SwarmEngine

# How often a change is planned anew where somebody else changed the node in between.
_TRIES = 5
_POLL_SECONDS = 1.0


@dataclass(frozen=True)
class _Look:
    """What was seen, and what follows from it. The swarm is only looked at where it matters."""

    node: SwarmNode
    plan: Plan
    swarm: Swarm | None = None


def converge_drain(engine: SwarmEngine, wanted: DrainWanted, check_mode: bool) -> Outcome:
    """Bring the node to what is wanted, or in check mode only tell what would be done."""
    if wanted.state == "drained":
        return _drain(engine, wanted, check_mode)
    return _activate(engine, wanted, check_mode)


def _drain(engine: SwarmEngine, wanted: DrainWanted, check_mode: bool) -> Outcome:
    def look() -> _Look:
        swarm = engine.swarm()
        node = find_node(swarm.nodes, wanted)
        return _Look(node, plan_drained(wanted, node, swarm), swarm)

    found = _change(engine, look, check_mode)
    swarm = found.swarm or engine.swarm()
    if not check_mode:
        _wait_until_empty(engine, wanted, found.node, moving(wanted, found.node, swarm))
    return Outcome(found.plan, drain_values(_seen(engine, found, check_mode), swarm, swarm.live_on(found.node.id)))


def _activate(engine: SwarmEngine, wanted: DrainWanted, check_mode: bool) -> Outcome:
    def look() -> _Look:
        node = find_node(engine.nodes(), wanted)
        plan = plan_active(node)
        # Each run of a playbook comes here with each node: what needs nothing costs one request.
        return _Look(node, plan, engine.swarm() if plan.steps else None)

    found = _change(engine, look, check_mode)
    if found.swarm is None or check_mode:
        node = planned_node(found.node, found.plan)
        return Outcome(found.plan, drain_values(node, None, ()))
    swarm = _wait_until_settled(engine, wanted, found.node, to_settle(found.swarm, found.node))
    node = swarm.node(found.node.id) or found.node
    return Outcome(found.plan, drain_values(node, swarm, swarm.live_on(node.id)))


def _change(engine: SwarmEngine, look: Callable[[], _Look], check_mode: bool) -> _Look:
    """Look, and carry out what is planned; again where the node was changed by somebody else in between."""
    tries = 1
    while True:
        found = look()
        if check_mode or not found.plan.steps:
            return found
        changed = planned_node(found.node, found.plan)
        try:
            engine.update_node(found.node, changed.availability, changed.labels)
        except OutOfSequenceError:
            if tries == _TRIES:
                raise
            tries += 1
        else:
            return found


def _seen(engine: SwarmEngine, found: _Look, check_mode: bool) -> SwarmNode:
    if check_mode:
        return planned_node(found.node, found.plan)
    return next((node for node in engine.nodes() if node.id == found.node.id), found.node)


def _wait_until_empty(engine: SwarmEngine, wanted: DrainWanted, node: SwarmNode, waiting: Moving) -> None:
    """Wait until the node has no tasks and they run elsewhere. Raises EngineError, with the node brought back."""
    what = f"Cannot drain the node '{node.name}'"
    ours = not is_foreign(node)
    try:
        left = _wait(wanted.wait_timeout, lambda: not_drained(engine.swarm(), node, waiting))
    except VolumesError as exc:
        if ours:
            raise EngineError(what, str(exc), _bring_back(engine, node)) from exc
        raise
    if not left:
        return
    became = _bring_back(engine, node) if ours else "Somebody else drained the node, so it was left as it is"
    raise EngineError(
        what,
        f"within {wanted.wait_timeout} seconds this did not come about: {'; '.join(left)}",
        f"{became}. Give these tasks a place to run, such as by their constraints and resources, or more time with"
        " 'wait_timeout'; or set 'force: true', which only waits until they have left",
        not_moved=left,
    )


def _bring_back(engine: SwarmEngine, node: SwarmNode) -> str:
    """Make the node what it was before it was drained, and return the words for it, or for why that failed."""

    def look() -> _Look:
        now = next((one for one in engine.nodes() if one.id == node.id), node)
        return _Look(now, plan_active(now))

    try:
        found = _change(engine, look, False)
    except VolumesError as exc:
        return (
            f"It is still drained, as it could not be brought back: {exc} Run the task with 'state: active' as soon as"
            " that is mended"
        )
    before = before_of(found.node) or planned_node(found.node, found.plan).availability
    return f"The node is '{before}' again, as it was before"


def _wait_until_settled(engine: SwarmEngine, wanted: DrainWanted, node: SwarmNode, settling: frozenset[str]) -> Swarm:
    """Wait until the node is in service again, and return the swarm as it then is. Raises EngineError."""
    seen: dict[str, Swarm] = {}

    def missing() -> list[str]:
        seen["last"] = engine.swarm()
        return not_settled(seen["last"], node, settling)

    # The swarm gives a node its tasks a moment after it is there for them (0.1 s on 26.1).
    time.sleep(_POLL_SECONDS)
    left = _wait(wanted.wait_timeout, missing)
    if left:
        raise EngineError(
            f"The node '{node.name}' is back in service, and not all is as it should be",
            f"within {wanted.wait_timeout} seconds this did not come about: {'; '.join(left)}",
            "Look at these services with 'docker service ps', and mend them before the next node is drained",
            not_settled=left,
        )
    return seen["last"]


def _wait(seconds: float, missing: Callable[[], list[str]]) -> list[str]:
    """Ask what is missing until that is nothing or time is up, and return what is missing then."""
    end = time.monotonic() + seconds
    while True:
        left = missing()
        if not left or time.monotonic() >= end:
            return left
        time.sleep(_POLL_SECONDS)
