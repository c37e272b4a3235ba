# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole backups of a folder in the place of a volume, which is reached as one of an engine elsewhere."""

from __future__ import annotations

import errno
import os
import subprocess
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils import _backup_run
from ansible_collections.voltainer.volumes.plugins.module_utils._backup_run import back_up
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import VolumesError
from ansible_collections.voltainer.volumes.plugins.module_utils._program import ProgramError
from ansible_collections.voltainer.volumes.plugins.module_utils._quiesce_run import Resumed
from ansible_collections.voltainer.volumes.plugins.module_utils._usage import Use, Users
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import Volume

from .backups import ENGINE, wanted
from .volumes import inspect

TIMES = [f"2026-01-0{day}T00:00:00Z" for day in range(1, 9)]


class FarVolume:
    """A folder, of which nothing but a tar file can be had."""

    def __init__(self, place):
        self.place = place

    @contextmanager
    def packed(self, _volume):
        with subprocess.Popen(["tar", "-C", self.place, "-cf", "-", "."], stdout=subprocess.PIPE) as tar:
            yield tar.stdout


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a function that backs the volume up, each time a day later, and returns what the module does."""
    volume, archives = tmp_path / "volume", tmp_path / "archives"
    volume.mkdir()
    archives.mkdir()
    (volume / "file").write_text("first")
    times = iter(TIMES)

    @contextmanager
    def reach(_engine, _volumes, **_options):
        yield FarVolume(volume)

    monkeypatch.setattr(_backup_run, "reach", reach)
    monkeypatch.setattr(_backup_run, "resume_interrupted", lambda *_args, **_options: Resumed())

    def it(*, check_mode=False, users=Users(), **params):  # noqa: B008 - it cannot be changed
        engine = SimpleNamespace(
            volume=lambda _name: Volume.from_inspect(inspect()),
            users=lambda _name: users,
            info=lambda: {"ID": ENGINE.id, "Name": ENGINE.name, "ServerVersion": "1", "SystemTime": next(times)},
            transport=SimpleNamespace(api_version="1.45"),
        )
        params = {"compression": "none", "path": str(archives), **params}
        return back_up(engine, wanted(**params), check_mode)

    it.volume, it.archives = volume, archives
    return it


def test_a_broken_archive_makes_way_for_a_new_one_before_any_other_goes(run):
    unless = {"unless_changed": True, "keep": {"last": 1}}
    first = run().values["archive"]
    (run.volume / "file").write_text("second")
    second = run().values["archive"]
    with open(second, "r+b") as archive:
        archive.seek(600)
        archive.write(b"x")
    predicted = run(**unless, check_mode=True)
    assert os.path.exists(first)
    made = run(**unless)
    assert predicted.plan.verbs == made.plan.verbs == ("pack", "verify", "publish", "prune-old")
    assert "its sha256 is" in made.plan.warnings[0]
    assert predicted.plan.warnings == made.plan.warnings
    assert made.values["removed"] == [os.path.basename(first)]
    # The size of the broken one is right: it only is one of those that go now.
    again = run(**unless)
    assert again.values["removed"] == [os.path.basename(second)]
    assert again.values["archive"] == made.values["archive"]


def test_what_is_told_of_backups_and_of_one_that_nobody_needs(run):
    first = run().values
    second = run(unless_changed=True).values
    assert second["archive"] == first["archive"]
    for key in ("sha256", "bytes", "files", "content_bytes", "content_digest", "manifest", "kept"):
        assert second[key] == first[key], key
    assert first["kept"] == [os.path.basename(first["archive"])]
    assert (first["files"], first["content_bytes"]) == (1, 5)
    assert first["bytes"] == os.path.getsize(first["archive"])
    assert first["volume"]["Name"] == "pgdata"
    (run.volume / "file").write_text("second")
    keep = {"keep": {"last": 1}, "unless_changed": True}
    predicted = run(**keep, check_mode=True).values
    assert predicted["kept"] == [os.path.basename(predicted["archive"])]
    assert (predicted["sha256"], predicted["bytes"], predicted["files"]) == (None, None, None)
    third = run(**keep).values
    assert third["kept"] == [os.path.basename(third["archive"])]
    assert third["removed"] == first["kept"]


def test_what_is_removed_of_killed_runs_is_told(run):
    name = "pgdata-20251231T000000Z.tar"
    for file in (f".{name}.partial", f"{name}.json", "pgdata-20251230T000000Z.tar.json"):
        (run.archives / file).write_text("x")
    predicted, done = run(check_mode=True), run()
    words = f"Remove what a run that was killed left in '{run.archives}': {name}.json, .{name}.partial"
    assert predicted.plan.steps[0].words == done.plan.steps[0].words == words
    assert min(path.name for path in run.archives.iterdir()) == "pgdata-20251230T000000Z.tar.json"
    assert run(unless_changed=True).plan.steps == ()


def test_what_nobody_can_tell_of_stays_with_a_warning(run):
    (run.archives / ".pgdata-20251231T000000Z.tar.partial").mkdir()
    (warning,) = run().plan.warnings
    assert "so they stay: .pgdata-20251231T000000Z.tar.partial (Is a directory). Remove them where no" in warning


def test_what_nobody_can_see_from_elsewhere_is_not_told_as_none(run):
    writer = Use("db", "1a2b", "running", "pgdata", "local", "/data", read_only=False)
    done = run(users=Users((writer,)))
    for told in (done.values, done.values["manifest"], run(unless_changed=True).values):
        assert (told["changed_while_reading"], told["sockets_skipped"]) == (None, None)
    (warning,) = done.plan.warnings
    assert "may write to it" in warning
    assert "from here nobody can see which files change. The option 'quiesce'" in warning


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("call", ["pack", "fsync"])
def test_a_full_folder_is_named_with_a_way_out(run, monkeypatch, number, call):
    def fail(*_args):
        if call == "fsync":
            raise OSError(number, os.strerror(number))
        raise ProgramError("Cannot write the archive", f"zstd failed: {os.strerror(number)}", code=1)

    with monkeypatch.context() as patched:
        patched.setattr(_backup_run if call == "pack" else os, call, fail)
        with pytest.raises(
            VolumesError, match=f"pgdata-20260101T000000Z.tar' to the folder '{run.archives}': "
        ) as caught:
            run()
    assert os.strerror(number) in caught.value.why
    assert caught.value.way_out.startswith("Make space there, or give a folder with more")
    assert os.listdir(run.archives) == []
