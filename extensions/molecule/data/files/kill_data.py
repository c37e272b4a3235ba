# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kill the modules for a volume's data at every step, run the same task again, and look whether all is there and right.

    kill_data.py all MOMENT [CASE]...    kill before or after each step (or in the middle of programs), go on
    kill_data.py kill STATE CASE         kill after each step, and write down what was begun
    kill_data.py finish STATE            run the same tasks again, for example after a restart of the engine
    kill_data.py at WORDS MODULE OPTIONS run a module with options in JSON, killed after the step that begins with WORDS

With KILL_EVERY=2 in the environment, every second step is one to be killed at, beginning with the first. What the next
task finds after a step, it also finds before the next one: of two hosts, one kills before steps, and one after them.

Prints JSON: the steps of each case, how many runs were killed, and the failures, each with what was found.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import re
import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).resolve().parent))

import killing
from ansible_collections.voltainer.volumes.plugins.module_utils import _folders
from ansible_collections.voltainer.volumes.plugins.modules import (
    docker_volume_x,
    docker_volume_x_backup,
    docker_volume_x_copy,
    docker_volume_x_restore,
)
from killing import AFTER, MIDDLE, FoundError, Killer, Run, ask, do

PREFIX = "killed-"
# Volumes of the engine's own driver have their data here.
ROOT = Path("/var/lib/docker/volumes")
ARCHIVES = Path("/srv/data/killed")
IMAGE = os.environ["LAB_IMAGE"]
EVERY = int(os.environ.get("KILL_EVERY", "1"))
_AGAIN_EVERY = 4
ARRAY = {"driver": "pure", "driver_options": {"size": "8MB"}}
ARRAY_BIG = {"driver": "pure", "driver_options": {"size": "256MB"}}
LABELS = {"team": "billing"}
MODULES = {
    "volume": docker_volume_x.main,
    "copy": docker_volume_x_copy.main,
    "backup": docker_volume_x_backup.main,
    "restore": docker_volume_x_restore.main,
}
HELPERS = json.dumps({"label": ["voltainer.volumes.helper"]})
# A process that ends when it is asked to.
RUNS = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 3600 & wait; done"]


# Volumes and their data


def create(name: str, *, array: bool = False, big: bool = False) -> None:
    """Create a volume."""
    made = (ARRAY_BIG if big else ARRAY) if array else {"driver": "local", "driver_options": {}}
    body = {"Name": name, "Driver": made["driver"], "DriverOpts": made["driver_options"], "Labels": LABELS}
    do("POST", "/volumes/create", body)


def volumes(name: str) -> dict[str, dict[str, Any]]:
    """Return what the engine says of the volume, and of those that are named after it."""
    found = do("GET", "/volumes")["Volumes"] or []
    return {one["Name"]: one for one in found if re.match(rf"{re.escape(name)}(?![0-9])", one["Name"])}


def container(name: str, volume: str, command: list[str], policy: str = "no") -> str:
    """Make a container that has the volume, start it, and return its ID."""
    mount = {"Type": "volume", "Source": volume, "Target": "/data"}
    settings = {"Mounts": [mount], "NetworkMode": "none", "RestartPolicy": {"Name": policy}}
    body = {"Image": IMAGE, "Cmd": command, "HostConfig": settings}
    made: str = do("POST", f"/containers/create?name={name}", body)["Id"]
    do("POST", f"/containers/{made}/start")
    return made


@contextlib.contextmanager
def folder_of(volume: str) -> Iterator[Path]:
    """Yield the folder of a volume; of a plugin's volume as a container sees it."""
    known = volumes(volume).get(volume)
    if known is None or known["Driver"] == "local":
        yield ROOT / volume / "_data"
        return
    made = container(f"{volume}-looks", volume, ["sleep", "600"])
    try:
        yield Path(f"/proc/{do('GET', f'/containers/{made}/json')['State']['Pid']}/root/data")
    finally:
        do("DELETE", f"/containers/{made}?force=1")


def fill(folder: Path, words: str, size: int = 0) -> None:
    """Write files of several kinds, with `words` in them, and a large one where a size is given."""
    below = folder / "below"
    below.mkdir()
    for number in range(3):
        (below / f"file{number}").write_bytes(words.encode() * 3000)
    os.link(below / "file0", folder / "hard")
    (folder / "soft").symlink_to("below/file1")
    os.chown(below / "file1", 1234, 1235)
    os.chmod(below / "file1", 0o640)
    os.setxattr(below / "file2", "user.kind", b"data")
    if size:
        with (folder / "large").open("wb") as large:
            for _mebibyte in range(size >> 20):
                large.write(os.urandom(1 << 20))
    os.chown(folder, 1234, 1235)
    os.chmod(folder, 0o700)


def picture(folder: Path) -> dict[str, Any]:
    """Return all that makes out the data in `folder`; nothing where there is no such folder."""
    if not folder.exists():
        return {}
    paths = (path for path in (folder, *sorted(folder.rglob("*"))) if path.name != "lost+found")
    return {str(path.relative_to(folder)): _picture_of(path, root=path == folder) for path in paths}


def _picture_of(path: Path, *, root: bool) -> list[Any]:
    status = path.lstat()
    content, extended = "", []
    if path.is_symlink():
        content = str(path.readlink())
    else:
        extended = sorted(os.listxattr(path))
        if path.is_file():
            content = hashlib.sha256(path.read_bytes()).hexdigest()
    times = 0 if root else status.st_mtime_ns
    links = status.st_nlink if stat.S_ISREG(status.st_mode) else 1
    return [status.st_mode, status.st_uid, status.st_gid, links, times, content, extended]


def data_of(volume: str) -> dict[str, Any]:
    """Return the picture of a volume's data."""
    with folder_of(volume) as folder:
        return picture(folder)


def unguarded(volume: str) -> dict[str, Any]:
    """Return the picture of a volume's data, without the file by which a fill says that it goes on."""
    return {path: one for path, one in data_of(volume).items() if not path.startswith(".voltainer-fill-")}


# What is changed


@dataclass
class Case:
    """A task: its module and options, what is there before, and which data must be recognisable at each moment.

    `name` is the volume that the task is about. `old` is what that has before, `new` what it is to have; both as
    pictures. `users` are containers that run. `array` says where the volume is before, and `array_after` in the end.
    """

    kind: str
    name: str
    module: str
    options: dict[str, Any]
    array: bool = False
    array_after: bool = False
    exists: bool = False
    users: bool = False
    big: bool = False
    labels: dict[str, str] = field(default_factory=lambda: dict(LABELS))
    old: dict[str, Any] = field(default_factory=dict)
    new: dict[str, Any] = field(default_factory=dict)

    @property
    def source(self) -> str:
        """The name of the volume that is copied, or was backed up."""
        return f"{self.name}-source"

    @property
    def folder(self) -> Path:
        """Where the archives are."""
        return ARCHIVES / self.name

    def make(self) -> None:
        """Make all that is there before."""
        size = (64 << 20) if self.big else 0
        if self.exists:
            create(self.name, array=self.array, big=self.big)
            with folder_of(self.name) as folder:
                fill(folder, "old", size)
            self.old = data_of(self.name)
        if self.module in {"copy", "restore"}:
            create(self.source)
            fill(ROOT / self.source / "_data", "new", size)
            self.new = data_of(self.source)
        else:
            self.new = self.old
        if self.module in {"backup", "restore"}:
            self._back_up()
        if self.users:
            used = self.source if self.module == "copy" else self.name
            container(f"{self.name}-ended", used, ["true"])
            # An engine that starts anew starts it, too, unless the task that was killed had stopped it.
            container(f"{self.name}-runs", used, RUNS, "unless-stopped")

    def _back_up(self) -> None:
        """Make a backup that is there before, and is the one to be restored, or the one that is removed in the end."""
        self.folder.mkdir(parents=True)
        of = self.source if self.module == "restore" else self.name
        made = self.run("backup", {"name": of, "path": str(self.folder)})
        made.need(not made.failed, "the first backup fails")
        if self.module == "backup":
            # Archives are named by the second.
            time.sleep(1.01 - time.time() % 1)
            with folder_of(self.name) as folder:
                (folder / "later").write_text("later")
            self.old = self.new = data_of(self.name)

    def run(
        self, module: str = "", options: Mapping[str, Any] | None = None, *, number: int = 0, moment: str = ""
    ) -> Run:
        """Run the task, or another one, to be killed at step `number`; 0 is none."""

        def install(pipe: int) -> None:
            killer = Killer(number, moment, pipe, (str(ROOT.parent), str(ARCHIVES)))
            killer.install()
            killer.around(_folders, "exchange")

        return killing.run(MODULES[module or self.module], self.options if options is None else options, install)

    # What must hold at each moment

    def check_data(self) -> None:
        """Fail where no complete copy of the data is recognisable."""
        {
            "copy": self._check_fill,
            "restore": self._check_fill,
            "volume": self._check_change,
            "backup": self._check_backups,
        }[self.module]()

    def _check_fill(self) -> None:
        known = volumes(self.name)
        if data_of(self.source) != self.new:
            raise FoundError("the source has changed")
        if f"{self.name}.voltainer-filled" in known:
            # The new content is complete: here or there, where a file may still say how far that is.
            if self.new not in (unguarded(f"{self.name}.voltainer-fill"), unguarded(self.name)):
                raise FoundError("the marks say that the content is complete, and it is nowhere")
            return
        begun = f"{self.name}.voltainer-fill" in known
        if begun and self.options.get("on_existing") == "sync":
            # In place: it is neither as before nor as after, and the source is not touched.
            return
        if self.exists or (self.name in known and not begun):
            now = data_of(self.name)
            if now not in ((self.old,) if begun else (self.old, self.new)):
                raise FoundError(f"the target is neither as before nor as after: {sorted(now)}")

    def _check_change(self) -> None:
        known = volumes(self.name)
        if f"{self.name}.voltainer-copied" in known:
            if self.old not in (data_of(f"{self.name}.voltainer-change"), data_of(self.name)):
                raise FoundError("the marks say that the staging volume has the data, and it does not")
            return
        if self.name in known and data_of(self.name) == self.old:
            return
        # A folder that moved: the staging volume has it, or the volume that is new.
        if data_of(f"{self.name}.voltainer-change") != self.old:
            raise FoundError("the data is nowhere")

    def _check_backups(self) -> None:
        if data_of(self.name) != self.old:
            raise FoundError("the volume has changed")
        if not self._backups():
            raise FoundError("there is no backup")

    def _backups(self) -> list[str]:
        """Return the archives, each of which must be complete."""
        archives = sorted(path.name for path in self.folder.iterdir() if path.name.endswith(".tar.zst"))
        for name in archives:
            manifest = self.folder / f"{name}.json"
            if not manifest.exists():
                raise FoundError(f"the archive {name} has no manifest")
            digest = hashlib.sha256((self.folder / name).read_bytes()).hexdigest()
            if json.loads(manifest.read_text())["sha256"] != digest:
                raise FoundError(f"the archive {name} is not complete")
        return archives

    # What must hold in the end

    def check_done(self) -> None:
        """Fail where not all is as the task wants it, or anything is left."""
        known = volumes(self.name)
        expected = {self.name, *([self.source] if self.module in {"copy", "restore"} else [])}
        kept = {name for name in known if name.startswith(f"{self.name}.before-")}
        if self.options.get("keep_previous") and self.exists:
            if len(kept) != 1 or data_of(next(iter(kept))) != self.old:
                raise FoundError(f"the content of before is not kept once: {kept}")
            expected |= kept
        if set(known) != expected:
            raise FoundError(f"there are {sorted(known)}")
        found = known[self.name]
        if (found["Driver"], found["Labels"]) != ("pure:latest" if self.array_after else "local", self.labels):
            raise FoundError(f"the volume has {found['Driver']} and {found['Labels']}")
        now = data_of(self.name)
        if now != self.new:
            raise FoundError(f"the volume does not have what it is to have: {_difference(now, self.new)}")
        if self.module == "backup":
            self._check_folder()
        self._check_users()
        _check_helpers()

    def _check_folder(self) -> None:
        archives = self._backups()
        files = sorted(path.name for path in self.folder.iterdir())
        if len(archives) != 1 or files != [archives[0], f"{archives[0]}.json"]:
            raise FoundError(f"in the folder there are {files}")

    def _check_users(self) -> None:
        for name, state in ((f"{self.name}-runs", "running"), (f"{self.name}-ended", "exited")) if self.users else ():
            now = do("GET", f"/containers/{name}/json")["State"]["Status"]
            if now != state:
                raise FoundError(f"the container {name} is {now}")

    def remove(self) -> None:
        """Take everything away."""
        for name in (f"{self.name}-runs", f"{self.name}-ended") if self.users else ():
            ask("DELETE", f"/containers/{name}?force=1")
        for name in volumes(self.name):
            do("DELETE", f"/volumes/{quote(name)}")
        shutil.rmtree(self.folder, ignore_errors=True)


def _difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    paths = sorted(path for path in {*one, *other} if one.get(path) != other.get(path))
    return json.dumps({path: [one.get(path), other.get(path)] for path in paths[:3]})


def _check_helpers() -> None:
    """Fail where a helper container or its image is left; those of a killed run the engine may be about to remove."""
    end = time.monotonic() + 10
    while True:
        containers = do("GET", f"/containers/json?all=1&filters={quote(HELPERS)}")
        images = do("GET", f"/images/json?filters={quote(HELPERS)}")
        if not containers and not images:
            return
        if time.monotonic() > end:
            raise FoundError(f"{len(containers)} helper containers and {len(images)} images are left")
        time.sleep(0.1)


# All cases


def copy_new(name: str) -> Case:
    """Copy to a volume that is not there."""
    return Case("copy_new", name, "copy", {"source": f"{name}-source", "name": name, "labels": LABELS})


def copy_replace(name: str) -> Case:
    """Copy over a volume that has data."""
    options = {"source": f"{name}-source", "name": name, "on_existing": "replace"}
    return Case("copy_replace", name, "copy", options, exists=True)


def copy_sync(name: str) -> Case:
    """Copy what differs."""
    options = {"source": f"{name}-source", "name": name, "on_existing": "sync"}
    return Case("copy_sync", name, "copy", options, exists=True)


def copy_new_array(name: str) -> Case:
    """Copy to a volume of the array that is not there."""
    options = {"source": f"{name}-source", "name": name, "labels": LABELS, **ARRAY}
    return Case("copy_new_array", name, "copy", options, array_after=True)


def copy_replace_array(name: str) -> Case:
    """Copy over a volume of the array that has data."""
    options = {"source": f"{name}-source", "name": name, "on_existing": "replace"}
    return Case("copy_replace_array", name, "copy", options, exists=True, array=True, array_after=True)


def copy_stop(name: str) -> Case:
    """Copy while those who use the source are stopped."""
    options = {"source": f"{name}-source", "name": name, "labels": LABELS, "quiesce": "stop", "quiesce_timeout": 10}
    return Case("copy_stop", name, "copy", options, users=True)


def to_array(name: str) -> Case:
    """Change the driver, to the array."""
    options = {"name": name, "recreate": "options-changed", **ARRAY}
    return Case("to_array", name, "volume", options, exists=True, array_after=True)


def from_array(name: str) -> Case:
    """Change the driver, from the array."""
    options = {
        "name": name,
        "recreate": "options-changed",
        "driver": "local",
        "driver_options": {},
        "comparison": "exact",
    }
    return Case("from_array", name, "volume", options, exists=True, array=True)


def relabel_array(name: str) -> Case:
    """Change the labels of a volume of the array."""
    labels = {"team": "sales"}
    options = {"name": name, "recreate": "options-changed", "labels": labels}
    return Case("relabel_array", name, "volume", options, exists=True, array=True, array_after=True, labels=labels)


def backup(name: str) -> Case:
    """Back up a volume that changed while those who use it are paused, and let the backup of before go."""
    options = {
        "name": name,
        "path": str(ARCHIVES / name),
        "unless_changed": True,
        "keep": {"last": 1},
        "quiesce": "pause",
    }
    return Case("backup", name, "backup", options, exists=True, users=True)


def restore_new(name: str) -> Case:
    """Restore a volume that is not there."""
    options = {"name": name, "backup_of": f"{name}-source", "path": str(ARCHIVES / name)}
    return Case("restore_new", name, "restore", options)


def restore_replace(name: str) -> Case:
    """Restore a volume that has other data, which is kept, while those who use it are stopped."""
    options = {
        "name": name,
        "backup_of": f"{name}-source",
        "path": str(ARCHIVES / name),
        "keep_previous": True,
        "quiesce": "stop",
        "quiesce_timeout": 10,
    }
    return Case("restore_replace", name, "restore", options, exists=True, users=True)


CASES = {
    make.__name__: make
    for make in (
        copy_new,
        copy_replace,
        copy_sync,
        copy_new_array,
        copy_replace_array,
        copy_stop,
        to_array,
        from_array,
        relabel_array,
        backup,
        restore_new,
        restore_replace,
    )
}


# Kill, look, go on


@dataclass
class Report:
    """What is printed in the end."""

    steps: dict[str, list[str]] = field(default_factory=dict)
    killed: int = 0
    failures: list[str] = field(default_factory=list)

    def judge(self, title: str, case: Case, check: Callable[[], None]) -> bool:
        """Return whether the check holds; if not, note the failure and which volumes there are."""
        try:
            check()
        except FoundError as exc:
            self.failures.append(f"{title}: {exc}; there is {sorted(volumes(case.name))}")
            return False
        return True


def go_on(case: Case, *, again: bool = True) -> None:
    """Run the same task, which must end it, and `again` once more, which must change nothing."""
    second = case.run()
    second.need(not second.failed, "the next run fails")
    case.check_done()
    if not again:
        return
    third = case.run()
    third.need(not third.failed and not third.changed, "a third run fails, or changes something")


def kill_everywhere(kind: str, moment: str, report: Report) -> Iterator[tuple[str, Case]]:
    """Yield the case once for each step at which it was killed, until a run reaches its end."""
    every = 1 if moment == MIDDLE else EVERY
    number = 1 - every
    while True:
        number += every
        steps = report.steps.get(kind, [])
        if moment == MIDDLE and number <= len(steps) and not steps[number - 1].startswith("start "):
            continue
        case = CASES[kind](f"{PREFIX}{kind.replace('_', '-')}-{moment}-{number}")
        case.big = moment == MIDDLE
        if case.big and case.options.get("driver") == "pure":
            case.options.update(ARRAY_BIG)
        case.make()
        done = case.run(number=number, moment=moment)
        where = f"{kind}, killed {moment} step {number} ({done.steps[-1] if done.steps else 'none'})"
        if not done.killed:
            if moment != MIDDLE or number > len(done.steps):
                report.steps[kind] = done.steps
                report.judge(f"{kind}, not killed", case, functools.partial(_check_whole, case, done))
                case.remove()
                return
            # The program had ended by then, or this step is none.
            case.remove()
            report.steps[kind] = done.steps
            continue
        report.killed += 1
        if report.judge(where, case, case.check_data):
            yield where, case


def _check_whole(case: Case, done: Run) -> None:
    done.need(not done.failed and done.changed, "the run without a kill fails")
    case.check_done()


def all_at_once(moment: str, kinds: list[str]) -> Report:
    """Kill the cases at every step, and run the same task at once."""
    report = Report()
    for kind in kinds or CASES:
        for number, (where, case) in enumerate(kill_everywhere(kind, moment, report)):
            # What a third run finds is what the second one left, wherever the first one was killed: some are enough.
            if report.judge(where, case, functools.partial(go_on, case, again=number % _AGAIN_EVERY == 0)):
                case.remove()
    return report


def kill_only(state: Path, kinds: list[str]) -> Report:
    """Kill cases at every step, and write down what is to be done with them later."""
    report = Report()
    begun = [
        {"where": where, "case": asdict(case)} for kind in kinds for where, case in kill_everywhere(kind, AFTER, report)
    ]
    state.write_text(json.dumps(begun))
    return report


def finish_later(state: Path) -> Report:
    """Go on with what `kill_only` began."""
    report = Report()
    for one in json.loads(state.read_text()):
        case = Case(**one["case"])
        if report.judge(f"{one['where']}, later", case, case.check_data) and report.judge(
            f"{one['where']}, later", case, functools.partial(go_on, case)
        ):
            case.remove()
    return report


def kill_at(start: str, module: str, options: Mapping[str, Any]) -> Report:
    """Run a module, killed after the first step whose words begin with `start`."""
    case = Case("one", "", module, dict(options))

    class AtWords(Killer):
        """Goes by the words of the steps."""

        def begin(self, words: str) -> int:
            if words.startswith(start) and not self.number:
                self.number = self.count + 1
            return super().begin(words)

    def install(pipe: int) -> None:
        AtWords(0, AFTER, pipe, (str(ROOT.parent), str(ARCHIVES))).install()

    done = killing.run(MODULES[module], case.options, install)
    failures = [] if done.killed else [f"it was not killed: {done.result.get('msg')}"]
    return Report({"one": done.steps}, int(done.killed), failures)


def main() -> None:
    """Do what the command line asks for."""
    mode, *arguments = sys.argv[1:]
    if mode == "all":
        report = all_at_once(arguments[0], arguments[1:])
    elif mode == "kill":
        report = kill_only(Path(arguments[0]), arguments[1:])
    elif mode == "finish":
        report = finish_later(Path(arguments[0]))
    else:
        report = kill_at(arguments[0], arguments[1], json.loads(arguments[2]))
    print(json.dumps(asdict(report)))


if __name__ == "__main__":
    main()
