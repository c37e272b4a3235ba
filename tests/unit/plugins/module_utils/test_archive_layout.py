# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils._archive_layout import (
    MOST,
    Amount,
    outline_of,
    parse_strip,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._entry import Entry
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import InvalidInputError, VolumesError
from hypothesis import given, settings
from hypothesis import strategies as st

DATA_ROOT = "var/lib/docker/volumes"


def laid_out(paths, volume="pgdata", strip=None):
    """Return the layout of an archive with these entries; those of folders end with a slash, files have two bytes."""
    outline = outline_of(strip, volume, ours=False)
    for path in paths:
        kind = "directory" if path.endswith("/") else "file"
        outline.add(Entry(path.strip("./").encode(), kind, size=0 if kind == "directory" else 2))
    return outline.layout()


@pytest.mark.parametrize(
    ("sample", "prefix"),
    [
        # The volume's own entries.
        (["./"], ""),
        (["./", "./a", "./b/"], ""),
        (["a", "b/", "b/c"], ""),
        (["/a", "/b"], ""),
        (["PG_VERSION", "base/", "base/1"], ""),
        # The root folder's own entry tells that nothing is around it.
        (["./", "./backup/", "./backup/dump.sql"], ""),
        (["./", "./_data/", "./x"], ""),
        # offen/docker-volume-backup.
        (["/backup/pgdata/", "/backup/pgdata/a"], "backup/pgdata"),
        (["backup/", "backup/pgdata/", "backup/other/", "backup/other/b", "backup/pgdata/a"], "backup/pgdata"),
        (["./backup/pgdata/a"], "backup/pgdata"),
        (["backup/my-app-backup/", "backup/my-app-backup/a"], "backup/my-app-backup"),
        (["backup/my-app-backup/"], "backup/my-app-backup"),
        (["backup/", "backup/dump.sql"], "backup"),
        (["backup/dump.sql", "backup/wal/", "backup/wal/1"], "backup"),
        (["backup/"], "backup"),
        (["backup/a/b", "notes"], ""),
        (["backups/pgdata/a"], ""),
        # Copies of the engine's folders.
        (["pgdata/", "pgdata/_data/", "pgdata/_data/a"], "pgdata/_data"),
        (["./", "./pgdata/_data/a", "./other/_data/b"], "pgdata/_data"),
        (["./", "./metadata.db", "./backingFsBlockDev", "./pgdata/_data/a"], "pgdata/_data"),
        (["pgdata/_data/a", "other/"], "pgdata/_data"),
        (["old/", "old/opts.json", "old/_data/a"], "old/_data"),
        ([f"/{DATA_ROOT}/pgdata/_data/", f"/{DATA_ROOT}/pgdata/_data/a"], f"{DATA_ROOT}/pgdata/_data"),
        (["var/", "var/lib/", f"{DATA_ROOT}/pgdata/_data/_data/a"], f"{DATA_ROOT}/pgdata/_data"),
        (["_data/", "_data/a"], "_data"),
        (["_data/a", "opts.json"], "_data"),
        # Such names in a volume's own content.
        (["_data/a", "b"], ""),
        (["_data/", "backup/_data/"], ""),
        (["a/_data/b", "c/d"], ""),
        (["a/_data/b", "c"], ""),
        (["b/a", "b/_data/b"], ""),
        (["x/b/_data/a", "y/b"], ""),
        (["a/_data"], ""),
        (["b/", "b/_data/", "b/opts.json", "b/c/opts.json"], ""),
        (["backup"], ""),
    ],
)
def test_where_the_content_is(sample, prefix):
    one = laid_out(sample)
    assert one.prefix == prefix
    assert one.why
    # The order of entries tells nothing.
    assert laid_out(sample[::-1]).prefix == prefix


@pytest.mark.parametrize(
    ("sample", "hinted"),
    [
        (["dbdata/", "dbdata/a"], True),
        (["/dbdata/a", "/dbdata/b"], True),
        (["pgdata/a"], True),
        (["./", "./dbdata/a"], False),
        (["dbdata/a", "b"], False),
        (["a"], False),
        (["a/"], False),
        (["backup/x/a"], False),
    ],
)
def test_what_may_be_wrapped_is_told(sample, hinted):
    one = laid_out(sample)
    assert bool(one.hint) == hinted
    if hinted:
        assert f"set 'strip: {sample[0].strip('/').split('/')[0]}'" in one.hint
        assert one.prefix == ""


MANY = [f"backup/old/{number}" for number in range(1100)]
ROOTS = [f"old/_data/{number}" for number in range(1100)]


@pytest.mark.parametrize(
    ("sample", "prefix"),
    [
        ([*MANY, "backup/pgdata/PG_VERSION"], "backup/pgdata"),
        ([*ROOTS, "pgdata/_data/PG_VERSION"], "pgdata/_data"),
        ([*ROOTS, "pgdata/opts.json", "metadata.db", "pgdata/_data/a"], "pgdata/_data"),
        # Other folders of one volume.
        ([*MANY, "data/db"], ""),
        ([*ROOTS, "data/db"], ""),
        ([*(path.removeprefix("old/") for path in ROOTS), "data/db"], ""),
        ([f"{number}/" for number in range(MOST + 1)], ""),
        # Many volumes.
        ([f"backup/{number}/a" for number in range(MOST + 1)] + ["backup/pgdata/a"], "backup/pgdata"),
        ([f"{number}/_data/a" for number in range(MOST + 1)] + ["pgdata/_data/a"], "pgdata/_data"),
    ],
    ids=range(9),
)
def test_entries_that_come_late_count_as_well(sample, prefix):
    assert laid_out(sample).prefix == prefix
    assert laid_out(sample[::-1]).prefix == prefix


@pytest.mark.parametrize(
    ("sample", "words"),
    [
        (["backup/a/", "backup/b/", "backup/a/x"], "it has several, but none of 'pgdata': backup/a, backup/b"),
        (["a/_data/x", "b/_data/y"], "it has several, but none of 'pgdata': a/_data, b/_data"),
        (["a/_data/x", "b/"], "it has several, but none of 'pgdata': a/_data, b/_data"),
        ([*MANY, "backup/b/x"], "it has several, but none of 'pgdata': backup/b, backup/old"),
        ([f"backup/{number}/a" for number in range(MOST + 1)], "it has several, but none of 'pgdata': backup/0, "),
        ([f"{number}/" for number in range(MOST + 1)] + ["pgdata/_data/a"], f"more than {MOST} folders.*Set 'strip'"),
        # Somebody has put several things into one archive.
        (
            ["backup/pgdata/a", "data/db"],
            "'backup/pgdata' as if .*and also 'data/db'.*'strip: backup/pgdata'.*strip: \"\"",
        ),
        (["data/db", *MANY, "backup/pgdata/a"], "'backup/pgdata' as if .*and also 'data/db'"),
        (["backup/pgdata/a", "backup/dump.sql"], "'backup/pgdata' as if .*and also 'backup/dump.sql'"),
        ([*ROOTS, "pgdata/_data/a", "notes"], "'pgdata/_data' as if .*and also 'notes'.*'strip: pgdata/_data'"),
        (["notes", *ROOTS, "pgdata/_data/a"], "'pgdata/_data' as if .*and also 'notes'"),
        (["pgdata/a", "pgdata/_data/b"], "'pgdata/_data' as if .*and also 'pgdata/a'"),
        (["x/pgdata/_data/a", "y/"], "'x/pgdata/_data' as if .*and also 'y'"),
        (["x/pgdata/_data/a", "y/b/_data/c"], "'x/pgdata/_data' as if .*and also 'y/b/_data/c'"),
        # Nothing is there.
        (["other/_data/a", "pgdata/"], "no folder 'pgdata/_data' in it.*at its top it has 'other', 'pgdata'.*'strip'"),
        ([], "there is nothing in it"),
    ],
    ids=range(16),
)
def test_what_cannot_be_told(sample, words):
    with pytest.raises(VolumesError, match=words) as caught:
        laid_out(sample)
    assert caught.value.way_out


@pytest.mark.parametrize("paths", [[b"backup/\xe9\n/a", b"backup/b/a"], [b"backup/pgdata/a", b"\xe9\n"]])
def test_an_error_tells_names_of_any_bytes(paths):
    outline = outline_of(None, "pgdata", ours=False)
    for path in paths:
        outline.add(Entry(path, "file"))
    with pytest.raises(VolumesError, match=r"\\xe9\\n"):
        outline.layout()


@pytest.mark.parametrize(
    ("strip", "amount"),
    [
        ("", Amount(7, 4, 8)),
        ("a", Amount(5, 3, 6)),
        ("a/b", Amount(3, 2, 4)),
        ("a/empty", Amount(1, 0, 0)),
        ("none", None),
        ("a/b/c", None),
        ("ab", None),
    ],
)
def test_what_lies_below_the_folder_that_is_given(strip, amount):
    sample = ["./", "a/b/", "a/b/c", "a/b/d", "a/bc", "a/empty/", "abc"]
    if amount is None:
        with pytest.raises(VolumesError, match=f"no folder '{strip}' in it.*'a', 'abc'"):
            laid_out(sample, strip=strip)
        return
    one = laid_out(sample, strip=strip)
    assert (one.prefix, one.amount) == (strip, amount)


@pytest.mark.parametrize(
    ("sample", "amount"),
    [
        (["./", "a", "b/", "b/c"], Amount(4, 2, 4)),
        (["backup/", "backup/old/", "backup/old/a", "backup/pgdata/", "backup/pgdata/a"], Amount(2, 1, 2)),
        (["backup/", "backup/a", "backup/b"], Amount(3, 2, 4)),
        (["old/_data/a", "pgdata/", "pgdata/_data/", "pgdata/_data/a", "pgdata/_data/b"], Amount(3, 2, 4)),
        (["_data/", "_data/a", "opts.json"], Amount(2, 1, 2)),
    ],
)
def test_how_much_is_of_the_volume(sample, amount):
    assert laid_out(sample).amount == amount


@pytest.mark.parametrize(
    ("text", "prefix"),
    [
        ("auto", None),
        ("./auto", "auto"),
        ("", ""),
        ("/", ""),
        ("./backup//app/", "backup/app"),
        ("/var/lib", "var/lib"),
    ],
)
def test_the_option(text, prefix):
    assert parse_strip(text) == prefix


def test_the_option_leads_nowhere_else():
    with pytest.raises(InvalidInputError, match="leads out of the archive"):
        parse_strip("../a")


def test_an_archive_of_ours_is_all_of_a_volume():
    assert outline_of(None, "pgdata", ours=True) is None
    assert outline_of("a", "pgdata", ours=True) is not None


PARTS = st.sampled_from(["backup", "_data", "pgdata", "other", "a", "opts.json", "."])
PATHS = st.lists(st.builds("/".join, st.lists(PARTS, min_size=1, max_size=4)).map(lambda path: f"{path}/") | PARTS)


@settings(max_examples=1000)
@given(PATHS)
def test_each_entry_of_any_archive_is_of_the_volume_or_of_another_one(sample):
    try:
        one = laid_out(sample)
    except VolumesError as exc:
        assert any(words in exc.why for words in ("several", "as if", "nothing", "no folder"))  # noqa: PT017
        return
    prefix = [part for part in one.prefix.split("/") if part]
    below = 0
    for path in sample:
        parts = [part for part in path.strip("./").split("/") if part not in {"", "."}]
        if parts[: len(prefix)] == prefix:
            below += 1
        elif prefix[-1:] == ["_data"]:
            around = prefix[:-2]
            on_the_way = parts[: len(around)] == around[: len(parts)]
            assert on_the_way
            assert len(parts) <= len(around) + 1 or parts[len(around) + 1] in {"_data", "opts.json"}
        else:
            assert parts[:1] == ["backup"]
    assert below == one.amount.entries
