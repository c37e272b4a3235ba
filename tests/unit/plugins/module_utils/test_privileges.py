# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
import yaml
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import InvalidInputError, RefusedError
from ansible_collections.voltainer.volumes.plugins.module_utils._privileges import (
    Privilege,
    as_yaml,
    from_config,
    from_engine,
    not_approved,
    parse_approved,
    unapproved,
    unasked,
)
from hypothesis import given
from hypothesis import strategies as st

from .fake_engine import RCLONE, RCLONE_PRIVILEGES

NETWORK = Privilege("network", ("host",))
DEV, SYS = Privilege("mount", ("/dev",)), Privilege("mount", ("/sys",))


@pytest.mark.parametrize(
    ("given_value", "parsed"),
    [
        (None, None),
        ("all", "all"),
        ([], ()),
        ([{"name": "network", "value": ["host"]}], (NETWORK,)),
        ([{"Name": "network", "Description": "words", "Value": ["host"]}], (NETWORK,)),
        ([{"name": "network", "value": "host"}], (NETWORK,)),
        ([{"name": "allow-all-devices", "value": [True]}], (Privilege("allow-all-devices", ("true",)),)),
        ([{"name": "mount"}], (Privilege("mount", ()),)),
    ],
)
def test_parse(given_value, parsed):
    assert parse_approved(given_value) == parsed


@pytest.mark.parametrize(
    "given_value",
    [
        "some",
        {"name": "network"},
        ["network"],
        [{"value": ["x"]}],
        [{"name": "a", "values": []}],
        [{"name": "a", "value": [[1]]}],
        [{"name": "a", "value": [None]}],
    ],
)
def test_parse_refuses(given_value):
    with pytest.raises(InvalidInputError, match="'privileges'"):
        parse_approved(given_value)


@pytest.mark.parametrize(
    ("asked", "approved", "beyond"),
    [
        ((), None, ()),
        ((NETWORK,), "all", ()),
        ((NETWORK,), None, (NETWORK,)),
        ((NETWORK,), (), (NETWORK,)),
        ((NETWORK, DEV), (DEV, NETWORK), ()),
        ((DEV, SYS), (Privilege("mount", ("/sys", "/dev")),), ()),
        ((DEV, DEV), (DEV,), (DEV,)),
        (
            (Privilege("capabilities", ("A", "B")),),
            (Privilege("capabilities", ("B",)),),
            (Privilege("capabilities", ("A",)),),
        ),
        # vieux/sshfs asks for a mount without a source; the engine words it [""], its client shows [].
        ((Privilege("mount", ("",)),), (Privilege("mount", ()),), ()),
        ((Privilege("mount", ("",)),), (), (Privilege("mount", ()),)),
    ],
)
def test_what_is_asked_beyond_what_is_approved(asked, approved, beyond):
    assert unapproved(asked, approved) == beyond


def test_what_is_approved_and_not_asked():
    assert unasked((NETWORK,), (NETWORK, DEV)) == (DEV,)
    assert unasked((NETWORK,), "all") == ()
    assert unasked((NETWORK,), None) == ()


def test_an_installed_plugin_has_what_it_asked_for():
    assert from_config(RCLONE["Config"]) == from_engine(RCLONE_PRIVILEGES)
    assert [one.name for one in from_config(RCLONE["Config"], fixed_only=True)] == ["network", "device", "capabilities"]


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ({}, []),
        ({"Network": {"Type": ""}}, []),
        ({"Network": {"Type": "null"}}, []),
        ({"Network": {"Type": "bridge"}}, []),
        (
            {"PidHost": True, "IpcHost": True, "Linux": {"AllowAllDevices": True, "Capabilities": ["CAP_SYS_PTRACE"]}},
            ["host ipc namespace", "host pid namespace", "allow-all-devices", "capabilities"],
        ),
    ],
)
def test_privileges_of_an_installed_plugin_come_in_the_engines_order(config, found):
    assert [one.name for one in from_config(config)] == found


def test_the_error_can_be_pasted():
    error = not_approved(
        "Cannot install the plugin 'x'", (NETWORK, DEV, Privilege("allow-all-devices", ("true",))), (DEV,)
    )
    assert isinstance(error, RefusedError)
    assert str(error) == (
        "Cannot install the plugin 'x': it asks for privileges that were not approved, and nothing was pulled:\n"
        "  - {name: network, value: [host]}\n"
        '  - {name: allow-all-devices, value: ["true"]}\nIf the plugin may have all that it asks for, approve it by\n'
        "privileges:\n"
        "  - {name: network, value: [host]}\n"
        "  - {name: mount, value: [/dev]}\n"
        '  - {name: allow-all-devices, value: ["true"]}'
    )
    assert [one["name"] for one in error.details["privileges_not_approved"]] == ["network", "allow-all-devices"]


WORDS = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=6) | st.sampled_from(
    ["true", "no", "null"]
)
privileges = st.lists(st.builds(Privilege, WORDS.filter(bool), st.lists(WORDS, max_size=3).map(tuple)), max_size=5).map(
    tuple
)


@given(privileges)
def test_a_plugin_that_asks_for_what_is_approved_is_approved_in_any_order(asked):
    assert unapproved(asked, tuple(reversed(asked))) == ()


@given(privileges)
def test_what_is_printed_parses_back_to_what_was_asked(asked):
    text = as_yaml(asked)
    parsed = parse_approved(yaml.safe_load(text) if text else [])
    assert unapproved(asked, parsed) == ()
