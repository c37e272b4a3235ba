# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters that lay out what the nodes have of a storage plugin, and what a task failed with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

_HEADINGS = ("NODE", "REFERENCE", "DIGEST", "ENABLED", "HEALTH", "SETTINGS")
# How much of a digest is shown: as much as tells two of them apart.
_DIGEST_LENGTH = len("sha256:") + 12
# What a reason may be long before it breaks the table; the rest stands in the module's own result.
_LONGEST = 100


def storage_plugin_table(results: Mapping[str, Any]) -> list[str]:
    """Return the lines of a table of nodes and what each has, from the results of docker_volume_plugin_x_info."""
    rows = [_row(str(node), result) for node, result in results.items()]
    lines = _aligned([_HEADINGS, *rows])
    return [*lines, *_differences(results)]


def storage_plugin_failure(result: Mapping[str, Any], task: Mapping[str, Any]) -> str:
    """Return what a rescued task failed with, with the task's name, from ansible_failed_result and _task."""
    name = str(task.get("name") or task.get("action") or "a task")
    if task.get("no_log") or result.get("_ansible_no_log"):
        return f"{name}: its result is hidden, as it has secrets (no_log)"
    return f"{name}: {_words(result)}"


def _row(node: str, result: Any) -> tuple[str, ...]:
    problem = _problem(result)
    if problem:
        return (node, "?", "?", "?", problem, "")
    if not result["plugins"]:
        return (node, "not installed", "-", "-", "-", "")
    plugin = result["plugins"][0]
    return (
        node,
        plugin.get("reference") or plugin["name"],
        (plugin.get("digest") or "unknown")[:_DIGEST_LENGTH],
        "yes" if plugin["enabled"] else "no",
        _health(plugin),
        _settings(plugin),
    )


def _health(plugin: Mapping[str, Any]) -> str:
    if plugin.get("unfinished"):
        return "a change of it was ended midway"
    if plugin.get("healthy"):
        return "answers"
    if not plugin["enabled"]:
        return "-"
    reason = plugin.get("unhealthy_reason")
    return _short(f"silent: {reason}") if reason else "unknown"


def _settings(plugin: Mapping[str, Any]) -> str:
    """Return the settings that are not the defaults; secrets are hidden in the result already."""
    settings = plugin.get("settings") or {}
    return " ".join(f"{key}={settings[key]}" for key in plugin.get("settings_changed") or () if key in settings)


def _problem(result: Any) -> str:
    """Return why there is nothing to show; empty where there is."""
    if not isinstance(result, Mapping):
        return "was not looked at"
    if result.get("unreachable"):
        return _short(f"unreachable: {_words(result)}")
    if result.get("failed") or "plugins" not in result:
        return _short(_words(result))
    return ""


def _words(result: Mapping[str, Any]) -> str:
    """Return the message of a result; of a loop, those of the items that failed."""
    items = result.get("results")
    failed: Iterable[Any] = items if isinstance(items, Sequence) and not isinstance(items, str) else ()
    words = [_text(item.get("msg")) for item in failed if isinstance(item, Mapping) and item.get("failed")]
    return "; ".join(filter(None, words)) or _text(result.get("msg")) or "it says nothing"


def _text(message: Any) -> str:
    if isinstance(message, Sequence) and not isinstance(message, str):
        return " ".join(str(one) for one in message)
    return str(message or "").strip()


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


def _differences(results: Mapping[str, Any]) -> list[str]:
    """Return a line for what is not the same on all nodes that have the plugin."""
    plugins = [result["plugins"][0] for result in results.values() if not _problem(result) and result["plugins"]]
    different = [key for key in ("reference", "digest") if len({plugin.get(key) for plugin in plugins}) > 1]
    return [f"Not the same on all nodes: {' and '.join(different)}."] if different else []


class FilterModule:
    """What Ansible asks a filter plugin for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"storage_plugin_table": storage_plugin_table, "storage_plugin_failure": storage_plugin_failure}
