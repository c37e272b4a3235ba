# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils._secrets import (
    MASK,
    address_secrets,
    leaves,
    mask,
    secret_keys,
    secret_values,
)
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    "key",
    ["password", "PASSWORD", "sftp-pass", "API_TOKEN", "linode-token", "apikey", "AWS_SECRET_ACCESS_KEY", "key_pem"],
)
def test_secret_by_name(key):
    assert secret_keys({key: "x"}) == {key}


@pytest.mark.parametrize("key", ["DEBUG", "keyring", "passthrough", "bypass", "size", "args", "config.source"])
def test_not_secret_by_name(key):
    assert secret_keys({key: "x"}) == frozenset()


def test_listed_keys_are_secret():
    assert mask({"size": "1", "url": "u"}, ["url", "not-there"]) == {"size": "1", "url": MASK}


def test_an_empty_value_is_no_secret():
    assert mask({"password": "", "token": "t"}) == {"password": "", "token": MASK}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("addr=1.2.3.4,username=u,password=hunter2,vers=3.0", f"addr=1.2.3.4,username=u,password={MASK},vers=3.0"),
        ("password=hunter2", f"password={MASK}"),
        ("pass=a,password2=b", f"pass={MASK},password2={MASK}"),
        ("rw,nopassword=1", "rw,nopassword=1"),
    ],
)
def test_passwords_in_mount_options(value, shown):
    assert mask({"o": value}) == {"o": shown}


def test_secret_values_are_the_secrets_alone():
    values = {
        "o": "user=u,password=hunter2",
        "token": "t0k",
        "size": "1",
        "apikey": "",
        "args": ["-v", "x"],
        "pass": None,
    }
    assert secret_values(values) == {"hunter2", "t0k"}
    assert secret_values(values, ["args"]) == {"hunter2", "t0k", "-v", "x"}


@pytest.mark.parametrize(
    ("address", "secrets"),
    [
        ("rest:http://user:hunter2@host:8000/path", {"hunter2"}),
        ("rest:https://:hunter2@host/", {"hunter2"}),
        ("rest:https://user:hun@ter2@host/a@b:c", {"hun@ter2"}),
        ("rest:https://user:hun/ter2@host/path", {"hun/ter2"}),
        ("rest:https://user:hunter2@[fd00::1]:8000/path", {"hunter2"}),
        ("s3:https://id:hun%2Fter2@s3.example.com/bucket", {"hun%2Fter2"}),
        ("rclone::sftp,host=nas,pass=hunter2:backups", {"hunter2"}),
        ("rest:https://host/path?token=hunter2&a=b", {"hunter2"}),
        ("rest:https://user@host/path", set()),
        ("rest:https://host:8000/user@example.com/path", set()),
        ("rest:https://host/user:a@example.com", set()),
        ("rest:https://[fd00::1]:8000/user@example.com", set()),
        ("rest:https://[fd00::1]/a:b@c", set()),
        ("sftp:user@host:/srv/a@b", set()),
        ("sftp://user@host:2222//srv/a:b@c", set()),
        ("s3:https://s3.example.com:9000/bucket", set()),
        ("/srv/restic", set()),
        ("", set()),
    ],
)
def test_passwords_in_an_address(address, secrets):
    assert address_secrets(address) == secrets


def test_leaves():
    assert list(leaves({"a": 1, "b": ["x", {"c": None, "d": True}]})) == ["1", "x", "True"]


@given(st.dictionaries(st.text(max_size=12), st.text(min_size=9, max_size=20)), st.lists(st.text(max_size=12)))
def test_masking_hides_every_secret_key_and_nothing_else(values, listed):
    hidden = secret_keys(values, listed)
    shown = mask(values, listed)
    assert shown.keys() == values.keys()
    for key, value in values.items():
        if key in hidden:
            assert shown[key] == MASK
        elif key != "o":
            assert shown[key] == value


@pytest.mark.parametrize("listed", ["DEBUG", "DEBUG.value"])
@pytest.mark.parametrize("key", ["DEBUG", "DEBUG.value"])
def test_a_setting_is_secret_under_each_of_its_names(key, listed):
    assert secret_values({key: "x", "other.value": "y"}, [listed]) == {"x"}
    assert mask({key: "x", "other.value": "y"}, [listed]) == {key: MASK, "other.value": "y"}


@pytest.mark.parametrize(
    ("value", "shown", "secret"),
    [
        ("username=u,password=abc,,def,vers=3", "username=u,password=********,vers=3", "abc,,def"),
        ("name=admin,secret=AQ==,rw", "name=admin,secret=********,rw", "AQ=="),
        ("pass=a,,,rw", "pass=********,rw", "a,,"),
        ("passthrough=1,secretive=2", "passthrough=1,secretive=2", None),
    ],
)
def test_passwords_of_mount_options_are_hidden_as_a_whole(value, shown, secret):
    assert mask({"o": value}) == {"o": shown}
    assert secret_values({"o": value}) == ({secret} if secret else set())
