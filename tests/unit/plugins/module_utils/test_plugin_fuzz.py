# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""References, settings, privileges and notes of plugins, whatever comes in."""

from __future__ import annotations

import copy

import pytest
import yaml
from ansible_collections.voltainer.volumes.plugins.module_utils import _plugin_log
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import InvalidInputError, VolumesError
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_log import tail
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_note import Note, read_notes
from ansible_collections.voltainer.volumes.plugins.module_utils._privileges import (
    Privilege,
    as_yaml,
    parse_approved,
    unapproved,
    unasked,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._reference import (
    Reference,
    parse_alias,
    parse_reference,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._settings import (
    SettingsWanted,
    catalog,
    changed_settings,
    current_settings,
    parse_settings,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import PLUGIN_CHANGE, Volume
from hypothesis import assume, given
from hypothesis import strategies as st

from .fake_engine import RCLONE, FakeEngine
from .test_plugin_upgrade import converge

PART = st.from_regex(r"[a-z0-9]+(?:[._-][a-z0-9]+)?", fullmatch=True)
DOMAIN = st.sampled_from(["docker.io", "localhost", "registry.example", "registry.example:5000", "[::1]:5000"])
TAG = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True)
DIGEST = st.from_regex(r"sha256:[0-9a-f]{64}", fullmatch=True)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
WORD = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=12)
# JSON, as which YAML is written here, has no other way than two halves for what is beyond.
PLAIN = st.text(st.characters(max_codepoint=0xD7FF), max_size=12)
PRIVILEGE = st.builds(Privilege, PLAIN.filter(bool), st.lists(PLAIN, max_size=3).map(tuple))
NAMES = st.sampled_from(sorted(catalog(RCLONE)))


def outcome(function, *arguments):
    """Return what the function returns, or the error for bad input; any other error fails the test."""
    try:
        return function(*arguments)
    except InvalidInputError as exc:
        return exc


@given(st.text())
def test_any_text_is_a_reference_or_bad_input(text):
    reference = outcome(parse_reference, text)
    if isinstance(reference, InvalidInputError):
        assert "'remote'" in str(reference)
    else:
        assert parse_reference(str(reference)) == reference


@given(DOMAIN, st.lists(PART, min_size=1, max_size=3), st.none() | TAG, st.none() | DIGEST)
def test_a_reference_survives_being_written_and_recorded(domain, parts, tag, digest):
    # The engine itself writes docker.io/0.0/x as 0.0/x, which then is a registry.
    assume(domain != "docker.io" or "." not in parts[0])
    path = "/".join(["library", *parts] if domain == "docker.io" and len(parts) == 1 else parts)
    meant = Reference(domain, path, tag or (None if digest else "latest"), digest)
    read = parse_reference(
        f"{domain}/{'/'.join(parts)}" + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")
    )
    assert read == meant
    assert parse_reference(read.recorded).recorded == read.recorded
    assert parse_reference(str(read)) == read


@given(st.text())
def test_any_text_is_an_alias_or_bad_input(text):
    alias = outcome(parse_alias, text)
    assert isinstance(alias, InvalidInputError) or parse_alias(alias) == alias


@given(JSON)
def test_any_value_is_privileges_or_bad_input(value):
    approved = outcome(parse_approved, value)
    if isinstance(approved, InvalidInputError):
        assert "'privileges'" in str(approved)
    else:
        assert approved is None or approved == "all" or all(isinstance(one, Privilege) for one in approved)


@given(st.lists(PRIVILEGE, max_size=5), st.randoms())
def test_what_is_printed_can_be_pasted_and_approves_exactly_what_is_asked_in_any_order(asked, random):
    asked = tuple(asked)
    pasted = yaml.safe_load(as_yaml(asked)) or []
    random.shuffle(pasted)
    approved = parse_approved(pasted)
    assert unapproved(asked, approved) == ()
    assert unasked(asked, approved) == ()


@given(st.lists(PRIVILEGE, min_size=1, max_size=5), st.data())
def test_one_privilege_less_is_never_enough(asked, data):
    left_out = data.draw(st.integers(0, len(asked) - 1))
    approved = tuple(asked[:left_out] + asked[left_out + 1 :])
    assert unapproved(tuple(asked), approved) != ()


@given(st.dictionaries(WORD, JSON, max_size=4))
def test_any_values_are_settings_or_bad_input(values):
    parsed = outcome(parse_settings, values)
    if isinstance(parsed, InvalidInputError):
        assert "'settings'" in str(parsed)
    else:
        assert all(isinstance(value, str) for value in parsed.values())


@given(st.dictionaries(NAMES, WORD, max_size=4), st.booleans())
def test_settings_converge_or_are_refused_before_any_call(wanted, exact):
    engine = FakeEngine(plugins=[copy.deepcopy(RCLONE)])
    try:
        converge(engine, settings=wanted, settings_exact=exact)
    except VolumesError:
        assert engine.calls == []
        return
    done = len(engine.calls)
    converge(engine, settings=wanted, settings_exact=exact)
    assert len(engine.calls) == done
    plugin = engine.plugin("rclone:latest").raw
    assert (
        current_settings(plugin).items() >= {catalog(plugin)[key].key: value for key, value in wanted.items()}.items()
    )


@given(st.dictionaries(WORD, WORD, max_size=4))
def test_unknown_settings_are_all_named(wanted):
    unknown = [name for name in wanted if name not in catalog(RCLONE) or not catalog(RCLONE)[name].settable]
    found = outcome(changed_settings, "rclone", SettingsWanted(wanted, {}), RCLONE)
    assert isinstance(found, InvalidInputError) is bool(unknown)
    assert all(f"'{name}'" in str(found) for name in unknown)


@given(
    st.builds(Note, WORD, WORD, st.booleans(), WORD, st.none() | WORD, st.dictionaries(WORD, WORD, max_size=3)),
)
def test_a_note_is_read_as_it_was_written(note):
    volume = Volume(note.volume, "local", {}, note.labels(), {})
    assert read_notes([volume]) == (note,)


@given(st.text() | JSON.map(yaml.safe_dump))
def test_any_label_is_a_note_or_none(text):
    assert len(read_notes([Volume("n", "local", {}, {PLUGIN_CHANGE: text}, {})])) in {0, 1}


@pytest.mark.parametrize("label", [None, "[" * 100_000])
def test_labels_that_are_no_notes(label):
    assert read_notes([Volume("n", "local", {}, {PLUGIN_CHANGE: label}, {})]) == ()


@pytest.mark.parametrize(
    ("secret", "lines"),
    [
        ("s3cret", ["cannot log in with s3cret"]),
        ('a"b\\nc', [r"cannot log in with a\"b\\nc"]),
        ("tab\u200bbed", [r"cannot log in with tab\u200bbed"]),
        ("-----BEGIN KEY-----\nMIIEvQ\nIBADAN\n", ["key is -----BEGIN", "MIIEvQ", "IBADAN"]),
        ("-v --token=s3cret", ["unknown flag --token=s3cret"]),
    ],
)
def test_secrets_are_hidden_in_what_a_plugin_said(secret, lines, monkeypatch):
    log = "".join(f'time="t" level=error msg="{line}" plugin=5f1c\n' for line in [*lines, "no route"])
    monkeypatch.setattr(_plugin_log, "_own_file", lambda _path: log + 'level=info msg="other" plugin=5f1d\n')
    said = tail("/run/docker.sock", "5f1c", [secret])
    assert said[-1] == "no route"
    assert len(said) == len(lines) + 1
    assert all("********" in line for line in said[:-1])
    assert not any(word in " ".join(said) for word in ("s3cret", "MIIE", "IBADAN", "bed", "nc"))


def test_where_no_log_can_be_read_nothing_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert tail(str(tmp_path / "none.sock"), "5f1c", []) == ()
