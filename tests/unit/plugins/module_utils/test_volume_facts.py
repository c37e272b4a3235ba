# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils._fill import Fill
from ansible_collections.voltainer.volumes.plugins.module_utils._usage import Users, service_uses, uses
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import (
    CHANGE,
    FILL,
    PLUGIN_CHANGE,
    Change,
    Definition,
    Volume,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._volume_facts import (
    Survey,
    facts,
    shared_risk,
    some,
    unfinished_changes,
    whose_data,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._volume_size import measure, used_bytes
from hypothesis import given
from hypothesis import strategies as st

from .fake_engine import container, service
from .volumes import WINDOWS, inspect

NFS = {"type": "nfs", "o": "addr=192.0.2.10", "device": ":/a"}
ANONYMOUS = "0" * 64
TARGET = Definition("local", {}, {})


def volume(**changes):
    return Volume.from_inspect(inspect(**changes))


def users(containers=(), services=()):
    return Users(uses(containers), service_uses(services))


def staging(name, source, data="move"):
    change = Change(name, source, data, TARGET, TARGET)
    return volume(Name=change.staging, Labels=change.labels)


def task(name, of):
    """Return a container of a service's task."""
    return {**container(name, "pgdata"), "Labels": {"com.docker.swarm.service.id": f"id-{of}"}}


HERE = "several may write to it at once, on this host: "
SWARM = "several may write to it at once, on this host, where the swarm may put all of its tasks: "
GLOBAL = "several may write to it at once, also from other hosts, since its driver is of global scope: "
SERVER = "several may write to it at once, also from other hosts, since its data is on a server: "


@pytest.mark.parametrize(
    ("have", "containers", "services", "risk"),
    [
        ({}, [], [], None),
        ({}, [container("db", "pgdata")], [], None),
        ({}, [container("b", "pgdata"), container("a", "pgdata")], [], f"{HERE}container a, container b"),
        ({}, [container("db", "pgdata"), container("reader", "pgdata", read_write=False)], [], None),
        ({}, [container("db", "pgdata"), container("old", "pgdata", state="exited")], [], None),
        (
            {},
            [container("db", "pgdata"), container("db2", "pgdata", state="paused")],
            [],
            f"{HERE}container db, container db2",
        ),
        ({}, [], [service("web", "pgdata", 1)], None),
        ({}, [], [service("web", "pgdata", 0)], None),
        ({}, [], [service("web", "pgdata", 3)], f"{SWARM}service web (3 task(s))"),
        ({}, [], [service("web", "pgdata", 3, read_only=True)], None),
        ({}, [task("web.1", "web")], [service("web", "pgdata", 1)], None),
        (
            {},
            [container("db", "pgdata")],
            [service("web", "pgdata", 1)],
            f"{SWARM}container db, service web (1 task(s))",
        ),
        # A global service has one task on each host, which has a volume of its own.
        ({}, [task("web.1", "web")], [service("web", "pgdata", None)], None),
        ({"Scope": "global"}, [], [service("web", "pgdata", None)], f"{GLOBAL}service web (3 task(s))"),
        ({"Options": NFS}, [], [service("web", "pgdata", None)], f"{SERVER}service web (3 task(s))"),
        ({"Options": {"type": "tmpfs", "device": "tmpfs"}}, [], [service("web", "pgdata", None)], None),
        ({"Scope": "global", "Driver": "pure"}, [container("db", "pgdata")], [], None),
    ],
)
def test_who_may_write_to_the_same_data(have, containers, services, risk):
    assert shared_risk(volume(**have), users(containers, services)) == risk


def test_a_container_that_mounts_a_volume_twice_writes_once():
    twice = container("db", "pgdata")
    twice["Mounts"] *= 2
    assert shared_risk(volume(), users([twice])) is None


@given(
    st.lists(st.tuples(st.sampled_from(["running", "exited", "paused"]), st.booleans())), st.lists(st.integers(0, 4))
)
def test_no_risk_without_two_writers(containers, replicas):
    of = users(
        [container(f"c{n}", "pgdata", state=state, read_write=rw) for n, (state, rw) in enumerate(containers)],
        [service(f"s{n}", "pgdata", count) for n, count in enumerate(replicas)],
    )
    assert (shared_risk(volume(), of) is not None) == (of.writers > 1)


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (volume(), []),
        (staging("pgdata", "pgdata"), ["pgdata", "pgdata.voltainer-change"]),
        (staging("new", "pgdata"), ["new", "new.voltainer-change", "pgdata"]),
        # A copy of the label on another volume, and a damaged one: nobody's, but not to be touched.
        (volume(Name="copy", Labels=Change("new", "pgdata", "move", TARGET, TARGET).labels), ["copy"]),
        (volume(Labels={CHANGE: "{"}), ["pgdata"]),
        (volume(Labels={PLUGIN_CHANGE: "{"}), ["pgdata"]),
    ],
)
def test_unfinished_changes(found, told):
    unfinished = unfinished_changes([volume(Name="other"), found])
    assert sorted(unfinished) == told


COPY = Change("pgdata", "pgdata", "copy", TARGET, Definition("pure:latest", {}, {}))
EXCHANGE = Fill("pgdata", "copy of the volume 'a'", "exchange", False, TARGET, "pgdata.before", True, "4f")


def marked(name, labels, **changes):
    return volume(Name=name, Labels=labels, **changes)


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (
            [marked(COPY.staging, COPY.labels)],
            {"pgdata": "was ended midway", COPY.staging: "must not be removed by hand"},
        ),
        (
            [marked(COPY.mark, COPY.labels), marked(COPY.staging, COPY.labels)],
            {COPY.mark: "it tells that all data of the volume 'pgdata' is in 'pgdata.voltainer-change'"},
        ),
        ([marked(COPY.mark, COPY.labels)], {COPY.mark: "it may be removed"}),
        # Somebody's own volume, which has a copy of the label.
        ([marked(COPY.mark, COPY.labels, Driver="pure:latest")], {COPY.mark: "its record is unreadable"}),
    ],
)
def test_unfinished_copies(found, told):
    unfinished = unfinished_changes([volume(Name="other"), *found])
    assert "other" not in unfinished
    assert {name: words in unfinished[name] for name, words in told.items()} == dict.fromkeys(told, True)
    assert COPY.staging in unfinished or len(unfinished) == 1


@pytest.mark.parametrize(
    ("fill", "about"),
    [
        (EXCHANGE, ["pgdata", "pgdata.before", "pgdata.voltainer-fill", "pgdata.voltainer-filled"]),
        (replace(EXCHANGE, keep=False), ["pgdata", "pgdata.voltainer-fill", "pgdata.voltainer-filled"]),
        (
            replace(EXCHANGE, way="replace", keep=False),
            ["pgdata", "pgdata.before", "pgdata.voltainer-fill", "pgdata.voltainer-filled"],
        ),
        (replace(EXCHANGE, way="direct", keep=False), ["pgdata", "pgdata.voltainer-fill"]),
        (replace(EXCHANGE, way="update", keep=False), ["pgdata", "pgdata.voltainer-fill"]),
    ],
)
def test_unfinished_fills(fill, about):
    for mark in (marked(fill.staging, fill.labels), marked(fill.mark, fill.complete_labels(7, 8))):
        unfinished = unfinished_changes([volume(Name="other"), mark])
        assert sorted(unfinished) == about
        assert all(
            "the copy of the volume 'a' into the volume 'pgdata' was ended" in one for one in unfinished.values()
        )
        assert "must not be removed by hand" in unfinished[fill.staging]


@pytest.mark.parametrize(
    "found",
    [
        marked("copy", EXCHANGE.labels),
        marked(EXCHANGE.staging, {FILL: "{"}),
        marked(EXCHANGE.staging, EXCHANGE.labels, Driver="pure:latest"),
    ],
)
def test_the_label_of_a_fill_on_another_volume_or_damaged_is_nobody_s_but_not_to_be_touched(found):
    told = unfinished_changes([found])
    assert told == {found.name: "it carries the label of a volume that marks a fill, and its record is unreadable"}


@pytest.mark.parametrize(
    "damage",
    [
        {"source": ["pgdata"]},
        {"name": None},
        {"data": "burn"},
        {"inode": "7"},
        {"before": {"driver": 1, "options": {}, "labels": {}}},
        {"target": {"driver": "local", "options": [], "labels": {}}},
        {"target": {"driver": "local", "options": {"o": 1}, "labels": {}}},
    ],
)
def test_a_forged_record_is_an_unreadable_one(damage):
    made = staging("pgdata", "pgdata")
    record = {**json.loads(made.labels[CHANGE]), **damage}
    told = unfinished_changes([volume(Name=made.name, Labels={CHANGE: json.dumps(record)})])
    assert told == {made.name: "it carries the label of a change's staging volume, and its record is unreadable"}


def test_a_record_without_end_is_an_unreadable_one():
    assert list(unfinished_changes([volume(Labels={CHANGE: "[" * 100_000})])) == ["pgdata"]


def test_the_words_for_an_unfinished_rename():
    told = unfinished_changes([staging("new", "pgdata")])
    words = "the rename of the volume 'pgdata' to 'new' was ended midway, or goes on at this moment"
    again = "the next task of docker_volume_x for the volume 'new' finishes or undoes it"
    assert told["pgdata"] == told["new"] == f"{words}; {again}"
    assert told["new.voltainer-change"].startswith(f"staging volume: {words}. It may hold all data")


@pytest.mark.parametrize(
    ("have", "words"),
    [
        ({}, "its data goes with it"),
        ({"Options": NFS}, "only the reference goes, the data that it refers to stays"),
        ({"Driver": "pure:latest"}, "the driver 'pure' removes its data, as far as it does so"),
    ],
)
def test_whose_data_it_is(have, words):
    assert whose_data(volume(**have)) == words


def test_facts_of_a_volume():
    one = volume(
        Labels={"voltainer.volumes.protected": "true"}, Options={"type": "cifs", "o": "password=hunter2", "a": "b"}
    )
    used = users([container("db", "pgdata")], [service("web", "pgdata", 3, True)])
    survey = Survey((one,), used.by_volume(["pgdata"]), {}, {})
    told = facts(one, survey, 4096, ["a"])
    assert told["volume"] == {**one.raw, "Options": {"type": "cifs", "o": "password=********", "a": "********"}}
    assert [user.get("container") or user["service"] for user in told.pop("users")] == ["db", "web"]
    del told["volume"]
    assert told == {
        "name": "pgdata",
        "driver_name": "local",
        "owner_kind": "referenced",
        "anonymous": False,
        "protected": True,
        "writers": 1,
        "shared_risk": None,
        "unfinished": None,
        "size": 4096,
    }


def test_facts_of_an_anonymous_volume_of_a_plugin():
    told = facts(volume(Name=ANONYMOUS, Driver="pure:latest", Labels=None), Survey((), {}, {}, {}), None, [])
    assert (told["driver_name"], told["owner_kind"], told["anonymous"], told["users"]) == ("pure", "owned", True, [])


def test_a_volume_of_an_engine_on_windows_keeps_its_paths_and_has_no_size(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    bizvol = Volume.from_inspect(WINDOWS)
    told = facts(bizvol, Survey((bizvol,), {}, {}, {}), None, [])
    assert told["volume"] == WINDOWS
    assert (told["owner_kind"], told["anonymous"], told["shared_risk"]) == ("owned", False, None)
    sizes = measure([bizvol], engine_is_here=True)
    assert sizes.by_name == {}
    assert sizes.warnings == (
        "The size of 1 volume(s) is unknown (bizvol): the folders of an engine on Windows cannot be read from here",
    )


@pytest.mark.parametrize(
    ("have", "here", "user", "words"),
    [
        ({"Driver": "pure:latest"}, True, 0, "their data is reached only through their driver"),
        ({"ClusterVolume": {}}, True, 0, "their data is reached only through their driver"),
        ({"Options": NFS}, True, 0, "they only refer to data"),
        ({}, False, 0, "the module must run on the engine's host"),
        ({}, True, 1000, "the module must run as root"),
        ({"Mountpoint": "/no/such/folder"}, True, 0, "their folders are not on this host"),
        ({"Mountpoint": ""}, True, 0, "cannot be read from here"),
    ],
)
def test_why_a_size_is_unknown(monkeypatch, have, here, user, words):
    monkeypatch.setattr(os, "geteuid", lambda: user)
    names = [f"v{number}" for number in range(8)]
    sizes = measure([volume(Name=name, **have) for name in names], engine_is_here=here)
    assert sizes.by_name == {}
    (warning,) = sizes.warnings
    assert warning.startswith("The size of 8 volume(s) is unknown (v0, v1, v2, v3, v4 and 3 more): ")
    assert words in warning


def test_sizes(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "file").write_bytes(b"x" * 100_000)
    os.link(tmp_path / "sub" / "file", tmp_path / "link")
    (tmp_path / "outside").symlink_to("/usr")
    with (tmp_path / "sparse").open("wb") as sparse:
        sparse.truncate(10**9)
    sizes = measure([volume(Mountpoint=str(tmp_path))], engine_is_here=True)
    assert 100_000 <= sizes.by_name["pgdata"] < 200_000
    assert sizes.warnings == ()
    assert used_bytes(str(tmp_path)) == sizes.by_name["pgdata"]


def test_a_folder_that_cannot_be_read_has_no_size(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "geteuid", lambda: 0)

    def refuse(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", refuse)
    sizes = measure([volume(Mountpoint=str(tmp_path))], engine_is_here=True)
    assert sizes.by_name == {}
    assert f"'{tmp_path}' cannot be read: Permission denied" in sizes.warnings[0]


def test_what_goes_meanwhile_has_no_size(monkeypatch, tmp_path):
    def gone(path):
        raise FileNotFoundError(path)

    monkeypatch.setattr(os, "scandir", gone)
    assert used_bytes(str(tmp_path)) == os.lstat(tmp_path).st_blocks * 512


@pytest.mark.parametrize(
    ("names", "words"),
    [(["b", "a"], "a, b"), (list("abcde"), "a, b, c, d, e"), (list("abcdefg"), "a, b, c, d, e and 2 more")],
)
def test_some_names(names, words):
    assert some(names) == words
