# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role's files agree with each other: argument specs, defaults, README."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

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


def test_defaults_of_the_lists_keys_are_those_of_the_tasks() -> None:
    """The specs only check: the tasks themselves have to fill in what an entry leaves out."""
    tasks = (ROLE / "tasks" / "present.yml").read_text(encoding="utf-8")
    found = re.findall(r"\[__storage_plugin_at\]\.(\w+) \| default\(([^)]*)\)", tasks)
    used = {(key, yaml.safe_load(value)) for key, value in found}
    options = OPTIONS["storage_plugin_config_files"]["options"]
    assert used == {(key, spec["default"]) for key, spec in options.items() if "default" in spec}
