# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A swarm without Docker, which drains and fills nodes as the engine does."""

from __future__ import annotations

import copy

from ansible_collections.voltainer.volumes.plugins.module_utils._swarm import Service, Swarm, SwarmNode, Task
from ansible_collections.voltainer.volumes.plugins.module_utils._swarm_engine import OutOfSequenceError


def node(name, availability="active", labels=None, **told):
    """Return a node as `GET /nodes` has it, shortened; `told` may have its state, role and node_id."""
    return {
        "ID": told.get("node_id", f"id-{name}"),
        "Version": {"Index": 10},
        "Spec": {"Labels": dict(labels or {}), "Role": told.get("role", "worker"), "Availability": availability},
        "Description": {"Hostname": name, "Engine": {"Labels": {"disk": "SSD"}}},
        "Status": {"State": told.get("state", "ready"), "Addr": "192.0.2.1"},
    }


def service(name, replicas=1, mode="Replicated", constraints=()):
    """Return a service as `GET /services` has it, shortened."""
    detail = {"Replicas": replicas} if mode == "Replicated" else {}
    template = {"Placement": {"Constraints": list(constraints)}} if constraints else {}
    return {"ID": f"id-{name}", "Spec": {"Name": name, "Mode": {mode: detail}, "TaskTemplate": template}}


def task(of, where, slot=1, state="running", **told):
    """Return a task as `GET /tasks` has it, shortened; `where` is a node's name, or empty for one that has none.

    `told` may have the state that is desired, an err, and the version.
    """
    version = told.get("version", 20)
    return {
        "ID": f"task-{of}-{slot}-{where}-{version}",
        "Version": {"Index": version},
        "ServiceID": f"id-{of}",
        **({"Slot": slot} if slot else {}),
        **({"NodeID": f"id-{where}"} if where else {}),
        "Status": {"State": state, "Message": "started", **({"Err": told["err"]} if "err" in told else {})},
        "DesiredState": told.get("desired", "running" if state == "running" else "shutdown"),
    }


def swarm_of(nodes=(), services=(), tasks=()):
    """Return the swarm as the module sees it."""
    return Swarm(
        tuple(map(SwarmNode.from_inspect, nodes)),
        {raw["ID"]: Service.from_inspect(raw) for raw in services},
        tuple(map(Task.from_inspect, tasks)),
    )


class FakeSwarm:
    """The methods of SwarmEngine. `calls` are those that change something; `looks` counts how often all was looked at.

    After each look at all, the next of `meanwhile` is called with the engine. `conflicts` is how often an update finds
    the node changed; `fail` is raised by the next look at all.
    """

    def __init__(self, nodes=(), services=(), tasks=()):
        self.raw_nodes = [copy.deepcopy(raw) for raw in nodes]
        self.services, self.tasks = list(services), list(tasks)
        self.calls, self.looks, self.conflicts = [], 0, 0
        self.meanwhile, self.fail = [], []

    def nodes(self):
        return tuple(map(SwarmNode.from_inspect, copy.deepcopy(self.raw_nodes)))

    def swarm(self):
        self.looks += 1
        if self.fail and self.fail[0] is None:
            del self.fail[0]
        elif self.fail:
            raise self.fail.pop(0)
        seen = swarm_of(copy.deepcopy(self.raw_nodes), self.services, self.tasks)
        if self.meanwhile:
            self.meanwhile.pop(0)(self)
        return seen

    def update_node(self, changed, availability, labels):
        raw = next(one for one in self.raw_nodes if one["ID"] == changed.id)
        if self.conflicts or raw["Version"]["Index"] != changed.version:
            self.conflicts = max(self.conflicts - 1, 0)
            raw["Version"]["Index"] += 1
            raise OutOfSequenceError("Cannot change the node", "update out of sequence", status=500)
        self.calls.append((changed.id, availability, dict(labels)))
        raw["Version"]["Index"] += 1
        raw["Spec"].update(Availability=availability, Labels=dict(labels))
