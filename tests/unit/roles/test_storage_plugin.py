# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role's files agree with each other: argument specs, defaults, README."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.voltainer.volumes.plugins.filter.config_file import (
    _OF_ROLE,
    preset_config_files,
    rendered_config_files,
)
from ansible_collections.voltainer.volumes.plugins.modules.docker_volume_plugin_x import FILE

ROLE = Path(__file__).resolve().parents[3] / "roles" / "storage_plugin"
README = (ROLE / "README.md").read_text(encoding="utf-8")


def read(name: str) -> Any:
    return yaml.safe_load((ROLE / name).read_text(encoding="utf-8"))


OPTIONS = read("meta/argument_specs.yml")["argument_specs"]["main"]["options"]


def test_argument_specs_and_defaults_are_equal() -> None:
    assert {name: spec["default"] for name, spec in OPTIONS.items() if "default" in spec} == read("defaults/main.yml")


def test_readme_has_a_heading_for_every_variable_with_keys() -> None:
    """What the tables say is made from the specs: see test_role_docs.py."""
    for name in ("storage_plugin_config_files", "storage_plugin_directories"):
        section = README.split(f"### `{name}`")[1].split("\n### ")[0].split("\n## ")[0]
        assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == set(OPTIONS[name]["options"])


def test_defaults_of_a_config_file_are_those_that_the_role_and_the_module_fill_in() -> None:
    """The specs only check: what an entry leaves out, the filter and the module fill in."""
    filled = {name: spec["default"] for name, spec in FILE.items() if "default" in spec} | _OF_ROLE
    options = OPTIONS["storage_plugin_config_files"]["options"]
    told = {name: spec["default"] for name, spec in options.items() if "default" in spec}
    assert told == {name: value for name, value in filled.items() if name not in {"strategy", "initial"}}


def test_every_key_of_a_config_file_is_one_of_the_modules() -> None:
    """The schema is looked at here, and not by the module."""
    assert set(OPTIONS["storage_plugin_config_files"]["options"]) - {"schema"} == set(FILE)


def test_every_preset_can_be_chosen() -> None:
    presets = {path.stem for path in (ROLE / "vars" / "presets").glob("*.yml")}
    assert set(OPTIONS["storage_plugin_preset"]["choices"]) == presets | {""}


PRESET = [{"path": "/etc/a.json", "format": "json", "schema": {"type": "object"}, "example": {"a": "b"}}]
OF_PRESET = {"path": "/etc/a.json", "format": "json", "schema": {"type": "object"}}


@pytest.mark.parametrize(
    ("files", "content", "with_content", "expected"),
    [
        ([], None, True, []),
        ([], {"k": 1}, True, [{**OF_PRESET, "content": {"k": 1}}]),
        ([], None, False, [OF_PRESET]),
        ([], {"k": 1}, False, [{**OF_PRESET, "content": {"k": 1}}]),
        (
            [{"path": "/etc/a.json", "schema": {}}],
            {"k": 1},
            True,
            [{**OF_PRESET, "schema": {}, "content": {"k": 1}}],
        ),
        ([{"path": "/etc/a.json", "content": "{}"}], None, True, [{**OF_PRESET, "content": "{}"}]),
        (
            [{"path": "/etc/b", "content": "x"}],
            {"k": 1},
            True,
            [{**OF_PRESET, "content": {"k": 1}}, {"path": "/etc/b", "content": "x"}],
        ),
        (["no entry"], None, True, ["no entry"]),
    ],
)
def test_config_files_get_what_the_preset_says(
    files: list[Any], content: Any, with_content: bool, expected: list[Any]
) -> None:
    assert preset_config_files(files, PRESET, content, with_content) == expected


def test_config_files_go_to_the_module_as_text() -> None:
    entries = [{**OF_PRESET, "content": {"k": 1}, "mode": "0640", "backup": None}, {"path": "/etc/b"}]
    assert rendered_config_files(entries) == [
        {
            **_OF_ROLE,
            "path": "/etc/a.json",
            "format": "json",
            "mode": "0640",
            "content": '{\n  "k": 1\n}\n',
        },
        {"path": "/etc/b"},
    ]
