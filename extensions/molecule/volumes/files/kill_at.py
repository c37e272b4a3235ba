# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kill docker_volume_x at every step of a change, run a task, and look whether all data is there, and nothing else.

    kill_at.py all                kill, and let other tasks run at once
    kill_at.py kill STATE         kill, and write down what was begun
    kill_at.py finish STATE       run the same tasks again, for example after a restart of the engine

Runs as root on the host of an engine, in the folder into which pack.py's archive was unpacked. A step is a request that
may change the engine, or a call that changes the engine's folders (see killing.py). Each run of the module is a process
that kills itself with SIGKILL right before or right after the n-th step, for all n up to the one that is never reached.

Prints JSON: the steps of each case, how many runs were killed, and the failures, each with what was found.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import killing
from ansible_collections.voltainer.volumes.plugins.modules import docker_volume_x
from killing import AFTER, BEFORE, FoundError, Killer, Run, do

PREFIX = "killed-"
STAGING = ".voltainer-change"
FOLDERS = Path("/srv") / "killed"
IMAGE = os.environ.get("LAB_IMAGE", "")
OLD_LABELS = {"team": "old", "kept": "yes"}


def create(name: str, options: Mapping[str, str], labels: Mapping[str, str]) -> None:
    """Create a volume."""
    do("POST", "/volumes/create", {"Name": name, "Driver": "local", "DriverOpts": options, "Labels": labels})


def volumes() -> dict[str, dict[str, Any]]:
    """Return what the engine says of the volumes of these tests, without what cannot be the same twice."""
    found = do("GET", "/volumes")["Volumes"] or []
    return {
        one["Name"]: {
            "Driver": one["Driver"],
            "Labels": one["Labels"] or {},
            "Options": one["Options"] or {},
            "Mountpoint": one["Mountpoint"],
        }
        for one in found
        if one["Name"].startswith(PREFIX)
    }


@functools.cache
def root() -> Path:
    """Return the folder in which the engine has its volumes."""
    create(f"{PREFIX}root", {}, {})
    mountpoint = Path(volumes()[f"{PREFIX}root"]["Mountpoint"])
    do("DELETE", f"/volumes/{PREFIX}root")
    return mountpoint.parent.parent


# Data


def fill(folder: Path) -> None:
    """Write files of several kinds."""
    below = folder / "below"
    below.mkdir()
    for number in range(3):
        (below / f"file{number}").write_bytes(os.urandom(100_000))
    os.link(below / "file0", folder / "hard")
    (folder / "soft").symlink_to("below/file1")
    os.chown(below / "file1", 1234, 1235)
    os.chmod(below / "file1", 0o640)
    os.setxattr(below / "file2", "user.kind", b"data")
    os.chown(folder, 1234, 1235)
    os.chmod(folder, 0o700)


def picture(folder: Path) -> dict[str, Any]:
    """Return all that makes out the data in `folder`, inode numbers included; nothing where there is no such folder."""
    if not folder.exists():
        return {}
    return {str(path.relative_to(folder)): _picture_of(path) for path in (folder, *sorted(folder.rglob("*")))}


def _picture_of(path: Path) -> list[Any]:
    stat = path.lstat()
    content = ""
    if path.is_symlink():
        content = str(path.readlink())
    elif path.is_file():
        content = hashlib.sha256(path.read_bytes()).hexdigest()
    extended = [] if path.is_symlink() else sorted(os.listxattr(path))
    return [stat.st_ino, stat.st_mode, stat.st_uid, stat.st_gid, stat.st_nlink, stat.st_mtime_ns, content, extended]


def data_of(volume: str) -> dict[str, Any]:
    """Return the picture of the folder of a volume, whether or not the engine knows the volume."""
    return picture(root() / volume / "_data")


def is_empty(folder: Mapping[str, Any]) -> bool:
    """Return whether nothing is in the folder, or no folder there."""
    return not set(folder) - {"."}


def world() -> dict[str, Any]:
    """Return all that the tests can see: volumes, and what is in the engine's folders and in those referred to."""
    folders = sorted(path.name for path in root().iterdir() if path.name.startswith(PREFIX))
    return {
        "volumes": volumes(),
        "data": {name: data_of(name) for name in folders},
        "referred": picture(FOLDERS) if FOLDERS.exists() else {},
    }


def told(places: Iterable[str]) -> str:
    """Return in a few words what is there of these volumes."""
    known = volumes()
    return json.dumps(
        {name: {"engine": known.get(name), "files": sorted(set(data_of(name)) - {"."})} for name in places}
    )


# Runs of the module


def run(options: Mapping[str, Any], *, check: bool = False, number: int = 0, moment: str = BEFORE) -> Run:
    """Run the module with `options` in a process of its own, to be killed at step `number`; 0 is none."""
    place = str(root().parent)

    def install(pipe: int) -> None:
        Killer(number, moment, pipe, [place]).install()

    return killing.run(docker_volume_x.main, options, install, check=check)


# What is changed


@dataclass
class Subject:
    """One volume that is changed: what it is called, what is there before, and what must be there in the end."""

    name: str
    source: str
    kind: str
    options: dict[str, Any]
    labels_after: dict[str, str] = field(default_factory=lambda: {**OLD_LABELS, "team": "new"})
    options_after: dict[str, str] = field(default_factory=dict)
    before: dict[str, Any] = field(default_factory=dict)
    referred: dict[str, Any] = field(default_factory=dict)

    @property
    def staging(self) -> str:
        """The name of the staging volume."""
        return f"{self.name}{STAGING}"

    @property
    def places(self) -> tuple[str, ...]:
        """The volumes that may have the data."""
        return tuple(dict.fromkeys((self.name, self.source, self.staging)))

    @property
    def folder(self) -> Path:
        """Where the folders are that the volume may refer to."""
        return FOLDERS / self.name

    def make(self) -> None:
        """Make the volume as it is before the change, and its data."""
        options = {}
        if self.kind == "repoint":
            for one in ("first", "second"):
                (self.folder / one).mkdir(parents=True)
                fill(self.folder / one)
            self.referred = picture(self.folder)
            options = {"type": "none", "o": "bind", "device": str(self.folder / "first")}
        create(self.source, options, OLD_LABELS)
        if self.kind != "repoint":
            fill(root() / self.source / "_data")
        self.before = data_of(self.source)

    def holders(self) -> list[str]:
        """Return the volumes that have all of the data."""
        return [place for place in self.places if data_of(place) == self.before]

    def check_data(self) -> None:
        """Fail where the data is not complete in one volume that the engine knows."""
        if self.kind == "repoint":
            if picture(self.folder) != self.referred:
                raise FoundError(f"the folders that '{self.name}' refers to have changed")
            return
        holders = self.holders()
        known = volumes()
        if self.kind == "discard" and not holders:
            return
        if len(holders) != 1:
            raise FoundError(f"the data of '{self.name}' is not in one place, but in {holders}")
        if holders[0] not in known:
            raise FoundError(f"the data of '{self.name}' is in '{holders[0]}', which the engine does not know")

    def check_done(self) -> None:
        """Fail where the volume is not as it must be in the end."""
        known = volumes()
        left = [name for name in self.places if name != self.name and (name in known or (root() / name).exists())]
        if left:
            raise FoundError(f"{left} is left")
        if self.name not in known:
            raise FoundError(f"'{self.name}' does not exist")
        found = known[self.name]
        if (found["Labels"], found["Options"]) != (self.labels_after, self.options_after):
            raise FoundError(f"'{self.name}' has {found['Labels']} and {found['Options']}")
        self.check_data()
        if self.kind == "move" and self.holders() != [self.name]:
            raise FoundError(f"the data of '{self.name}' is not there, or copied")
        if self.kind == "discard" and not is_empty(data_of(self.name)):
            raise FoundError(f"'{self.name}' still has data")

    def is_done(self) -> bool:
        """Return whether the volume is as it must be in the end."""
        try:
            self.check_done()
        except FoundError:
            return False
        return True


@dataclass
class Case:
    """One task and the volumes that it changes."""

    name: str
    subjects: list[Subject]
    task: dict[str, Any]

    def make(self) -> None:
        """Make all volumes as they are before."""
        for subject in self.subjects:
            subject.make()

    def check_data(self) -> None:
        """Fail where data is lost."""
        for subject in self.subjects:
            subject.check_data()

    def check_done(self) -> None:
        """Fail where not all is done."""
        for subject in self.subjects:
            subject.check_done()

    def remove(self) -> None:
        """Take everything away."""
        for name in volumes():
            if name in {place for subject in self.subjects for place in subject.places}:
                do("DELETE", f"/volumes/{name}")
        for subject in self.subjects:
            shutil.rmtree(subject.folder, ignore_errors=True)


def relabel(name: str) -> Case:
    """Change labels of a volume that has its data."""
    task = {"name": name, "labels": {"team": "new"}, "recreate": "options-changed"}
    return Case("relabel", [Subject(name, name, "move", task)], task)


def relabel_many(name: str) -> Case:
    """Change labels of two volumes in one task."""
    names = [f"{name}-{number}" for number in range(2)]
    task = {
        "labels": {"team": "new"},
        "recreate": "options-changed",
        "volumes": [{"name": one} for one in names],
    }
    return Case("relabel_many", [Subject(one, one, "move", task) for one in names], task)


def repoint(name: str) -> Case:
    """Let a volume refer to another folder."""
    devices = {"device": str(FOLDERS / name / "second")}
    task = {"name": name, "driver_options": devices, "recreate": "options-changed"}
    after = {"type": "none", "o": "bind", **devices}
    return Case("repoint", [Subject(name, name, "repoint", task, dict(OLD_LABELS), after)], task)


def discard(name: str) -> Case:
    """Change labels of a volume, and let its data go."""
    task = {"name": name, "labels": {"team": "new"}, "recreate": "options-changed", "data": "discard"}
    return Case("discard", [Subject(name, name, "discard", task)], task)


def rename(name: str) -> Case:
    """Rename a volume that has its data, and change its labels."""
    task = {"name": name, "rename_from": f"{name}.old", "labels": {"team": "new"}, "recreate": "options-changed"}
    return Case("rename", [Subject(name, f"{name}.old", "move", task)], task)


def rename_reference(name: str) -> Case:
    """Rename a volume that refers to a folder."""
    task = {"name": name, "rename_from": f"{name}.old"}
    after = {"type": "none", "o": "bind", "device": str(FOLDERS / name / "first")}
    subject = Subject(name, f"{name}.old", "repoint", task, dict(OLD_LABELS), after)
    return Case("rename_reference", [subject], task)


CASES = (relabel, relabel_many, repoint, discard, rename, rename_reference)


# What happens next


def again(case: Case) -> None:
    """Run the same task: in check mode, for real, and once more."""
    before = world()
    check = run(case.task, check=True)
    check.need(not check.failed, "check mode fails")
    check.need(world() == before, "check mode changes something")
    _finish(case, before, check.changed)


def finish(case: Case) -> None:
    """Run the same task at once."""
    _finish(case, world())


def _finish(case: Case, before: Mapping[str, Any], predicted: bool | None = None) -> None:
    real = run(case.task)
    real.need(not real.failed, "the next run fails")
    case.check_done()
    real.need(real.changed == (world() != before), "the next run does not tell whether it changed something")
    if predicted is not None:
        real.need(real.changed == predicted, "check mode said something else")
    for one in real.result["volumes"]:
        shown = {key: one["volume"][key] or {} for key in ("Labels", "Options")}
        found = volumes()[one["name"]]
        real.need(shown == {key: found[key] for key in shown}, "the result is not what the engine has")
        real.need(one["drift"] == [], "there is drift")
    done = world()
    last = run(case.task)
    last.need(not last.failed and not last.changed and not last.result["actions"], "once more is a change")
    last.need(world() == done, "once more changes something")


def present(case: Case) -> None:
    """Run a task that wants no more than that the volume exists."""
    for subject in case.subjects:
        result = run({"name": subject.name})
        result.need(not result.failed, "a task without 'recreate' fails")
        result.need(subject.staging not in volumes(), "the staging volume stays")
        result.need(subject.name in volumes(), "the volume is not there")
    case.check_data()


def absent(case: Case) -> None:
    """Remove the volume instead."""
    for subject in case.subjects:
        result = run({"name": subject.name, "state": "absent"})
        result.need(not result.failed, "removal fails")
        left = {subject.name, subject.staging} & set(volumes())
        result.need(not left, f"{left} is left")
        if subject.source in volumes():
            result.need(data_of(subject.source) == subject.before, "the volume that was to be renamed lost data")
        last = run({"name": subject.name, "state": "absent"})
        last.need(not last.failed and not last.changed, "once more is a change")


def old_name(case: Case) -> None:
    """Run a task for the name that the volume had; whatever it does, no data may go."""
    for subject in case.subjects:
        run({"name": subject.source})
        case.check_data()
        run(case.task)
        case.check_data()


def intruder(case: Case) -> None:
    """Let somebody else write into the volume while its own data is not there; both must be kept."""
    for subject in case.subjects:
        known = volumes()
        if subject.holders() == [subject.name] if subject.kind == "move" else subject.name in known:
            continue
        if subject.name not in known:
            create(subject.name, {}, {})
        folder = root() / subject.name / "_data"
        folder.mkdir(exist_ok=True)
        (folder / "intruder").write_text("kept")
        for check in (True, False):
            result = run(case.task, check=check)
            result.need(result.failed, f"a volume with data of somebody else is no error (check mode: {check})")
            case.check_data()
            result.need((folder / "intruder").read_text() == "kept", "the other data is gone")
        (folder / "intruder").unlink()
        _give_name_free(subject, known)
    finish(case)


def _give_name_free(subject: Subject, known: Mapping[str, Any]) -> None:
    # A new name that is taken, even by an empty volume, somebody must give free.
    if subject.name not in known and subject.source in set(volumes()) - {subject.name}:
        do("DELETE", f"/volumes/{subject.name}")


def taken(case: Case) -> None:
    """Let a container have the volume, which the engine makes where it is not there, before the task runs again."""
    known = volumes()
    for subject in case.subjects:
        mount = {"Type": "volume", "Source": subject.name, "Target": "/data"}
        body = {"Image": IMAGE, "HostConfig": {"Mounts": [mount]}}
        container = do("POST", f"/containers/create?name={subject.name}", body)["Id"]
        result = run(case.task)
        result.need(result.failed or subject.is_done(), "the change of a used volume goes neither on nor fails")
        case.check_data()
        do("DELETE", f"/containers/{container}?force=1")
        _give_name_free(subject, known)
    finish(case)


def stumble(case: Case) -> None:
    """Kill the next runs, too, each at another step."""
    for number in (1, 2, 1, 3):
        run(case.task, number=number, moment=AFTER)
        case.check_data()
    finish(case)


def written(case: Case) -> None:
    """Write into a volume that is already the new one; the next run must not discard it."""
    for subject in case.subjects:
        if volumes().get(subject.name, {}).get("Labels") == subject.labels_after:
            (root() / subject.name / "_data" / "fresh").write_text("kept")
            result = run(case.task)
            fresh = root() / subject.name / "_data" / "fresh"
            result.need(not result.failed and fresh.exists(), "what was written after the change is gone")
            fresh.unlink()
    finish(case)


# What the next task finds after a kill right before a step, it also finds after one right after the step before, if the
# code is right: one moment is enough for these.
NEXT: dict[str, tuple[Callable[[Case], None], ...]] = {
    "relabel": (present, absent, intruder, taken, stumble),
    "discard": (absent, intruder, taken, written, stumble),
    "repoint": (present, absent, intruder, taken, stumble),
    "rename": (present, absent, old_name, intruder, taken, stumble),
    "rename_reference": (absent, old_name, intruder, stumble),
}


@dataclass
class Report:
    """What is printed in the end."""

    steps: dict[str, list[str]] = field(default_factory=dict)
    killed: int = 0
    failures: list[str] = field(default_factory=list)

    def judge(self, title: str, case: Case, check: Callable[[Case], None]) -> bool:
        """Return whether the check holds; if not, note the failure and what is there now."""
        try:
            check(case)
        except FoundError as exc:
            there = told(place for subject in case.subjects for place in subject.places)
            self.failures.append(f"{title}: {exc}; there is {there}")
            return False
        return True


def kill_everywhere(make: Callable[[str], Case], moment: str, title: str, report: Report) -> Iterator[tuple[str, Case]]:
    """Yield the case once for each step at which it was killed, until a run reaches its end."""
    number = 0
    while True:
        number += 1
        # The longest name that the engine takes is far longer.
        name = f"{PREFIX}{title}-{moment}-{number}".replace("_", "-")
        case = make(name)
        case.make()
        done = run(case.task, number=number, moment=moment)
        where = f"{title}, killed {moment} step {number} ({done.steps[-1] if done.steps else 'none'})"
        if not done.killed:
            report.steps[case.name] = done.steps
            report.judge(f"{title}, not killed", case, functools.partial(_check_whole, done))
            case.remove()
            return
        report.killed += 1
        if report.judge(where, case, Case.check_data):
            yield where, case


def _check_whole(done: Run, case: Case) -> None:
    done.need(not done.failed and done.changed, "the run without a kill fails")
    case.check_done()


def all_at_once() -> Report:
    """Kill every case at every step, and let each task run that can come next."""
    report = Report()
    plans: Iterable[tuple[Callable[[str], Case], str, Callable[[Case], None]]] = [
        *((make, BEFORE, finish) for make in CASES if make is not relabel_many),
        *((make, AFTER, again) for make in CASES),
        *((make, AFTER, follow) for make in CASES for follow in NEXT.get(make.__name__, ())),
    ]
    for make, moment, follow in plans:
        title = f"{make.__name__}-{follow.__name__}"
        for where, case in kill_everywhere(make, moment, title, report):
            if report.judge(where, case, follow):
                case.remove()
    return report


def kill_only(state: Path) -> Report:
    """Kill cases at every step, and write down what is to be done with them later."""
    report = Report()
    begun = []
    for make in (relabel, repoint, discard, rename):
        for where, case in kill_everywhere(make, AFTER, f"{make.__name__}-later", report):
            begun.append({"where": where, "case": dataclasses.asdict(case)})
    state.write_text(json.dumps(begun))
    return report


def finish_later(state: Path) -> Report:
    """Go on with what `kill_only` began."""
    report = Report()
    for one in json.loads(state.read_text()):
        subjects = [Subject(**subject) for subject in one["case"].pop("subjects")]
        case = Case(subjects=subjects, **one["case"])
        if report.judge(f"{one['where']}, later", case, Case.check_data) and report.judge(one["where"], case, again):
            case.remove()
    return report


def main() -> None:
    """Do what the command line asks for."""
    root()
    if sys.argv[1] == "all":
        report = all_at_once()
    else:
        report = {"kill": kill_only, "finish": finish_later}[sys.argv[1]](Path(sys.argv[2]))
    print(json.dumps(dataclasses.asdict(report)))


if __name__ == "__main__":
    main()
