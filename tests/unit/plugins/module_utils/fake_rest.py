# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An engine without Docker whose containers and services come to rest, and back, as those of the engine do."""

from __future__ import annotations

import copy
import hashlib

from ansible_collections.voltainer.volumes.plugins.module_utils._quiesce import Container
from ansible_collections.voltainer.volumes.plugins.module_utils._swarm import Service, SwarmNode, Task
from ansible_collections.voltainer.volumes.plugins.module_utils._swarm_engine import OutOfSequenceError

from .fake_engine import container as plain
from .fake_engine import service as plain_service
from .fake_swarm import node, task
from .volumes import FolderEngine

TASK_LABEL = "com.docker.swarm.service.id"


def container(name, state="running", volume="pgdata", **told):
    """Return a container; those of a higher `age` were made earlier. `told` may have what `CONTAINER` has."""
    raw = {**plain(name, volume, state=state, read_write=told.pop("read_write", True)), **CONTAINER, **told}
    raw["Id"] = container_id(name)
    if raw["service"]:
        raw["Labels"] = {TASK_LABEL: service_id(raw["service"])}
    return raw


def container_id(name):
    """Return an ID as the engine makes them up."""
    return hashlib.sha256(name.encode()).hexdigest()


def service_id(name):
    """Return an ID as a swarm makes them up."""
    return container_id(name)[:25]


# `ends` is what it exits with when it is started; None where it goes on. One that is `deaf` does not stop when asked,
# one that is `slow` is killed, and one that is `late` has stopped after so many looks at it.
CONTAINER = {
    "age": 1,
    "auto_remove": False,
    "service": "",
    "helper": False,
    "labelled": False,
    "ends": None,
    "deaf": False,
    "slow": False,
    "late": 0,
    "exit_code": 0,
}


def service(name, replicas=1, mode=None, volume="pgdata", constraints=()):
    """Return a service; one without `replicas` is global."""
    raw = plain_service(name, volume, replicas)
    if mode:
        raw["Spec"]["Mode"] = {mode: {}}
    if constraints:
        raw["Spec"]["TaskTemplate"]["Placement"] = {"Constraints": list(constraints)}
    return {**raw, "ID": service_id(name), "Version": {"Index": 10}}


class RestEngine(FolderEngine):
    """The methods of QuiesceEngine, too.

    `before_call[method]` is called with the engine before the next call of the method, as by somebody else.
    `conflicts` is how often an update finds the service changed, `lingering` after how many looks the tasks of services
    are gone, and `pending` are the IDs of containers that are about to stop.
    """

    def __init__(self, root, *containers, services=(), **kwargs):
        super().__init__(root, containers=containers, services=services, **kwargs)
        self.before_call = {}
        self.conflicts = 0
        self.lingering = 0
        self.pending = set()

    # Containers

    def raw(self, name):
        return next(one for one in self.containers if name in {one["Id"], f"{one['Names'][0]}"[1:]})

    def state(self, name):
        return self.raw(name)["State"]

    def states(self):
        return {one["Names"][0][1:]: one["State"] for one in self.containers}

    def container(self, container):
        self._now("container")
        found = [one for one in self.containers if one["Id"] == container]
        if not found:
            return None
        raw = found[0]
        if raw["late"]:
            raw["late"] -= 1
            if not raw["late"]:
                raw["State"] = "exited"
        return Container(
            id=raw["Id"],
            name=raw["Names"][0][1:],
            state=raw["State"],
            auto_remove=raw["auto_remove"],
            created=f"2026-11-{30 - raw['age']:02}",
            service=raw["service"],
            exit_code=raw["exit_code"],
            error="",
            helper=raw["helper"],
            labelled=raw["labelled"],
        )

    def pause_container(self, container):
        return self._container_is(container, "pause", "paused")

    def unpause_container(self, container):
        return self._container_is(container, "unpause", "running")

    def stop_container(self, container, seconds):
        there = self._container_is(container, "stop", None)
        if there:
            raw = self.raw(container.id)
            raw["State"] = raw["State"] if raw["deaf"] else "exited"
            raw["exit_code"] = 137 if raw["slow"] else 0
        return there

    def start_container(self, container):
        there = self._container_is(container, "start", None)
        if there:
            raw = self.raw(container.id)
            ends = raw["ends"]
            raw["State"], raw["exit_code"] = ("running", 0) if ends is None else ("exited", ends)
        return there

    def about_to_stop(self, container, since):
        self._now("about_to_stop")
        return container in self.pending

    def _container_is(self, container, verb, state):
        self._now(f"{verb}_container")
        self._changing(f"{verb}_container", container.name)
        found = [one for one in self.containers if one["Id"] == container.id]
        if found and state:
            found[0]["State"] = state
        return bool(found)

    # Services

    def spec(self, name):
        return next(one for one in self.services if one["Spec"]["Name"] == name)["Spec"]

    def replicas(self, name):
        return self.spec(name)["Mode"]["Replicated"]["Replicas"]

    def service(self, service):
        self._now("service")
        found = [one for one in self.services if one["ID"] == service]
        return Service.from_inspect(copy.deepcopy(found[0])) if found else None

    def update_service(self, service, spec):
        self._now("update_service")
        found = [one for one in self.services if one["ID"] == service.id]
        if not found:
            return False
        if self.conflicts or found[0]["Version"]["Index"] != service.raw["Version"]["Index"]:
            self.conflicts = max(self.conflicts - 1, 0)
            found[0]["Version"]["Index"] += 1
            raise OutOfSequenceError("Cannot change the service", "update out of sequence", status=500)
        self._changing("update_service", service.name)
        found[0]["Version"]["Index"] += 1
        found[0]["Spec"] = copy.deepcopy(dict(spec))
        return True

    def tasks_of(self, services):
        self._now("tasks_of")
        lingers, self.lingering = self.lingering, max(self.lingering - 1, 0)
        listed = [one for one in self.services if one["ID"] in set(services)]
        return tuple(
            Task.from_inspect(
                {
                    **task(one["Spec"]["Name"], "n1", state="running" if self._live(one) or lingers else "shutdown"),
                    "ServiceID": one["ID"],
                }
            )
            for one in listed
        )

    def nodes(self):
        return (SwarmNode.from_inspect(node("n1")),)

    @staticmethod
    def _live(raw):
        (mode, detail), *_others = raw["Spec"]["Mode"].items()
        kept_away = (raw["Spec"]["TaskTemplate"].get("Placement") or {}).get("Constraints") or ()
        if mode == "Replicated":
            return bool(detail["Replicas"])
        return not any("voltainer" in one for one in kept_away)

    def _now(self, method):
        change = self.before_call.pop(method, None)
        if change:
            change(self)
