# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import InvalidInputError
from ansible_collections.voltainer.volumes.plugins.module_utils._settings import (
    SettingsWanted,
    catalog,
    changed_settings,
    current_settings,
    parse_settings,
)

from .fake_engine import RCLONE, plugin_inspect


def changes(plugin, wanted, inspect):
    return changed_settings(plugin, SettingsWanted(wanted, {}), inspect)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("x", "x"),
        ("", ""),
        (1, "1"),
        (1.5, "1.5"),
        (True, "true"),
        (False, "false"),
        (["-v", "--x=1"], "-v --x=1"),
        (["-v", True, 2], "-v true 2"),
        ([], ""),
    ],
)
def test_values_become_strings(value, text):
    assert parse_settings({"KEY": value}) == {"KEY": text}


@pytest.mark.parametrize("value", [None, {"a": 1}, ["a b"], [None], [["-v"]]])
def test_values_that_are_none(value):
    with pytest.raises(InvalidInputError, match="'KEY' in the option 'settings'"):
        parse_settings({"KEY": value})


def test_unspecified_is_not_empty():
    assert parse_settings(None) is None
    assert parse_settings({}) == {}


def test_current():
    assert current_settings(RCLONE) == {
        "RCLONE_VERBOSE": "0",
        "API_TOKEN": "",
        "RCLONE_CONFIG": "/data/config/rclone.conf",
        "config.source": "/var/lib/docker-plugins/rclone/config",
        "cache.source": "/var/lib/docker-plugins/rclone/cache",
        "fuse.path": "/dev/fuse",
        "args": "",
    }


@pytest.mark.parametrize(
    ("wanted", "changed"),
    [
        ({}, {}),
        ({"RCLONE_VERBOSE": "0"}, {}),
        ({"RCLONE_VERBOSE": "1"}, {"RCLONE_VERBOSE": "1"}),
        ({"RCLONE_VERBOSE.value": "1"}, {"RCLONE_VERBOSE": "1"}),
        ({"API_TOKEN": ""}, {}),
        ({"args": ""}, {}),
        ({"args": "-v --x"}, {"args": "-v --x"}),
        ({"config": "/srv/x"}, {"config.source": "/srv/x"}),
        ({"config.source": "/var/lib/docker-plugins/rclone/config"}, {}),
    ],
)
def test_only_what_differs_is_changed(wanted, changed):
    assert changes("rclone", wanted, RCLONE) == changed


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"NOPE": "1"}, "it has no setting 'NOPE'"),
        ({"RCLONE_CONFIG": "/x"}, "'RCLONE_CONFIG' cannot be changed"),
        ({"fuse.path": "/dev/x"}, "'fuse.path' cannot be changed"),
        ({"NOPE": "1", "fuse.path": "/dev/x"}, "'NOPE'; 'fuse.path' cannot be changed"),
        ({"config": "/a", "config.source": "/b"}, "'config.source' is given more than once"),
        # Even where the value is what it is already: whoever names it believes that it can be set.
        ({"RCLONE_CONFIG": "/data/config/rclone.conf"}, "'RCLONE_CONFIG' cannot be changed"),
    ],
)
def test_refused_settings_are_all_named_with_what_can_be_set(wanted, words):
    with pytest.raises(InvalidInputError) as caught:
        changes("rclone", wanted, RCLONE)
    assert words in str(caught.value)
    assert "It can be set: API_TOKEN, RCLONE_VERBOSE, args, cache.source, config.source." in str(caught.value)


def test_what_runs_counts_and_not_the_default():
    inspect = plugin_inspect()
    inspect["Settings"]["Env"][0] = "RCLONE_VERBOSE=2"
    inspect["Settings"]["Args"] = ["-v", "--x"]
    assert changes("rclone", {"RCLONE_VERBOSE": "2", "args": "-v --x"}, inspect) == {}
    assert changes("rclone", {"RCLONE_VERBOSE": "0"}, inspect) == {"RCLONE_VERBOSE": "0"}


def test_a_plugin_without_anything_to_set():
    bare = {
        "Config": {
            "Args": {"Name": "", "Settable": None, "Value": None},
            "Env": None,
            "Mounts": None,
            "Linux": {"Devices": None},
        },
        "Settings": {"Args": None, "Devices": None, "Env": None, "Mounts": None},
    }
    assert catalog(bare) == {}
    with pytest.raises(InvalidInputError, match="It can be set: nothing"):
        changes("bare", {"DEBUG": "1"}, bare)


def test_devices_run_with_the_path_that_was_set():
    inspect = plugin_inspect()
    inspect["Settings"]["Devices"][0] = {"Name": "fuse", "Path": "/dev/other", "Settable": ["path"]}
    assert current_settings(inspect)["fuse.path"] == "/dev/other"


def test_of_two_settings_with_one_name_the_engine_sets_the_first():
    inspect = plugin_inspect()
    inspect["Config"]["Env"].append({"Name": "config", "Settable": ["value"], "Value": ""})
    assert changes("rclone", {"config": "x"}, inspect) == {"config": "x"}
    assert changes("rclone", {"config.source": "/x"}, inspect) == {"config.source": "/x"}
