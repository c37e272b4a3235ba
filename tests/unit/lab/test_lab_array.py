# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from array_plugin.array import copy_sparse
from array_plugin.checks import DEFAULT_SIZE, ArrayError, Wish, check_config, check_options, parse_size
from array_plugin.server import Switches
from voltainer_lab.array import FIRST, NEXT, array_config, builds, device_config
from voltainer_lab.plugin import plugin_privileges

ARRAY = {"MgmtEndPoint": "192.0.2.1", "APIToken": "secret"}
PURE = [
    {"name": "network", "value": ["host"]},
    {"name": "host pid namespace", "value": ["true"]},
    {"name": "mount", "value": ["/etc/pure-docker-plugin/pure.json"]},
    {"name": "mount", "value": ["/dev"]},
    {"name": "mount", "value": ["/sys"]},
    {"name": "allow-all-devices", "value": ["true"]},
    {"name": "capabilities", "value": ["CAP_SYS_ADMIN", "CAP_SYS_PTRACE"]},
]


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("25GB", 25_000_001_536),  # whole blocks
        ("25GiB", 25 * 1024**3),
        ("25G", 25 * 1024**3),
        ("512mib", 512 * 1024**2),
        ("1.5 GiB", 3 * 1024**3 // 2),
        ("1048576", 1024**2),
        ("2097152B", 2 * 1024**2),
    ],
)
def test_a_size_is_read_in_bytes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "25 furlongs", "1KiB", "5PiB", "1,5GB"])
def test_a_size_that_is_none_is_refused_by_name(text: str) -> None:
    with pytest.raises(ArrayError, match=r"^size "):
        parse_size(text)


@pytest.mark.parametrize(
    ("options", "wish"),
    [
        ({}, Wish(DEFAULT_SIZE)),
        ({"size": "1GiB"}, Wish(1024**3)),
        ({"source": "other"}, Wish(DEFAULT_SIZE, source="other")),
        ({"import_from_src": "array-volume"}, Wish(DEFAULT_SIZE, import_from="array-volume")),
    ],
)
def test_options_that_the_array_knows(options: dict[str, str], wish: Wish) -> None:
    assert check_options(options) == wish


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"colour": "red", "size": "1GiB"}, "colour"),
        ({"size": "much"}, "much"),
        ({"source": ""}, "source"),
        ({"source": "a", "import_from_src": "b"}, "import_from_src"),
        ({"source": "a", "size": "1GiB"}, "size"),
    ],
)
def test_a_refused_option_is_named(options: dict[str, str], named: str) -> None:
    with pytest.raises(ArrayError, match=named):
        check_options(options)


@pytest.mark.parametrize(
    ("config", "problems"),
    [
        ({"FlashArrays": [ARRAY]}, []),
        ({"FlashBlades": [ARRAY | {"NFSEndPoint": "192.0.2.2"}]}, []),
        ({"FlashBlades": [ARRAY | {"NfsEndPoint": "192.0.2.2"}], "FlashArrays": [ARRAY]}, []),
        ({"FlashBlades": [ARRAY]}, ["FlashBlades[0] has no NFSEndPoint"]),
        (
            {"FlashArrays": [ARRAY, {"APIToken": 7}]},
            ["FlashArrays[1] has no MgmtEndPoint", "FlashArrays[1] has no APIToken"],
        ),
        ({"FlashArrays": ["array"]}, ["FlashArrays[0] must be an object"]),
        ({"FlashArrays": ARRAY}, ["FlashArrays must be a list"]),
        ({"FlashArrays": []}, ["names neither FlashArrays nor FlashBlades"]),
        ([ARRAY], ["must be a JSON object"]),
    ],
)
def test_a_configuration_is_checked(config: Any, problems: list[str]) -> None:
    assert check_config(json.dumps(config)) == problems


def test_a_configuration_that_is_no_json_is_refused_without_its_secrets() -> None:
    (problem,) = check_config('{"FlashArrays": [{"APIToken": "secret",}]}')
    assert problem.startswith("is not JSON")
    assert "secret" not in problem


def test_privileges_are_pures_own() -> None:
    assert plugin_privileges(array_config(FIRST)) == PURE
    assert plugin_privileges(array_config(NEXT)) == PURE


def test_some_versions_ask_for_something_else() -> None:
    more, less = (plugin_privileges(array_config(version)) for version in ("1.2", "1.5"))
    assert more[:-1] == PURE[:-1]
    assert more[-1]["value"] == ["CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_NET_ADMIN"]
    assert less == [each for each in PURE if each["value"] != ["/sys"]]


def test_devices_come_after_mounts() -> None:
    assert plugin_privileges(device_config()) == [*PURE[:5], {"name": "device", "value": ["/dev/null"]}, *PURE[5:]]


def test_the_next_version_has_another_default_and_another_setting() -> None:
    old, new = ({env["name"]: env["value"] for env in array_config(version)["env"]} for version in (FIRST, NEXT))
    assert set(new.items()) - set(old.items()) == {("DEBUG", "true"), ("PURE_TIMEOUT", "30")}


def test_no_two_builds_are_the_same_files() -> None:
    about = [build.files()["/etc/lab-build"].content for build in builds()]
    assert len(set(about)) == len(about) == 9


def test_switches_are_read_with_each_use(tmp_path: Path) -> None:
    path = tmp_path / "switches.json"
    switches = Switches({"deaf": True}, path)
    assert switches.read() == {"deaf": True}
    path.write_text('{"fail": {"Remove": "no"}, "deaf": false}')
    assert switches.read() == {"fail": {"Remove": "no"}, "deaf": False}
    with pytest.raises(ArrayError, match=r"^no$"):
        switches.apply("Remove")
    switches.apply("Create")
    path.write_text('{"fail"')
    assert switches.read()["fail"] == {"Remove": "no"}
    path.unlink()
    assert switches.read() == {"deaf": True}


def test_a_copy_keeps_data_and_holes(tmp_path: Path) -> None:
    origin, copy = tmp_path / "origin", tmp_path / "copy"
    with origin.open("wb") as stream:
        stream.truncate(64 * 1024**2)
        stream.seek(5 * 1024**2)
        stream.write(b"data")
    copy_sparse(origin, copy)
    assert copy.read_bytes() == origin.read_bytes()
    assert copy.stat().st_blocks * 512 < 1024**2
