# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An archive is proved before anything is changed: what of it is the volume's, and how much that is."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from contextlib import ExitStack

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils import (
    _fill_run,
    _folders,
    _quiesce_back,
    _quiesce_run,
    _restore_run,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._archive_kind import ArchiveKind
from ansible_collections.voltainer.volumes.plugins.module_utils._archive_run import read_back
from ansible_collections.voltainer.volumes.plugins.module_utils._backup_names import ArchiveName
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import RefusedError
from ansible_collections.voltainer.volumes.plugins.module_utils._progress import Progress

from .backups import NEW_YEAR, manifest, wanted_back
from .fake_rest import RestEngine, container
from .volumes import folder_helper


@pytest.fixture
def proved(tmp_path):
    """Return a function that writes an archive with these files, of two bytes each, and proves it."""

    def it(*paths, **params):
        path = tmp_path / params.pop("file", "archive.tar")
        with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
            for name in paths:
                member = tarfile.TarInfo(name)
                member.size = 2
                archive.addfile(member, io.BytesIO(b"hi"))
        with ExitStack() as stack:
            wanted = wanted_back(path=str(path), **params)
            # The engine is not asked for a single archive.
            return _restore_run._archive_content(None, wanted, Progress(None), stack)

    return it


@pytest.fixture
def with_manifest(proved, tmp_path):
    """Return a function that proves an archive that has a manifest, about which `changes` may lie."""

    def it(*paths, changes, **params):
        name = ArchiveName("pgdata", NEW_YEAR, "none")
        read = proved(*paths, file="other.tar")
        size = (tmp_path / "other.tar").stat().st_size
        sha256 = hashlib.sha256((tmp_path / "other.tar").read_bytes()).hexdigest()
        assert read.digest is None
        with open(tmp_path / "other.tar", "rb") as archive:
            checked = read_back(archive.fileno(), ArchiveKind("none"), Progress(None))
        digests = {"sha256": sha256, "content_digest": checked.digest.hexdigest(), **changes}
        (tmp_path / name.manifest).write_text(manifest(name, bytes=size, **digests).to_json())
        return proved(*paths, file=str(name), **params)

    return it


def many(folder):
    return [f"{folder}/{number}" for number in range(1500)]


@pytest.mark.parametrize(
    ("paths", "prefix", "files"),
    [
        ([*many("backup/appcache"), "backup/pgdata/PG_VERSION"], "backup/pgdata", 1),
        ([*many("aaa/_data"), "pgdata/_data/PG_VERSION", "pgdata/_data/base/1"], "pgdata/_data", 2),
        ([*many("backup/old"), "data/db"], "", 1501),
        ([*many("_data"), "data/db"], "", 1501),
        # As docker-volume-backup names entries.
        ([*many("/backup/appcache"), "/backup/pgdata/PG_VERSION"], "backup/pgdata", 1),
    ],
)
def test_all_of_a_long_archive_tells_what_is_of_the_volume(proved, paths, prefix, files):
    content = proved(*paths)
    assert (content.inside.prefix, content.files, content.content_bytes) == (prefix, files, 2 * files)


@pytest.mark.parametrize(
    ("paths", "params", "words"),
    [
        (many("backup/app") + many("backup/cache"), {}, "several, but none of 'pgdata': backup/app, backup/cache"),
        ([*many("backup/pgdata"), "data/db"], {}, "also 'data/db'.*Set 'strip: backup/pgdata'"),
        (many("data"), {"strip": "nope"}, "there is no folder 'nope' in it.*it has 'data'"),
        ([], {}, "there is nothing in it"),
        (["/../a"], {}, "dangerous: '../a': its path climbs"),
    ],
)
def test_what_cannot_be_the_volume_is_refused(proved, tmp_path, paths, params, words):
    with pytest.raises(RefusedError, match=f"volume 'pgdata' from '{tmp_path}/archive.tar': .*{words}"):
        proved(*paths, **params)


def test_only_what_is_restored_is_counted(proved):
    content = proved(*many("data/db"), "data/more", strip="./data/")
    assert (content.inside.prefix, content.files, content.content_bytes) == ("data", 1501, 3002)
    content = proved(*many("data/db"), "data/more", strip="data/db")
    assert (content.files, content.content_bytes, content.unpacked, content.digest) == (1500, 3000, 3000, None)


@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize("wrong", [None, "sha256", "content_digest"])
def test_the_digests_of_a_manifest_count_in_any_case(with_manifest, verify, wrong):
    changes = {"sha256": {"sha256": "0" * 64}, "content_digest": {"content_digest": f"v1:{'0' * 64}"}}.get(wrong, {})
    if wrong:
        with pytest.raises(RefusedError, match=r"not the archive that its manifest is of.*Nothing was changed"):
            with_manifest("a", changes=changes, verify=verify)
        return
    content = with_manifest("a", "b/c", changes=changes, verify=verify)
    assert (content.files, content.verify, content.digest) == (2, verify, content.facts.manifest.content_digest)


def test_of_a_folder_of_our_archive_there_is_no_digest(with_manifest):
    content = with_manifest("a", "b/c", changes={}, strip="b")
    assert (content.files, content.digest) == (1, None)


def test_a_folder_called_auto_can_be_given(proved):
    assert proved("auto/a", "other/b", strip="./auto").inside.prefix == "auto"


def test_an_archive_named_after_another_volume_is_not_even_read(proved, monkeypatch):
    name = "other-20260101T000000Z.tar"
    assert proved("a", file=name, backup_of="other").files == 1
    monkeypatch.delattr(_restore_run, "read_back")
    with pytest.raises(RefusedError, match=r"it is of the volume 'other'.*'backup_of: other'"):
        proved("a", file=name)


def test_an_archive_of_the_controller_is_called_as_it_is_there(proved, monkeypatch):
    monkeypatch.setenv("VOLTAINER_RESTORE_SRC", "backups/mine.tar")
    assert proved("a").source.path == "backups/mine.tar"
    assert "VOLTAINER_RESTORE_SRC" not in os.environ
    monkeypatch.setenv("VOLTAINER_RESTORE_SRC", "backups/mine.tar")
    with pytest.raises(RefusedError, match=r"from 'backups/mine\.tar': there is nothing in it"):
        proved()


class Killed(BaseException):
    """What stands for SIGKILL: nothing of the module's own handles it."""


class Mortal:
    """An engine whose user is killed before its n-th call that changes something, and says nothing then."""

    CHANGING = ("create_", "remove_", "stop_", "start_")

    def __init__(self, engine, number):
        self._engine, self._left = engine, number

    def __getattr__(self, name):
        found = getattr(self._engine, name)
        if not callable(found):
            return found

        def call(*args, **kwargs):
            self._left -= name.startswith(self.CHANGING)
            if self._left <= 0:
                raise Killed
            return found(*args, **kwargs)

        return call


@pytest.fixture
def at_hand(monkeypatch):
    """Let the data of volumes be reached without containers, and no test wait."""
    now = [0.0]
    for module in (_restore_run, _fill_run):
        monkeypatch.setattr(module, "reach", folder_helper)
        monkeypatch.setattr(module, "why_not_here", lambda _engine: "")
    for module in (_quiesce_run, _quiesce_back):
        monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
        monkeypatch.setattr(module.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))


@pytest.fixture
def used(tmp_path, at_hand):
    """Return an engine with a volume that has content, and that two containers have mounted."""
    del at_hand
    engine = RestEngine(tmp_path / "volumes", container("db"), container("off", "exited"))
    engine.info = lambda: {"SystemTime": "2026-02-03T08:15:00Z"}
    engine.create_volume("pgdata", "local", {}, {"team": "billing"})
    (engine.folder("pgdata") / "old").write_text("precious")
    return engine


def restored(engine, tmp_path, check_mode=False, **params):
    with tarfile.open(tmp_path / "new.tar", "w") as archive:
        for name in ("backup/pgdata/new", "backup/other/else"):
            member = tarfile.TarInfo(name)
            member.size = 2
            archive.addfile(member, io.BytesIO(b"hi"))
    wanted = wanted_back(path=str(tmp_path / "new.tar"), **params)
    return _restore_run.restore(engine, wanted, check_mode)


def names(engine):
    return {name: sorted(os.listdir(engine.folder(name))) for name in sorted(engine.volumes_by_name)}


AFTER = {"pgdata": ["new"], "pgdata.before-20260203T081500Z": ["old"]}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root reaches the data of volumes")
def test_users_rest_only_while_the_content_changes_places(used, tmp_path, monkeypatch):
    seen = []
    exchange = _folders.exchange

    def watched(*args):
        seen.append(used.state("db"))
        exchange(*args)

    monkeypatch.setattr(_folders, "exchange", watched)
    with pytest.raises(RefusedError, match="mounted by db"):
        restored(used, tmp_path)
    told = restored(used, tmp_path, check_mode=True, quiesce="stop").plan
    assert names(used) == {"pgdata": ["old"]}
    done = restored(used, tmp_path, quiesce="stop")
    assert [step.words for step in done.plan.steps] == [step.words for step in told.steps]
    assert seen == ["exited"]
    assert used.states() == {"db": "running", "off": "exited"}
    assert names(used) == AFTER
    assert (done.values["files"], done.values["strip"]) == (1, "backup/pgdata")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root reaches the data of volumes")
@pytest.mark.parametrize("number", range(1, 19))
def test_wherever_a_restore_is_killed_the_next_one_ends_it(used, tmp_path, number):
    try:
        restored(Mortal(used, number), tmp_path, quiesce="stop")
        assert number > 16
    except Killed:
        # Never half of it.
        assert os.listdir(used.folder("pgdata")) in (["old"], ["new"])
    # The engine ends the helper container with its input.
    used.containers = [one for one in used.containers if not one["Id"].startswith("helper")]
    restored(used, tmp_path, quiesce="stop")
    found = names(used)
    assert found.pop("pgdata") == ["new"]
    # An archive without a manifest is restored each time, and what was there is kept.
    assert list(found.values()) in ([["old"]], [["old"], ["new"]])
    assert used.states() == {"db": "running", "off": "exited"}
