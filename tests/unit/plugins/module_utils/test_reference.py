# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import InvalidInputError
from ansible_collections.voltainer.volumes.plugins.module_utils._reference import (
    driver_key,
    parse_alias,
    parse_reference,
)
from hypothesis import given
from hypothesis import strategies as st

DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("pure", "pure:latest"),
        ("pure:latest", "pure:latest"),
        ("vieux/sshfs", "vieux/sshfs:latest"),
        ("docker.io/vieux/sshfs:1", "vieux/sshfs:1"),
        ("docker.io/library/pure", "pure:latest"),
        ("library/pure", "pure:latest"),
        (
            "registry.example:5000/rclone/docker-volume-rclone:1.0",
            "registry.example:5000/rclone/docker-volume-rclone:1.0",
        ),
        ("localhost/x", "localhost/x:latest"),
        ("[2001:db8::1]:5000/x", "[2001:db8::1]:5000/x:latest"),
        (f"vieux/sshfs@{DIGEST}", f"vieux/sshfs@{DIGEST}"),
        (f"vieux/sshfs:1@{DIGEST}", f"vieux/sshfs:1@{DIGEST}"),
    ],
)
def test_reference_is_spelled_as_the_engine_shows_it(text, shown):
    assert str(parse_reference(text)) == shown


@pytest.mark.parametrize(
    ("text", "recorded"),
    [
        ("pure", "docker.io/library/pure:latest"),
        ("vieux/sshfs", "docker.io/vieux/sshfs:latest"),
        ("docker.io/vieux/sshfs:1", "docker.io/vieux/sshfs:1"),
        ("registry.example:5000/pure:1.0", "registry.example:5000/pure:1.0"),
        (f"registry.example:5000/pure@{DIGEST}", f"registry.example:5000/pure@{DIGEST}"),
        (f"registry.example:5000/pure:1.0@{DIGEST}", f"registry.example:5000/pure@{DIGEST}"),
    ],
)
def test_reference_as_the_engine_records_it(text, recorded):
    assert parse_reference(text).recorded == recorded


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "a:",
        "A/b/c d",
        "vieux/SSHFS",
        "x@sha256:12",
        "x@",
        "/x",
        "x/",
        "-x",
        "x:-1",
        "http://registry/x",
        "a b",
        "x\n",
    ],
)
def test_no_reference(text):
    with pytest.raises(InvalidInputError, match="'remote'"):
        parse_reference(text)


@given(st.text(max_size=40))
def test_any_text_is_a_reference_or_a_clear_error_and_normalising_twice_is_normalising_once(text):
    once = None
    with contextlib.suppress(InvalidInputError):
        once = parse_reference(text)
    assert once is None or parse_reference(str(once)) == once


@pytest.mark.parametrize(
    ("text", "domain", "path"),
    [
        ("vieux/sshfs", "docker.io", "vieux/sshfs"),
        ("pure", "docker.io", "library/pure"),
        ("localhost/x", "localhost", "x"),
        ("registry:5000/x", "registry:5000", "x"),
        ("registry.example/x", "registry.example", "x"),
        ("REGISTRY/x", "REGISTRY", "x"),
    ],
)
def test_which_part_is_the_registry(text, domain, path):
    made = parse_reference(text)
    assert (made.domain, made.path) == (domain, path)


@pytest.mark.parametrize(("length", "valid"), [(128, True), (129, False)])
def test_the_longest_tag(length, valid):
    with contextlib.nullcontext() if valid else pytest.raises(InvalidInputError, match="is not a tag"):
        parse_reference(f"x:{'a' * length}")


def test_alias():
    assert parse_alias("pure") == "pure:latest"
    assert parse_alias("pure:swarm") == "pure:swarm"
    with pytest.raises(InvalidInputError, match="'alias'"):
        parse_alias(f"pure@{DIGEST}")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("pure", "pure:latest", True),
        ("local", "local", True),
        ("pure:1", "pure", False),
        ("registry.example:5000/pure", "registry.example:5000/pure:latest", True),
    ],
)
def test_names_of_one_driver(one, other, same):
    assert (driver_key(one) == driver_key(other)) is same
