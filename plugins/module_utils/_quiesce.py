# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is brought to rest while the data of volumes is read or written, how, and who is brought back. Pure."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from ansible_collections.voltainer.volumes.plugins.module_utils._errors import (
    InvalidInputError,
    RefusedError,
    VolumesError,
    together,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._plan import Step
from ansible_collections.voltainer.volumes.plugins.module_utils._swarm import Service, Task
from ansible_collections.voltainer.volumes.plugins.module_utils._usage import Users
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import (
    HELPER,
    PROTECTED,
    QUIESCE_SUFFIX,
    QUIESCED,
    Volume,
    name_beside,
)

Mode = Literal["none", "pause", "stop"]
Services = Literal["none", "scale"]
Action = Literal["pause", "stop"]

QUIESCE_SPEC: dict[str, dict[str, Any]] = {
    "quiesce": {"type": "str", "default": "none", "choices": list(get_args(Mode))},
    "services": {"type": "str", "default": "none", "choices": list(get_args(Services))},
    "quiesce_timeout": {"type": "int", "default": 60},
}

# A label that no node has, so that a service which asks for it runs nowhere.
CONSTRAINT_KEY = f"node.labels.{QUIESCED}"

_LONGEST_TIMEOUT = 24 * 3600
# As the engine and its swarm make them up (20.10 to 28.5).
_CONTAINER_ID = re.compile(r"[0-9a-f]{64}\Z")
_SERVICE_ID = re.compile(r"[0-9a-z]{25}\Z")
REPLICATED, GLOBAL = "Replicated", "Global"
_SERVICE_NAME = "com.docker.swarm.service.name"


@dataclass(frozen=True)
class QuiesceWanted:
    """What is asked for; the fields are the options `quiesce`, `services` and `quiesce_timeout`."""

    mode: Mode
    services: Services
    timeout: int


@dataclass(frozen=True)
class Container:
    """A container as its inspect shows it; `state` is in the engine's words, `service` the name of a task's service.

    A `helper` is one that this very process made, through which it reaches the data. One that is `labelled` carries the
    label of such: another task's, or anybody's who put it there.
    """

    id: str
    name: str
    state: str
    auto_remove: bool
    created: str
    service: str
    exit_code: int
    error: str
    helper: bool = False
    labelled: bool = False

    @classmethod
    def from_inspect(cls, raw: Mapping[str, Any], *, own: bool = False) -> Container:
        """Return the container that the engine describes; `own` says that this process made it as a helper."""
        state, labels = raw["State"], (raw.get("Config") or {}).get("Labels") or {}
        return cls(
            id=raw["Id"],
            name=raw["Name"].lstrip("/"),
            state=state["Status"],
            auto_remove=bool((raw.get("HostConfig") or {}).get("AutoRemove")),
            created=raw.get("Created") or "",
            service=labels.get(_SERVICE_NAME, ""),
            exit_code=int(state.get("ExitCode") or 0),
            error=state.get("Error") or "",
            helper=own,
            labelled=HELPER in labels,
        )

    @property
    def runs(self) -> bool:
        """Whether it runs, or the engine is about to start it again; a paused one does not."""
        return self.state in {"running", "restarting"}

    @property
    def works(self) -> bool:
        """Whether it runs, and works with its volumes for somebody else than this process."""
        return self.runs and not self.helper


@dataclass(frozen=True)
class Holder:
    """The process that brought somebody to rest, as far as another one can tell whether it lives.

    `host` is empty where nothing tells the host from others. `pid_space` is within which `pid` means something, and
    `started` tells the process from a later one of the same number. With `holds` it holds the folder of the state
    volume as long as it lives.
    """

    host: str
    boot: str
    pid_space: str
    pid: int
    started: str
    holds: bool = False


@dataclass(frozen=True)
class RestContainer:
    """A container that runs, and is to be paused or stopped."""

    id: str
    name: str
    action: Action

    @property
    def words(self) -> str:
        """What it is, for the reader."""
        return f"the container '{self.name}'"


@dataclass(frozen=True)
class RestService:
    """A service of the swarm that is to have no tasks; `replicas` is its count, or 0 for a global one."""

    id: str
    name: str
    mode: str
    replicas: int

    @property
    def words(self) -> str:
        """What it is, for the reader."""
        return f"the service '{self.name}'"


@dataclass(frozen=True)
class Rest:
    """Whom a run brings to rest while it works with the data of `volumes`, in order: services, then containers.

    With the `mode` "none", containers that write are not heeded.
    What follows is filled in when that begins: the `timeout` of each container and of all services, the placement
    `constraint` that keeps global services from all nodes, and who does it.
    """

    volumes: tuple[str, ...]
    containers: tuple[RestContainer, ...] = ()
    services: tuple[RestService, ...] = ()
    mode: Mode = "none"
    timeout: int = 0
    constraint: str = ""
    holder: Holder | None = None

    def __bool__(self) -> bool:
        """Whether there is anybody."""
        return bool(self.containers or self.services)

    @property
    def volume(self) -> str:
        """The name of the volume that holds the record, after the first of the volumes."""
        return name_beside(self.volumes[0], QUIESCE_SUFFIX)

    def as_labels(self) -> dict[str, str]:
        """Return the labels of the volume that holds the record."""
        return {QUIESCED: json.dumps(asdict(self), sort_keys=True), PROTECTED: "true"}

    @classmethod
    def from_volume(cls, volume: Volume) -> Rest | None:
        """Return the record that `volume` holds; None where it holds none that can be gone by."""
        try:
            record: Any = json.loads((volume.labels or {}).get(QUIESCED) or "null")
            rest = cls(
                tuple(map(str, record["volumes"])),
                tuple(RestContainer(**one) for one in record["containers"]),
                tuple(RestService(**one) for one in record["services"]),
                record["mode"],
                int(record["timeout"]),
                str(record["constraint"]),
                Holder(**record["holder"]),
            )
        # OverflowError: JSON that Python reads has a word for what has no end.
        except (OverflowError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None
        known = all(one.action in get_args(Action) and _is_id(_CONTAINER_ID, one.id) for one in rest.containers)
        # What is no ID could be the path of another object, or a name that somebody else has by now.
        known = known and all(_is_id(_SERVICE_ID, one.id) and _is_count(one.replicas) for one in rest.services)
        known = known and rest.constraint.startswith(f"{CONSTRAINT_KEY}==")
        # A volume that only carries a copy of the label is none of ours.
        return rest if known and rest.volumes and rest.volume == volume.name else None

    @property
    def everyone(self) -> tuple[RestContainer | RestService, ...]:
        """All that are to rest, in the order in which they are brought there."""
        return (*self.services, *self.containers)

    @property
    def ids(self) -> frozenset[str]:
        """The IDs of all that are to rest."""
        return frozenset(one.id for one in self.everyone)

    @property
    def words(self) -> str:
        """Who they are, for the reader."""
        return ", ".join(one.words for one in self.everyone)


@dataclass(frozen=True)
class UsersFound:
    """What was observed: the users of the volumes, what the engine tells of each (by ID), and the services' tasks.

    `own` is the ID of the container that the task itself runs in, if it does in one.
    """

    users: Users
    containers: Mapping[str, Container]
    services: Mapping[str, Service] = field(default_factory=dict)
    tasks: tuple[Task, ...] = ()
    own: str = ""

    @property
    def services_of_users(self) -> tuple[Service, ...]:
        """The services, by name."""
        found = {use.service_id for use in self.users.services}
        return tuple(sorted((one for one in self.services.values() if one.id in found), key=lambda one: one.name))

    @property
    def running(self) -> tuple[tuple[Container, str], ...]:
        """The containers that run, each with the ID of its service: the youngest first, on which no other builds."""
        found = {use.container_id: use.service_id for use in self.users.containers}
        running = [one for one in self.containers.values() if one.works and one.id in found]
        running.sort(key=lambda one: (one.created, one.name), reverse=True)
        return tuple((one, found[one.id]) for one in running)

    def may_write(self, container: Container) -> bool:
        """Whether the container has one of the volumes to write to."""
        return any(use.container_id == container.id and not use.read_only for use in self.users.containers)


def parse_quiesce(params: Mapping[str, Any]) -> QuiesceWanted:
    """Return what the options of a task ask for. Raises InvalidInputError."""
    seconds = params["quiesce_timeout"]
    if not 1 <= seconds <= _LONGEST_TIMEOUT:
        why = "it is below 1" if seconds < 1 else "it is more than a day"
        raise InvalidInputError("The option 'quiesce_timeout' is invalid", why, "Give seconds")
    return QuiesceWanted(params["quiesce"], params["services"], seconds)


def plan_rest(wanted: QuiesceWanted, volumes: Sequence[str], found: UsersFound) -> Rest:
    """Return who is to rest. Raises RefusedError, or VolumesError for several, where somebody cannot, or would vanish.

    Who rests already is left so: containers that are paused or do not run, services without tasks.
    """
    errors: list[VolumesError] = []
    services, containers = [], []
    live = {task.service_id for task in found.tasks if task.live}
    concerned = found.services_of_users if wanted.services == "scale" else ()
    for service in concerned:
        if service.mode not in {REPLICATED, GLOBAL}:
            errors += [_refuse_job(volumes[0], service)] if service.id in live else []
        elif service.replicas or service.id in live:
            services.append(RestService(service.id, service.name, service.mode, service.replicas or 0))
    known = {service.id for service in concerned}
    for container, service_id in found.running:
        if (service_id and service_id in known) or (container.labelled and not found.may_write(container)):
            # Other tasks may read at the same time, and whoever only carries their label changes nothing, either.
            continue
        error = _why_not(wanted, volumes[0], container, is_task=bool(service_id), is_own=container.id == found.own)
        if error:
            errors.append(error)
        elif wanted.mode != "none":
            containers.append(RestContainer(container.id, container.name, wanted.mode))
    if errors:
        raise together("Nothing was stopped", errors)
    return Rest(tuple(volumes), tuple(containers), tuple(services), wanted.mode)


def quiesce_steps(rest: Rest) -> tuple[Step, ...]:
    """Return the steps that bring all to rest, as a plan shows them."""
    return tuple(Step("quiesce", _down(one), {"id": one.id}) for one in rest.everyone)


def resume_steps(rest: Rest) -> tuple[Step, ...]:
    """Return the steps that bring all back, as a plan shows them: in the opposite order."""
    return tuple(Step("resume", _up(one), {"id": one.id}) for one in reversed(rest.everyone))


def interrupted_step(rest: Rest) -> Step:
    """Return the step that brings back whom a run left at rest that was ended midway."""
    return Step("resume", f"Bring back whom an interrupted run left at rest: {rest.words}", {"rest": rest})


def spec_scaled(spec: Mapping[str, Any], replicas: int) -> dict[str, Any]:
    """Return the specification of a replicated service with another number of replicas."""
    changed = copy.deepcopy(dict(spec))
    changed.setdefault("Mode", {}).setdefault(REPLICATED, {})["Replicas"] = replicas
    return changed


def spec_constrained(spec: Mapping[str, Any], constraint: str) -> dict[str, Any]:
    """Return the specification of a service with one more placement constraint."""
    changed = copy.deepcopy(dict(spec))
    placement = changed.setdefault("TaskTemplate", {}).get("Placement") or {}
    placement["Constraints"] = [*(placement.get("Constraints") or ()), constraint]
    changed["TaskTemplate"]["Placement"] = placement
    return changed


def spec_released(spec: Mapping[str, Any], constraint: str) -> dict[str, Any]:
    """Return the specification of a service without this placement constraint."""
    changed = copy.deepcopy(dict(spec))
    template = changed.get("TaskTemplate") or {}
    placement = template.get("Placement") or {}
    left = [one for one in placement.get("Constraints") or () if one != constraint]
    placement["Constraints"] = left
    if not left:
        del placement["Constraints"]
    # A service that was made without has none at all, and not an empty one (26.1).
    if not placement:
        template.pop("Placement", None)
    return changed


def _is_id(pattern: re.Pattern[str], found: Any) -> bool:
    """Return whether what a record has is an ID; it may have anything there."""
    return isinstance(found, str) and bool(pattern.match(found))


def _is_count(found: Any) -> bool:
    return isinstance(found, int) and found >= 0


def _why_not(
    wanted: QuiesceWanted, volume: str, container: Container, *, is_task: bool, is_own: bool
) -> RefusedError | None:
    if is_task and wanted.services == "scale":
        return RefusedError(
            f"Cannot scale the service '{container.service}', which uses the volume '{volume}'",
            "this engine runs tasks of it, and does not manage the swarm, or the service was removed and they end soon",
            "Run the task on a manager of the swarm; there, run it again when they have ended",
        )
    if wanted.mode == "none":
        return None
    if is_task:
        # One error for all tasks of a service.
        return RefusedError(
            f"Cannot {wanted.mode} the tasks of the service '{container.service}', which use the volume '{volume}'",
            "the swarm would start others for them",
            "Run the task with 'services: scale', on a manager of the swarm",
        )
    why, way_out = _another_task() if container.labelled else _harm(wanted.mode, container, is_own=is_own)
    what = f"Cannot {wanted.mode} the container '{container.name}', which uses the volume '{volume}'"
    return RefusedError(what, why, way_out) if why else None


def _another_task() -> tuple[str, str]:
    # It must neither be left at work, since anybody may have put the label there, nor be ended amid its work.
    return (
        f"another task of this collection works with the volume through it, as its label '{HELPER}' says",
        "Run the task again when that has ended. Where there is none, stop the container yourself, and make it without"
        " the label",
    )


def _harm(mode: Mode, container: Container, *, is_own: bool) -> tuple[str, str]:
    """Return why the container cannot be paused or stopped, and the way out; "" where it can."""
    if is_own:
        return (
            "this task runs in it, and nobody would bring it back",
            "Run the task outside of it, or without this volume in it",
        )
    if mode == "stop" and container.auto_remove:
        return (
            "the engine removes it when it stops ('--rm'), and nobody could start it again",
            "Give 'quiesce: pause', or stop it yourself",
        )
    if mode == "pause" and container.state == "restarting":
        # "is restarting, wait until the container is running" (26.1)
        return (
            "it ends again and again, and is about to be started: what does not run cannot be paused",
            "Give 'quiesce: stop', or find out why it ends",
        )
    return "", ""


def _refuse_job(volume: str, service: Service) -> RefusedError:
    return RefusedError(
        f"Cannot scale the service '{service.name}', which uses the volume '{volume}'",
        "it is a job, whose tasks would not go on where they ended",
        "Run the task again when the job has ended, or remove it",
    )


def _down(one: RestContainer | RestService) -> str:
    if isinstance(one, RestContainer):
        return f"{'Pause' if one.action == 'pause' else 'Stop'} {one.words}"
    if one.mode == GLOBAL:
        return f"Keep {one.words} from all nodes by a placement constraint"
    return f"Scale {one.words} from {one.replicas} to 0"


def _up(one: RestContainer | RestService) -> str:
    if isinstance(one, RestContainer):
        return f"{'Unpause' if one.action == 'pause' else 'Start'} {one.words} again"
    if one.mode == GLOBAL:
        return f"Take the placement constraint from {one.words} again"
    return f"Scale {one.words} back to {one.replicas}"
