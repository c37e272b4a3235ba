# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take a node of a swarm out of service and bring it back: what is asked for, the plan, and when it is done. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from ansible_collections.voltainer.volumes.plugins.module_utils._errors import InvalidInputError, RefusedError
from ansible_collections.voltainer.volumes.plugins.module_utils._plan import Plan, Step
from ansible_collections.voltainer.volumes.plugins.module_utils._swarm import (
    Service,
    Swarm,
    SwarmNode,
    Task,
    as_results,
)

State = Literal["drained", "active"]

# The label that tells a node that was drained here from one that somebody else drained. Its value is the availability
# before, so that a node whose run was killed can be brought back.
LABEL = "voltainer.volumes.drained"
UPDATE = "update_node"
_DRAIN = "drain"
_BEFORE = ("active", "pause")
_LONGEST_WAIT = 7 * 24 * 3600


@dataclass(frozen=True)
class DrainWanted:
    """What is asked for; the fields are the options of the module."""

    node: str
    state: State
    wait_timeout: int
    force: bool


@dataclass(frozen=True)
class Moving:
    """What must be true before a node counts as drained: each service (by ID) runs so many tasks elsewhere."""

    elsewhere: Mapping[str, int]


def parse_drain(params: Mapping[str, Any]) -> DrainWanted:
    """Return what the options of the task ask for. Raises InvalidInputError."""
    node, seconds = params["node"].strip(), params["wait_timeout"]
    if not node:
        raise InvalidInputError("The option 'node' is empty", "it names the node", "Give the node's ID or hostname")
    if not 1 <= seconds <= _LONGEST_WAIT:
        why = "it is below 1" if seconds < 1 else "it is more than a week"
        raise InvalidInputError("The option 'wait_timeout' is invalid", why, "Give seconds")
    return DrainWanted(node, params["state"], seconds, params["force"])


def find_node(nodes: Iterable[SwarmNode], wanted: DrainWanted) -> SwarmNode:
    """Return the node with the ID or the hostname that is asked for. Raises InvalidInputError."""
    nodes = tuple(nodes)
    what = f"Cannot look for the node '{wanted.node}'"
    by_id = [node for node in nodes if node.id == wanted.node]
    found = by_id or [node for node in nodes if node.hostname == wanted.node]
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(f"{node.id} ({node.state}, {node.role})" for node in found)
        raise InvalidInputError(
            what, f"{len(found)} nodes of this swarm have that hostname: {ids}", "Give the ID in the option 'node'"
        )
    known = ", ".join(f"{node.name} ({node.id})" for node in nodes)
    raise InvalidInputError(
        what,
        f"this swarm has no node of that ID or hostname. It has {known}",
        "Correct the option 'node', or run the task on a manager of the swarm that the node is in",
    )


def before_of(node: SwarmNode) -> str | None:
    """Return the availability that the node had before it was drained here, or None where it was not.

    Raises RefusedError where the label says what this module never writes.
    """
    value = node.labels.get(LABEL)
    if value is None or value in _BEFORE:
        return value
    raise RefusedError(
        f"Cannot tell whether the node '{node.name}' was drained by this module",
        f"its label '{LABEL}' is '{value}', and not the availability before",
        f"Take the label off ('docker node update --label-rm {LABEL} {node.id}'), and see to the availability yourself",
    )


def is_foreign(node: SwarmNode) -> bool:
    """Return whether somebody else drained the node."""
    return node.availability == _DRAIN and before_of(node) is None


def plan_drained(wanted: DrainWanted, node: SwarmNode, swarm: Swarm) -> Plan:
    """Return the plan for a node that is to be empty. Raises RefusedError where that would break something."""
    before_of(node)
    if node.availability == _DRAIN:
        return _plan(node, node)
    _refuse_down(node)
    stranded = _stranded(node, swarm)
    if stranded and not wanted.force:
        raise RefusedError(
            f"Cannot drain the node '{node.name}'",
            stranded,
            "Nothing was changed. Let the services run elsewhere; or set 'force: true', with which they are down until"
            " the node is back",
        )
    after = replace(node, availability=_DRAIN, labels={**node.labels, LABEL: node.availability})
    words = (
        f"Drain the node '{node.name}' (availability '{node.availability}' before, which is noted in the label"
        f" '{LABEL}')"
    )
    return _plan(node, after, words, (f"The node '{node.name}' is drained by force: {stranded}",) if stranded else ())


def plan_active(node: SwarmNode) -> Plan:
    """Return the plan for a node that is to be as before it was drained here; one that was not is left alone."""
    before = before_of(node)
    if before is None:
        return _plan(node, node)
    labels = {key: value for key, value in node.labels.items() if key != LABEL}
    if node.availability != _DRAIN:
        # Somebody brought it back by hand meanwhile, and knew why.
        words = f"Remove the label '{LABEL}' from the node '{node.name}', which is '{node.availability}' already"
        return _plan(node, replace(node, labels=labels), words)
    words = f"Set the node '{node.name}' to '{before}' again, and remove the label '{LABEL}'"
    return _plan(node, replace(node, availability=before, labels=labels), words)


def planned_node(node: SwarmNode, plan: Plan) -> SwarmNode:
    """Return the node as the plan leaves it."""
    changes: dict[str, Any] = {}
    for step in plan.steps:
        changes.update(step.arguments)
    return replace(node, **changes)


def moving(wanted: DrainWanted, node: SwarmNode, swarm: Swarm) -> Moving:
    """Return what is to be waited for before the node counts as drained.

    Replicated services shall have as many running tasks as now, elsewhere. Tasks that are told to stop still count: a
    run that goes on with what a killed one began finds them so. Those of global services and jobs just leave.
    """
    if wanted.force or is_foreign(node):
        return Moving({})
    here = swarm.live_on(node.id)
    targets = {}
    for service in swarm.services_of(here):
        if service.replicas is not None:
            leaving = sum(1 for task in here if task.service_id == service.id and task.state == "running")
            targets[service.id] = swarm.running(service, but_on=node.id) + leaving
    return Moving(targets)


def not_drained(swarm: Swarm, node: SwarmNode, waiting: Moving) -> list[str]:
    """Return what keeps the node from being drained, in words; empty where it is."""
    words = [f"{swarm.name_of(task)} is {task.state} on it{_said(task)}" for task in swarm.live_on(node.id)]
    for service_id, target in waiting.elsewhere.items():
        service = swarm.services.get(service_id)
        # Removed, or scaled down, by somebody else meanwhile.
        if service is None or service.replicas is None:
            continue
        needed = min(target, service.replicas)
        running = swarm.running(service, but_on=node.id)
        if running < needed:
            words.append(_short(swarm, service, running, needed, node.id))
    return words


def to_settle(swarm: Swarm, node: SwarmNode) -> frozenset[str]:
    """Return the IDs of the services that must be complete once the node is back, from how they are before that.

    Those that are complete must stay so, and those whose tasks the node had must become so. What is incomplete for
    other reasons, such as an image that is missing, says nothing about this node.
    """
    complete = {
        service.id
        for service in swarm.services.values()
        if service.replicas is not None and swarm.running(service) >= service.replicas
    }
    # What a drain stopped ends in this state; what failed here says nothing.
    had = {task.service_id for task in swarm.tasks if task.node_id == node.id and task.state in {"shutdown", "running"}}
    return frozenset(complete | had)


def not_settled(swarm: Swarm, node: SwarmNode, settling: frozenset[str]) -> list[str]:
    """Return what is missing before the node is in service again, in words; empty where all is well."""
    now = swarm.node(node.id)
    if now is None or now.state != "ready":
        return [f"the node is '{now.state if now else 'gone'}'"]
    words = []
    for service in sorted(swarm.services.values(), key=lambda one: one.name):
        if service.replicas is not None and service.id in settling:
            running = swarm.running(service)
            if running < service.replicas:
                words.append(_short(swarm, service, running, service.replicas, ""))
        elif service.is_global and now.availability == "active":
            words += _missing_here(swarm, service, now, had=service.id in settling)
    return words


def drain_values(node: SwarmNode, swarm: Swarm | None, tasks: Iterable[Task]) -> dict[str, Any]:
    """Return the result keys of the module; `tasks` are those on the node whose services are told."""
    return {"node": node.as_result(), "services": as_results(swarm, tasks) if swarm else []}


def _plan(node: SwarmNode, after: SwarmNode, words: str = "", warnings: tuple[str, ...] = ()) -> Plan:
    step = Step(UPDATE, words, {"availability": after.availability, "labels": after.labels})
    return Plan(before=_shown(node), after=_shown(after), steps=(step,) if words else (), warnings=warnings)


def _shown(node: SwarmNode) -> dict[str, Any]:
    return {"id": node.id, "hostname": node.hostname, "availability": node.availability, "labels": dict(node.labels)}


def _refuse_down(node: SwarmNode) -> None:
    if node.state != "ready":
        raise RefusedError(
            f"Cannot drain the node '{node.name}'",
            f"it is '{node.state}': nobody can tell whether its tasks stop",
            "Nothing was changed. See that the node's engine runs and reaches its managers",
        )


def _stranded(node: SwarmNode, swarm: Swarm) -> str:
    """Return why services would have no node to run on, as far as that is known; empty where they have one."""
    services = swarm.services_of(swarm.live_on(node.id))
    others = [other for other in swarm.nodes if other.id != node.id and other.takes_tasks]
    names = ", ".join(f"'{service.name}'" for service in services)
    if services and not others:
        return f"no other node of the swarm is ready and active, and it runs tasks of {names}"
    lost = [
        f"'{service.name}' ({', '.join(service.constraints)})"
        for service in services
        if service.replicas is not None and not any(service.fits(other) for other in others)
    ]
    return f"no other node that is ready and active meets the constraints of {', '.join(lost)}" if lost else ""


def _short(swarm: Swarm, service: Service, running: int, needed: int, but_on: str) -> str:
    """Return the words for a service with too few running tasks, with what the engine says of those that do not run."""
    slots: dict[int, list[Task]] = {}
    for task in sorted(swarm.tasks, key=lambda one: one.version):
        if task.service_id == service.id and not (but_on and task.node_id == but_on):
            slots.setdefault(task.slot, []).append(task)
    told = "; ".join(_newest(swarm, tasks) for _slot, tasks in sorted(slots.items()) if not tasks[-1].runs)
    where = " elsewhere" if but_on else ""
    return f"the service '{service.name}' has {running} of {needed} tasks running{where}" + (
        f" ({told})" if told else ""
    )


def _newest(swarm: Swarm, tasks: list[Task]) -> str:
    """Return the words for a slot, whose tasks follow one another: how the one before ended tells more than a retry."""
    last = tasks[-1]
    ended = tasks[-2] if len(tasks) > 1 and not last.failed and tasks[-2].failed else None
    before = f", after one that {ended.state}{_said(ended)}" if ended else ""
    return f"{swarm.name_of(last)} is {last.state}{_said(last)}{before}"


def _missing_here(swarm: Swarm, service: Service, node: SwarmNode, *, had: bool) -> list[str]:
    """Return what a global service lacks on the node. Whether it is to have a task there at all, the swarm decides."""
    tasks = [task for task in swarm.tasks if task.service_id == service.id and task.node_id == node.id]
    wanted = [task for task in tasks if task.desired in {"ready", "running"}]
    if any(task.runs for task in wanted) or not (wanted or had) or not service.fits(node):
        return []
    newest = max(tasks, key=lambda one: one.version, default=None)
    said = f"{newest.state}{_said(newest)}" if newest else "not there yet"
    return [f"the task of the global service '{service.name}' on it is {said}"]


def _said(task: Task) -> str:
    return f": {task.words}" if task.words else ""
