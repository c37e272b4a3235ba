# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from voltainer_lab.containers import Member, check_owner, labels, make_host_config, owned
from voltainer_lab.files import PutFile
from voltainer_lab.names import LabError

MEMBER = Member(
    name="host1",
    role="host",
    image="image:1",
    address="10.0.0.21",
    aliases=("host1",),
    command=("init",),
    files={"/etc/key": PutFile(b"secret", 0o600)},
)


@pytest.mark.parametrize(
    "change",
    [
        {"image": "image:2"},
        {"address": "10.0.0.22"},
        {"command": ("init", "-v")},
        {"files": {"/etc/key": PutFile(b"other", 0o600)}},
        {"host_config": {"cap_add": ["ALL"]}},
    ],
)
def test_what_needs_a_new_container_changes_the_digest(change: dict[str, Any]) -> None:
    assert dataclasses.replace(MEMBER, **change).digest() != MEMBER.digest()


def test_the_data_of_a_new_container_is_not_its_configuration() -> None:
    assert dataclasses.replace(MEMBER, seed=("/var/lib", Path("content.tar"))).digest() == MEMBER.digest()


def test_other_peoples_things_are_not_touched(tmp_path: Path) -> None:
    mine = labels(tmp_path, "lab", "host")
    check_owner(mine, "container x", tmp_path, "lab")
    with pytest.raises(LabError, match="is not lab 'lab'"):
        check_owner(None, "container x", tmp_path, "lab")
    with pytest.raises(LabError, match="is not lab 'other'"):
        check_owner(mine, "container x", tmp_path, "other")
    with pytest.raises(LabError, match="belongs to the lab"):
        check_owner(mine, "container x", tmp_path / "elsewhere", "lab")


def test_a_lab_of_another_checkout_is_not_ones_own(tmp_path: Path) -> None:
    tags = labels(tmp_path, "lab", "host")
    assert owned(tags, tmp_path)
    assert not owned(tags, tmp_path / "elsewhere")
    assert owned(labels(tmp_path / "gone", "lab", "host"), tmp_path)


def test_what_nobody_owns_any_more_may_go(tmp_path: Path) -> None:
    check_owner(labels(tmp_path / "gone", "lab", "host"), "container x", tmp_path, "lab")


class FakeApi:
    def create_host_config(self, **options: Any) -> dict[str, Any]:
        return options


def test_raw_keys_reach_the_engine_as_they_are() -> None:
    config = make_host_config(FakeApi(), {"cap_add": ["ALL"], "raw": {"MaskedPaths": []}}, network_mode="none")
    assert config["MaskedPaths"] == []
    assert config["cap_add"] == ["ALL"]
    assert config["network_mode"] == "none"
    assert config["log_config"]["Config"]["max-size"]
