# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils._backup_found import (
    BackupFound,
    FolderFacts,
    StoredArchive,
    is_inside,
    mine,
    name_of,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._backup_names import ArchiveName
from ansible_collections.voltainer.volumes.plugins.module_utils._backup_plan import (
    estimated_bytes,
    plan_backup,
    to_prove,
    unchanged,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import RefusedError
from ansible_collections.voltainer.volumes.plugins.module_utils._manifest import Origin
from ansible_collections.voltainer.volumes.plugins.module_utils._plan import Step
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import Volume
from hypothesis import given
from hypothesis import strategies as st

from .backups import DIGEST, ENGINE, NEW_YEAR, OTHER_ENGINE, REPOSITORY, manifest, snapshot, wanted
from .volumes import inspect

DAY = timedelta(days=1)
NOW = NEW_YEAR + timedelta(days=10)
TOOLS = {"tar": "1.35", "zstd": "1.5.7", "age": "1.2.1", "gpg": "2.4.7", "restic": "0.18.0"}
KEY = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGh5cG90aGV0aWNhbCBrZXkgZm9yIGRvY3VtZW50cyE backup"
FOR_KEYS = {"encryption": "age", "recipients": [OTHER_KEY, KEY, KEY]}
IN_REPOSITORY = {"path": None, "repository": REPOSITORY}
MIB = 1024 * 1024
REST = {"rest": (Step("quiesce", "Stop db"),), "resume": (Step("resume", "Start db"),)}
SETTLE = {"first": (Step("settle", "Finish the change"),)}
NEW = "pgdata-20260111T000000Z.tar.zst"


def volume(**changes):
    return Volume.from_inspect(inspect(**{"Labels": {"team": "billing"}, **changes}))


def found(**changes):
    return BackupFound(**{"now": NOW, "engine": ENGINE, "volume": volume(), "tools": TOOLS, **changes})


def stored(day, compression="zstd", encryption="none", **changes):
    """Return an archive that was made on this day of January; without a manifest where `changes` has None for it."""
    name = ArchiveName("pgdata", NEW_YEAR + (day - 1) * DAY, compression, encryption)
    if changes.pop("manifest", ...) is None:
        return StoredArchive(name)
    return StoredArchive(name, manifest(name, **changes))


def names(archives):
    return [name_of(one) for one in archives]


@pytest.mark.parametrize(
    ("params", "have", "verbs"),
    [
        ({}, {}, ["pack", "verify", "publish"]),
        ({"verify": False}, {}, ["pack", "publish"]),
        ({}, REST, ["quiesce", "pack", "resume", "verify", "publish"]),
        ({}, {**SETTLE, **REST}, ["settle", "quiesce", "pack", "resume", "verify", "publish"]),
        ({"keep": {"last": 2}}, {"archives": (stored(8), stored(9))}, ["pack", "verify", "publish", "prune-old"]),
        (
            {"keep": {"last": 1}},
            {"archives": (stored(8), stored(9))},
            ["pack", "verify", "publish", "prune-old", "prune-old"],
        ),
        ({"unless_changed": True}, {}, ["pack", "verify", "publish"]),
        ({"unless_changed": True}, {"content_digest": DIGEST}, ["pack", "verify", "publish"]),
        ({"unless_changed": True}, {"content_digest": DIGEST, "archives": (stored(9),)}, []),
        ({"unless_changed": True}, {"content_digest": DIGEST, "archives": (stored(9),), **SETTLE, **REST}, ["settle"]),
        (
            {"unless_changed": True, "keep": {"last": 1}},
            {"content_digest": DIGEST, "archives": (stored(8), stored(9))},
            ["prune-old"],
        ),
        (IN_REPOSITORY, {}, ["pack", "verify"]),
        (IN_REPOSITORY, {"repository_there": True, **REST}, ["quiesce", "pack", "resume", "verify"]),
        (
            {**IN_REPOSITORY, "repository": {**REPOSITORY, "init": True}},
            {"repository_there": False, **REST},
            ["init", "quiesce", "pack", "resume", "verify"],
        ),
        (
            {**IN_REPOSITORY, "keep": {"last": 1}, "verify": False},
            {"snapshots": (snapshot("a", NEW_YEAR), snapshot("b", NEW_YEAR + DAY))},
            ["pack", "prune-old"],
        ),
    ],
)
def test_the_steps(params, have, verbs):
    plan = plan_backup(wanted(**params), found(**have))
    assert list(plan.verbs) == verbs
    assert plan.warnings == ()
    assert (plan.before == plan.after) == (not set(verbs) & {"pack", "prune-old"})


def test_the_words_and_the_diff():
    params = {"encryption": "age", "recipients": [KEY], "keep": {"last": 2}}
    plan = plan_backup(wanted(**params), found(archives=(stored(8), stored(9, "gzip"))))
    assert [step.words for step in plan.steps] == [
        "Pack the volume 'pgdata' (zstd, level 3, encrypted by age)",
        "Read the archive of the volume 'pgdata' again and compare it",
        f"Put the archive and its manifest in place as '/srv/backups/{NEW}.age'",
        "Remove the old archive 'pgdata-20260108T000000Z.tar.zst'",
    ]
    before = ["pgdata-20260108T000000Z.tar.zst", "pgdata-20260109T000000Z.tar.gz"]
    assert plan.before == {"volume": "pgdata", "path": "/srv/backups", "backups": before}
    assert plan.after == {"volume": "pgdata", "path": "/srv/backups", "backups": [before[1], f"{NEW}.age"]}
    assert plan.steps[0].arguments == {"name": ArchiveName("pgdata", NOW, "zstd", "age")}


def test_the_words_of_a_repository():
    params = {**IN_REPOSITORY, "keep": {"last": 1}, "repository": {**REPOSITORY, "init": True, "host": "db1"}}
    old = snapshot("abcdef0123", NEW_YEAR)
    plan = plan_backup(wanted(**params), found(snapshots=(old,), repository_there=True))
    assert [step.words for step in plan.steps] == [
        "Back up the volume 'pgdata' to the repository at '/srv/restic'",
        "Check the repository at '/srv/restic'",
        "Remove 1 old snapshot(s) of the volume 'pgdata': abcdef01",
    ]
    assert plan.steps[0].arguments["host"] == "db1"
    assert "voltainer.volume=pgdata" in plan.steps[0].arguments["tags"]
    assert plan.steps[2].arguments == {"ids": ["abcdef0123"]}
    assert plan.before == {"volume": "pgdata", "repository": "/srv/restic", "backups": ["abcdef01"]}
    assert plan.after == {"volume": "pgdata", "repository": "/srv/restic", "backups": ["(a new snapshot)"]}


def test_no_secret_of_the_volume_is_in_a_plan():
    have = {"volume": volume(Options={"type": "cifs", "o": "password=hunter2", "pin": "hunter3"})}
    for params in ({}, IN_REPOSITORY):
        plan = plan_backup(wanted(**params, secret_options=["pin"]), found(**have))
        arguments = [step.arguments for step in plan.steps]
        assert "hunter" not in f"{plan.before}{plan.after}{arguments}"


@pytest.mark.parametrize(
    ("params", "have", "words"),
    [
        ({}, {"volume": None}, "there is no such volume"),
        ({}, {"volume": volume(ClusterVolume={})}, "volume of the swarm's cluster"),
        ({}, {"tools": {}}, "apt install zstd"),
        ({"encryption": "age", "recipients": [KEY]}, {"tools": {}}, "apt install zstd age"),
        ({"encryption": "gpg", "recipients": ["x"]}, {"tools": {"zstd": ""}}, "apt install gnupg"),
        (IN_REPOSITORY, {"tools": {"zstd": ""}}, "apt install restic"),
        ({}, {"folder": FolderFacts("absent")}, "there is no folder '/srv/backups'"),
        ({}, {"folder": FolderFacts("other")}, "'/srv/backups' is no folder"),
        ({}, {"folder": FolderFacts(writable=False)}, "is not writable for the user who runs the task"),
        ({"path": "/var/lib/docker/volumes/pgdata/_data/backups"}, {}, "is in the volume itself"),
        (
            {"path": None, "repository": {**REPOSITORY, "location": "local:/var/lib/docker/volumes/pgdata/_data/r"}},
            {},
            "is in the volume itself",
        ),
        (IN_REPOSITORY, {"repository_there": False}, "there is no repository at '/srv/restic'"),
        (
            {"compression": "none"},
            {"folder": FolderFacts(free=100 * MIB), "content_bytes": 100 * MIB, "entries": 2},
            "the archive takes about 100.0 MiB, and '/srv/backups' has 100.0 MiB free",
        ),
        (
            {},
            {
                "folder": FolderFacts(free=100 * MIB),
                "content_bytes": 100 * MIB,
                "archives": (stored(9, bytes=50, content_bytes=100),),
            },
            "the archive takes about 60.0 MiB",
        ),
        ({"name": "a" * 230}, {"volume": volume(Name="a" * 230)}, "longer than 255 bytes"),
    ],
)
def test_what_cannot_be_backed_up(params, have, words):
    with pytest.raises(Exception, match="Cannot") as caught:
        plan_backup(wanted(**params), found(**have))
    assert words in str(caught.value)
    assert caught.value.way_out


def test_missing_programs_and_space_can_be_read_from_the_failed_task():
    with pytest.raises(RefusedError) as caught:
        plan_backup(wanted(), found(tools={}))
    assert caught.value.details == {"missing": ["zstd"]}
    have = {"folder": FolderFacts(free=10), "content_bytes": 100, "entries": 1}
    with pytest.raises(RefusedError) as caught:
        plan_backup(wanted(compression="none"), found(**have))
    assert caught.value.details == {"needed": 2148, "free": 10}


@pytest.mark.parametrize(
    ("have", "warned"),
    [
        ({"folder": FolderFacts(free=100 * MIB), "content_bytes": 10 * MIB}, False),
        ({"folder": FolderFacts(free=100 * MIB), "content_bytes": 100 * MIB}, True),
        ({"folder": FolderFacts(free=None), "content_bytes": 100 * MIB}, False),
        ({"folder": FolderFacts(free=0), "content_bytes": None}, False),
    ],
)
def test_space_that_nobody_can_tell(have, warned):
    warnings = plan_backup(wanted(), found(**have)).warnings
    assert bool(warnings) == warned
    assert not warned or "only fits where the content compresses well" in warnings[0]


@pytest.mark.parametrize(
    ("params", "have", "size"),
    [
        ({}, {}, None),
        ({}, {"content_bytes": 1000}, None),
        ({"compression": "none"}, {"content_bytes": 1000, "entries": 2}, 1000 + 2 * 2048),
        ({}, {"content_bytes": 1000, "archives": (stored(9, bytes=10, content_bytes=100),)}, 120),
        ({}, {"content_bytes": 1000, "archives": (stored(9, bytes=999, content_bytes=100),)}, 1000),
        ({}, {"content_bytes": 1000, "archives": (stored(9, bytes=10, content_bytes=0),)}, None),
        ({}, {"content_bytes": 1000, "archives": (stored(9, "gzip", bytes=10, content_bytes=100),)}, None),
        ({}, {"content_bytes": 1000, "archives": (stored(9, engine=OTHER_ENGINE, bytes=10, content_bytes=100),)}, None),
    ],
)
def test_how_large_an_archive_becomes(params, have, size):
    assert estimated_bytes(wanted(**params), found(**have)) == size


@pytest.mark.parametrize(
    ("params", "have", "last"),
    [
        ({}, {"archives": (stored(9),)}, True),
        ({"unless_changed": False}, {"archives": (stored(9),)}, False),
        ({}, {"archives": ()}, False),
        ({}, {"archives": (stored(9),), "content_digest": None}, False),
        ({}, {"archives": (stored(9),), "content_digest": "v1:00"}, False),
        ({}, {"archives": (stored(9, manifest=None),)}, False),
        ({}, {"archives": (stored(9, engine=OTHER_ENGINE),)}, False),
        # Only the newest counts: it is what a restore brings back.
        ({}, {"archives": (stored(8), stored(9, content_digest=f"v1:{'00' * 32}"))}, False),
        ({}, {"archives": (stored(8, content_digest=f"v1:{'00' * 32}"), stored(9))}, True),
        ({}, {"archives": (stored(8), stored(9, engine=OTHER_ENGINE, content_digest=f"v1:{'00' * 32}"))}, True),
        # And none of the future.
        ({}, {"archives": (stored(9), stored(20, content_digest=f"v1:{'00' * 32}"))}, True),
        ({}, {"archives": (stored(9, "gzip"),)}, True),
        ({}, {"archives": (stored(9, encryption="age"),)}, False),
        ({"encryption": "age", "recipients": [KEY]}, {"archives": (stored(9),)}, False),
        (FOR_KEYS, {"archives": (stored(9, encryption="age", recipients=(KEY, OTHER_KEY)),)}, True),
        # Who gets a key, or loses it, needs another archive, and so does who may have none.
        (FOR_KEYS, {"archives": (stored(9, encryption="age", recipients=(KEY,)),)}, False),
        (FOR_KEYS, {"archives": (stored(9, encryption="age", recipients=(KEY, "age1third")),)}, False),
        (FOR_KEYS, {"archives": (stored(9, encryption="age", recipients=None),)}, False),
        ({}, {"archives": (stored(9),), "volume": volume(Labels={})}, False),
        ({}, {"archives": (stored(9),), "volume": volume(Driver="rclone")}, False),
        ({}, {"archives": (stored(9),), "volume": volume(Options={"size": "1"})}, False),
        ({}, {"archives": (stored(9),), "volume": volume(Options={})}, True),
        (IN_REPOSITORY, {"snapshots": (snapshot("a", NEW_YEAR),)}, True),
        (IN_REPOSITORY, {"snapshots": (snapshot("a", NEW_YEAR, content_digest="v1:00"),)}, False),
        (IN_REPOSITORY, {"snapshots": (snapshot("a", NEW_YEAR, content_digest=None),)}, False),
    ],
)
def test_whether_a_volume_is_unchanged(params, have, last):
    result = unchanged(wanted(**{"unless_changed": True, **params}), found(**{"content_digest": DIGEST, **have}))
    assert (result is not None) == last


def test_archives_of_another_engine_or_without_a_manifest_are_never_removed():
    others = (stored(1, engine=OTHER_ENGINE), stored(2, manifest=None), replace(stored(3), name=stored(4).name))
    plan = plan_backup(wanted(keep={"last": 1}), found(archives=(*others, stored(5))))
    assert [step.arguments["name"].time.day for step in plan.steps if step.verb == "prune-old"] == [5]
    assert [warning[:70] for warning in plan.warnings] == [
        "1 archive(s) of a volume 'pgdata' in '/srv/backups' are from another e",
        "2 archive(s) of a volume 'pgdata' in '/srv/backups' have no manifest t",
    ]
    assert plan_backup(wanted(), found(archives=others)).warnings == ()


def test_archives_of_the_future_stay_and_are_told():
    plan = plan_backup(wanted(keep={"last": 1}), found(archives=(stored(5), stored(20))))
    assert [step.words for step in plan.steps if step.verb == "prune-old"] == [
        "Remove the old archive 'pgdata-20260105T000000Z.tar.zst'"
    ]
    assert "1 backup(s) of the volume 'pgdata' have a time in the future, and stay: pgdata-20260120" in plan.warnings[0]


def test_an_archive_of_the_same_second_keeps_its_name():
    plan = plan_backup(wanted(keep={"last": 1}), found(archives=(stored(11), stored(10))))
    assert plan.steps[0].arguments["name"].time == NOW + timedelta(seconds=1)
    assert names([stored(10), stored(11)]) == [
        step.words.split("'")[1] for step in plan.steps if step.verb == "prune-old"
    ]


ARCHIVES = st.lists(
    st.builds(
        lambda day, engine, known: stored(day, engine=engine, **({} if known else {"manifest": None})),
        st.integers(1, 20),
        st.sampled_from([ENGINE, OTHER_ENGINE]),
        st.booleans(),
    ),
    unique_by=lambda one: one.name,
    max_size=12,
)


@given(ARCHIVES, st.integers(0, 3), st.integers(1, 3))
def test_what_is_never_removed(archives, last, daily):
    facts = found(archives=tuple(archives))
    plan = plan_backup(wanted(keep={"last": last, "daily": daily}), facts)
    gone = [step.arguments["name"] for step in plan.steps if step.verb == "prune-old"]
    own = {one.name for one in mine(facts)}
    assert set(gone) <= own
    assert all(name.time <= NOW for name in gone)
    assert gone == sorted(gone, key=lambda name: name.time)
    assert plan.verbs.index("publish") < len(plan.verbs) - len(gone)
    left = [*(str(one.name) for one in archives if one.name not in gone), str(plan.steps[0].arguments["name"])]
    assert sorted(plan.after["backups"]) == sorted(left)


@pytest.mark.parametrize(
    ("path", "folder", "inside"),
    [
        ("/a/b", "/a/b", True),
        ("/a/b/c", "/a/b/", True),
        ("/a/b/../b/c", "/a/b", True),
        ("/a/bc", "/a/b", False),
        ("/a", "/a/b", False),
        ("/a", "", False),
        ("/a", "C:\\volumes", False),
    ],
)
def test_what_is_inside_a_folder(path, folder, inside):
    assert is_inside(path, folder) == inside


def test_snapshots_tell_how_the_volume_was_made():
    assert snapshot("a", NEW_YEAR).origin == Origin("pgdata", "local", {}, (), {"team": "billing"}, ENGINE.id, DIGEST)


def broken(archive, why="it has 0 bytes, and its manifest says 1024"):
    return replace(archive, broken=why)


def test_a_broken_archive_does_not_count_as_unchanged_and_no_older_one_goes_for_it():
    params = {"unless_changed": True, "keep": {"last": 1}}
    whole, last = stored(8), broken(stored(9))
    have = found(content_digest=DIGEST, archives=(stored(7), whole, last))
    plan = plan_backup(wanted(**params), have)
    assert unchanged(wanted(**params), have) is None
    assert [step.words for step in plan.steps if step.verb == "prune-old"] == [
        "Remove the old archive 'pgdata-20260107T000000Z.tar.zst'",
        "Remove the old archive 'pgdata-20260108T000000Z.tar.zst'",
    ]
    assert plan.verbs[:3] == ("pack", "verify", "publish")
    (warning,) = plan.warnings
    assert warning.startswith("The archive 'pgdata-20260109T000000Z.tar.zst' in '/srv/backups' is broken and does not")
    assert "it has 0 bytes, and its manifest says 1024. This run leaves it" in warning
    # It takes the place of none that is whole.
    plan = plan_backup(wanted(keep={"last": 2}), have)
    assert [step.arguments["name"] for step in plan.steps if step.verb == "prune-old"] == [stored(7).name]


@pytest.mark.parametrize(
    ("params", "archives", "day"),
    [
        ({"unless_changed": True, "keep": {"last": 1}}, (stored(8), stored(9)), 9),
        # Cheap where nothing goes, or a new archive is made and proved.
        ({"unless_changed": True, "keep": {"last": 2}}, (stored(8), stored(9)), None),
        ({"unless_changed": True}, (stored(8), stored(9)), None),
        ({"keep": {"last": 1}}, (stored(8), stored(9)), None),
        ({"unless_changed": True, "keep": {"last": 1}}, (stored(8), broken(stored(9))), None),
        # One of the future is not what a restore brings back.
        ({"unless_changed": True, "keep": {"last": 1}}, (stored(8), stored(9), stored(20)), 9),
    ],
)
def test_which_archive_is_proved_before_others_go(params, archives, day):
    one = to_prove(wanted(**params), found(content_digest=DIGEST, archives=archives))
    assert (one and one.name.time.day) == day
