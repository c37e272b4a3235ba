# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kill docker_volume_x at every step of a change, run a task, and look whether all data is there, and nothing else.

    kill_at.py all                kill, and let other tasks run at once
    kill_at.py kill STATE         kill, and write down what was begun
    kill_at.py finish STATE       run the same tasks again, for example after a restart of the engine

Runs as root on the host of an engine, in the folder into which pack.py's archive was unpacked. A step is a request that
may change the engine, or a call that changes the engine's folders. Each run of the module is a process that kills
itself with SIGKILL right before or right after the n-th step, for all n up to the one that is never reached.

Prints JSON: the steps of each case, how many runs were killed, and the failures, each with what was found.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import http.client
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from ansible.module_utils import basic
from ansible_collections.voltainer.volumes.plugins.modules import docker_volume_x

PREFIX = "killed-"
STAGING = ".voltainer-change"
FOLDERS = Path("/srv") / "killed"
IMAGE = os.environ.get("LAB_IMAGE", "")
# What changes folders and files. Only calls below the engine's folder count.
CHANGING = ("rename", "replace", "link", "symlink", "mkdir", "rmdir", "unlink", "remove", "chmod", "chown", "utime")
BEFORE, AFTER = "before", "after"
OLD_LABELS = {"team": "old", "kept": "yes"}


class FoundError(Exception):
    """Something is not as it must be."""


# The engine, by its API and without the code that is tested


class _Connection(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect("/var/run/docker.sock")


def ask(method: str, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, Any]:
    """Return the status and the answer of the engine."""
    connection = _Connection("localhost")
    connection.request(
        method, path, json.dumps(body) if body is not None else None, {"Content-Type": "application/json"}
    )
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, json.loads(text) if text else None


def do(method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
    """Return the answer of the engine, which must not be an error."""
    status, answer = ask(method, path, body)
    if status >= http.client.BAD_REQUEST:
        raise RuntimeError(f"{method} {path}: {status} {answer}")
    return answer


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


@dataclass
class Killer:
    """Counts the steps of this process, tells them to `pipe`, and kills it at one of them."""

    number: int
    moment: str
    pipe: int
    count: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def install(self) -> None:
        """Put this around all that makes a step: requests, whoever sends them, and what changes files."""
        connection = http.client.HTTPConnection
        send, receive = connection.putrequest, connection.getresponse
        sent: dict[int, int] = {}

        def counted_send(self: Any, method: str, url: str, *args: Any, **kwargs: Any) -> None:
            if method not in {"GET", "HEAD"}:
                sent[id(self)] = killer.begin(f"{method} {url}")
            send(self, method, url, *args, **kwargs)

        def counted_receive(self: Any, *args: Any, **kwargs: Any) -> Any:
            answer = receive(self, *args, **kwargs)
            killer.end(sent.pop(id(self), None))
            return answer

        killer = self
        connection.putrequest, connection.getresponse = counted_send, counted_receive
        for name in CHANGING:
            setattr(os, name, self._around(name, getattr(os, name)))

    def _around(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            paths = [os.fsdecode(arg) for arg in args if isinstance(arg, (str, bytes, os.PathLike))]
            ours = any(path.startswith(str(root().parent)) for path in paths)
            relative = any(key.endswith("dir_fd") and value is not None for key, value in kwargs.items())
            number = self.begin(f"{name} {' '.join(paths)}") if ours or relative else None
            result = function(*args, **kwargs)
            self.end(number)
            return result

        return counted

    def begin(self, words: str) -> int:
        """Begin a step and return its number."""
        with self.lock:
            self.count += 1
            number = self.count
            os.write(self.pipe, f"{words}\n".encode())
        self._die_at(number, BEFORE)
        return number

    def end(self, number: int | None) -> None:
        """End a step."""
        self._die_at(number, AFTER)

    def _die_at(self, number: int | None, moment: str) -> None:
        if (number, moment) == (self.number, self.moment):
            os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class Run:
    """What came of one run of the module."""

    killed: bool
    result: dict[str, Any]
    steps: list[str]

    @property
    def failed(self) -> bool:
        """Whether the module failed."""
        return bool(self.result.get("failed"))

    @property
    def changed(self) -> bool:
        """Whether the module said that it changed something."""
        return bool(self.result.get("changed"))


def run(options: Mapping[str, Any], *, check: bool = False, number: int = 0, moment: str = BEFORE) -> Run:
    """Run the module with `options` in a process of its own, to be killed at step `number`; 0 is none."""
    reader, writer = os.pipe()
    with tempfile.TemporaryFile() as output:
        process = os.fork()
        if process == 0:
            os.dup2(output.fileno(), 1)
            _run_here({**options, "_ansible_check_mode": check}, Killer(number, moment, writer))
        os.close(writer)
        with os.fdopen(reader) as lines:
            steps = lines.read().splitlines()
        _process, status = os.waitpid(process, 0)
        output.seek(0)
        text = output.read().decode()
    if os.WIFSIGNALED(status):
        return Run(True, {}, steps)
    try:
        return Run(False, json.loads(text), steps)
    except ValueError:
        raise FoundError(f"the module said no JSON, but: {text}") from None


def _run_here(options: Mapping[str, Any], killer: Killer) -> None:
    """Run the module in this process, and end it."""
    code = 1
    try:
        basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": options}).encode()
        basic._ANSIBLE_PROFILE = "legacy"  # since ansible-core 2.19 the arguments come with the name of their encoding
        killer.install()
        docker_volume_x.main()
    except SystemExit as exc:
        code = int(exc.code or 0)
    except Exception:
        traceback.print_exc(file=sys.stdout)
        raise
    finally:
        sys.stdout.flush()
        os._exit(code)


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
    _need(not check.failed, "check mode fails", check)
    _need(world() == before, "check mode changes something", check)
    _finish(case, before, check.changed)


def finish(case: Case) -> None:
    """Run the same task at once."""
    _finish(case, world())


def _finish(case: Case, before: Mapping[str, Any], predicted: bool | None = None) -> None:
    real = run(case.task)
    _need(not real.failed, "the next run fails", real)
    case.check_done()
    _need(real.changed == (world() != before), "the next run does not tell whether it changed something", real)
    if predicted is not None:
        _need(real.changed == predicted, "check mode said something else", real)
    for one in real.result["volumes"]:
        shown = {key: one["volume"][key] or {} for key in ("Labels", "Options")}
        found = volumes()[one["name"]]
        _need(shown == {key: found[key] for key in shown}, "the result is not what the engine has", real)
        _need(one["drift"] == [], "there is drift", real)
    done = world()
    last = run(case.task)
    _need(not last.failed and not last.changed and not last.result["actions"], "once more is a change", last)
    _need(world() == done, "once more changes something", last)


def present(case: Case) -> None:
    """Run a task that wants no more than that the volume exists."""
    for subject in case.subjects:
        result = run({"name": subject.name})
        _need(not result.failed, "a task without 'recreate' fails", result)
        _need(subject.staging not in volumes(), "the staging volume stays", result)
        _need(subject.name in volumes(), "the volume is not there", result)
    case.check_data()


def absent(case: Case) -> None:
    """Remove the volume instead."""
    for subject in case.subjects:
        result = run({"name": subject.name, "state": "absent"})
        _need(not result.failed, "removal fails", result)
        left = {subject.name, subject.staging} & set(volumes())
        _need(not left, f"{left} is left", result)
        if subject.source in volumes():
            _need(data_of(subject.source) == subject.before, "the volume that was to be renamed lost data", result)
        last = run({"name": subject.name, "state": "absent"})
        _need(not last.failed and not last.changed, "once more is a change", last)


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
            _need(result.failed, f"a volume with data of somebody else is no error (check mode: {check})", result)
            case.check_data()
            _need((folder / "intruder").read_text() == "kept", "the other data is gone", result)
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
        _need(result.failed or subject.is_done(), "the change of a used volume goes neither on nor fails", result)
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
            _need(not result.failed and fresh.exists(), "what was written after the change is gone", result)
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


def _need(holds: bool, words: str, found: Run) -> None:
    if not holds:
        shown = {key: found.result.get(key) for key in ("msg", "changed", "actions", "drift", "volume")}
        raise FoundError(f"{words}: {json.dumps(shown)} after {found.steps}")


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
    _need(not done.failed and done.changed, "the run without a kill fails", done)
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
