# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from datetime import datetime, timezone

import pytest
import yaml
from ansible_collections.voltainer.volumes.plugins.module_utils._archive_kind import ArchiveKind
from ansible_collections.voltainer.volumes.plugins.module_utils._backup_names import ArchiveName
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import RefusedError, VolumesError
from ansible_collections.voltainer.volumes.plugins.module_utils._plan import Step
from ansible_collections.voltainer.volumes.plugins.module_utils._restore_plan import (
    ArchiveFacts,
    RestoreFound,
    plan_restore,
    wanted_definition,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._usage import Use, Users
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import Definition, Volume
from ansible_collections.voltainer.volumes.plugins.modules import docker_volume_x_restore

from .backups import DIGEST, ENGINE, NEW_YEAR, REPOSITORY, manifest, snapshot, wanted_back
from .volumes import inspect

TOOLS = {"zstd": "1.5.7", "age": "1.2.1", "gpg": "2.4.7", "restic": "0.18.0", "xz": "5.8"}
FILE = "/srv/backups/pgdata-20260101T000000Z.tar.zst"
FILE_OF_JANUARY = ArchiveName("pgdata", datetime(2026, 1, 31, 23, 59, 59, tzinfo=timezone.utc), "zstd")
AGE = ArchiveName("pgdata", NEW_YEAR, "zstd", "age")
KEPT = "pgdata.before-20260101T000000Z"
PROTECTED = {"voltainer.volumes.protected": "true"}
IN_REPOSITORY = {"path": None, "repository": REPOSITORY}
SNAPSHOT = snapshot("abcdef0123", NEW_YEAR)
REST = {"rest": (Step("quiesce", "Stop db"),), "resume": (Step("resume", "Start db"),)}
SETTLE = {"first": (Step("settle", "Finish the change"),)}
MIB = 1024 * 1024


def archive(kind=None, size=1024, path=FILE, name=None, **changes):
    """Return an archive as it was found; without a manifest where `changes` has None for it."""
    made = None if changes.pop("manifest", ...) is None else manifest(name, **changes)
    return ArchiveFacts(path, size, kind or ArchiveKind("zstd"), made)


def volume(**changes):
    return Volume.from_inspect(inspect(**changes))


def found(**changes):
    return RestoreFound(
        **{"now": NEW_YEAR, "source": archive(), "volume": volume(), "entries": 3, "tools": TOOLS, **changes}
    )


def use(state="running", name="db", service=""):
    return Use(name, f"id-{name}", state, "pgdata", "local", "/data", False, service)


SWAPPED = ["mark", "fill", "verify", "complete", "swap", "keep", "unmark"]
NEW = ["mark", "fill", "verify", "create", "complete", "swap", "unmark"]
# What is there is at rest from the moment on in which it is copied.
COPIED = ["mark", "fill", "verify", "quiesce", "save", "complete", "swap", "resume", "unmark"]


def without(verbs, verb):
    return [one for one in verbs if one != verb]


@pytest.mark.parametrize(
    ("params", "have", "verbs"),
    [
        ({}, {}, SWAPPED),
        ({"verify": False}, {}, SWAPPED),
        ({"keep_previous": False}, {}, without(SWAPPED, "keep")),
        ({}, {"entries": 0}, without(SWAPPED, "keep")),
        ({}, {"entries": None}, SWAPPED),
        ({}, {"volume": None}, NEW),
        ({}, {**SETTLE, **REST}, ["settle", *SWAPPED[:4], "quiesce", "swap", "resume", *SWAPPED[5:]]),
        ({}, {"unreachable": "it is NFS", **REST}, COPIED),
        ({}, {"unreachable": "it is NFS", "volume": None}, NEW),
        ({}, {"content_digest": "v1:00"}, SWAPPED),
        ({}, {"content_digest": DIGEST}, []),
        ({}, {"content_digest": DIGEST, "volume": None}, NEW),
        ({"on_existing": "fail"}, {"content_digest": DIGEST, **SETTLE}, ["settle"]),
        ({}, {"source": archive(manifest=None)}, SWAPPED),
        (IN_REPOSITORY, {"source": SNAPSHOT}, SWAPPED),
        ({"keep_previous": False, "confirm": "pgdata"}, {"volume": volume(Labels=PROTECTED)}, None),
        ({}, {"volume": volume(Labels=PROTECTED)}, None),
    ],
)
def test_the_steps(params, have, verbs):
    plan = plan_restore(wanted_back(**params), found(**have))
    assert verbs is None or list(plan.verbs) == verbs
    assert plan.warnings == ()
    assert (plan.before == plan.after) == ("mark" not in plan.verbs)


def test_the_words_and_the_diff():
    plan = plan_restore(wanted_back(), found(names=frozenset({"pgdata", KEPT}), content_digest="v1:00"))
    later = "pgdata.before-20260101T000001Z"
    assert [step.words for step in plan.steps] == [
        "Create the volume 'pgdata.voltainer-fill', which tells of the content of the archive"
        " 'pgdata-20260101T000000Z.tar.zst' until it is done",
        "Bring the content of the archive 'pgdata-20260101T000000Z.tar.zst' into 'pgdata.voltainer-fill'",
        "Compare 'pgdata.voltainer-fill' with what it is to be",
        "Create the volume 'pgdata.voltainer-filled', which tells that the new content is complete",
        "Exchange the folders of 'pgdata' and 'pgdata.voltainer-fill'",
        f"Create the volume '{later}' with the content of before",
        "Remove the volume 'pgdata.voltainer-fill'",
    ]
    same = {"exists": True, "name": "pgdata", "driver": "local", "driver_options": {}, "labels": {}}
    assert plan.before == {**same, "content": "v1:00"}
    assert plan.after == {**same, "content": DIGEST, "previous": later}
    assert (plan.steps[0].arguments["fill"].previous, plan.steps[0].arguments["fill"].keep) == (later, True)


def test_the_documentation_shows_what_is_told():
    samples = yaml.safe_load(docker_volume_x_restore.RETURN)
    source = archive(path=f"/srv/backups/{FILE_OF_JANUARY}", name=FILE_OF_JANUARY)
    steps = {"rest": "Stop the container 'db'", "resume": "Start the container 'db' again"}
    have = {verb: (Step(verb, words),) for verb, words in steps.items()}
    now = datetime(2026, 2, 3, 8, 15, tzinfo=timezone.utc)
    plan = plan_restore(wanted_back(), found(now=now, source=source, **have))
    assert [step.words for step in plan.steps] == samples["actions"]["sample"]
    assert plan.after["previous"] == samples["previous"]["sample"] == samples["diff"]["sample"]["after"]["previous"]
    assert plan.after.keys() == samples["diff"]["sample"]["after"].keys()


def test_the_words_where_the_previous_content_goes():
    plan = plan_restore(wanted_back(keep_previous=False), found())
    assert plan.steps[-1].words == "Remove the volume 'pgdata.voltainer-fill', with what was in 'pgdata' before"
    assert "previous" not in plan.after


def test_the_words_of_a_volume_that_is_not_there():
    have = {"volume": None, "source": SNAPSHOT, "unreachable": "it is of a plugin"}
    plan = plan_restore(wanted_back(**IN_REPOSITORY, driver="rclone"), found(**have))
    assert [step.words for step in plan.steps][1:-1] == [
        "Bring the content of the snapshot abcdef01 into 'pgdata.voltainer-fill'",
        "Compare 'pgdata.voltainer-fill' with what it is to be",
        "Create the volume 'pgdata' with the driver 'rclone'",
        "Create the volume 'pgdata.voltainer-filled', which tells that the new content is complete",
        "Copy 'pgdata.voltainer-fill' to 'pgdata', in place of what is there, and compare",
    ]
    assert plan.before == {"exists": False}
    assert (plan.after["exists"], plan.after["driver"], plan.after["labels"]) == (True, "rclone", {"team": "billing"})
    assert plan.steps[0].arguments["fill"].definition == Definition("rclone", {}, {"team": "billing"})


def test_a_folder_of_a_backup_is_not_told_to_be_all_of_it():
    plan = plan_restore(wanted_back(strip="sub"), found(strip="sub"))
    assert plan.after["content"] == "that of the folder 'sub' of the archive 'pgdata-20260101T000000Z.tar.zst'"


def test_secrets_among_the_options_are_not_shown():
    params = {"driver_options": {"type": "cifs", "o": "password=hunter2", "pin": "hunter3"}, "secret_options": ["pin"]}
    plan = plan_restore(wanted_back(**params), found(volume=None))
    assert plan.after["driver_options"] == {"type": "cifs", "o": "password=********", "pin": "********"}
    assert "hunter" not in f"{plan}"


RUNNING = Users((use(),))


@pytest.mark.parametrize(
    ("params", "have", "words"),
    [
        ({"on_existing": "fail"}, {}, "it is there, and 'on_existing' is 'fail'"),
        ({}, {"volume": volume(ClusterVolume={})}, "volume of the swarm's cluster"),
        ({"keep_previous": False}, {"volume": volume(Labels=PROTECTED)}, "Set 'confirm: pgdata'"),
        (
            {"keep_previous": False, "confirm": "pg"},
            {"volume": volume(Labels=PROTECTED)},
            "it is protected, and with 'keep_previous: false'",
        ),
        ({}, {"source": archive(name=ArchiveName("other", NEW_YEAR))}, "If that is meant, set 'backup_of: other'"),
        ({"backup_of": "other"}, {}, "If that is meant, set 'backup_of: pgdata'"),
        # The name of the file tells it as well.
        (
            {"backup_of": "other"},
            {"source": archive(manifest=None)},
            "of the volume 'pgdata'. If that is meant, set 'b",
        ),
        (IN_REPOSITORY, {"source": snapshot("ab", NEW_YEAR, volume="other")}, "set 'backup_of: other'"),
        ({}, {"source": archive(size=1000)}, "it has 1000 bytes, and by its manifest 1024"),
        ({"path": FILE, "snapshot": "20260101T000000Z"}, {}, "'path' a single archive"),
        ({}, {"tools": {}}, "apt install zstd"),
        ({}, {"tools": {}, "source": archive(ArchiveKind("xz", "gpg"), manifest=None)}, "apt install gnupg xz-utils"),
        (IN_REPOSITORY, {"tools": {}, "source": SNAPSHOT}, "apt install restic"),
        ({}, {"source": archive(ArchiveKind("zstd", "age"), name=AGE)}, "'identity_file' is missing"),
        (
            {},
            {"free": 10 * MIB, "source": archive(content_bytes=9 * MIB)},
            "takes about 9.0 MiB, and where volumes are,",
        ),
        ({}, {"free": 10 * MIB, "source": archive(size=9 * MIB, manifest=None)}, "takes at least 9.0 MiB"),
        ({}, {"free": 10 * MIB, "unpacked": 9 * MIB, "source": archive(manifest=None)}, "takes about 9.0 MiB"),
        ({}, {"users": RUNNING}, "it is mounted by db (running, read-write at /data), which would go on"),
        ({"quiesce": "stop"}, {"users": RUNNING}, "it is mounted by db"),
        ({"quiesce": "pause"}, {"users": RUNNING, "resting": frozenset({"id-db"})}, "Set 'quiesce: stop'"),
    ],
)
def test_what_cannot_be_restored(params, have, words):
    with pytest.raises(VolumesError, match="Cannot") as caught:
        plan_restore(wanted_back(**params), found(**have))
    assert words in str(caught.value)
    assert caught.value.way_out


def test_who_uses_it_can_be_read_from_the_failed_task():
    with pytest.raises(RefusedError) as caught:
        plan_restore(wanted_back(), found(users=RUNNING))
    assert [one["container"] for one in caught.value.details["users"]] == ["db"]


@pytest.mark.parametrize(
    ("params", "users", "resting"),
    [
        ({}, (use("exited"), use("created", "x")), ()),
        ({"quiesce": "stop"}, (use(), use("exited", "x")), ("id-db",)),
        ({"services": "scale"}, (use(service="s1"), use("running", "web.2", "s1")), ("s1",)),
        ({"quiesce": "pause", "services": "scale"}, (use(service="s1"),), ("s1",)),
    ],
)
def test_users_that_are_no_obstacle(params, users, resting):
    have = found(users=Users(users), resting=frozenset(resting), **REST)
    assert "swap" in plan_restore(wanted_back(**params), have).verbs


@pytest.mark.parametrize(
    ("params", "have"),
    [
        ({"identity_file": "/root/key"}, {"source": archive(ArchiveKind("zstd", "age"), name=AGE)}),
        ({}, {"source": archive(ArchiveKind(None, "gpg"), manifest=None)}),
        ({"backup_of": "other"}, {"source": archive(name=ArchiveName("other", NEW_YEAR))}),
        ({}, {"free": 100 * MIB, "source": archive(content_bytes=9 * MIB)}),
        # Files with holes.
        ({}, {"free": 100 * MIB, "unpacked": 9 * MIB, "source": archive(content_bytes=900 * MIB)}),
        ({"snapshot": "20260101T000000Z"}, {}),
        ({"path": FILE}, {}),
        ({"backup_of": "pgdata", "name": "new"}, {"source": archive(manifest=None), "volume": None}),
        ({"name": "new"}, {"source": archive(manifest=None, path="/srv/pgdata-monday.tar.zst"), "volume": None}),
    ],
)
def test_what_can_be_restored(params, have):
    assert "swap" in plan_restore(wanted_back(**params), found(**have)).verbs


LABELS = {"team": "billing"}
RCLONE = {"driver": "rclone:latest", "options": {"remote": "nas:reports"}}
NFS = {"options": {"type": "nfs", "o": "addr=192.0.2.10", "device": ":/a"}}
SECRET = {"driver": "rclone", "options": {"remote": "nas:a", "pass": "********"}, "hidden_options": ("pass",)}


@pytest.mark.parametrize(
    ("params", "made", "definition"),
    [
        ({}, None, Definition("local", {}, {})),
        (
            {"driver": "rclone", "driver_options": {"a": "b"}, "labels": LABELS},
            None,
            Definition("rclone", {"a": "b"}, LABELS),
        ),
        ({}, {}, Definition("local", {}, LABELS)),
        ({}, {"labels": None}, Definition("local", {}, {})),
        ({"labels": {}}, {}, Definition("local", {}, {})),
        ({}, {"labels": {**LABELS, **PROTECTED}}, Definition("local", {}, {**LABELS, **PROTECTED})),
        ({"labels": {"a": "b"}}, {"labels": {**LABELS, **PROTECTED}}, Definition("local", {}, {"a": "b", **PROTECTED})),
        ({}, {"labels": {"voltainer.volumes.canary": "x"}}, Definition("local", {}, {})),
        ({}, RCLONE, Definition("rclone:latest", RCLONE["options"], LABELS)),
        ({"driver": "rclone"}, RCLONE, Definition("rclone", RCLONE["options"], LABELS)),
        # Options of one driver mean nothing to another one.
        ({"driver": "local"}, RCLONE, Definition("local", {}, LABELS)),
        ({"driver": "local"}, SECRET, Definition("local", {}, LABELS)),
        ({"driver_options": {}}, NFS, Definition("local", {}, LABELS)),
        ({"driver_options": NFS["options"]}, NFS, Definition("local", NFS["options"], LABELS)),
        ({"driver_options": {"pass": "x"}}, SECRET, Definition("rclone", {"pass": "x"}, LABELS)),
    ],
)
def test_how_a_volume_is_made_that_is_not_there(params, made, definition):
    origin = None if made is None else manifest(**made).origin
    assert wanted_definition(wanted_back(**params), origin) == definition


@pytest.mark.parametrize(
    ("params", "made", "words"),
    [
        ({}, SECRET, "its options 'pass' hold secrets, which are not in the backup"),
        ({"labels": {}}, NFS, "it refers to a place outside (device=:/a, o=addr=192.0.2.10, type=nfs)"),
        ({}, {"options": {"type": "none", "o": "bind", "device": "/etc"}}, "it refers to a place outside"),
        ({}, {"driver": "local-persist", "options": {"mountpoint": "/etc"}}, "it refers to a place outside"),
        (
            {"driver": "local"},
            {"options": {"type": "none", "o": "bind", "device": "/etc"}},
            "it refers to a place outside",
        ),
    ],
)
def test_a_backup_does_not_choose_places_on_the_host(params, made, words):
    with pytest.raises(RefusedError) as caught:
        wanted_definition(wanted_back(**params), manifest(**made).origin)
    assert words in str(caught.value)
    assert "Give 'driver_options' in full" in caught.value.way_out


@pytest.mark.parametrize(
    ("params", "have", "named"),
    [
        ({"driver": "local", "driver_options": {}, "labels": {}}, {}, ""),
        ({"driver": "rclone"}, {"Driver": "rclone:latest"}, ""),
        ({"driver": "rclone", "labels": {"a": "b"}}, {}, "driver, labels"),
        ({"driver_options": {"size": "1"}}, {}, "driver_options"),
        ({"labels": {"a": "b"}}, {"Labels": {"a": "b", **PROTECTED}}, ""),
    ],
)
@pytest.mark.parametrize("digest", [None, DIGEST])
def test_a_volume_that_is_there_stays_as_it_is_made(params, have, named, digest):
    plan = plan_restore(wanted_back(**params), found(volume=volume(**have), content_digest=digest))
    assert "create" not in plan.verbs
    assert [named in warning for warning in plan.warnings] == ([True] if named else [])


def test_a_backup_of_another_engine_can_be_restored():
    assert ENGINE.id == archive().origin.engine
    plan = plan_restore(wanted_back(), found(source=archive(engine=ENGINE.__class__("x", "y", "", ""))))
    assert "swap" in plan.verbs
