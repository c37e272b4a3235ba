# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from datetime import timedelta

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils._backup_found import StoredArchive
from ansible_collections.voltainer.volumes.plugins.module_utils._backup_names import ArchiveName
from ansible_collections.voltainer.volumes.plugins.module_utils._backup_source import choose_archive, choose_snapshot
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import RefusedError
from ansible_collections.voltainer.volumes.plugins.module_utils._manifest import EngineFacts

from .backups import ENGINE, NEW_YEAR, OTHER_ENGINE, REPOSITORY, manifest, snapshot, wanted_back

THIRD_ENGINE = EngineFacts("4444", "host3", "", "")


def stored(day, engine=ENGINE, why=""):
    name = ArchiveName("pgdata", NEW_YEAR + timedelta(days=day - 1))
    return StoredArchive(name, manifest(name, engine=engine) if engine else None, why)


def of_day(day, name=None, **changes):
    return snapshot(name or f"{day:08x}" * 2, NEW_YEAR + timedelta(days=day - 1), **changes)


@pytest.mark.parametrize(
    ("archives", "asked", "day"),
    [
        ([stored(1)], "latest", 1),
        ([stored(2), stored(1)], "latest", 2),
        ([stored(1), stored(2)], "20260101T000000Z", 1),
        # Those of this host, and those of another one where it has none.
        ([stored(1), stored(2, OTHER_ENGINE), stored(3, THIRD_ENGINE)], "latest", 1),
        ([stored(1, OTHER_ENGINE), stored(2, OTHER_ENGINE)], "latest", 2),
        ([stored(1, None), stored(2)], "latest", 2),
        # What is named needs no manifest.
        ([stored(1, None), stored(2)], "20260101T000000Z", 1),
        ([stored(1, OTHER_ENGINE), stored(2, THIRD_ENGINE)], "20260101T000000Z", 1),
    ],
)
def test_the_archive_that_is_meant(archives, asked, day):
    for some in (archives, archives[::-1]):
        assert choose_archive(wanted_back(snapshot=asked), some, ENGINE).name.time.day == day


@pytest.mark.parametrize(
    ("archives", "asked", "words"),
    [
        ([], "latest", "it has no archive of it"),
        ([], "20260101T000000Z", "no archive with the time 20260101T000000Z, nor any other of the volume"),
        (
            [stored(day) for day in range(2, 9)],
            "20260101T000000Z",
            "the last ones of the volume are 20260108T000000Z, 20260107T000000Z, 20260106T000000Z, 20260105T000000Z,"
            " 20260104T000000Z",
        ),
        (
            [stored(1), stored(2, None)],
            "latest",
            "the newest archive 'pgdata-20260102T000000Z.tar' is from: its manifest",
        ),
        ([stored(1), stored(2, None, "it is no JSON")], "latest", "is from: it is no JSON"),
        ([stored(1, OTHER_ENGINE), stored(2, THIRD_ENGINE)], "latest", "none of them is this one: host2, host3"),
    ],
)
def test_archives_that_cannot_be_chosen(archives, asked, words):
    with pytest.raises(RefusedError) as caught:
        choose_archive(wanted_back(snapshot=asked), archives, ENGINE)
    assert str(caught.value).startswith("Cannot restore the volume 'pgdata' from '/srv/backups': ")
    assert words in str(caught.value)
    assert caught.value.way_out


def back(asked="latest", host=None, **params):
    return wanted_back(path=None, repository={**REPOSITORY, "host": host}, snapshot=asked, **params)


OTHERS = [of_day(5, volume="other"), of_day(6, volume="pgdata2")]


@pytest.mark.parametrize(
    ("snapshots", "asked", "day"),
    [
        ([of_day(1), of_day(2), *OTHERS], {}, 2),
        ([of_day(1), of_day(2)], {"asked": "0000000100000001"}, 1),
        ([of_day(1), of_day(2)], {"asked": "00000001"}, 1),
        ([of_day(1), of_day(2, host="host2")], {}, 1),
        ([of_day(1, host="host2"), of_day(2, host="host2")], {}, 2),
        ([of_day(1), of_day(2, host="host2")], {"host": "host2"}, 2),
        ([of_day(1), of_day(2, volume="old")], {"backup_of": "old"}, 2),
        # What is named may be of any volume and any host, or made by hand: the plan looks at it.
        (OTHERS, {"asked": "00000005"}, 5),
    ],
)
def test_the_snapshot_that_is_meant(snapshots, asked, day):
    task = back(**asked)
    assert choose_snapshot(task, snapshots, task.repository.host or "host1").time.day == day


@pytest.mark.parametrize(
    ("snapshots", "asked", "words"),
    [
        (OTHERS, {}, "it has no snapshot of it that this collection made"),
        (OTHERS, {"asked": "99999999"}, "it has no snapshot 99999999, nor any other of the volume"),
        ([of_day(1), of_day(2)], {"asked": "99999999"}, "the last ones of the volume are 00000002, 00000001"),
        (
            [of_day(1, "ab" * 4 + "1"), of_day(2, "ab" * 4 + "2")],
            {"asked": "abababab"},
            "2 snapshots begin with abababab",
        ),
        ([of_day(1, host="host2"), of_day(2, host="host3")], {}, "none of them is this one: host2, host3"),
        ([of_day(1)], {"host": "host2"}, "it has no snapshot of it from the host 'host2'"),
    ],
)
def test_snapshots_that_cannot_be_chosen(snapshots, asked, words):
    task = back(**asked)
    with pytest.raises(RefusedError) as caught:
        choose_snapshot(task, snapshots, task.repository.host or "host1")
    assert str(caught.value).startswith("Cannot restore the volume 'pgdata' from the repository at '/srv/restic': ")
    assert words in str(caught.value)
    assert caught.value.way_out
