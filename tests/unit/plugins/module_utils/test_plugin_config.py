# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Config files of plugins: when they are written, what is restarted for them, and the way back from each failure."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import stat
import time

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils import _config_file, _host_files
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import (
    EngineError,
    InvalidInputError,
    RefusedError,
    VolumesError,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_config import (
    observe,
    parse_config_files,
    secrets_of,
)

from .fake_engine import DIGEST, RCLONE, FakeEngine, container, plugin_inspect
from .test_plugin import VOLUME, converge, names, verbs, wanted
from .test_plugin_upgrade import KEPT, NEXT, NEXT_DIGEST, NO, NOTE, KilledError, leftovers, next_version, settings_of

OLD, NEW = {"array": "a", "APIToken": "s3cret-old"}, {"array": "b", "APIToken": "s3cret-new"}
NAME = "rclone:latest"
KEYS = "changed: array, APIToken"
CHANGE = "voltainer.volumes.plugin-change"
UPGRADE = ["note", "try", "disable", "upgrade", "write", "set", "enable", "know", "unnote"]
RESTART = ["note", "disable", "write", "enable", "know", "unnote"]
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


class Host(FakeEngine):
    """An engine whose plugin reads the file `path` when it starts: `knows` is what it read, `starts` how often."""

    def __init__(self, path, **state):
        super().__init__(**state)
        self.path, self.starts = path, 0
        self.knows = self.on_disk()

    def on_disk(self):
        return self.path.read_text(errors="replace") if self.path.exists() else None

    def _start(self, name):
        super()._start(name)
        self.knows, self.starts = self.on_disk(), self.starts + 1


def text(content):
    return json.dumps(content, indent=2) + "\n"


def entry(path, content=None, file_format="json", **more):
    return {"path": str(path), "content": NEW if content is None else content, "format": file_format, **more}


@pytest.fixture
def path(tmp_path):
    """Return the path of the config file, which says OLD."""
    path = tmp_path / "etc" / "pure.json"
    path.parent.mkdir()
    path.write_text(text(OLD))
    path.chmod(0o600)
    return path


def engine_at(path, enabled=True):
    """Return an engine with the plugin, set and running as the file says, and its next version in the registry."""
    engine = Host(path, plugins=[plugin_inspect(Enabled=enabled, content=DIGEST)], volumes=[VOLUME])
    engine.registry = {RCLONE["PluginReference"]: DIGEST, NEXT: NEXT_DIGEST}
    engine.contents = {DIGEST: RCLONE, NEXT_DIGEST: next_version()}
    raw = engine.plugins_by_name[NAME]
    raw["Settings"]["Env"] = ["RCLONE_VERBOSE=2", "API_TOKEN=s3cret", "RCLONE_CONFIG=/data/config/rclone.conf"]
    raw["Config"]["Mounts"][0]["Source"] = "/srv/config"
    return engine


def change(engine, path, content=None, *, check_mode=False, file=None, **params):
    """Run a task that wants the file to say `content`."""
    return converge(engine, check_mode, config_files=[entry(path, content, **(file or {}))], **params)


def beside(path):
    """Return what stands beside the file: of a backup only its content."""
    return sorted(one.read_text() for one in path.parent.iterdir() if one != path)


def running(engine):
    return engine.plugin(NAME).enabled


def none_left(engine):
    return leftovers(engine) == [] and not engine.images and not engine.containers


MERGED = {"file": {"strategy": "merge"}}


@pytest.mark.parametrize(
    ("enabled", "content", "params", "expected"),
    [
        (True, NEW, {"state": "enabled"}, RESTART),
        (True, NEW, {"state": "present"}, RESTART),
        (True, NEW, {"settings": {"args": "-v"}}, ["note", "disable", "write", "set", "enable", "know", "unnote"]),
        (True, NEW, {"remote": NEXT}, UPGRADE),
        (True, NEW, {"remote": NEXT, "on_change": "defer"}, UPGRADE),
        (True, NEW, {"remote": NEXT, "on_change": "fail"}, UPGRADE),
        (True, NEW, {"state": "disabled"}, ["disable", "write"]),
        (True, NEW, {"state": "disabled", "on_change": "fail"}, ["disable", "write"]),
        (True, NEW, {"state": "disabled", "on_change": "defer"}, ["disable", "write"]),
        (False, NEW, {"state": "present"}, ["write"]),
        (False, NEW, {"state": "present", "on_change": "fail"}, ["write"]),
        (False, NEW, {"state": "disabled"}, ["write"]),
        (False, NEW, {"state": "enabled"}, ["write", "enable"]),
        (False, NEW, {"state": "enabled", "on_change": "defer"}, ["write", "enable"]),
        (True, OLD, {}, []),
        (True, dict(reversed(OLD.items())), {}, ["write"]),
        (True, json.dumps(OLD), {}, ["write"]),
        (True, json.dumps(OLD), {"on_change": "fail"}, ["write"]),
        (True, json.dumps(OLD), {"on_change": "defer"}, ["write"]),
        (True, OLD, {"file": {"mode": "0640"}}, ["write"]),
        (True, NEW, {"file": {"mode": "0640"}}, RESTART),
        (True, NEW, {"file": {"backup": False}}, RESTART),
        (True, NEW, {"file": {"force": False}}, []),
        (True, NEW, {"file": {"force": False, "mode": "0640"}}, ["write"]),
        (True, {"array": "a"}, {}, RESTART),
        (True, {"array": "a"}, MERGED, []),
        (True, {"array": "b"}, MERGED, RESTART),
        (True, {**OLD, "APIToken": "x"}, {"file": {"strategy": "merge", "initial": ["APIToken"]}}, []),
        (True, {"new": 1}, {"file": {"strategy": "merge", "initial": ["new"]}}, RESTART),
        (True, NEW, {"canary": True}, ["note", "disable", "write", "enable", "know", "canary", "unnote"]),
        (True, OLD, {"canary": True}, []),
    ],
)  # fmt: skip
def test_steps_in_check_mode_for_real_and_again(path, enabled, content, params, expected):
    engine = engine_at(path, enabled)
    check = change(engine, path, content, check_mode=True, **params)
    assert verbs(check) == expected
    assert (engine.calls, path.read_text(), beside(path)) == ([], text(OLD), [])
    real = change(engine, path, content, **params)
    assert verbs(real) == expected
    assert check.values.keys() == real.values.keys()
    assert none_left(engine)
    # Only what a plugin is started for does it read.
    assert running(engine) is ("enable" in expected or (enabled and "disable" not in expected))
    if "enable" in expected:
        assert engine.knows == path.read_text()
        assert engine.starts == 1
    done, written = len(engine.calls), path.stat().st_mtime_ns
    again = change(engine, path, content, **params)
    assert verbs(again) == []
    assert (len(engine.calls), path.stat().st_mtime_ns) == (done, written)
    assert again.values.keys() == real.values.keys()
    for outcome in (check, real, again):
        assert "s3cret" not in repr(outcome)


@pytest.mark.parametrize("state", ["enabled", "present", "disabled"])
@pytest.mark.parametrize("there", [True, False])
def test_an_install_writes_the_files_after_the_pull_and_before_the_start(path, state, there):
    if not there:
        path.unlink()
    engine = Host(path)
    check = change(engine, path, check_mode=True, state=state)
    expected = ["pull", "write", *(["enable"] if state == "enabled" else [])]
    assert verbs(check) == expected
    assert path.exists() is there
    real = change(engine, path, state=state)
    assert verbs(real) == expected
    assert path.read_text() == text(NEW)
    assert engine.knows == (text(NEW) if state == "enabled" else text(OLD) if there else None)
    assert beside(path) == ([text(OLD)] if there else [])
    assert real.values["config_files"][0]["keys"] == (KEYS if there else "new")
    assert verbs(change(engine, path, state=state)) == []
    assert "s3cret" not in repr((check, real))


def test_what_is_told_of_a_change(path):
    outcome = change(engine_at(path), path)
    (backup,) = (str(one) for one in path.parent.iterdir() if one != path)
    assert re.fullmatch(re.escape(str(path)) + r"\.[0-9]{8}T[0-9]{6}Z~", backup)
    assert outcome.values["config_files"] == [{"path": str(path), "changed": True, "keys": KEYS, "backup_file": backup}]
    assert (outcome.values["restart"], outcome.values["deferred"], outcome.values["canary"]) == (True, [], None)
    assert f"Change the config file '{path}' ({KEYS})" in [step.words for step in outcome.plan.steps]
    shown = {"exists": True, "mode": "0600", "owner": os.geteuid(), "group": os.getegid()}
    assert outcome.plan.before["config_files"] == {str(path): shown}
    assert outcome.plan.after["config_files"] == {str(path): {**shown, "content": KEYS}}
    again = change(engine_at(path), path)
    assert again.values["config_files"] == [{"path": str(path), "changed": False, "keys": "", "backup_file": None}]
    assert again.values["restart"] is False
    assert "config_files" not in again.plan.before


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"content": text(OLD).replace("\n", "\r\n")}, "only how it is written"),
        ({"content": OLD, "file": {"mode": "0640"}}, "mode or owner"),
        ({"content": NEW, "file": {"mode": "0640"}}, f"{KEYS}; mode or owner"),
        ({"content": '{"x": 1}', "file": {"file_format": "raw"}}, "content"),
        ({"content": "array: c\n", "file": {"file_format": "yaml"}}, "changed: array; removed: APIToken"),
    ],
)
def test_words_for_what_differs(path, params, told):
    outcome = change(engine_at(path), path, check_mode=True, **params)
    assert outcome.values["config_files"][0]["keys"] == told
    assert outcome.values["config_files"][0]["backup_file"] is None or told != "mode or owner"


@pytest.mark.parametrize(
    ("content", "wanted_content", "file", "expected"),
    [
        (b"", NEW, {}, text(NEW)),
        (b" \r\n\t", NEW, {"force": False}, text(NEW)),
        (b"", NEW, {"strategy": "merge"}, text(NEW)),
        (b"\xef\xbb\xbf{}", NEW, {}, text(NEW)),
        (b"\xff\xfe", NEW, {}, text(NEW)),
        (b"[1]", NEW, {"strategy": "merge"}, text(NEW)),
        (b'{"z": 1}', NEW, {"strategy": "merge"}, text({"z": 1, **NEW})),
        (b'{"z": 1}\r\n', '{"z": 1}', {"strategy": "merge"}, '{"z": 1}\r\n'),
        (b"x: 1 # mine\n", {"x": 1}, {"strategy": "merge", "file_format": "yaml"}, "x: 1 # mine\n"),
        (b"# mine\n", {"x": 1}, {"strategy": "merge", "file_format": "yaml"}, "x: 1\n"),
        (b"[a]\nx=1\n", {"a": {"y": "2"}}, {"strategy": "merge", "file_format": "ini"}, "[a]\nx = 1\ny = 2\n"),
        (b"[a]\nx=1\n", "[b]\ny=2", {"strategy": "merge", "file_format": "ini"}, "[a]\nx = 1\n\n[b]\ny = 2\n"),
        (b"x = 1\n", "y = 2", {"strategy": "merge", "file_format": "toml"}, "x = 1\ny = 2\n"),
        (b"old", "new", {"file_format": "raw"}, "new\n"),
        (b"new", "new", {"file_format": "raw"}, "new\n"),
        (b"old\n", "", {"file_format": "raw"}, "\n"),
        (b'{"n": 1}', '{"n": 99999999999999999999999999}', {}, '{"n": 99999999999999999999999999}\n'),
        (b'{"n": 99999999999999999999999999}', {"m": 1}, {"strategy": "merge"},
         text({"n": 99999999999999999999999999, "m": 1})),
    ],
)  # fmt: skip
def test_what_becomes_of_a_file(path, content, wanted_content, file, expected):
    path.write_bytes(content)
    engine = engine_at(path)
    change(engine, path, wanted_content, file=file)
    assert path.read_bytes() == expected.encode()
    assert verbs(change(engine, path, wanted_content, file=file)) == []


@pytest.mark.parametrize(
    ("content", "wanted_content", "file_format"),
    [
        (b'{"s3cret', NEW, "json"),
        (b'\xef\xbb\xbf{"s3cret": 1}', NEW, "json"),
        (b"\xff s3cret", NEW, "json"),
        (b'{"s3cret": NaN}', NEW, "json"),
        (b"[a]\nx = s3cret\n  two lines\n", {"b": {"y": "1"}}, "ini"),
        (b"x: &a [*a, s3cret]\n", {"b": 1}, "yaml"),
        (b"x: !!set {s3cret}\n", {"b": 1}, "yaml"),
        (b"9" * 5000, NEW, "json"),
    ],
)
@pytest.mark.parametrize("check_mode", [True, False])
def test_what_cannot_be_merged_is_told_before_anything_is_done(path, content, wanted_content, file_format, check_mode):
    path.write_bytes(content)
    engine = engine_at(path)
    file = {"strategy": "merge", "file_format": file_format}
    with pytest.raises(VolumesError, match=f"Cannot merge the config file '{path}'.*choose replace") as caught:
        change(engine, path, wanted_content, check_mode=check_mode, file=file)
    assert "s3cret" not in str(caught.value)
    assert (engine.calls, path.read_bytes()) == ([], content)


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([{"path": "etc/x"}], "path etc/x is not absolute"),
        ([{"path": "/etc/../x"}], "is not plain"),
        ([{"path": "/etc/a\0b"}], "path"),
        ([{"path": "/etc/x", "content": None}], "content missing"),
        ([{"path": "/etc/x", "format": None}], "format missing"),
        ([{"path": "/etc/x"}, {"path": "/etc/x"}], "listed twice"),
        ([{"path": "/etc/x"}, {"path": "/etc/x/y"}], "also that of a folder"),
        ([{"path": "/etc/x", "mode": "rw"}], "mode must be three octal digits"),
        ([{"path": "/etc/x", "mode": "0800"}], "mode must be three octal digits"),
        ([{"path": "/etc/x", "mode": "04755"}], "mode must be three octal digits"),
        ([{"path": "/etc/x", "directory_mode": "7"}], "directory_mode must be three octal digits"),
        ([{"path": "/etc/x", "format": "raw", "content": "x", "strategy": "merge"}], "choose the strategy replace"),
        ([{"path": "/etc/x", "initial": ["a"]}], "initial is for the strategy merge only"),
        ([{"path": "/etc/x", "content": '{"s3cret'}], "not valid JSON"),
        ([{"path": "/etc/x", "format": "raw"}], "format raw takes a string, not a mapping"),
        ([{"path": "/etc/x", "content": '{"s3cret'}, {"path": "y"}], r"(?s)not valid JSON.*path y is not absolute"),
    ],
)
def test_bad_input(entries, words):
    with pytest.raises(InvalidInputError, match=words) as caught:
        wanted(config_files=[{"format": "json", "content": NEW, **one} for one in entries])
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("option", ["owner", "group"])
def test_an_owner_that_the_host_does_not_know_is_told_before_anything_is_done(path, option):
    engine = engine_at(path)
    with pytest.raises(InvalidInputError, match=f"The {option} 'who' of a config file is invalid"):
        change(engine, path, file={option: "who"})
    assert (engine.calls, path.read_text()) == ([], text(OLD))


def test_a_new_file_belongs_to_who_runs_the_task(path, monkeypatch):
    path.unlink()
    monkeypatch.setattr(os, "geteuid", lambda: 1234)
    monkeypatch.setattr(os, "getegid", lambda: 2345)
    given = []
    monkeypatch.setattr(os, "fchown", lambda _descriptor, *owner: given.append(owner))
    change(engine_at(path), path)
    assert given == [(1234, 2345)]


@AS_ROOT
def test_the_owner_stays_where_none_is_given_and_changes_where_one_is(path):
    os.chown(path, 1234, 2345)
    engine = engine_at(path)
    change(engine, path)
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 2345)
    assert verbs(change(engine, path, file={"owner": "1235"})) == ["write"]
    assert (path.stat().st_uid, path.stat().st_gid) == (1235, 2345)
    assert verbs(change(engine, path, file={"owner": "root", "group": "root"})) == ["write"]
    assert (path.stat().st_uid, path.stat().st_gid) == (0, 0)
    assert beside(path) == [text(OLD)]


def test_the_plugin_is_stopped_and_noted_while_a_file_is_written(path, monkeypatch):
    engine, seen = engine_at(path), []
    write = _host_files.write

    def look(*arguments):
        seen.append((running(engine), NOTE in engine.volumes_by_name, beside(path)))
        write(*arguments)

    monkeypatch.setattr(_host_files, "write", look)
    change(engine, path)
    assert seen == [(False, True, [text(OLD)])]


@pytest.mark.parametrize("there", [True, False])
def test_two_paths_of_one_file_are_refused(path, there):
    if not there:
        path.unlink()
    link = path.parent / "link.json"
    link.symlink_to(path)
    engine = engine_at(path)
    with pytest.raises(InvalidInputError, match=f"'{path}' and '{link}' are the same file"):
        converge(engine, config_files=[entry(path), entry(link, OLD)])
    assert engine.calls == []


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["fifo", "folder"])
@pytest.mark.parametrize("state", ["enabled", "absent"])
def test_what_is_no_file_is_refused_before_anything_is_done(path, make, state):
    path.unlink()
    make(path)
    engine = FakeEngine(plugins=[plugin_inspect()])
    with pytest.raises(VolumesError, match=f"Cannot use the file '{path}'"):
        change(engine, path, state=state)
    assert engine.calls == []


# What fails


def second_fails(monkeypatch, path, method="write", number=errno.ENOSPC):
    """Let the first attempt to write to the path fail."""
    real, done = getattr(_host_files, method), []

    def fail(target, *arguments):
        if target == str(path) and not done:
            done.append(target)
            raise VolumesError(f"Cannot write the file '{target}'", os.strerror(number))
        real(target, *arguments)

    monkeypatch.setattr(_host_files, method, fail)


FAILURES = [
    "create_volume",
    "disable_plugin",
    "set_plugin",
    "enable_plugin",
    "import_empty_image",
    "put_file",
    "get_file",
]


@pytest.mark.parametrize("params", [{}, {"remote": NEXT}], ids=["settings", "upgrade"])
@pytest.mark.parametrize("failing", FAILURES)
@pytest.mark.parametrize("backup", [True, False])
def test_whatever_fails_everything_is_as_before(path, failing, params, backup):
    path.chmod(0o640)
    engine = engine_at(path)
    engine.fail[failing] = NO
    with pytest.raises(VolumesError, match=r"(?s)the engine says no.*The plugin is again as it was before"):
        change(engine, path, settings={"RCLONE_VERBOSE": "3"}, canary=True, file={"backup": backup}, **params)
    assert (path.read_text(), beside(path)) == (text(OLD), [])
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert running(engine)
    assert engine.knows == text(OLD)
    assert engine.plugin(NAME).reference == RCLONE["PluginReference"]
    assert settings_of(engine).items() >= KEPT.items()
    assert none_left(engine)


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("method", ["write", "keep"])
def test_where_the_second_file_cannot_be_written_the_first_goes_back(path, monkeypatch, enabled, method):
    engine, other = engine_at(path, enabled), path.parent / "other.json"
    other.write_text(text(OLD))
    second_fails(monkeypatch, other, method)
    with pytest.raises(VolumesError, match=r"No space left on device.*again as it was before"):
        converge(engine, config_files=[entry(path), entry(other)], state="present")
    assert (path.read_text(), other.read_text()) == (text(OLD), text(OLD))
    assert sorted(os.listdir(path.parent)) == ["other.json", "pure.json"]
    assert (running(engine), engine.knows) == (enabled, text(OLD))
    assert none_left(engine)


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("failing", ["set_plugin", "enable_plugin", "put_file"])
def test_a_failed_install_takes_its_file_back(path, there, failing):
    if not there:
        path.unlink()
    engine = Host(path)
    engine.fail[failing] = NO
    with pytest.raises(VolumesError, match=r"(?s)the engine says no.*The plugin was removed again"):
        change(engine, path, settings={"args": "-v"}, canary=True)
    assert engine.plugins_by_name == {}
    assert engine.on_disk() == (text(OLD) if there else None)
    assert beside(path) == []
    assert path.parent.is_dir()


def test_folders_that_a_failed_install_made_stay_and_hold_nothing(tmp_path):
    path = tmp_path / "a" / "b" / "pure.json"
    engine = Host(path)
    engine.fail["enable_plugin"] = NO
    with pytest.raises(VolumesError, match="The plugin was removed again"):
        change(engine, path)
    assert list(path.parent.iterdir()) == []


def test_a_path_below_a_file_takes_the_install_back(path):
    engine = Host(path)
    with pytest.raises(VolumesError, match=r"Cannot write the file.*The plugin was removed again"):
        change(engine, path / "below")
    assert engine.plugins_by_name == {}
    assert path.read_text() == text(OLD)


def test_a_file_that_becomes_a_folder_meanwhile_is_told_and_the_note_stays(path):
    engine = engine_at(path)
    disable = engine.disable_plugin

    def replaced(name, force=False):
        disable(name, force)
        path.unlink()
        path.mkdir()

    engine.disable_plugin = replaced
    with pytest.raises(VolumesError, match=r"Is a directory.*Bringing back.*a folder stands there"):
        change(engine, path)
    engine.disable_plugin = disable
    assert NOTE in engine.volumes_by_name
    path.rmdir()
    change(engine, path)
    assert (engine.knows, running(engine), none_left(engine)) == (text(NEW), True, True)


@pytest.mark.parametrize("check_mode", [True, False])
@pytest.mark.parametrize("on_change", ["restart", "fail"])
def test_nothing_is_written_under_a_plugin_that_must_not_be_stopped(path, check_mode, on_change):
    engine = engine_at(path)
    engine.containers = [container("web", "reports", NAME)]
    words = "Cannot change the config files of the plugin .*web .running" if on_change == "restart" else "'on_change'"
    with pytest.raises(RefusedError, match=words) as caught:
        change(engine, path, check_mode=check_mode, on_change=on_change)
    assert (engine.calls, path.read_text(), beside(path)) == ([], text(OLD), [])
    assert "s3cret" not in str(caught.value)
    if on_change == "fail":
        assert caught.value.details == {"deferred": [f"config file '{path}': {KEYS}"]}
    else:
        assert caught.value.details["users"][0]["container"] == "web"


def test_by_force_it_is_stopped_under_containers(path):
    engine = engine_at(path)
    engine.containers = [container("web", "reports", NAME)]
    outcome = change(engine, path, force=True)
    assert any("stopped under running containers" in one for one in outcome.plan.warnings)
    assert engine.knows == path.read_text() == text(NEW)


def test_what_changes_nothing_for_the_plugin_is_written_under_containers(path):
    engine = engine_at(path)
    engine.containers = [container("web", "reports", NAME)]
    assert verbs(change(engine, path, json.dumps(OLD))) == ["write"]
    assert (engine.calls, engine.starts) == ([], 0)


def test_what_fails_names_all_reasons(path):
    engine = engine_at(path)
    with pytest.raises(RefusedError, match=r"'on_change' is 'fail': settings: RCLONE_VERBOSE; config file .*: chan"):
        change(engine, path, on_change="fail", settings={"RCLONE_VERBOSE": "3"})
    assert (engine.calls, path.read_text()) == ([], text(OLD))


def test_backups_of_two_changes_in_one_second_are_two(path, monkeypatch):
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    engine = engine_at(path)
    for content in (NEW, {"array": "c"}, {"array": "d"}):
        change(engine, path, content)
    assert beside(path) == sorted([text(OLD), text(NEW), text({"array": "c"})])
    engine.fail["enable_plugin"] = NO
    with pytest.raises(VolumesError):
        change(engine, path, OLD)
    assert (path.read_text(), len(beside(path))) == (text({"array": "d"}), 3)


def old_backups(path, years):
    for year in years:
        (path.parent / f"{path.name}.{year}1124T161500Z~").write_text(str(year))


def test_a_change_keeps_five_backups_and_a_failed_one_all_that_were_there(path):
    engine = engine_at(path)
    old_backups(path, range(2001, 2007))
    before = beside(path)
    engine.fail["enable_plugin"] = NO
    with pytest.raises(VolumesError):
        change(engine, path)
    assert beside(path) == before
    change(engine, path)
    assert beside(path) == sorted(["2003", "2004", "2005", "2006", text(OLD)])


def test_the_way_back_does_not_depend_on_the_clock(path):
    """A backup that has an older name than others, as the clock went back, is there for the way back all the same."""
    engine = engine_at(path)
    old_backups(path, range(2091, 2097))
    engine.enable_plugin = lambda *_arguments: (one for one in ()).throw(KilledError)
    with pytest.raises(KilledError):
        change(engine, path)
    del engine.enable_plugin
    engine.fail["enable_plugin"] = NO
    with pytest.raises(VolumesError, match="again as it was before"):
        change(engine, path)
    assert engine.knows == path.read_text() == text(OLD)


# Killed


@contextlib.contextmanager
def killed_at(engine, monkeypatch, number):
    """Let the task be killed right before its step `number` that changes something, of the engine or of a file."""
    done = []

    def counted(call):
        def count(*arguments):
            if len(done) == number:
                raise KilledError
            done.append(arguments)
            return call(*arguments)

        return count

    with monkeypatch.context() as patch:
        patch.setattr(engine, "_changing", counted(engine._changing))
        for call in ("rename", "unlink"):
            patch.setattr(os, call, counted(getattr(os, call)))
        yield


KILLED = [
    {"settings": {"RCLONE_VERBOSE": "3"}},
    {"remote": NEXT},
    {"canary": True},
    {"file": {"mode": "0640"}},
]


def each_kill(path, monkeypatch, begin, **params):
    """Yield an engine for each step that a task can be killed before."""
    for number in range(60):
        for one in path.parent.iterdir():
            one.unlink()
        path.write_text(text(OLD))
        path.chmod(0o600)
        engine = begin()
        try:
            with killed_at(engine, monkeypatch, number):
                change(engine, path, **params)
        except KilledError:
            yield number, engine
        else:
            assert number > 4
            return
    raise AssertionError("it never ends")


@pytest.mark.parametrize("params", KILLED)
def test_killed_before_each_step_and_run_again(path, monkeypatch, params):
    for number, engine in each_kill(path, monkeypatch, lambda: engine_at(path), **params):
        change(engine, path, **params)
        assert engine.knows == path.read_text() == text(NEW), number
        assert running(engine)
        assert none_left(engine), number
        assert beside(path) == [text(OLD)], number
        assert verbs(change(engine, path, **params)) == []


@pytest.mark.parametrize("params", KILLED)
def test_killed_before_each_step_and_then_failing_goes_back_to_the_old_file(path, monkeypatch, params):
    for number, engine in each_kill(path, monkeypatch, lambda: engine_at(path), **params):
        engine.fail["get_file"] = NO
        with pytest.raises(VolumesError, match=r"(?s)the engine says no.*again as it was before"):
            change(engine, path, **{**params, "canary": True})
        assert engine.knows == path.read_text() == text(OLD), number
        assert running(engine)
        assert none_left(engine), number
        assert beside(path) == [], number
        if "settings" not in params:
            assert settings_of(engine).items() >= KEPT.items()
        assert engine.plugin(NAME).reference == RCLONE["PluginReference"]


def test_killed_before_each_step_of_an_install_and_run_again(path, monkeypatch):
    for number, engine in each_kill(path, monkeypatch, lambda: Host(path)):
        change(engine, path)
        assert engine.knows == path.read_text() == text(NEW), number
        assert running(engine)
        assert (engine.volumes_by_name, engine.images, engine.containers) == ({}, {}, [])
        assert set(beside(path)) <= {text(OLD), text(NEW)}
        assert text(OLD) in beside(path)


def test_a_killed_change_of_a_file_that_was_not_there(path, monkeypatch):
    for number in range(20):
        path.unlink(missing_ok=True)
        engine = engine_at(path)
        try:
            with killed_at(engine, monkeypatch, number):
                change(engine, path, canary=True)
        except KilledError:
            pass
        else:
            break
        engine.fail["get_file"] = NO
        with pytest.raises(VolumesError, match="again as it was before"):
            change(engine, path, canary=True)
        assert engine.knows is None
        assert list(path.parent.iterdir()) == [], number
        assert none_left(engine)
    assert number > 4


def test_the_next_task_may_want_something_else(path, monkeypatch):
    other = {"array": "c"}
    for number, engine in each_kill(path, monkeypatch, lambda: engine_at(path)):
        change(engine, path, other)
        assert engine.knows == path.read_text() == text(other), number
        assert none_left(engine)
        assert beside(path) == [text(OLD)], number


def kill_before(engine, method):
    real = getattr(engine, method)

    def killed(*_arguments, **_named):
        setattr(engine, method, real)
        raise KilledError

    setattr(engine, method, killed)


def test_containers_that_use_it_since_the_kill_do_not_lose_it_where_the_canary_fails(path):
    engine = engine_at(path)
    kill_before(engine, "import_empty_image")
    with pytest.raises(KilledError):
        change(engine, path, canary=True)
    assert running(engine)
    web = container("web", "reports", NAME)
    engine.containers = [web]
    engine.fail["get_file"] = NO
    starts = engine.starts
    with pytest.raises(VolumesError, match=r"the engine says no.*Bringing back.*failed, too.*web .running"):
        change(engine, path, canary=True)
    assert (running(engine), engine.starts) == (True, starts)
    assert engine.knows == path.read_text() == text(NEW)
    assert NOTE in engine.volumes_by_name
    engine.containers = []
    change(engine, path, canary=True)
    assert none_left(engine)


@pytest.mark.parametrize(
    "backup", ["{elsewhere}", "{path}~", "{path}.x.20261124T161500Z~", "{folder}/other.20261124T161500Z~"]
)
def test_a_note_that_names_another_file_as_the_backup_is_not_gone_by(path, backup, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "passwd"
    elsewhere.write_text("root")
    victim = path.parent / "other.20261124T161500Z~"
    victim.write_text("victim")
    engine = engine_at(path)
    note = {
        "plugin_id": "5f1c",
        "name": NAME,
        "enabled": True,
        "reference": RCLONE["PluginReference"],
        "digest": DIGEST,
        "mounts": {},
        "backups": {str(path): backup.format(path=path, folder=path.parent, elsewhere=elsewhere)},
    }
    labels = {CHANGE: json.dumps(note)}
    engine.volumes_by_name[NOTE] = {"Name": NOTE, "Driver": "local", "Options": {}, "Labels": labels}
    engine.fail["enable_plugin"] = NO
    with pytest.raises(VolumesError, match="again as it was before"):
        change(engine, path)
    assert engine.knows == path.read_text() == text(OLD)
    assert beside(path) == ["victim"]
    assert elsewhere.read_text() == "root"


# Deferred


def behind(engine):
    return [name for name in engine.volumes_by_name if name.startswith("voltainer-plugin-behind.5f1c.")]


def test_a_deferred_change_is_written_noted_and_told_until_the_plugin_was_restarted(path):
    engine = engine_at(path)
    engine.containers = [container("web", "reports", NAME)]
    check = change(engine, path, check_mode=True, on_change="defer")
    assert (verbs(check), path.read_text(), engine.calls) == (["behind", "write"], text(OLD), [])
    real = change(engine, path, on_change="defer")
    assert verbs(real) == verbs(check)
    assert real.values["deferred"] == check.values["deferred"] == [f"config file '{path}': {KEYS}"]
    assert real.values["restart"] is False
    assert (path.read_text(), engine.knows, engine.starts) == (text(NEW), text(OLD), 0)
    assert len(behind(engine)) == 1
    assert engine.volumes_by_name[behind(engine)[0]]["Labels"]["voltainer.volumes.protected"] == "true"
    for outcome in (check, real):
        assert any(f"It does not know yet: config file '{path}': {KEYS}" in one for one in outcome.plan.warnings)
        assert "s3cret" not in repr(outcome)
    again = change(engine, path, on_change="defer")
    assert verbs(again) == []
    assert again.values["deferred"] == [
        f"config file '{path}': it was changed before, and the plugin has yet to read it"
    ]
    assert any("It does not know yet" in one for one in again.plan.warnings)
    with pytest.raises(RefusedError, match="it was changed before, and the plugin has yet to read it"):
        change(engine, path, on_change="fail")
    with pytest.raises(RefusedError, match="Cannot change the config files of the plugin"):
        change(engine, path)
    engine.containers = []
    assert verbs(change(engine, path)) == ["note", "disable", "enable", "know", "unnote"]
    assert engine.knows == text(NEW)
    assert none_left(engine)
    assert verbs(change(engine, path)) == []
    assert change(engine, path, on_change="defer").plan.warnings == ()


def test_a_task_without_the_file_restarts_for_it_too(path):
    engine = engine_at(path)
    change(engine, path, on_change="defer")
    assert verbs(converge(engine)) == ["note", "disable", "enable", "know", "unnote"]
    assert engine.knows == text(NEW)
    assert none_left(engine)


@pytest.mark.parametrize("how", ["the engine", "by hand", "disabled by hand"])
def test_a_restart_by_somebody_else_counts(path, how):
    engine = engine_at(path)
    change(engine, path, on_change="defer")
    if how == "the engine":
        engine.restart()
    else:
        engine.disable_plugin(NAME, True)
        if how == "by hand":
            engine.enable_plugin(NAME, 0)
    for on_change in ("defer", "fail", "restart"):
        outcome = change(engine, path, check_mode=True, on_change=on_change, state="present")
        assert verbs(outcome) == ["unnote"]
        assert outcome.plan.warnings == ()
    change(engine, path, on_change="fail", state="present")
    assert none_left(engine)


def test_where_nobody_can_tell_when_it_was_started_it_is_restarted(path):
    engine = engine_at(path)
    engine.is_here = False
    change(engine, path, on_change="defer")
    engine.restart()
    assert verbs(change(engine, path, check_mode=True)) == ["note", "disable", "enable", "know", "unnote"]


def test_several_deferred_changes_and_then_a_restart(path):
    engine, other = engine_at(path), path.parent / "other.json"
    other.write_text(text(OLD))
    other.chmod(0o600)
    change(engine, path, on_change="defer")
    third = {"array": "c"}
    outcome = change(engine, path, third, on_change="defer")
    assert verbs(outcome) == ["behind", "write"]
    both = [entry(path, third), entry(other, NEW)]
    outcome = converge(engine, config_files=both, on_change="defer")
    assert outcome.values["deferred"][0] == f"config file '{other}': {KEYS}"
    assert len(behind(engine)) == 3
    # What the plugin runs with is what is kept, however often a file changed meanwhile.
    assert sorted(beside(path)) == sorted([text(OLD), text(OLD), text(NEW)])
    assert verbs(converge(engine, config_files=both)) == ["note", "disable", "enable", "know", "unnote"]
    assert engine.knows == text(third)
    assert none_left(engine)


def test_where_it_does_not_come_up_with_deferred_files_those_that_it_ran_with_come_back(path):
    engine = engine_at(path)
    change(engine, path, on_change="defer")
    change(engine, path, {"array": "c"}, on_change="defer")
    engine.fail["enable_plugin"] = NO
    with pytest.raises(VolumesError, match="again as it was before"):
        change(engine, path, {"array": "d"})
    assert engine.knows == path.read_text() == text(OLD)
    assert (running(engine), none_left(engine), beside(path)) == (True, True, [])


@pytest.mark.parametrize("on_change", ["defer", "fail", "restart"])
@pytest.mark.parametrize("times", [1, 2])
def test_what_was_deferred_and_is_taken_back_stops_nothing(path, on_change, times):
    engine = engine_at(path)
    engine.containers = [container("web", "reports", NAME)]
    for one in range(times):
        change(engine, path, {"array": f"d{one}"}, on_change="defer")
    outcome = change(engine, path, OLD, on_change=on_change)
    assert (verbs(outcome), outcome.values["deferred"], outcome.plan.warnings) == (["write", "unnote"], [], ())
    assert (engine.knows, path.read_text(), engine.starts) == (text(OLD), text(OLD), 0)
    assert behind(engine) == []
    assert verbs(change(engine, path, OLD, on_change=on_change)) == []


def test_what_was_deferred_and_taken_back_by_a_task_that_was_killed_is_settled_by_the_next(path):
    engine = engine_at(path)
    change(engine, path, on_change="defer")
    path.write_text(text(OLD))
    assert verbs(change(engine, path, OLD)) == ["unnote"]
    assert (engine.starts, none_left(engine)) == (0, True)


def test_where_what_the_plugin_runs_with_was_not_kept_it_is_restarted(path):
    engine = engine_at(path)
    change(engine, path, on_change="defer")
    for kept in path.parent.glob(f"{path.name}.*~"):
        kept.unlink()
    assert verbs(change(engine, path)) == ["note", "disable", "enable", "know", "unnote"]
    assert (engine.knows, none_left(engine)) == (text(NEW), True)


def test_a_deferred_file_that_is_not_taken_back_stays_noted_where_the_plugin_cannot_be_stopped(path):
    engine = engine_at(path)
    change(engine, path, on_change="defer")
    engine.fail["disable_plugin"] = NO
    with pytest.raises(VolumesError):
        change(engine, path, OLD, settings={"RCLONE_VERBOSE": "3"})
    assert (path.read_text(), engine.knows, len(behind(engine))) == (text(NEW), text(OLD), 1)


def test_a_deferred_change_leaves_settings_alone_and_tells(path):
    engine = engine_at(path)
    outcome = change(engine, path, on_change="defer", settings={"RCLONE_VERBOSE": "3"})
    assert verbs(outcome) == ["behind", "write"]
    assert outcome.values["deferred"] == ["settings: RCLONE_VERBOSE", f"config file '{path}': {KEYS}"]
    assert settings_of(engine).items() >= KEPT.items()
    outcome = converge(engine, on_change="defer", settings={"RCLONE_VERBOSE": "3"})
    assert verbs(outcome) == []
    assert outcome.values["deferred"][0] == "settings: RCLONE_VERBOSE"
    outcome = change(engine, path, settings={"RCLONE_VERBOSE": "3"})
    assert verbs(outcome) == ["note", "disable", "set", "enable", "know", "unnote"]
    assert settings_of(engine)["RCLONE_VERBOSE"] == "3"
    assert none_left(engine)


@pytest.mark.parametrize("method", ["write", "keep"])
def test_a_deferred_change_that_fails_leaves_what_was_there(path, monkeypatch, method):
    engine, other = engine_at(path), path.parent / "other.json"
    other.write_text(text(OLD))
    change(engine, path, on_change="defer")
    noted, kept = behind(engine), beside(path)
    second_fails(monkeypatch, other, method)
    with pytest.raises(VolumesError, match=r"No space left.*again as it was before"):
        converge(engine, config_files=[entry(path, {"array": "c"}), entry(other)], on_change="defer")
    assert (path.read_text(), other.read_text()) == (text(NEW), text(OLD))
    assert (behind(engine), beside(path)) == (noted, kept)
    assert (engine.starts, engine.knows) == (0, text(OLD))


@pytest.mark.parametrize("killed", [False, True])
def test_a_restart_that_does_not_get_to_stop_the_plugin_leaves_the_deferred_files(path, killed):
    engine = engine_at(path)
    change(engine, path, on_change="defer")
    noted, kept = behind(engine), beside(path)
    if killed:
        kill_before(engine, "disable_plugin")
        with pytest.raises(KilledError):
            change(engine, path)
        assert NOTE in engine.volumes_by_name
    engine.fail["disable_plugin"] = EngineError("Cannot disable", "plugin is in use", status=409)
    looks = iter([[], [container("late", "reports", NAME)], [container("late", "reports", NAME)]])
    real = engine.users_of_driver

    def users(driver):
        engine.containers = next(looks)
        return real(driver)

    engine.users_of_driver = users
    with pytest.raises(VolumesError, match=r"late .running, read-write at /data.*again as it was before"):
        change(engine, path)
    assert (engine.starts, engine.knows, path.read_text()) == (0, text(OLD), text(NEW))
    assert running(engine)
    assert (behind(engine), beside(path)) == (noted, kept)
    engine.containers, engine.users_of_driver = [], real
    change(engine, path)
    assert (engine.knows, none_left(engine)) == (text(NEW), True)


def test_a_note_of_a_killed_restart_is_removed_by_a_task_that_defers_and_what_is_deferred_stays_noted(path):
    engine = engine_at(path)
    change(engine, path, on_change="defer")
    kill_before(engine, "disable_plugin")
    with pytest.raises(KilledError):
        change(engine, path)
    outcome = change(engine, path, on_change="defer")
    assert verbs(outcome) == ["know", "unnote"]
    assert NOTE not in engine.volumes_by_name
    assert len(behind(engine)) == 1
    assert outcome.values["deferred"]
    change(engine, path)
    assert (engine.knows, none_left(engine)) == (text(NEW), True)


def test_a_deferred_change_killed_before_each_step(path, monkeypatch):
    for number in range(20):
        for one in path.parent.iterdir():
            one.unlink()
        path.write_text(text(OLD))
        engine = engine_at(path)
        try:
            with killed_at(engine, monkeypatch, number):
                change(engine, path, on_change="defer")
        except KilledError:
            pass
        else:
            break
        if number % 2:
            change(engine, path, on_change="defer")
            assert (engine.knows, path.read_text()) == (text(OLD), text(NEW))
        engine.fail["enable_plugin"] = NO
        with pytest.raises(VolumesError, match="again as it was before"):
            change(engine, path)
        assert engine.knows == path.read_text() == text(OLD), number
        assert (beside(path), none_left(engine)) == ([], True)
        change(engine, path)
        assert engine.knows == path.read_text() == text(NEW)
        assert none_left(engine)
    assert number > 2


@pytest.mark.parametrize(
    "label",
    [
        "{",
        "null",
        "[]",
        '{"plugin_id": "5f1c", "name": "x", "since": Infinity, "backups": {}}',
        '{"plugin_id": "5f1c", "name": "x", "since": NaN, "backups": {}}',
        '{"plugin_id": "5f1c", "name": "x", "since": 1e999, "backups": {}}',
        '{"plugin_id": "5f1c", "name": "x", "since": 1, "backups": null}',
        '{"plugin_id": "5f1c", "name": "x", "since": 2, "backups": {"/x": "/y"}}',
        '{"plugin_id": "other", "name": "x", "since": 1, "backups": {"/x": "/y"}}',
        '{"plugin_id": "5f1c", "name": "x", "since": ' + "9" * 5000 + ', "backups": {}}',
    ],
)
def test_a_forged_or_damaged_note_of_deferred_files_says_nothing(path, label):
    engine = engine_at(path)
    name = "voltainer-plugin-behind.5f1c.1"
    engine.volumes_by_name[name] = {"Name": name, "Driver": "local", "Options": {}, "Labels": {CHANGE: label}}
    assert verbs(change(engine, path, OLD)) == []


# Removal


def test_a_removal_takes_the_plugin_first_and_then_its_files(path, monkeypatch):
    engine = engine_at(path)
    del engine.volumes_by_name["reports"]
    change(engine, path)
    other = path.parent / "gone.json"
    files = [{"path": str(path)}, {"path": str(other)}]
    check = converge(engine, True, state="absent", config_files=files)
    assert verbs(check) == ["disable", "remove", "forget"]
    assert path.exists()
    remove, seen = _host_files.remove, []
    monkeypatch.setattr(_host_files, "remove", lambda one: (seen.append(list(engine.plugins_by_name)), remove(one)))
    real = converge(engine, state="absent", config_files=files)
    assert (verbs(real), seen) == (verbs(check), [[]])
    assert list(path.parent.iterdir()) == []
    assert real.plan.after == {"exists": False, "config_files": {str(path): {"exists": False}}}
    assert [one["changed"] for one in real.values["config_files"]] == [True, False]
    assert "s3cret" not in repr((check, real))
    assert verbs(converge(engine, state="absent", config_files=files)) == []


@pytest.mark.parametrize("left", ["pure.json.20261124T161500Z~", ".pure.json.voltainer~"])
def test_a_removal_takes_what_is_left_of_a_file_that_is_gone(path, left):
    path.rename(path.parent / left)
    files = [{"path": str(path)}]
    assert verbs(converge(FakeEngine(), True, state="absent", config_files=files)) == ["forget"]
    assert os.listdir(path.parent) == [left]
    outcome = converge(FakeEngine(), state="absent", config_files=files)
    assert outcome.values["config_files"][0]["changed"] is True
    assert os.listdir(path.parent) == []
    assert verbs(converge(FakeEngine(), state="absent", config_files=files)) == []


def test_the_files_of_a_plugin_that_is_not_removed_stay(path):
    engine = engine_at(path)
    with pytest.raises(RefusedError, match="it still has 1 volume"):
        change(engine, path, state="absent")
    assert path.read_text() == text(OLD)
    del engine.volumes_by_name["reports"]
    engine.fail["remove_plugin"] = NO
    with pytest.raises(VolumesError, match="again as it was before"):
        change(engine, path, state="absent")
    assert path.read_text() == text(OLD)
    assert (running(engine), engine.knows) == (True, text(OLD))


def test_a_removal_killed_before_each_step_and_run_again(path, monkeypatch):
    for number in range(20):
        for one in path.parent.iterdir():
            one.unlink()
        path.write_text(text(OLD))
        engine = engine_at(path)
        del engine.volumes_by_name["reports"]
        change(engine, path, on_change="defer")
        try:
            with killed_at(engine, monkeypatch, number):
                change(engine, path, state="absent")
        except KilledError:
            pass
        else:
            break
        change(engine, path, state="absent")
        assert (engine.plugins_by_name, engine.volumes_by_name) == ({}, {}), number
        assert list(path.parent.iterdir()) == [], number
        assert verbs(change(engine, path, state="absent")) == []
    assert number > 4


# Secrets


@pytest.mark.parametrize(
    ("content", "file_format", "found"),
    [
        ({"APIToken": "hunter2", "host": "10.0.0.1"}, "json", {"hunter2"}),
        ({"F": [{"token": {"deep": ["hunter2", "hunter3"]}}]}, "json", {"hunter2", "hunter3"}),
        ({"password": 12345678}, "json", {"12345678"}),
        ({"token": "abc"}, "json", set()),
        ({"verify_token": True, "token": False, "password": None}, "json", set()),
        ("verify_token = true\ntoken = 'None'", "toml", set()),
        ("[a]\npass = hunter2\npath = /etc", "ini", {"hunter2"}),
        ("token: hunter2\nx: &a [*a]", "yaml", {"hunter2", "token: hunter2", "x: &a [*a]", "&a [*a]"}),
        ("TOKEN=hunter2\n", "raw", {"hunter2", "TOKEN=hunter2"}),
        ("x=true\n", "raw", {"x=true"}),
        (None, "json", set()),
        ("", "raw", set()),
    ],
)
def test_secrets_in_contents(content, file_format, found):
    assert secrets_of([{**entry("/x", "", file_format), "content": content}]) == found


def test_a_plugin_s_last_words_hide_what_is_secret_in_old_and_new_files(path):
    engine = engine_at(path)
    engine.log = ("bad token s3cret-old", "bad token s3cret-new", "no route to a")
    engine.fail["enable_plugin"] = EngineError(
        "Cannot do it", "the engine says no", status=500
    )  # the words of the plugin are added to it
    with pytest.raises(VolumesError) as caught:
        change(engine, path)
    assert caught.value.details["plugin_log"] == ["no route to a"]
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("failing", ["enable_plugin", "put_file"])
def test_a_secret_that_only_the_file_holds_is_hidden_in_what_the_driver_says(path, failing):
    engine = engine_at(path)
    engine.fail[failing] = EngineError("Cannot do it", "login with s3cret-old failed", status=500)
    with pytest.raises(VolumesError, match=r"login with \*{8} failed") as caught:
        change(engine, path, {"array": "b"}, file={"strategy": "merge"}, canary=True)
    assert "s3cret" not in str(caught.value)
    assert names(engine)[-1] == "remove_volume"


@pytest.mark.parametrize("failing", ["enable_plugin", "put_file"])
def test_a_line_of_a_secret_of_several_lines_is_hidden_in_what_the_driver_says(path, failing):
    engine = engine_at(path)
    engine.fail[failing] = EngineError("Cannot do it", "cannot use MIIEseclineb as a key", status=500)
    with pytest.raises(VolumesError, match=r"cannot use \*{8} as a key"):
        change(engine, path, {"private_key": "MIIEseclinea\nMIIEseclineb\n"}, canary=True)


def test_a_refusal_that_ends_with_a_place_is_a_sentence(path):
    engine = engine_at(path)
    path.write_text(text({"arrays": [{"token": "a"}]}))
    with pytest.raises(RefusedError, match=r"token of arrays\[0\]\. Set 'on_change'"):
        change(engine, path, {"arrays": [{"token": "b"}]}, on_change="fail")


# What comes together


@pytest.mark.parametrize("fails_again", [True, False])
@pytest.mark.parametrize(
    "params", [{"settings": {"RCLONE_VERBOSE": "3"}}, {"remote": NEXT}], ids=["settings", "upgrade"]
)
def test_killed_before_each_step_of_the_way_back(path, monkeypatch, params, fails_again):
    for number in range(60):
        for one in path.parent.iterdir():
            one.unlink()
        path.write_text(text(OLD))
        path.chmod(0o600)
        engine = engine_at(path)
        engine.fail["put_file"] = NO
        try:
            with killed_at(engine, monkeypatch, number):
                change(engine, path, canary=True, **params)
        except KilledError:
            pass
        except VolumesError:
            break
        engine.fail = {"get_file": NO} if fails_again else {}
        if fails_again:
            with pytest.raises(VolumesError, match=r"(?s)the engine says no.*again as it was before"):
                change(engine, path, canary=True, **params)
        else:
            change(engine, path, canary=True, **params)
        expected = text(OLD) if fails_again else text(NEW)
        assert engine.knows == path.read_text() == expected, number
        assert (running(engine), none_left(engine)) == (True, True), number
        if not fails_again:
            assert verbs(change(engine, path, canary=True, **params)) == []
    assert number > 15


def test_what_another_plugin_of_the_name_had_to_read_is_forgotten(path):
    engine = engine_at(path)
    change(engine, path, on_change="defer")
    engine.plugins_by_name[NAME]["Id"] = "another"
    check = change(engine, path, check_mode=True, on_change="fail")
    assert (verbs(check), check.plan.warnings) == (["unnote"], ())
    change(engine, path)
    assert (engine.starts, none_left(engine)) == (0, True)


@pytest.mark.parametrize("state", ["enabled", "present", "absent"])
def test_what_a_plugin_that_is_gone_had_to_read_is_forgotten(path, state):
    engine = engine_at(path)
    change(engine, path, on_change="defer")
    del engine.plugins_by_name[NAME]
    outcome = change(engine, path, state=state)
    assert verbs(outcome)[-2:] == (["unnote", "forget"] if state == "absent" else [verbs(outcome)[-2], "unnote"])
    assert behind(engine) == []


@pytest.mark.parametrize("fails", [True, False])
def test_disabling_a_plugin_with_deferred_files(path, monkeypatch, fails):
    engine, other = engine_at(path), path.parent / "other.json"
    change(engine, path, on_change="defer")
    both = [entry(path), entry(other)]
    if fails:
        second_fails(monkeypatch, other)
        with pytest.raises(VolumesError, match=r"No space left.*again as it was before"):
            converge(engine, config_files=both, state="disabled")
        assert engine.knows == path.read_text() == text(OLD)
        assert running(engine)
        assert not other.exists()
    converge(engine, config_files=both, state="disabled")
    assert (running(engine), none_left(engine)) == (False, True)
    assert path.read_text() == other.read_text() == text(NEW)


def test_an_upgrade_takes_up_what_was_deferred(path):
    engine = engine_at(path)
    change(engine, path, on_change="defer")
    engine.fail["enable_plugin"] = NO
    with pytest.raises(VolumesError, match="again as it was before"):
        change(engine, path, remote=NEXT)
    assert engine.knows == path.read_text() == text(OLD)
    assert (engine.plugin(NAME).reference, none_left(engine)) == (RCLONE["PluginReference"], True)
    change(engine, path, on_change="defer")
    assert change(engine, path, remote=NEXT, on_change="defer").values["deferred"] == []
    assert engine.knows == path.read_text() == text(NEW)
    assert none_left(engine)


def test_a_driver_that_does_not_list_its_volumes_in_time_gets_its_old_file_back(path):
    engine = engine_at(path)
    engine.listing[NAME] = "no route with s3cret-new"
    with pytest.raises(VolumesError, match=r"did not list its volumes within 1 s.*again as it was before") as caught:
        change(engine, path, wait_ready=1)
    assert "s3cret" not in str(caught.value)
    assert engine.knows == path.read_text() == text(OLD)
    del engine.listing[NAME]
    change(engine, path, wait_ready=1)
    assert engine.knows == text(NEW)


def test_the_plugin_reads_a_file_through_a_link_and_so_it_comes_back(path):
    link = path.parent.parent / "link.json"
    link.symlink_to(path)
    engine = engine_at(path)
    engine.fail["enable_plugin"] = NO
    with pytest.raises(VolumesError, match="again as it was before"):
        change(engine, link)
    assert engine.knows == path.read_text() == text(OLD)
    outcome = change(engine, link)
    assert engine.knows == text(NEW)
    assert link.is_symlink()
    assert outcome.values["config_files"][0]["backup_file"].startswith(f"{path}.")


def test_a_failure_after_a_restart_by_somebody_else_goes_back_to_what_was_read_then(path):
    engine = engine_at(path)
    change(engine, path, on_change="defer")
    engine.restart()
    engine.fail["enable_plugin"] = NO
    with pytest.raises(VolumesError, match="again as it was before"):
        change(engine, path, {"array": "c"})
    assert engine.knows == path.read_text() == text(NEW)
    assert beside(path) == [text(OLD)]


def test_a_restart_between_the_note_and_the_file_does_not_count(path, monkeypatch):
    engine = engine_at(path)
    write = _host_files.write

    def late(*arguments):
        engine.restart()
        # Files have their time from a clock that is behind by some milliseconds.
        time.sleep(0.03)
        write(*arguments)

    monkeypatch.setattr(_host_files, "write", late)
    change(engine, path, on_change="defer")
    assert engine.knows == text(OLD)
    assert change(engine, path, check_mode=True, on_change="defer").values["deferred"] != []
    change(engine, path)
    assert engine.knows == text(NEW)


@pytest.mark.parametrize("file_format", ["yaml", "toml"])
def test_a_text_that_the_host_cannot_check_is_written_as_it_is(tmp_path, monkeypatch, file_format):
    for library in ("HAS_YAML", "HAS_TOMLLIB", "HAS_TOMLKIT"):
        monkeypatch.setattr(_config_file, library, False)
    given = {"path": str(tmp_path / "file"), "format": file_format, "content": "size = 25"}
    (wanted,) = parse_config_files([given])
    found = observe(wanted, 0, {})
    assert (found.after.content, found.keys, found.matters) == (b"size = 25\n", "new", True)
    (tmp_path / "file").write_text("size = 24\n")
    assert observe(wanted, 0, {}).keys.startswith("content")
    with pytest.raises(InvalidInputError, match="needs the Python library"):
        parse_config_files([{**given, "strategy": "merge"}])
    with pytest.raises(InvalidInputError, match="needs the Python library"):
        parse_config_files([{**given, "content": {"size": 25}}])


def test_a_token_that_the_plugin_renews_until_it_is_stopped_is_not_lost(path):
    engine = engine_at(path)
    disable = engine.disable_plugin

    def renewed(name, force=False):
        path.write_text(text({**OLD, "token": "renewed"}))
        disable(name, force)

    engine.disable_plugin = renewed
    change(engine, path, {"MgmtEndPoint": "192.0.2.7"}, file={"strategy": "merge"})
    assert json.loads(path.read_text()) == {**OLD, "token": "renewed", "MgmtEndPoint": "192.0.2.7"}
