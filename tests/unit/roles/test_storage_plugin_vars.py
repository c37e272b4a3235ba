# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role works out from its variables: leftovers of an install by hand, and lists that are null."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.voltainer.volumes.tests.unit.roles.playbook import run_play

ROLE = Path(__file__).resolve().parents[3] / "roles" / "storage_plugin"


def plugin(name: str, reference: str, **other: object) -> dict[str, object]:
    return {"name": name, "reference": reference, "enabled": True, "volumes": [], "healthy": True, **other}


def said_by(folder: Path, told: object, **variables: object) -> Any:
    """Return what Ansible makes of `told` with the role's own variables and these."""
    play = {
        "vars_files": [str(ROLE / "defaults" / "main.yml"), str(ROLE / "vars" / "main.yml")],
        "vars": {"__storage_plugin_preset": {}, **variables},
        "tasks": [{"ansible.builtin.debug": {"msg": told}}],
    }
    result = run_play(folder, play)
    assert result.returncode == 0, result.stdout + result.stderr
    return json.loads(result.stdout.split("=> ", 1)[1].split("\n\nPLAY RECAP", 1)[0])["msg"]


@pytest.mark.parametrize(
    ("remote", "repository"),
    [("some/plugin:1.0", "docker.io/some/plugin"), ("lab:5000/some/plugin:1.0", "lab:5000/some/plugin")],
)
def test_only_one_without_an_alias_that_was_never_used_is_removed(tmp_path: Path, remote: str, repository: str) -> None:
    short = repository.replace("docker.io/", "")
    listed = [
        plugin("mine:latest", f"{repository}:1.0"),
        plugin(f"{short}:1.1", f"{repository}:1.1"),
        plugin("second:latest", f"{repository}:1.0"),
        plugin(f"{short}:1.2", f"{repository}:1.2", volumes=[{"name": "reports"}]),
        plugin(f"{short}:1.3", f"{repository}:1.3", enabled=False),
        plugin("other/plugin:1.0", "docker.io/other/plugin:1.0"),
    ]
    given: dict[str, object] = {"storage_plugin_remote": remote, "storage_plugin_alias": "mine"}
    told = {
        "unused": "{{ __storage_plugin_unused }}",
        "all": "{{ __storage_plugin_strays | map(attribute='name') | list }}",
    }
    given["__storage_plugin_listed"] = {"plugins": listed}
    said = said_by(tmp_path, told, **given)
    assert said == {
        "unused": [f"{short}:1.1"],
        "all": [f"{short}:1.1", "second:latest", f"{short}:1.2", f"{short}:1.3"],
    }


@pytest.mark.parametrize(
    "name",
    [
        "storage_plugin_packages",
        "storage_plugin_services",
        "storage_plugin_kernel_modules",
        "storage_plugin_state_files",
    ],
)
def test_a_list_that_is_null_is_told_with_its_name(tmp_path: Path, name: str) -> None:
    told = "{{ __storage_plugin_variable_problems | select | list }}"
    given = {"storage_plugin_remote": "some/plugin", name: None}
    assert [problem.split(":")[0] for problem in said_by(tmp_path, told, **given)] == [name]


PRESETS = ROLE / "vars" / "presets"


@pytest.mark.parametrize(
    ("given", "files"),
    [
        ({}, ["/var/lib/docker-plugins/rclone/cache/docker-plugin.state"]),
        ({"storage_plugin_settings": {"cache.source": "/srv/cache"}}, ["/srv/cache/docker-plugin.state"]),
        ({"storage_plugin_state_files": ["/srv/state"]}, ["/srv/state"]),
        ({"storage_plugin_state_files": []}, []),
        ({"__storage_plugin_preset": {}}, []),
    ],
)
def test_where_the_plugin_keeps_its_volumes(tmp_path: Path, given: dict[str, Any], files: list[str]) -> None:
    preset = yaml.safe_load((PRESETS / "rclone.yml").read_text())
    variables = {"__storage_plugin_preset": preset, **given}
    assert said_by(tmp_path, "{{ __storage_plugin_state_files }}", **variables) == files


@pytest.mark.parametrize(("preset", "asks"), [("buttervolume", False), ("rclone", True)])
def test_only_a_config_file_that_is_needed_is_asked_for(tmp_path: Path, preset: str, asks: bool) -> None:
    told = "{{ __storage_plugin_variable_problems | select | list }}"
    variables = {"__storage_plugin_preset": yaml.safe_load((PRESETS / f"{preset}.yml").read_text())}
    problems = said_by(tmp_path, told, **variables)
    assert [problem.split(":")[0] for problem in problems] == (["storage_plugin_config is missing"] if asks else [])
