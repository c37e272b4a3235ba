# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which plugins the role takes for leftovers of an install by hand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROLE = Path(__file__).resolve().parents[3] / "roles" / "storage_plugin"


def plugin(name: str, reference: str, **other: object) -> dict[str, object]:
    return {"name": name, "reference": reference, "enabled": True, "volumes": [], "healthy": True, **other}


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
    given = {"storage_plugin_remote": remote, "storage_plugin_alias": "mine", "__storage_plugin_preset": {}}
    told = {
        "unused": "{{ __storage_plugin_unused }}",
        "all": "{{ __storage_plugin_strays | map(attribute='name') | list }}",
    }
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars_files": [str(ROLE / "vars" / "main.yml")],
        "vars": {**given, "__storage_plugin_listed": {"plugins": listed}},
        "tasks": [{"ansible.builtin.debug": {"msg": told}}],
    }
    (tmp_path / "play.yml").write_text(json.dumps([play]))
    result = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", "play.yml"],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LC_ALL": "C.UTF-8", "ANSIBLE_HOME": str(tmp_path)},
    )
    assert result.returncode == 0, result.stdout + result.stderr
    said = json.loads(result.stdout.split("=> ", 1)[1].split("\n\nPLAY RECAP", 1)[0])["msg"]
    assert said == {
        "unused": [f"{short}:1.1"],
        "all": [f"{short}:1.1", "second:latest", f"{short}:1.2", f"{short}:1.3"],
    }
