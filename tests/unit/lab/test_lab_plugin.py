# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from voltainer_lab.plugin import VERSIONS, plugin_config


def test_the_versions_differ_where_an_upgrade_can_be_seen() -> None:
    old, new = (plugin_config(version) for version in VERSIONS)
    assert {key for key in old if old[key] != new[key]} == {"description", "env"}
    assert [env["value"] for env in (old["env"][0], new["env"][0])] == ["0", "1"]


def test_settings_that_operators_use_are_settable() -> None:
    config = plugin_config(VERSIONS[0])
    settable = {item["name"] for item in [*config["env"], *config["mounts"], config["args"]] if item.get("settable")}
    assert settable == {"RCLONE_VERBOSE", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "config", "cache", "args"}
