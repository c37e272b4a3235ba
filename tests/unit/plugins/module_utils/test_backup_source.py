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

# By the clock of the engine's host, the 10th of January.
NOW = NEW_YEAR + timedelta(days=9)
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
        found, warnings = choose_archive(wanted_back(snapshot=asked), some, ENGINE, NOW)
        assert (found.name.time.day, warnings) == (day, ())


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
        choose_archive(wanted_back(snapshot=asked), archives, ENGINE, NOW)
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
    found, warnings = choose_snapshot(task, snapshots, task.repository.host or "host1", NOW)
    assert (found.time.day, warnings) == (day, ())


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
        choose_snapshot(task, snapshots, task.repository.host or "host1", NOW)
    assert str(caught.value).startswith("Cannot restore the volume 'pgdata' from the repository at '/srv/restic': ")
    assert words in str(caught.value)
    assert caught.value.way_out


# Times in the future


def chosen(backups, asked="latest", now=NOW):
    """Return the day of the backup that is chosen, and the only warning, if any."""
    if isinstance(backups[0], StoredArchive):
        found, warnings = choose_archive(wanted_back(snapshot=asked), backups, ENGINE, now)
        return found.name.time.day, *warnings
    found, warnings = choose_snapshot(back(asked), backups, "host1", now)
    return found.time.day, *warnings


@pytest.mark.parametrize("kind", [stored, of_day])
def test_what_is_of_the_future_is_left_out_and_named(kind):
    called = {stored: "'20260111T000000Z', '20260120T000000Z'", of_day: "'0000000b', '00000014'"}[kind]
    day, warning = chosen([kind(20), kind(1), kind(11), kind(10)])
    assert day == 10
    assert warning.startswith("Left out, since their times are in the future (by the clock of the engine's host it is")
    assert f"20260110T000000Z): {called}. Where one of them is meant, give it in 'snapshot'" in warning


@pytest.mark.parametrize(("kind", "name"), [(stored, "20260111T000000Z"), (of_day, "0000000b0000000b")])
def test_what_is_named_may_be_of_the_future(kind, name):
    assert chosen([kind(1), kind(11)], name) == (11,)


@pytest.mark.parametrize("kind", [stored, of_day])
@pytest.mark.parametrize("seconds", [0, 299, 301])
def test_clocks_may_differ_a_little(kind, seconds):
    day, *warnings = chosen([kind(1), kind(2)], now=NEW_YEAR + timedelta(days=1, seconds=-seconds))
    assert (day, len(warnings)) == ((1, 1) if seconds == 301 else (2, 0))


@pytest.mark.parametrize(
    "backups",
    [
        [stored(11), stored(12)],
        [stored(11, None), stored(12, None)],
        # Those of another host must not come back in their place.
        [stored(1, OTHER_ENGINE), stored(11), stored(12)],
        [of_day(11), of_day(12)],
        [of_day(1, host="host2"), of_day(11), of_day(12)],
    ],
)
def test_where_there_are_only_such_one_must_be_named(backups):
    with pytest.raises(RefusedError, match="all that it has of it have times in the future") as caught:
        chosen(backups)
    assert "give it in 'snapshot'" in caught.value.way_out


def test_an_archive_of_nobody_knows_whom_is_refused_though_there_are_some_of_the_future():
    with pytest.raises(RefusedError, match=r"the newest archive 'pgdata-20260102T000000Z\.tar' is from"):
        chosen([stored(1), stored(2, None), stored(11)])
