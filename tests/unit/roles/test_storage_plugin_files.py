# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role on this machine, with an engine that only answers: it writes files, and must not show their content."""

from __future__ import annotations

import grp
import json
import os
import pwd
import sys
from pathlib import Path

import pytest
from ansible_collections.voltainer.volumes.tests.unit.plugins.module_utils.engine_server import serving
from ansible_collections.voltainer.volumes.tests.unit.plugins.module_utils.fake_engine import plugin_inspect
from ansible_collections.voltainer.volumes.tests.unit.roles.playbook import run_play

SECRET = "hunter2zqx"
# Disabled, so that a changed file needs no restart.
INSTALLED = plugin_inspect(Name="some/plugin:latest", PluginReference="docker.io/some/plugin:latest", Enabled=False)


def run_role(folder: Path, *arguments: str, code: int = 0, **variables: object) -> str:
    """Run the role with the config file that holds the secret, its plugin installed, and return what was printed."""
    answers = {
        "GET /plugins/some/plugin:latest/json": (200, INSTALLED),
        "GET /volumes": (200, {"Volumes": None, "Warnings": None}),
        "GET /containers/json": (200, []),
    }
    with serving(answers) as server:
        return _run_role(folder, f"tcp://127.0.0.1:{server.server_port}", *arguments, code=code, **variables)


def _run_role(folder: Path, at: str, *arguments: str, code: int, **variables: object) -> str:
    file = {
        "path": str(folder / "etc" / "pure.json"),
        "format": "json",
        "content": {"FlashArrays": [{"APIToken": SECRET}]},
        "owner": pwd.getpwuid(os.getuid()).pw_name,
        "group": grp.getgrgid(os.getgid()).gr_name,
    }
    play = {
        "module_defaults": {"group/voltainer.volumes.docker": {"docker_host": at, "api_version": "1.41"}},
        "roles": ["voltainer.volumes.storage_plugin"],
    }
    given = {
        "storage_plugin_remote": "some/plugin",
        "storage_plugin_state": "present",
        "storage_plugin_config_files": [{**file, **variables}],
    }
    (folder / "given.json").write_text(json.dumps(given | {"ansible_python_interpreter": sys.executable}))
    result = run_play(folder, play, "-vvv", "-e", f"@{folder}/given.json", *arguments)
    assert result.returncode == code, result.stdout + result.stderr
    return result.stdout + result.stderr


@pytest.mark.parametrize("before", [None, '{"FlashArrays": []}', f'{{"old": "{SECRET}"}}'])
def test_a_written_file_is_closed_and_its_content_is_never_shown(tmp_path: Path, before: str | None) -> None:
    written = tmp_path / "etc" / "pure.json"
    if before is not None:
        written.parent.mkdir()
        written.write_text(before)
        written.chmod(0o644)
    shown = run_role(tmp_path, "--diff")
    assert json.loads(written.read_text()) == {"FlashArrays": [{"APIToken": SECRET}]}
    assert written.stat().st_mode & 0o777 == 0o600
    assert SECRET not in shown


def test_check_mode_shows_no_content_and_writes_nothing(tmp_path: Path) -> None:
    shown = run_role(tmp_path, "--check", "--diff")
    assert f"{tmp_path}/etc/pure.json" in shown
    assert SECRET not in shown
    assert not (tmp_path / "etc").exists()


def test_a_file_that_is_not_valid_is_told_before_anything_is_written_and_without_its_content(tmp_path: Path) -> None:
    shown = run_role(tmp_path, code=2, content=f'{{"APIToken": "{SECRET}",}}')
    assert "Nothing was changed on this host" in shown
    assert "not valid JSON" in shown
    assert SECRET not in shown
    assert not (tmp_path / "etc").exists()
