# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import time

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils._backup_names import ArchiveName
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import VolumesError
from ansible_collections.voltainer.volumes.plugins.module_utils._manifest import (
    MAX_BYTES,
    MAX_CHANGED,
    Origin,
    from_json,
    origin_of,
    recipients_of,
    some_changed,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import Volume
from hypothesis import given
from hypothesis import strategies as st

from .backups import NEW_YEAR, manifest
from .volumes import inspect

FILE = "pgdata-20260101T000000Z.tar.zst.json"
GOOD = json.loads(manifest().to_json())


def read(**changes):
    """Return the manifest with other values; `...` takes a key away."""
    return from_json(json.dumps({key: one for key, one in {**GOOD, **changes}.items() if one is not ...}), FILE)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"options": {}, "labels": None},
        {"options": {"o": "addr=192.0.2.1,password=********"}, "hidden_options": ("o",)},
        {"changed_while_reading": ("a", "b\u00e4"), "sockets_skipped": 3, "quiesced": "stop"},
        {"name": ArchiveName("nas/reports", NEW_YEAR, "gzip", "age"), "recipients": ("age1a", "age1b")},
        {"recipients": ()},
        {"changed_while_reading": None, "sockets_skipped": None},
        {"content_bytes": 2**63 - 1},
        {"labels": {"": "", "multi": "line\nbreak\0"}},
    ],
)
def test_it_is_read_as_it_was_written(changes):
    one = manifest(**changes)
    assert from_json(one.to_json(), FILE) == one
    assert from_json(one.to_json(), FILE).to_json() == one.to_json()


def test_manifests_without_recipients_can_still_be_read():
    assert read(recipients=...) == read(recipients=None) == manifest()
    assert recipients_of(["b", "a", "b"]) == ("a", "b")


def test_its_text_is_stable():
    text = manifest(labels={"b": "2", "a": "1"}).to_json()
    assert text == manifest(labels={"a": "1", "b": "2"}).to_json()
    assert text.isascii()
    assert list(json.loads(text)) == sorted(GOOD)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"version": ...}, "the key 'version' is missing"),
        ({"version": 0}, "the key 'version' is none of 1"),
        ({"version": True}, "the key 'version' is none of 1"),
        ({"version": 1.0}, "the key 'version' is none of 1"),
        ({"version": "2"}, "the key 'version' is none of 1"),
        ({"volume": ...}, "the key 'volume' is missing"),
        ({"volume": ""}, "the key 'volume' is empty"),
        ({"volume": 5}, "the key 'volume' is no text"),
        ({"volume": "other"}, "the key 'archive' does not say the same"),
        ({"extra": 1}, "the key 'extra' is unknown"),
        ({"driver": None}, "the key 'driver' is no text"),
        ({"options": []}, "the key 'options' is no mapping"),
        ({"options": {"o": 1}}, "the key 'options.o' is no text"),
        ({"labels": {"a": None}}, "the key 'labels.a' is no text"),
        ({"labels": {"a": "\ud800"}}, "the key 'labels.a' is no text"),
        ({"labels": {"\ud800": "a"}}, "the key 'labels' is no text"),
        ({"hidden_options": "o"}, "the key 'hidden_options' is no list"),
        ({"hidden_options": ["o"]}, "names 'o', which 'options' does not have"),
        ({"engine": None}, "the key 'engine' is no mapping"),
        ({"engine": {"id": "1", "name": "", "version": ""}}, "the key 'engine.api' is missing"),
        ({"engine": {**GOOD["engine"], "id": 1}}, "the key 'engine.id' is no text"),
        ({"engine": {**GOOD["engine"], "key": ""}}, "the key 'engine.key' is unknown"),
        ({"created": "2026-02-31T00:00:00Z"}, "the key 'created' is no time"),
        ({"created": "2026-01-01T00:00:00+00:00"}, "the key 'created' is no time"),
        ({"created": "2026-1-01T00:00:00Z"}, "the key 'created' is no time"),
        ({"created": "2026-01-01T00:00:01Z"}, "the key 'archive' does not say the same"),
        ({"archive": "../../etc/passwd"}, "the key 'archive' does not say the same"),
        ({"archive": "/srv/pgdata-20260101T000000Z.tar.zst"}, "the key 'archive' does not say the same"),
        ({"format": "zip"}, "the key 'format' is none of tar"),
        ({"compression": "xz"}, "the key 'compression' is none of none, gzip, zstd"),
        ({"compression": "gzip"}, "the key 'archive' does not say the same"),
        ({"encryption": "age"}, "the key 'archive' does not say the same"),
        ({"encryption": ["none"]}, "the key 'encryption' is none of none, age, gpg"),
        ({"bytes": -1}, "the key 'bytes' is no number from 0 on"),
        ({"bytes": 1.5}, "the key 'bytes' is no number from 0 on"),
        ({"bytes": True}, "the key 'bytes' is no number from 0 on"),
        ({"bytes": 2**63}, "the key 'bytes' is no number from 0 on"),
        ({"bytes": "1"}, "the key 'bytes' is no number from 0 on"),
        ({"sha256": "AB" * 32}, "the key 'sha256' is no SHA-256"),
        ({"sha256": "ab" * 32 + "\n"}, "the key 'sha256' is no SHA-256"),
        ({"content_digest": "ab" * 32}, "the key 'content_digest' is no digest"),
        ({"tools": {"tar": 1}}, "the key 'tools.tar' is no text"),
        ({"keeps": {}}, "the key 'keeps.owner' is missing"),
        ({"keeps": {**GOOD["keeps"], "owner": 1}}, "the key 'keeps.owner' is none of True, False"),
        ({"recipients": "age1a"}, "the key 'recipients' is no list"),
        ({"recipients": [1]}, "the key 'recipients[0]' is no text"),
        ({"quiesced": "kill"}, "the key 'quiesced' is none of none, pause, stop"),
        ({"changed_while_reading": ["a", 1]}, "the key 'changed_while_reading[1]' is no text"),
        ({"changed_while_reading": ["a"] * (MAX_CHANGED + 1)}, "has more than 100 files"),
        ({"sockets_skipped": "1"}, "the key 'sockets_skipped' is no number"),
    ],
)
def test_what_is_wrong_in_it(changes, words):
    with pytest.raises(VolumesError) as caught:
        read(**changes)
    assert str(caught.value).startswith(f"Cannot read the manifest '{FILE}': ")
    assert words in str(caught.value)
    assert caught.value.details == {"manifest": FILE}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "it is no JSON"),
        ("{", "it is no JSON"),
        ("[]", "it is no mapping"),
        ("null", "it is no mapping"),
        ("[" * 1_000_000, "it is no JSON"),
        ('{"a":' * 500_000, "it is no JSON"),
        ('{"bytes": NaN}', "it is no JSON"),
        ('{"bytes": ' + "9" * 1_000_000 + "}", "it is no JSON"),
        ('{"engine": {"id": "1", "id": "2"}}', "the key 'id' stands there twice"),
        ('{"\\n": 1}', r"the key ''\\n'' is unknown"),
        ('{"' + "k" * 1_000_000 + '": 1}', "the key ''k{80}'' is unknown"),
        (
            json.dumps({str(n): n for n in range(200_000)})[:-1] + ', "199999": 0}',
            "the key '199999' stands there twice",
        ),
        (" " * (MAX_BYTES + 1), "it is longer than"),
    ],
)
def test_what_is_no_manifest(text, words):
    started = time.monotonic()
    with pytest.raises(VolumesError, match=words):
        from_json(text, FILE)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("version", [2, 99])
def test_a_newer_manifest_asks_for_a_newer_collection(version):
    with pytest.raises(VolumesError, match="Update the collection") as caught:
        read(version=version, unknown={})
    assert f"it is of version {version}" in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(sorted(GOOD)), JSON, max_size=4))
def test_any_values_are_a_manifest_or_an_error(changes):
    try:
        one = from_json(json.dumps({**GOOD, **changes}), FILE)
    except VolumesError:
        return
    assert from_json(one.to_json(), FILE) == one


@pytest.mark.parametrize(
    ("have", "secret", "options", "hidden"),
    [
        ({}, [], None, ()),
        ({"Options": {}}, [], {}, ()),
        ({"Options": {"size": "25", "password": ""}}, [], {"size": "25", "password": ""}, ()),
        (
            {"Options": {"token": "x1", "pin": "y2"}},
            ["pin"],
            {"token": "********", "pin": "********"},
            ("pin", "token"),
        ),
        (
            {"Options": {"type": "cifs", "o": "username=a,password=b,,c,uid=1"}},
            [],
            {"type": "cifs", "o": "username=a,password=********,uid=1"},
            ("o",),
        ),
    ],
)
def test_secrets_are_not_in_it(have, secret, options, hidden):
    told = origin_of(Volume.from_inspect(inspect(**have)), secret, "7a1c")
    assert told == Origin("pgdata", "local", options, hidden, {}, "7a1c")


def test_labels_stay_apart_from_the_record_of_a_change():
    labels = {"team": "billing", "voltainer.volumes.protected": "true", "voltainer.volumes.change": "{secret}"}
    told = origin_of(Volume.from_inspect(inspect(Labels=labels)), [], "7a1c")
    assert told.labels == {"team": "billing", "voltainer.volumes.protected": "true"}


def test_files_that_changed():
    odd = b"caf\xe9".decode("utf-8", "surrogateescape")
    assert some_changed(["b", odd, "a"]) == ("a", "b", "caf\\xe9")
    assert len(some_changed(map(str, range(1000)))) == MAX_CHANGED


@pytest.mark.parametrize(
    ("have", "same"),
    [
        ({"Options": {}, "Labels": None}, True),
        ({"Options": {"token": "another"}}, False),
        ({"Driver": "local:latest"}, True),
        ({"Driver": "rclone"}, False),
        ({"Name": "other"}, False),
        ({"Labels": {"a": "b"}}, False),
    ],
)
def test_whether_a_volume_is_made_as_it_was(have, same):
    before = origin_of(Volume.from_inspect(inspect()), [], "7a1c", "v1:00")
    now = origin_of(Volume.from_inspect(inspect(**have)), [], "99ff")
    assert before.same_definition(now) == now.same_definition(before) == same


def test_the_origin_of_a_manifest():
    one = manifest(labels={"a": "b"})
    assert one.origin == Origin("pgdata", "local", None, (), {"a": "b"}, one.engine.id, one.content_digest)
