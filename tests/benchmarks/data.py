# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What it costs to move the data of volumes, against the bare programs that do nothing but move it."""

from __future__ import annotations

import json
import shlex
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from labhost import HERE, PREFIX, LabHost, ModuleRun, Task, TaskTime
from measures import BIG, OUR_PLUGIN, SMALL, Figure

BACKUP = "voltainer.volumes.docker_volume_x_backup"
COPY = "voltainer.volumes.docker_volume_x_copy"
RESTORE = "voltainer.volumes.docker_volume_x_restore"
ROUNDS = 3
FILES = 50_000
SETS = {"large": ("large", BIG), "small": ("small", FILES)}
FLAT = 1.3
MEMORY_LIMIT_MB = 120
# Beside the engine's volumes, and on their file system.
PLACE = "/var/lib/docker/voltainer-bench"
BACKUPS, SCRATCH = f"{PLACE}/backups", f"{PLACE}/scratch"
COPIED, RESTORED = f"{PREFIX}copied", f"{PREFIX}restored"
ARRAY = f"{PREFIX}array"
ARRAY_SIZE = "4GiB"
ARRAY_CONFIG = "/etc/pure-docker-plugin/pure.json"


@dataclass
class Runs:
    """What was measured of one set of data, by the names of the tasks."""

    times: dict[str, list[TaskTime]] = field(default_factory=dict)
    runs: dict[str, list[ModuleRun]] = field(default_factory=dict)

    def add(self, time: TaskTime, run: ModuleRun) -> None:
        """Add what one task took."""
        self.times.setdefault(time.name, []).append(time)
        self.runs.setdefault(time.name, []).append(run)

    def told(self, name: str, *keys: str) -> list[float]:
        """Return the sums of what the tasks told under the keys, one for each round."""
        return [sum(one.told[key] for key in keys) for one in self.times[name]]

    def whole(self, name: str) -> list[float]:
        """Return the seconds of the tasks, as Ansible sees them."""
        return [one.seconds for one in self.times[name]]

    def bare(self, name: str) -> list[float]:
        """Return the seconds of bare commands."""
        return self.told(name, "seconds_command")

    def peak_kib(self) -> int:
        """Return the highest peak of our modules' own processes."""
        return max(run.own_peak_kib for name in ("backup", "copy", "restore") for run in self.runs.get(name, ()))


def data(host: LabHost) -> list[Figure]:
    """Backup, copy and restore of few large and of many small files."""
    figures: list[Figure] = []
    peaks: dict[str, int] = {}
    # A run that was killed leaves containers.
    host.run(f"docker ps --all --quiet --filter name=^{PREFIX} | xargs -r docker rm --force; mkdir -p {BACKUPS}")
    try:
        with host.no_volumes_stay():
            for name, (kind, amount) in {"tiny": ("large", SMALL), **SETS}.items():
                runs = _local(host, name, kind, amount)
                peaks[name] = runs.peak_kib()
                if name in SETS:
                    figures += [*_backup_figures(name, runs), *_copy_figures(name, runs), _peak(name, peaks[name])]
            with _array(host):
                for kind, amount in SETS.values():
                    figures += _array_figures(host, kind, amount)
    finally:
        host.run(f"rm -rf {PLACE}")
    ratio = max(peaks.values()) / peaks["tiny"]
    return [*figures, Figure("peak memory, of that with 1 MB", ratio, FLAT, samples={"KiB": peaks})]


def _local(host: LabHost, name: str, kind: str, amount: int) -> Runs:
    """Measure a local volume with data, which a container uses."""
    volume = PREFIX + name
    host.run(f"docker volume create {volume} && {_container(host, volume)}")
    try:
        folder = host.run(f"docker volume inspect --format '{{{{.Mountpoint}}}}' {volume}").strip()
        return _rounds(host, name, _groups(name, _filled(host, kind, amount, folder), _image(host)))
    finally:
        host.run(f"docker rm --force {volume}; docker volume rm --force {volume} {COPIED} {RESTORED}")


def _image(host: LabHost) -> str:
    return str(host.variables["lab_image"])


def _container(host: LabHost, volume: str) -> str:
    return f"docker run --detach --name {volume} --volume {volume}:/data {_image(host)} sleep 1d"


def _filled(host: LabHost, kind: str, amount: int, folder: str) -> str:
    host.run(f"python3 - {kind} {folder} {amount} && sync", HERE / "make_data.py")
    # Whatever comes first must not be the only one that reads from the disk.
    host.run(f"tar -C {folder} -cf - . | cat >/dev/null")
    return folder


def _rounds(host: LabHost, name: str, groups: list[list[Task]]) -> Runs:
    runs = Runs()
    for number in range(ROUNDS):
        # What is compared stands together, and in turn one and the other comes first.
        tasks = [task for group in groups for task in (reversed(group) if number % 2 else group)]
        for time, run in host.play_in_full(f"data-{name}", [step for task in tasks for step in (_clean(task), task)]):
            runs.add(time, run)
    return runs


def _groups(name: str, folder: str, image: str) -> list[list[Task]]:
    volume = PREFIX + name
    backup = {"name": volume, "path": BACKUPS, "quiesce": "pause"}
    copy = {"source": volume, "name": COPIED, "quiesce": "pause"}
    restore = {"name": RESTORED, "backup_of": volume, "path": BACKUPS, "labels": {}}
    return [
        [
            _bare("pipe", f"tar -C {folder} -cf - . | zstd -T0 >{SCRATCH}/archive"),
            {"name": "backup", BACKUP: backup},
            _bare("gzip", _in_container(volume, image)),
        ],
        [_bare("cp", f"cp -a {folder} {SCRATCH}/copy"), {"name": "copy", COPY: copy}],
        [
            _bare("untar", f"zstd -dc {BACKUPS}/{volume}-*.zst | tar -C {SCRATCH} -xpf -"),
            {"name": "restore", RESTORE: restore},
        ],
    ]


def _in_container(volume: str, image: str) -> str:
    """Return the command that packs as offen/docker-volume-backup does, with the programs of the host."""
    programs = " ".join(f"--volume {folder}:{folder}:ro" for folder in ("/usr", "/lib", "/lib64"))
    volumes = f"--volume {volume}:/backup:ro --volume {SCRATCH}:/archive"
    packing = "/usr/bin/tar -C /backup -cf - . | /usr/bin/gzip -6 >/archive/archive"
    return f"docker run --rm {volumes} {programs} {image} sh -c {shlex.quote(packing)}"


def _bare(name: str, command: str) -> Task:
    return {"name": name, "timed": {"command": command}}


def _clean(before: Task) -> Task:
    """Return a task that takes away what others made, so that none waits for the disk because of the one before."""
    archives = f"rm -rf {BACKUPS}/*; " if BACKUP in before else ""
    command = f"{archives}rm -rf {SCRATCH}; mkdir {SCRATCH}; docker volume rm --force {COPIED} {RESTORED}; sync"
    return _bare("clean", command)


def _backup_figures(what: str, runs: Runs) -> list[Figure]:
    pipe, reading, whole = runs.bare("pipe"), runs.told("backup", "seconds_reading"), runs.whole("backup")
    gzip = runs.bare("gzip")
    return [
        _ratio(f"{what}: backup, reading, of tar and zstd", reading, pipe, 1 / 0.85),
        _ratio(f"{what}: backup, the whole task, of tar and zstd", whole, pipe, 2.2),
        _ratio(
            f"{what}: backup, the whole task, times faster than gzip in a container",
            gzip,
            whole,
            4,
            at_least=True,
        ),
        _ratio(f"{what}: backup, users at rest, of reading", runs.told("backup", "seconds_quiesced"), reading, 1.2),
    ]


def _copy_figures(what: str, runs: Runs) -> list[Figure]:
    copying, both = runs.told("copy", "seconds_copying"), ("seconds_copying", "seconds_verifying")
    cp, unpacking = runs.bare("cp"), runs.told("restore", "seconds_unpacking")
    return [
        _ratio(f"{what}: copy, copying, of cp -a", copying, cp, 1 / 0.9),
        _ratio(f"{what}: copy, copying and comparing, of cp -a", runs.told("copy", *both), cp, 1 / 0.4),
        _ratio(f"{what}: copy, users at rest, of copying", runs.told("copy", "seconds_quiesced"), copying, 1.2),
        _ratio(f"{what}: restore, unpacking, of zstd and tar", unpacking, runs.bare("untar"), 1 / 0.8),
    ]


def _ratio(what: str, some: list[float], others: list[float], limit: float, *, at_least: bool = False) -> Figure:
    """Return the median of what the rounds have: what was measured at the same time is compared."""
    ratio = statistics.median(one / other for one, other in zip(some, others, strict=True))
    return Figure(what, ratio, limit, at_least=at_least, samples={"measured": some, "against": others})


@contextmanager
def _array(host: LabHost) -> Iterator[None]:
    """Have the plugin of a storage array, which is simulated."""
    config = {"FlashArrays": [{"MgmtEndPoint": "192.0.2.1", "APIToken": "0f2a2d2c-8a43-4ed1-9f3e-6c1d4e0a7b11"}]}
    host.run(f"mkdir -p $(dirname {ARRAY_CONFIG}) && echo {shlex.quote(json.dumps(config))} >{ARRAY_CONFIG}")
    wanted = {
        "alias": ARRAY,
        "remote": f"{host.variables['lab_array_repository']}:1.0",
        "state": "enabled",
        "privileges": host.variables["lab_array_privileges"],
        "settings": {"PURE_DOCKER_NAMESPACE": "bench", "PURE_API_TOKEN": "t0ken-of-the-array"},
    }
    try:
        host.play("data-array", [{"name": "install", OUR_PLUGIN: wanted}])
        yield
    finally:
        gone = {"alias": ARRAY, "state": "absent", "force": True}
        host.play("data-array-remove", [{"name": "remove", OUR_PLUGIN: gone}])
        host.run(f"rm -f {ARRAY_CONFIG}")


def _array_figures(host: LabHost, kind: str, amount: int) -> list[Figure]:
    """Compare reading of a volume of the array with reading it as the container that uses it does."""
    volume = f"{PREFIX}array-{kind}"
    host.run(f"docker volume create --driver {ARRAY} --opt size={ARRAY_SIZE} {volume}")
    try:
        host.run(_container(host, volume))
        pid = host.run(f"docker inspect --format '{{{{.State.Pid}}}}' {volume}").strip()
        folder = _filled(host, kind, amount, f"/proc/{pid}/root/data")
        runs = _rounds(host, f"array-{kind}", [_groups(f"array-{kind}", folder, _image(host))[0][:2]])
        reading = runs.told("backup", "seconds_reading")
        return [_ratio(f"{kind}, of an array: backup, reading, of tar and zstd", reading, runs.bare("pipe"), 1 / 0.7)]
    finally:
        host.run(f"docker rm --force {volume}; docker volume rm {volume}")


def _peak(name: str, peak_kib: int) -> Figure:
    return Figure(f"{name}: peak memory of our modules", peak_kib * 1024 / 1_000_000, MEMORY_LIMIT_MB, unit="MB")
