# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters as Ansible calls them: with the types that it passes."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible_collections.voltainer.volumes.plugins.filter.config_file import FilterModule
from jinja2 import StrictUndefined, UndefinedError

SECRET = "hunter2zqx"
FILTERS = FilterModule().filters()


class Vaulted:
    """What a `!vault` value is up to ansible-core 2.18: no str, but str() decrypts it."""

    __ENCRYPTED__ = True

    def __str__(self) -> str:
        return SECRET


def loaded(text: str) -> Any:
    """Read YAML as Ansible reads an inventory, so that the values have Ansible's own types."""
    return DataLoader().load(text)


def test_values_that_ansible_read_are_written_plainly() -> None:
    content = loaded("nas: {type: sftp, port: 22, tls: true}")
    assert content["nas"]["type"].__class__ is not str, "Ansible's own types are what this is about"
    assert FILTERS["config_file"](content, "ini", "/a") == "[nas]\ntype = sftp\nport = 22\ntls = true\n"
    assert FILTERS["config_file"](content, format="yaml", path="/a") == "nas:\n  type: sftp\n  port: 22\n  tls: true\n"
    assert '"port": 22' in FILTERS["config_file"](content, "json", "/a")
    assert FILTERS["config_file"](content, "toml", "/a") == '[nas]\ntype = "sftp"\nport = 22\ntls = true\n'


def test_vaulted_values_are_decrypted() -> None:
    assert FILTERS["config_file"]({"a": [Vaulted()]}, "yaml", "/a") == f"a:\n- {SECRET}\n"
    assert FILTERS["config_file"](Vaulted(), "raw", "/a") == f"{SECRET}\n"
    assert FILTERS["config_file_errors"]([{"path": "/a", "format": "raw", "content": Vaulted()}]) == []


@pytest.mark.parametrize("content", [StrictUndefined(name="nope"), {"a": [StrictUndefined(name="nope")]}])
def test_an_undefined_value_is_called_so(content: object) -> None:
    with pytest.raises(UndefinedError, match="nope"):
        FILTERS["config_file"](content, "json", "/a")


def test_an_error_is_ansibles_and_has_no_chain() -> None:
    with pytest.raises(AnsibleError, match="config file /a: not valid JSON: line 1, column 7") as caught:
        FILTERS["config_file"](f'{{"a": {SECRET}', "json", "/a")
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@pytest.mark.parametrize("files", ["text", {"path": "/a"}, 5, None])
def test_what_is_no_list_is_told(files: object) -> None:
    assert FILTERS["config_file_errors"](files) == ["config files: must be a list of mappings, each with a path."]


def test_every_error_is_listed() -> None:
    files = [{"path": "a"}, {"path": "/b", "format": "json", "content": SECRET}]
    found = FILTERS["config_file_errors"](files)
    assert [message.split(":", maxsplit=1)[0] for message in found] == [
        "config file 1",
        "config file 1",
        "config file /b",
    ]
    assert FILTERS["config_file_errors"](files, with_content=False, noun="folder") == [
        "folder 1: path a is not absolute. Write it from the root, beginning with /."
    ]


def test_a_schema_and_vaulted_values_of_ansibles_own_types() -> None:
    files = loaded(
        "[{path: /a, format: json, content: {token: 5, user: u, port: x}, "
        "schema: {required: [host], properties: {token: {type: string}, user: {const: v}, port: {type: integer}}}}]"
    )
    assert FILTERS["config_file_errors"](files) == [
        "config file /a: host is missing.",
        "config file /a: port must be a whole number, not a string.",
        "config file /a: token must be a string, not a number.",
        "config file /a: user must be v.",
    ]
    files[0]["content"] = {"token": Vaulted(), "host": "h"}
    assert FILTERS["config_file_errors"](files) == []
    files[0]["schema"] = loaded("{properties: {token: {pattern: '^x'}}}")
    (told,) = FILTERS["config_file_errors"](files)
    assert told == "config file /a: token is not of the form ^x."
