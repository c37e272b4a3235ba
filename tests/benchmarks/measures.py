# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is measured, and the limit of each figure. README.md tells the definitions."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from labhost import PREFIX, BenchError, LabHost, Task, TaskTime

OURS = "voltainer.volumes.docker_volume_x"
OUR_INFO = "voltainer.volumes.docker_volume_x_info"
OUR_PLUGIN = "voltainer.volumes.docker_volume_plugin_x"
PEER = "community.docker.docker_volume"
PEER_PLUGIN = "community.docker.docker_plugin"
PING = "ansible.builtin.ping"
LABELS = {"team": "bench"}

BULK = 1_000
PEER_ITEMS = 50
BULK_ROUNDS = 3
SINGLE_ITEMS = 3
SINGLE_ROUNDS = 30
RELABEL_ROUNDS = 9
BIG, SMALL = 2_000 << 20, 1 << 20  # bytes: 2 GB and 1 MB, in whole MiB
MANY = 10_000
INFO_ROUNDS = 7
PLUGIN = f"{PREFIX}plugin"
PLUGIN_ROUNDS = 30
# What of the engine's API a registry must answer.
ASKS_REGISTRY = ("/distribution/", "/plugins/privileges", "/plugins/pull", "/upgrade")
MEMORY_LIMIT_MB = 150


@dataclass(frozen=True)
class Figure:
    """One figure and its limit; `samples` are the single measurements, in seconds where nothing else is said."""

    what: str
    measured: float
    limit: float
    unit: str = "x"
    at_least: bool = False
    samples: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether the limit is kept."""
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit


def bulk(host: LabHost) -> list[Figure]:
    """Many volumes in one task, against a loop over the peer."""
    rounds = [_bulk_round(host) for _number in range(BULK_ROUNDS)]
    figures = []
    for what, limit in (("created", 100), ("confirmed unchanged", 300)):
        ours = [one[f"ours {what}"] for one in rounds]
        peer = [one[f"peer {what}"] / PEER_ITEMS * BULK for one in rounds]
        ratio = statistics.median(theirs / mine for theirs, mine in zip(peer, ours, strict=True))
        samples = {"ours": ours, "community.docker": peer}
        figures.append(Figure(f"{BULK} volumes {what}: times faster", ratio, limit, at_least=True, samples=samples))
    with host.no_volumes_stay():
        created, confirmed = host.play_measured("bulk-memory", [_bulk("created"), _bulk("confirmed")], many=_many())
    for what, run in (("created", created), ("confirmed unchanged", confirmed)):
        figures.append(_memory(f"{BULK} volumes {what}: peak memory", run.peak_kib))
    return figures


def single(host: LabHost) -> list[Figure]:
    """One unchanged volume, ours and the peer's time beyond a ping."""
    volume = {"name": f"{PREFIX}single", "labels": LABELS}
    modules: dict[str, tuple[str, Any]] = {"ping": (PING, None), "ours": (OURS, volume), "peer": (PEER, volume)}
    tasks = [
        {"name": name, module: options, "loop": list(range(SINGLE_ITEMS))}
        for number in range(SINGLE_ROUNDS)
        for name, (module, options) in _turned(modules, number)
    ]
    with host.no_volumes_stay():
        times = host.play("single", [{"name": "make", PEER: volume}, *tasks])[1:]
    _expect(times, changed=False)
    of = {name: [one.seconds / SINGLE_ITEMS for one in times if one.name == name] for name in modules}
    ratio = _beyond_ping(of, "ours") / _beyond_ping(of, "peer")
    return [Figure("one unchanged volume: time beyond ping, of community.docker's", ratio, 0.8, samples=of)]


def relabel(host: LabHost) -> list[Figure]:
    """Other labels for a volume that is big, against one that is small."""
    sizes = {"big": BIG, "small": SMALL}
    tasks = [
        {"name": name, OURS: _relabelled(name, number)} for number in range(RELABEL_ROUNDS) for name in ("big", "small")
    ]
    with host.no_volumes_stay():
        for name, size in sizes.items():
            host.engine("fill", f"{PREFIX}{name}", str(size))
        times = host.play("relabel", tasks)
        for name, size in sizes.items():
            if int(host.engine("size", f"{PREFIX}{name}")) != size:
                raise BenchError(f"the data of the {name} volume did not stay")
    _expect(times, changed=True)
    # The first of each builds what Ansible sends; the later ones take it from a cache.
    of = {name: [one.seconds for one in times if one.name == name][1:] for name in sizes}
    ratio = statistics.median(of["big"]) / statistics.median(of["small"])
    return [Figure("relabel of 2 GB, of the time with 1 MB", ratio, 1.2, samples=of)]


def info(host: LabHost) -> list[Figure]:
    """Facts of very many volumes, against a module that returns what the engine lists."""
    one: Task = {"name": "one", OUR_INFO: {"name": f"{PREFIX}0"}}
    bare: Task = {"name": "bare", "bare_listing": None}
    every: Task = {"name": "every", OUR_INFO: {}}
    with host.no_volumes_stay():
        host.engine("make", PREFIX, str(MANY))
        listings = json.loads(host.engine("list", str(INFO_ROUNDS)))
        runs = host.play_measured("info", [one, bare, every] * INFO_ROUNDS)
    samples = {name: [run.seconds for run in runs[n::3]] for n, name in enumerate(("by name", "bare module", "info"))}
    ratio = statistics.median(samples["info"]) / statistics.median(samples["bare module"])
    return [
        Figure(
            f"facts of {MANY} volumes, of a module that returns GET /volumes",
            ratio,
            2.0,
            samples={**samples, "bare GET /volumes": listings},
        ),
        _memory(f"facts of {MANY} volumes: peak memory", max(run.peak_kib for run in runs[2::3])),
    ]


def plugin(host: LabHost) -> list[Figure]:
    """One unchanged plugin: what the engine and the registry are asked, and our time against the peer's."""
    wanted = {
        "alias": PLUGIN,
        "remote": host.variables["lab_plugin_remote"],
        "state": "enabled",
        "privileges": host.variables["lab_plugin_privileges"],
        "settings": {"RCLONE_VERBOSE": "1", "args": "--dir-cache-time=5s"},
    }
    theirs = {"plugin_name": wanted["remote"], "alias": PLUGIN, "state": "enable"}
    modules: dict[str, tuple[str, Any]] = {
        "ping": (PING, None),
        "ours": (OUR_PLUGIN, wanted),
        "peer": (PEER_PLUGIN, theirs),
    }
    tasks = [
        {"name": name, module: options}
        for number in range(PLUGIN_ROUNDS)
        for name, (module, options) in _turned(modules, number)
    ]
    host.run("mkdir -p /var/lib/docker-plugins/rclone/config /var/lib/docker-plugins/rclone/cache")
    try:
        host.play("plugin-install", [{"name": "install", OUR_PLUGIN: wanted}])
        times = host.play("plugin", tasks)
        _expect(times, changed=False)
        with host.counted_requests() as (socket, asked):
            _expect(
                host.play("plugin-asked", [{"name": "ours", OUR_PLUGIN: {**wanted, "docker_host": socket}}]),
                changed=False,
            )
            requests = asked()
    finally:
        host.play("plugin-remove", [{"name": "remove", OUR_PLUGIN: {"alias": PLUGIN, "state": "absent"}}])
    of_registry = [one for one in requests if any(word in one for word in ASKS_REGISTRY)]
    of = {name: [one.seconds for one in times if one.name == name] for name in modules}
    ratio = _beyond_ping(of, "ours") / _beyond_ping(of, "peer")
    return [
        Figure("one unchanged plugin: calls of the engine", len(requests), 3, "calls", samples={"requests": requests}),
        Figure("one unchanged plugin: calls of the registry", len(of_registry), 0, "calls"),
        Figure("one unchanged plugin: time beyond ping, of community.docker's", ratio, 1.0, samples=of),
    ]


ALL: Mapping[str, Callable[[LabHost], list[Figure]]] = {
    "bulk": bulk,
    "single": single,
    "relabel": relabel,
    "info": info,
    "plugin": plugin,
}


def _beyond_ping(of: Mapping[str, list[float]], name: str) -> float:
    return statistics.median(one - ping for one, ping in zip(of[name], of["ping"], strict=True))


def _many() -> list[dict[str, str]]:
    return [{"name": f"{PREFIX}ours-{number}"} for number in range(BULK)]


def _bulk(name: str) -> Task:
    return {"name": name, OURS: {"labels": LABELS, "volumes": "{{ many }}"}}


def _bulk_round(host: LabHost) -> dict[str, float]:
    # The peer comes first, while there are no other volumes: it lists them all for each of its own.
    options = {"name": f"{PREFIX}peer-{{{{ item }}}}", "labels": LABELS}
    loop = list(range(PEER_ITEMS))
    seconds = {}
    for side, task in (("peer", {PEER: options, "loop": loop}), ("ours", _bulk("ours"))):
        with host.no_volumes_stay():
            steps = [{**task, "name": f"{side} {what}"} for what in ("created", "confirmed unchanged")]
            created, confirmed = host.play(f"bulk-{side}", steps, **({"many": _many()} if side == "ours" else {}))
        _expect([created], changed=True)
        _expect([confirmed], changed=False)
        seconds.update({one.name: one.seconds for one in (created, confirmed)})
    return seconds


def _relabelled(name: str, number: int) -> dict[str, Any]:
    return {"name": f"{PREFIX}{name}", "labels": {"run": str(number)}, "recreate": "options-changed"}


def _turned(modules: Mapping[str, tuple[str, Any]], number: int) -> list[tuple[str, tuple[str, Any]]]:
    # Each comes first, second and last equally often, so that what slows the machine down for a while meets all.
    order = list(modules.items())
    start = number % len(order)
    return order[start:] + order[:start]


def _memory(what: str, peak_kib: int) -> Figure:
    return Figure(what, peak_kib * 1024 / 1_000_000, MEMORY_LIMIT_MB, unit="MB")


def _expect(times: list[TaskTime], *, changed: bool) -> None:
    wrong = [one.name for one in times if one.changed is not changed]
    if wrong:
        raise BenchError(f"these tasks should have said changed={changed}: {', '.join(wrong)}")
