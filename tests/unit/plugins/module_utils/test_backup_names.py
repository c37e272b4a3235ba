# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils._backup_names import (
    ArchiveName,
    archives_of,
    decode,
    encode,
    kept_name,
    name_archive,
    parse_archive,
    parse_kept,
    parse_stamp,
    partial,
    partials_of,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import InvalidInputError
from hypothesis import given
from hypothesis import strategies as st

NEW_YEAR = datetime(2026, 1, 1, tzinfo=timezone.utc)
AT = "20260101T000000Z"
COMPRESSIONS = st.sampled_from(["none", "gzip", "zstd"])
ENCRYPTIONS = st.sampled_from(["none", "age", "gpg"])
TIMES = st.datetimes(datetime(1970, 1, 1), datetime(2999, 1, 1), timezones=st.just(timezone.utc))
# No lone surrogates: no engine has such names.
VOLUMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20) | st.sampled_from(
    ["pgdata", "a", "a-b", f"a-{AT}", f"a-{AT}.tar", f"a-{AT}.tar.zst.age", "nas/reports", "50%", "-a", ".a", "~", "ä"]
)


@pytest.mark.parametrize(
    ("volume", "compression", "encryption", "file"),
    [
        ("pgdata", "none", "none", f"pgdata-{AT}.tar"),
        ("pgdata", "zstd", "none", f"pgdata-{AT}.tar.zst"),
        ("pgdata", "gzip", "age", f"pgdata-{AT}.tar.gz.age"),
        ("pgdata", "zstd", "gpg", f"pgdata-{AT}.tar.zst.gpg"),
        ("a-b", "none", "age", f"a-b-{AT}.tar.age"),
        (f"a-{AT}", "none", "none", f"a-{AT}-{AT}.tar"),
        ("nas/reports", "zstd", "none", f"nas%2Freports-{AT}.tar.zst"),
        ("100%2F", "zstd", "none", f"100%252F-{AT}.tar.zst"),
        (".hidden", "none", "none", f"%2Ehidden-{AT}.tar"),
        ("-option", "none", "none", f"%2Doption-{AT}.tar"),
    ],
)
def test_names(volume, compression, encryption, file):
    name = ArchiveName(volume, NEW_YEAR, compression, encryption)
    assert (str(name), name.manifest) == (file, f"{file}.json")
    assert parse_archive(file) == name


@given(VOLUMES, TIMES, COMPRESSIONS, ENCRYPTIONS)
def test_names_are_read_back(volume, time, compression, encryption):
    name = ArchiveName(volume, time.replace(microsecond=0), compression, encryption)
    assert parse_archive(str(name)) == name
    assert "/" not in str(name)
    assert str(name)[0] not in "-.~"


@given(VOLUMES, VOLUMES)
def test_two_volumes_have_two_names(one, two):
    assert (encode(one) == encode(two)) == (one == two)
    assert decode(encode(one)) == one


@pytest.mark.parametrize(
    "file",
    [
        "",
        f"{AT}.tar",
        f"-{AT}.tar",
        "pgdata.tar",
        f"pgdata-{AT}",
        f"pgdata-{AT}.zip",
        f"pgdata-{AT}.tar.xz",
        f"pgdata-{AT}.tar.age.zst",
        f"pgdata-{AT}.tar.zst.json",
        f"pgdata-{AT}.tar\n",
        f".pgdata-{AT}.tar.partial",
        "pgdata-20260231T000000Z.tar",
        "pgdata-20260101T240000Z.tar",
        "pgdata-20260101T000060Z.tar",
        "pgdata-20260101T000000.tar",
        f"a/b-{AT}.tar",
        f"a%2fb-{AT}.tar",
        f"a%-{AT}.tar",
        f"%FF-{AT}.tar",
        f"a b-{AT}.tar",
        f".a-{AT}.tar",
    ],
)
def test_what_is_no_archive_of_this_collection(file):
    assert parse_archive(file) is None


def test_archives_of_one_volume_are_never_those_of_another():
    mine = ["a-20260102T000000Z.tar.gz", f"a-{AT}.tar", "a-20260102T000000Z.tar"]
    others = [
        f"a-b-{AT}.tar",
        f"a-{AT}-{AT}.tar",
        f"A-{AT}.tar",
        f"%61-{AT}.tar",
        f"a.b-{AT}.tar",
        f"a-{AT}.tar.json",
        "a.tar",
        "notes",
    ]
    assert [str(one) for one in archives_of("a", [*others, *mine])] == [mine[1], mine[2], mine[0]]
    assert [str(one) for one in archives_of(f"a-{AT}", [*others, *mine])] == [f"a-{AT}-{AT}.tar"]
    assert archives_of("b", [*others, *mine]) == []


def test_partial_files():
    name = ArchiveName("a", NEW_YEAR, "zstd")
    files = [partial(str(name)), partial(name.manifest), str(name), name.manifest]
    files += [
        partial(str(ArchiveName("a-b", NEW_YEAR))),
        ".partial",
        ".a.partial",
        f".a-{AT}.tar",
        f"a-{AT}.tar.partial",
    ]
    assert partials_of("a", files) == [f".a-{AT}.tar.zst.json.partial", f".a-{AT}.tar.zst.partial"]


def test_a_second_backup_within_a_second_has_the_next_time():
    now = NEW_YEAR + timedelta(microseconds=999999)
    first = name_archive("a", now, "zstd", "none")
    second = name_archive("a", now, "none", "age", [first, ArchiveName("b", NEW_YEAR + timedelta(seconds=1))])
    third = name_archive("a", now, "none", "age", [first, second])
    assert [one.time - NEW_YEAR for one in (first, second, third)] == [timedelta(seconds=n) for n in range(3)]


def test_times_are_in_utc():
    there = timezone(timedelta(hours=2))
    assert str(name_archive("a", NEW_YEAR.astimezone(there), "none", "none")) == f"a-{AT}.tar"


@pytest.mark.parametrize(("length", "good"), [(212, True), (213, False)])
def test_the_longest_name(length, good):
    if good:
        name = name_archive("a" * length, NEW_YEAR, "zstd", "age")
        assert len(partial(name.manifest)) == 255
    else:
        with pytest.raises(InvalidInputError, match="longer than 255 bytes"):
            name_archive("a" * length, NEW_YEAR, "zstd", "age")


def test_kept_volumes():
    first = kept_name("pgdata", NEW_YEAR)
    second = kept_name("pgdata", NEW_YEAR, [first, "other"])
    assert (first, second) == (f"pgdata.before-{AT}", "pgdata.before-20260101T000001Z")
    assert parse_kept(first) == ("pgdata", NEW_YEAR)
    assert parse_kept(kept_name(first, NEW_YEAR)) == (first, NEW_YEAR)


def test_kept_volumes_have_names_that_the_local_driver_takes_and_are_still_recognised():
    names = [kept_name(name, NEW_YEAR) for name in ("nas/reports", "nas_reports", "nas/report_", "a" * 255, "a" * 254)]
    assert len(set(names)) == 5
    assert names[1] == f"nas_reports.before-{AT}"
    for name, begins in zip(names, ["nas_reports-", "nas_reports.", "nas_report_-", "a" * 200, "a" * 200]):
        assert name.startswith(begins)
        assert re.fullmatch(rf"[a-zA-Z0-9_.-]+\.before-{AT}", name)
        assert len(name) <= 255
    assert kept_name("nas/reports", NEW_YEAR, names) != names[0]


@pytest.mark.parametrize(
    "name", ["pgdata", f".before-{AT}", f"pgdata.before-{AT}x", "pgdata.before-20260231T000000Z", f"pgdata-{AT}"]
)
def test_what_is_no_kept_volume(name):
    assert parse_kept(name) is None


@pytest.mark.parametrize(("name", "whole"), [("a" * 231, True), ("a" * 232, False), ("ä" * 116, False)])
def test_the_longest_name_of_a_kept_volume(name, whole):
    kept = kept_name(name, NEW_YEAR)
    assert len(kept.encode()) <= 255
    assert (kept == f"{name}.before-{AT}") is whole


@pytest.mark.parametrize("text", ["", "now", "20260101T000000", "2026011T000000Z", "20261301T000000Z", " " + AT])
def test_what_is_no_time(text):
    assert parse_stamp(text) is None
