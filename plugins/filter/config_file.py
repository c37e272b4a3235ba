# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters that turn the content of a config file into its text, and that tell what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.voltainer.volumes.plugins.module_utils._config_file import ConfigFileError, problems, render
from jinja2 import Undefined

try:
    # Up to ansible-core 2.18 a template whose result looks like a mapping or list is turned into one, which would undo
    # the text made here, unless the text is of this type. From 2.19 on neither the trap nor the type exists.
    from ansible.utils.native_jinja import NativeJinjaText
except ImportError:
    NativeJinjaText = str

# What a preset can say of a config file; its example is for the reader.
_OF_PRESET = ("path", "format", "strategy", "initial", "schema")
# What the role says of files where its variables do not.
_OF_ROLE = {"owner": "root", "group": "root", "mode": "0600", "directory_mode": "0700"}


def config_file(content: Any, format: str, path: str) -> str:  # noqa: A002 - the name that users write
    """Return the text of the config file `path`; a ConfigFileError becomes the template's error, nothing added."""
    try:
        text = render(_revealed(content), str(format), str(path))
    except ConfigFileError as error:
        message = str(error)
    else:
        return NativeJinjaText(text)
    # Raised outside the handler: no chain of exceptions that a traceback could print.
    raise AnsibleFilterError(message)


def config_file_errors(
    files: Any, with_content: bool = True, noun: str = "config file", folders: Any = None
) -> list[str]:
    """Return what is wrong with the config files, one message for each fault."""
    if isinstance(files, (str, Mapping)) or not isinstance(files, Sequence):
        return [f"{noun}s: must be a list of mappings, each with a path."]
    return problems(_revealed(files), with_content=with_content, noun=noun, folders=folders)


def preset_config_files(
    files: Any, preset: Any = (), content: Any = None, with_content: bool = True
) -> list[dict[str, Any]]:
    """Return the config files of a role's variables, each with what the preset says of the file of that path.

    `content` is that of the first file that the preset has. Without `with_content`, all files of the preset are there.
    """
    of_preset = {entry["path"]: {key: entry[key] for key in _OF_PRESET if key in entry} for entry in preset}
    given = [_with_preset(entry, of_preset) for entry in files]
    paths = {entry.get("path") for entry in given if isinstance(entry, Mapping)}
    first = next(iter(of_preset), None)
    if content is not None and first is not None and first not in paths:
        given.insert(0, {**of_preset[first], "content": content})
    if content is not None:
        given = [_with_content(entry, first, content) for entry in given]
    if not with_content:
        paths |= {first} if content is not None else set()
        given += [entry for path, entry in of_preset.items() if path not in paths]
    return given


def _with_preset(entry: Any, of_preset: Mapping[str, Any]) -> Any:
    # What is no entry is told together with all other faults.
    return {**of_preset.get(entry.get("path"), {}), **entry} if isinstance(entry, Mapping) else entry


def _with_content(entry: Any, path: str | None, content: Any) -> Any:
    if isinstance(entry, Mapping) and entry.get("path") == path and entry.get("content") is None:
        return {**entry, "content": content}
    return entry


def rendered_config_files(files: Any) -> list[dict[str, Any]]:
    """Return config files as the module takes them: their contents as text, and what the role leaves open."""
    return [_rendered(entry) for entry in files]


def _rendered(entry: Mapping[str, Any]) -> dict[str, Any]:
    known = {key: value for key, value in entry.items() if key not in {"schema", "content"} and value is not None}
    if entry.get("content") is None:
        return known
    text = config_file(entry["content"], entry["format"], entry["path"])
    return {**_OF_ROLE, **known, "content": str(text)}


def _revealed(value: Any) -> Any:
    """Return `value` with vaulted texts decrypted and undefined values raised as Ansible words them.

    Up to ansible-core 2.18 a `!vault` value reaches a filter as an object that only str() decrypts.
    """
    if isinstance(value, Undefined) or getattr(value, "__ENCRYPTED__", False):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _revealed(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_revealed(item) for item in value]
    return value


class FilterModule:
    """What Ansible asks a filter plugin for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {
            "config_file": config_file,
            "config_file_errors": config_file_errors,
            "preset_config_files": preset_config_files,
            "rendered_config_files": rendered_config_files,
        }
