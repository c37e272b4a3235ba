# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils._archive_layout import (
    AUTO,
    Layout,
    layout,
    nothing_found,
    parse_strip,
    strip_prefix_for,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import InvalidInputError, VolumesError
from hypothesis import given, settings
from hypothesis import strategies as st

DATA_ROOT = "var/lib/docker/volumes"


@pytest.mark.parametrize(
    ("sample", "prefix", "others"),
    [
        # The volume's own entries.
        ([], "", False),
        (["./"], "", False),
        (["./", "./a", "./b/"], "", False),
        (["a", "b/", "b/c"], "", False),
        (["/a", "/b"], "", False),
        (["PG_VERSION", "base/", "base/1"], "", False),
        # The root folder's own entry tells that nothing is around it.
        (["./", "./backup/", "./backup/dump.sql"], "", False),
        (["./", "./_data/", "./x"], "", False),
        # offen/docker-volume-backup.
        (["/backup/pgdata/", "/backup/pgdata/a"], "backup/pgdata", True),
        (["backup/", "backup/pgdata/", "backup/other/", "backup/other/b", "backup/pgdata/a"], "backup/pgdata", True),
        (["./backup/pgdata/a"], "backup/pgdata", True),
        (["backup/my-app-backup/", "backup/my-app-backup/a"], "backup/my-app-backup", False),
        (["backup/my-app-backup/"], "backup/my-app-backup", False),
        (["backup/", "backup/dump.sql"], "backup", False),
        (["backup/dump.sql", "backup/wal/", "backup/wal/1"], "backup", False),
        (["backup/"], "backup", False),
        (["backup/a/b", "notes"], "", False),
        (["backups/pgdata/a"], "", False),
        # Copies of the engine's folders.
        (["pgdata/", "pgdata/_data/", "pgdata/_data/a"], "pgdata/_data", True),
        (["./", "./pgdata/_data/a", "./other/_data/b"], "pgdata/_data", True),
        (["./", "./metadata.db", "./backingFsBlockDev", "./pgdata/_data/a"], "pgdata/_data", True),
        (["pgdata/_data/a", "other/"], "pgdata/_data", True),
        (["other/_data/a", "pgdata/"], "pgdata/_data", True),
        (["old/", "old/opts.json", "old/_data/a"], "old/_data", False),
        ([f"/{DATA_ROOT}/pgdata/_data/", f"/{DATA_ROOT}/pgdata/_data/a"], f"{DATA_ROOT}/pgdata/_data", True),
        (["var/", "var/lib/", f"{DATA_ROOT}/pgdata/_data/_data/a"], f"{DATA_ROOT}/pgdata/_data", True),
        (["_data/", "_data/a"], "_data", True),
        (["_data/a", "opts.json"], "_data", True),
        # Such names in a volume's own content.
        (["_data/a", "b"], "", False),
        (["_data/", "backup/_data/"], "", False),
        (["a/_data/b", "c/d"], "", False),
        (["a/_data/b", "c"], "", False),
        (["pgdata/a", "pgdata/_data/b"], "", False),
        (["x/pgdata/_data/a", "y/b"], "", False),
    ],
)
def test_where_the_content_is(sample, prefix, others):
    one = strip_prefix_for(sample, "pgdata")
    assert (one.prefix, one.others) == (prefix, others)
    assert one.why
    # All entries can be placed.
    assert len([one.inside(path) for path in sample]) == len(sample)


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
    one = strip_prefix_for(sample, "pgdata")
    assert bool(one.hint) == hinted
    if hinted:
        assert f"set 'strip: {sample[0].strip('/').split('/')[0]}'" in one.hint
        assert one.prefix == ""


@pytest.mark.parametrize(
    ("sample", "words"),
    [
        (["backup/a/", "backup/b/", "backup/a/x"], "it has several: backup/a, backup/b"),
        (["a/_data/x", "b/_data/y"], "it has several: a/_data, b/_data"),
        (["a/_data/x", "b/"], "it has several: a/_data, b/_data"),
        (["a", "b/../../c"], "leads out of it"),
        (["/.."], "leads out of it"),
    ],
)
def test_what_cannot_be_told(sample, words):
    with pytest.raises(VolumesError, match=words) as caught:
        strip_prefix_for(sample, "pgdata")
    assert caught.value.way_out


@pytest.mark.parametrize(
    ("one", "path", "inside"),
    [
        (Layout("", ""), "./", ""),
        (Layout("", ""), "./a//b/", "a/b"),
        (Layout("", ""), "/a/./b", "a/b"),
        (Layout("a/b", ""), "a/b/c", "c"),
        (Layout("a/b", ""), "./a/b", ""),
        (Layout("a/b", ""), "a", None),
        (Layout("a/b", ""), ".", None),
        (Layout("a/b", "", others=True), "a/bc", None),
        (Layout("a/b", "", others=True), "x", None),
        (Layout("a/b", "it is so"), "a/bc", "the archive also has 'a/bc'"),
        (Layout("a/b", "it is so"), "x", "the archive also has 'x'"),
        (Layout("a", "", others=True), "a/../../etc/passwd", "leads out of it"),
    ],
)
def test_where_an_entry_is_in_the_volume(one, path, inside):
    if inside and " " in inside:
        with pytest.raises(VolumesError, match=inside):
            one.inside(path)
    else:
        assert one.inside(path) == inside


@pytest.mark.parametrize(
    ("text", "prefix"),
    [
        ("auto", AUTO),
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


def test_what_decides():
    sample = ["backup/pgdata/a", "backup/pgdata/b"]
    assert layout(AUTO, sample, "pgdata", ours=False).prefix == "backup/pgdata"
    assert layout(AUTO, sample, "pgdata", ours=True) == Layout("", "this collection made the archive")
    assert layout("x", sample, "pgdata", ours=True) == Layout("x", "the option 'strip' says so", others=True)
    assert layout("", sample, "pgdata", ours=False).prefix == ""


def test_a_folder_that_is_not_there():
    assert "Cannot restore from the folder 'x' of the archive 'a.tar': there is no such folder" in str(
        nothing_found("a.tar", Layout("x", ""))
    )


PARTS = st.sampled_from(["backup", "_data", "pgdata", "other", "a", "opts.json", "."])
PATHS = st.lists(st.builds("/".join, st.lists(PARTS, min_size=1, max_size=4)).map(lambda path: f"{path}/") | PARTS)


@settings(max_examples=1000)
@given(PATHS)
def test_all_entries_of_any_sample_find_their_place_or_it_is_an_error(sample):
    try:
        one = strip_prefix_for(sample, "pgdata")
    except VolumesError as exc:
        assert "several" in exc.why  # noqa: PT017  # which of the two ends it has is not known before
        return
    for path in sample:
        assert one.inside(path) is None or ".." not in (one.inside(path) or "")
