# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of nodes and what they have of a plugin, and the words for a failure."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.voltainer.volumes.plugins.filter.storage_plugin_table import FilterModule

TABLE = FilterModule().filters()["storage_plugin_table"]
FAILURE = FilterModule().filters()["storage_plugin_failure"]


def seen(**changes: Any) -> dict[str, Any]:
    plugin = {
        "name": "pure:latest",
        "enabled": True,
        "healthy": True,
        "unhealthy_reason": None,
        "reference": "registry.example/pure:1.0",
        "digest": "sha256:" + "a" * 64,
        "settings": {"TOKEN": "********", "DEBUG": "true", "args": ""},
        "settings_changed": ["DEBUG", "TOKEN"],
        "unfinished": None,
    }
    return {"changed": False, "exists": True, "plugins": [{**plugin, **changes}]}


def test_columns_are_aligned_and_settings_are_those_that_are_not_defaults() -> None:
    lines = TABLE({"n1": seen(), "node-22": seen(enabled=False, healthy=False, unhealthy_reason="it is disabled")})
    assert lines == [
        "NODE     REFERENCE                  DIGEST               ENABLED  HEALTH   SETTINGS",
        "n1       registry.example/pure:1.0  sha256:aaaaaaaaaaaa  yes      answers  DEBUG=true TOKEN=********",
        "node-22  registry.example/pure:1.0  sha256:aaaaaaaaaaaa  no       -        DEBUG=true TOKEN=********",
    ]


@pytest.mark.parametrize(
    ("result", "words"),
    [
        ({"exists": False, "plugins": []}, "n1    not installed"),
        ({"failed": True, "msg": "Cannot reach\nthe engine"}, "Cannot reach the engine"),
        ({"unreachable": True, "msg": "no route to host"}, "unreachable: no route to host"),
        ({"skipped": True}, "it says nothing"),
        (None, "was not looked at"),
        (seen(healthy=False, unhealthy_reason="it hangs"), "silent: it hangs"),
        (seen(healthy=False, unhealthy_reason="x" * 200), "x..."),
        (seen(healthy=None), "unknown"),
        (seen(unfinished="a change of it ..."), "a change of it was ended midway"),
        (seen(digest=None), "  unknown  "),
        (seen(reference=None), "pure:latest"),
    ],
)
def test_what_is_not_as_it_should_be(result: Any, words: str) -> None:
    heading, line = TABLE({"n1": result})
    assert heading.startswith("NODE  ")
    assert words in line


def test_differences_between_nodes_are_told() -> None:
    two = {"n1": seen(), "n2": seen(reference="registry.example/pure:1.1", digest="sha256:" + "b" * 64)}
    assert TABLE(two)[-1] == "Not the same on all nodes: reference and digest."
    assert TABLE({"n1": seen(), "n2": seen(digest=None)})[-1] == "Not the same on all nodes: digest."
    assert len(TABLE({"n1": seen(), "n2": {"plugins": []}, "n3": None})) == 4
    assert TABLE({}) == ["NODE  REFERENCE  DIGEST  ENABLED  HEALTH  SETTINGS"]


@pytest.mark.parametrize(
    ("result", "task", "words"),
    [
        ({"msg": "it broke\n"}, {"name": "Install it"}, "Install it: it broke"),
        ({"msg": ["one", "two"]}, {"action": "assert"}, "assert: one two"),
        ({}, {}, "a task: it says nothing"),
        (
            {"msg": "s3cret"},
            {"name": "Write", "no_log": True},
            "Write: its result is hidden, as it has secrets (no_log)",
        ),
        ({"msg": "s3cret", "_ansible_no_log": True}, {"name": "Write"}, "Write: its result is hidden"),
        (
            {"msg": "One or more items failed", "results": [{"msg": "a", "failed": True}, {"msg": "b"}]},
            {"name": "Loop"},
            "Loop: a",
        ),
    ],
)
def test_words_for_a_failure(result: dict[str, Any], task: dict[str, Any], words: str) -> None:
    assert FAILURE(result, task).startswith(words)
    assert "s3cret" not in FAILURE(result, task)
