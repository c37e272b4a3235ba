# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest
from voltainer_lab.names import Host, LabError, container_name, merge_hosts, parse_host, parse_lab_name


@pytest.mark.parametrize(
    ("text", "host"),
    [("host1", Host("host1", "trixie")), ("old=bookworm", Host("old", "bookworm")), ("a-b=sid", Host("a-b", "sid"))],
)
def test_hosts_are_read(text: str, host: Host) -> None:
    assert parse_host(text) == host


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("=trixie", "host name ''"),
        ("Host=trixie", "host name 'Host'"),
        ("1host", "host name '1host'"),
        ("../x=sid", "host name '../x'"),
        ("host1=potato", "unknown suite 'potato'"),
        ("sftp=trixie", "taken by one of the lab's services"),
    ],
)
def test_bad_hosts_are_refused(text: str, message: str) -> None:
    with pytest.raises(LabError, match=message):
        parse_host(text)


@pytest.mark.parametrize("text", ["", "-lab", "../lab", "Lab", "a" * 32, "seed"])
def test_bad_lab_names_are_refused(text: str) -> None:
    with pytest.raises(LabError, match="lab name"):
        parse_lab_name(text)


def test_hosts_that_exist_keep_their_place() -> None:
    existing = [Host("b", "trixie"), Host("a", "sid")]
    assert merge_hosts(existing, [Host("c", "sid"), Host("a", "sid")]) == [*existing, Host("c", "sid")]


def test_a_host_cannot_change_its_suite() -> None:
    with pytest.raises(LabError, match="host a is sid and cannot become trixie"):
        merge_hosts([Host("a", "sid")], [Host("a", "trixie")])


def test_checkouts_may_have_labs_of_one_name() -> None:
    one, other = (container_name(Path(root), "lab", "host1") for root in ("/srv/one/.lab", "/srv/other/.lab"))
    assert one != other
    assert {one[:14], other[:14]} == {"voltainer-lab-"}
    assert one == container_name(Path("/srv/one/.lab"), "lab", "host1")
    assert one.endswith("-host1")
