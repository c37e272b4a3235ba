# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role's presets: their form, their examples, and what is said of contents that are wrong."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.voltainer.volumes.plugins.filter.config_file import FilterModule
from ansible_collections.voltainer.volumes.plugins.module_utils import _config_schema
from ansible_collections.voltainer.volumes.plugins.module_utils._config_file import problems
from ansible_collections.voltainer.volumes.plugins.module_utils._privileges import from_config, parse_approved
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

PRESETS = Path(__file__).resolve().parents[3] / "roles" / "storage_plugin" / "vars" / "presets"
FILES = sorted(PRESETS.glob("*.yml"))
LOADED: dict[str, dict[str, Any]] = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in FILES}
CONFIG_FILES = {name: preset["config_files"][0] for name, preset in LOADED.items() if preset.get("config_files")}
FILTERS = FilterModule().filters()
SECRET = "hunter2zqx"


# --- their form --------------------------------------------------------------------------------------------------

TEXT = {"type": "string", "minLength": 1}
SENTENCE = {"type": "string", "pattern": r"^[^\s].*[.]$"}
TEXTS = {"type": "array", "items": TEXT, "minItems": 1, "uniqueItems": True}
PATH = {"type": "string", "pattern": r"^(/[^/]+)+$"}
ANY_TEXT = {"type": "string"}


def closed(needed: list[str], /, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": needed, "properties": properties, "additionalProperties": False}


def by_name(rules: Any) -> dict[str, Any]:
    return {"type": "object", "minProperties": 1, "propertyNames": TEXT, "additionalProperties": rules}


BY_DISTRIBUTION = {**by_name(TEXTS), "propertyNames": {"enum": ["Debian", "Ubuntu", "RedHat", "Suse"]}}
PRIVILEGES = [
    "network",
    "host ipc namespace",
    "host pid namespace",
    "mount",
    "device",
    "allow-all-devices",
    "capabilities",
]
FORM = closed(
    ["title", "about", "maintenance", "canary", "sources"],
    title=TEXT,
    about=SENTENCE,
    maintenance={"type": "string", "pattern": "[^.]$"},
    remote={"type": "string", "pattern": r"^[a-z0-9-]+(/[a-z0-9-]+)+:[a-z0-9._-]+$"},
    alias=TEXT,
    privileges={
        "type": "array",
        "items": closed(["name", "value"], name={"enum": PRIVILEGES}, value={**TEXTS, "items": ANY_TEXT}),
    },
    config_files={
        "type": "array",
        "items": closed(
            ["path", "format", "strategy", "schema", "example"],
            path=PATH,
            format={"enum": ["json", "yaml", "ini", "toml"]},
            optional={"const": True},
            strategy={"enum": ["replace", "merge"]},
            initial=TEXTS,
            schema={"type": "object"},
            example={"type": "object"},
        ),
        "maxItems": 1,
    },
    settings=by_name(
        closed(["description"], description=SENTENCE, secret={"type": "boolean"}, default=ANY_TEXT, example=TEXT)
    ),
    directories={
        "type": "array",
        "items": closed(["path"], path=PATH, mode={"type": "string", "pattern": "^0[0-7]{3}$"}),
    },
    state_file=closed(["folder_setting", "name"], folder_setting=TEXT, name=TEXT),
    packages=BY_DISTRIBUTION,
    kernel_modules=TEXTS,
    services=BY_DISTRIBUTION,
    volume_options=by_name(closed(["description", "example"], description=SENTENCE, example=ANY_TEXT)),
    canary=closed(["enabled"], enabled={"type": "boolean"}, driver_options=by_name(TEXT), required=TEXTS),
    notes={**TEXTS, "items": SENTENCE},
    sources={**TEXTS, "items": {"type": "string", "pattern": "^https://"}},
)


def test_there_are_presets() -> None:
    assert {"pure", "rclone", "trident", "rexray_ebs", "sshfs", "hetzner_csi"} <= set(LOADED)


@pytest.mark.parametrize("name", LOADED)
def test_a_preset_has_the_form(name: str) -> None:
    assert _config_schema.faults(LOADED[name], FORM) == []


def test_the_form_is_no_empty_one() -> None:
    wrong = {**LOADED["pure"], "privilege": [], "packages": {"Arch": ["x"]}, "canary": {}}
    del wrong["privileges"]
    assert _config_schema.faults(wrong, FORM) == [
        "privilege is unknown here: did you mean privileges?",
        "canary.enabled is missing",
        "packages has a key that may not be there: Arch",
    ]


@pytest.mark.parametrize("name", LOADED)
def test_the_file_has_the_licence_and_is_called_by_a_plain_name(name: str) -> None:
    assert re.fullmatch("[a-z][a-z0-9_]+", name)
    lines = (PRESETS / f"{name}.yml").read_text(encoding="utf-8").splitlines()
    assert lines[:4] == [
        "---",
        "# Copyright (c) 2026, The voltainer.volumes developers",
        "# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)",
        "# SPDX-License-Identifier: GPL-3.0-or-later",
    ]


@pytest.mark.parametrize("name", LOADED)
def test_no_registrys_host_is_named(name: str) -> None:
    remote = LOADED[name].get("remote", "")
    assert "." not in remote.split("/")[0], "the first part of a reference with a dot in it is a host"
    text = (PRESETS / f"{name}.yml").read_text(encoding="utf-8")
    assert not re.search(r"\b(ghcr|docker|quay|gcr)\.io\b|hub\.docker", text)


@pytest.mark.parametrize("name", LOADED)
def test_addresses_are_those_of_documentation(name: str) -> None:
    text = (PRESETS / f"{name}.yml").read_text(encoding="utf-8")
    found = re.findall(r"\b\d{1,3}(?:\.\d{1,3}){3}\b", text)
    assert [address for address in found if not address.startswith("192.0.2.")] == []


@pytest.mark.parametrize("name", [name for name, preset in LOADED.items() if "privileges" in preset])
def test_privileges_are_worded_and_ordered_as_by_the_engine(name: str) -> None:
    asked = LOADED[name]["privileges"]
    parsed = parse_approved(asked)
    names = [one["name"] for one in asked]
    assert names == sorted(names, key=PRIVILEGES.index)
    values: dict[str, list[Any]] = {key: [one["value"] for one in asked if one["name"] == key] for key in PRIVILEGES}
    # The same as an inspect of the plugin would give: a config that is made from them leads back to them.
    assert parsed == from_config(
        {
            "Network": {"Type": values["network"][0][0]},
            "IpcHost": values["host ipc namespace"] == [["true"]],
            "PidHost": values["host pid namespace"] == [["true"]],
            "Mounts": [{"Source": source} for (source,) in values["mount"]],
            "Linux": {
                "Devices": [{"Path": path} for (path,) in values["device"]],
                "AllowAllDevices": values["allow-all-devices"] == [["true"]],
                "Capabilities": values["capabilities"][0],
            },
        }
    )


def test_the_privileges_of_pure_and_rclone() -> None:
    words = {
        name: [f"{one['name']}: {' '.join(one['value'])}" for one in LOADED[name]["privileges"]]
        for name in ("pure", "rclone")
    }
    assert words == {
        "pure": [
            "network: host",
            "host pid namespace: true",
            "mount: /etc/pure-docker-plugin/pure.json",
            "mount: /dev",
            "mount: /sys",
            "allow-all-devices: true",
            "capabilities: CAP_SYS_ADMIN CAP_SYS_PTRACE",
        ],
        "rclone": [
            "network: host",
            "mount: /var/lib/docker-plugins/rclone/config",
            "mount: /var/lib/docker-plugins/rclone/cache",
            "device: /dev/fuse",
            "capabilities: CAP_SYS_ADMIN",
        ],
    }


@pytest.mark.parametrize("name", LOADED)
def test_what_is_to_be_given_is_said(name: str) -> None:
    notes = " ".join(LOADED[name].get("notes", []))
    if "remote" not in LOADED[name]:
        assert re.search("reference .*has to be given", notes)
    if "privileges" not in LOADED[name]:
        assert "privileges have to be given" in notes


@pytest.mark.parametrize("name", LOADED)
def test_the_test_volume_has_options_that_the_driver_knows(name: str) -> None:
    canary = LOADED[name]["canary"]
    assert {*canary.get("driver_options", {}), *canary.get("required", [])} <= set(
        LOADED[name].get("volume_options", {})
    )
    assert canary["enabled"] or canary == {"enabled": False}


@pytest.mark.parametrize("name", LOADED)
def test_settings_that_are_secrets_are_marked(name: str) -> None:
    for key, setting in LOADED[name].get("settings", {}).items():
        looks = re.search(r"token|passw|secret|api_?key|access_?key", key, re.IGNORECASE) is not None
        assert looks == setting.get("secret", False), key


@pytest.mark.parametrize("name", [name for name, file in CONFIG_FILES.items() if file["format"] == "ini"])
def test_folders_of_files_that_are_mounted_as_folders_are_not_those_of_the_system(name: str) -> None:
    assert CONFIG_FILES[name]["path"].count("/") > 2


# --- their schemas and examples ----------------------------------------------------------------------------------


def faults_of(name: str, content: Any) -> list[str]:
    file = CONFIG_FILES[name]
    entry = {key: file[key] for key in ("path", "format", "schema")} | {"content": content}
    start = f"config file {file['path']}: "
    found = problems([entry])
    assert all(message.startswith(start) for message in found)
    return [message.removeprefix(start) for message in found]


@pytest.mark.parametrize("name", CONFIG_FILES)
def test_the_schema_is_one(name: str) -> None:
    Draft202012Validator.check_schema(CONFIG_FILES[name]["schema"])
    assert faults_of(name, []) in (
        ["the content must be a mapping, not a list."],
        ["content must be a string or a mapping for ini, not a list."],
    )


@pytest.mark.parametrize("name", CONFIG_FILES)
def test_the_example_is_valid_as_a_mapping_and_as_a_text(name: str) -> None:
    file = CONFIG_FILES[name]
    assert faults_of(name, file["example"]) == []
    text = FILTERS["config_file"](file["example"], file["format"], file["path"])
    assert faults_of(name, text) == []


@pytest.mark.parametrize("name", [name for name, file in CONFIG_FILES.items() if file["strategy"] == "replace"])
def test_the_example_shows_nothing_that_the_schema_does_not_know(name: str) -> None:
    """Where a schema says nothing of a key of its own example, it would say nothing of a mistake in it either."""
    described = {"hpe3par": {"logging", "hpe3par_debug", "suppress_requests_ssl_warnings"}}
    assert unknown_keys(CONFIG_FILES[name]["example"], CONFIG_FILES[name]["schema"]) == described.get(name, set())


def unknown_keys(content: Any, rules: Any) -> set[str]:
    if isinstance(content, list):
        return set().union(*(unknown_keys(item, rules.get("items", {})) for item in content))
    if not isinstance(content, dict):
        return set()
    properties, others = rules.get("properties", {}), rules.get("additionalProperties")
    free = (
        {key for key in content if key not in properties} if not properties or not isinstance(others, dict) else set()
    )
    free = (
        free
        if not isinstance(others, dict)
        else set()
        if not properties
        else {k for k in content if k not in properties}
    )
    return free.union(*(unknown_keys(item, properties.get(key, {})) for key, item in content.items()))


def changed(name: str, *changes: tuple[str, Any]) -> Any:
    """Return the example with values at places like `FlashArrays.0.APIToken` set, or removed where it is `...`."""
    content = copy.deepcopy(CONFIG_FILES[name]["example"])
    for place, value in changes:
        part = content
        *way, last = (int(one) if one.isdigit() else one for one in place.split("."))
        for one in way:
            part = part[one]
        if value is ...:
            del part[last]
        else:
            part[last] = value
    return content


@pytest.mark.parametrize(
    ("name", "changes", "told"),
    [
        ("pure", [("FlashArrays.0.MgmtEndPoint", ...)], ["FlashArrays[0].MgmtEndPoint is missing."]),
        ("pure", [("FlashArrays.0.APIToken", 5)], ["FlashArrays[0].APIToken must be a string, not a number."]),
        ("pure", [("FlashArrays.0.APIToken", "")], ["FlashArrays[0].APIToken must not be empty."]),
        ("pure", [("FlashArrays.0.Labels", {"n": 1})], ["FlashArrays[0].Labels.n must be a string, not a number."]),
        ("pure", [("FlashArrays.0.Labels", [SECRET])], ["FlashArrays[0].Labels must be a mapping, not a list."]),
        ("pure", [("FlashArrays", {"x": SECRET})], ["FlashArrays must be a list, not a mapping."]),
        ("pure", [("FlashArrays.0", SECRET)], ["FlashArrays[0] must be a mapping, not a string."]),
        ("pure", [("FlashArrays.0.Extra", SECRET)], []),
        ("pure", [("FlashBlades", ...)], []),
        ("pure", [("FlashArrays", ...)], []),
        ("pure", [("FlashArrays", [])], []),
        ("pure", [("FlashArrays", []), ("FlashBlades", ...)], ["FlashArrays must not be empty."]),
        (
            "pure",
            [("FlashArrays", []), ("FlashBlades", [])],
            ["FlashArrays must not be empty.", "FlashBlades must not be empty."],
        ),
        (
            "pure",
            [("FlashArrays", ...), ("FlashBlades", ...)],
            ["the content needs one of FlashArrays, FlashBlades."],
        ),
        (
            "pure",
            [("FlashArrays", ...), ("FlashArray", [])],
            ["FlashArray is unknown here: did you mean FlashArrays?"],
        ),
        (
            "pure",
            [("FlashBlades.0.NFSEndPoint", ...)],
            ["FlashBlades[0] needs one of NFSEndPoint, NfsEndPoint."],
        ),
        ("pure", [("FlashBlades.0.NFSEndPoint", ...), ("FlashBlades.0.NfsEndPoint", "192.0.2.21")], []),
        (
            "pure",
            [("FlashArrays.0.MgmtEndPoint", ...), ("FlashArrays.0.MgmtEndpoint", "192.0.2.10")],
            ["FlashArrays[0].MgmtEndPoint is missing: is MgmtEndpoint a mistake for it?"],
        ),
        ("flasharray", [("arrays", [])], ["arrays must not be empty."]),
        ("flasharray", [("arrays.0.apiToken", ...)], ["arrays[0].apiToken is missing."]),
        (
            "flasharray",
            [("arrays.0.insecureSkipVerify", "true")],
            ["arrays[0].insecureSkipVerify must be a boolean, not a string."],
        ),
        ("flasharray", [("FlashArrays", [SECRET])], ["FlashArrays is unknown here: known are arrays."]),
        ("trident", [("managementLIF", ...)], ["managementLIF is missing."]),
        ("trident", [("version", "1")], ["version must be 1."]),
        ("trident", [("storageDriverName", ...)], ["storageDriverName is missing."]),
        (
            "trident",
            [("password", ...)],
            ["the content needs one of username and password, clientCertificate and clientPrivateKey."],
        ),
        ("trident", [("storageDriverName", "NAS")], ["storageDriverName is not of the form"]),
        (
            "trident",
            [("storageDriverName", "solidfire-san")],
            ["Endpoint is missing.", "SVIP is missing.", "TenantName is missing."],
        ),
        ("hpe3par", [("DEFAULT.san_ip", ...)], ["DEFAULT.san_ip is missing."]),
        ("hpe3par", [("DEFAULT.host_etcd_port_number", "etcd")], ["DEFAULT.host_etcd_port_number is not of the form"]),
        ("hpe3par", [("DEFAULT.hpe3par_password", "")], ["DEFAULT.hpe3par_password must not be empty."]),
        ("hpe3par", [("DEFAULT", ...)], ["DEFAULT is missing."]),
        ("nimble", [("default", {})], ["default is unknown here: known are global, defaults, overrides."]),
        ("nimble", [("overrides", SECRET)], ["overrides must be a mapping, not a string."]),
        ("rclone", [("nas.type", ...)], ["nas.type is missing."]),
        ("rclone", [("nas.type", "")], ["nas.type must not be empty."]),
        ("rclone", [("nas.pass", "")], []),
        ("rclone", [("cloud", {"type": "drive", "token": '{"access_token":"x"}'})], []),
        ("linstor", [("global", ...), ("globals", {})], ["global is missing"]),
        ("linstor", [("global.replicas", "two")], ["global.replicas is not of the form ^[0-9]+$, such as 2."]),
        ("vsphere", [("MaxLogFiles", "10")], ["MaxLogFiles must be a whole number, not a string."]),
        ("vsphere", [("LogLevel", SECRET)], ["LogLevel must be one of debug, info, warn, error."]),
        ("buttervolume", [("DEFAULT.TIMER", SECRET)], ["DEFAULT.TIMER is not of the form ^[0-9]+$, such as 60."]),
        ("buttervolume", [("DEFAULT.LOGLEVEL", "info")], ["DEFAULT.LOGLEVEL must be one of DEBUG, INFO"]),
    ],
)
def test_words_for_wrong_contents(name: str, changes: list[tuple[str, Any]], told: list[str]) -> None:
    found = faults_of(name, changed(name, *changes))
    assert [message for message in found if not any(message.startswith(words) for words in told)] in (
        [],
        # These come along with the mistake in a key's name.
        ["the content needs one of FlashArrays, FlashBlades."] if told and "unknown" in told[0] else [],
        ["globals is unknown here: did you mean global?"],
        ["arrays is missing."],
    )
    assert all(any(message.startswith(words) for message in found) for words in told)
    assert SECRET not in " ".join(found)


def values_of(data: Any) -> set[str]:
    if isinstance(data, dict):
        return set().union(*map(values_of, data.values()))
    if isinstance(data, list):
        return set().union(*map(values_of, data))
    return {data} if isinstance(data, str) else set()


@given(st.data(), st.sampled_from(sorted(CONFIG_FILES)))
def test_no_fault_shows_a_value_however_an_example_is_spoilt(data: st.DataObject, name: str) -> None:
    scalars = st.one_of(st.none(), st.integers(10**7, 10**8), st.text("QXZ~", min_size=5, max_size=9))
    spoilt = st.one_of(scalars, st.lists(scalars, max_size=2), st.dictionaries(st.sampled_from("abc"), scalars))

    def spoil(part: Any) -> Any:
        if data.draw(st.integers(0, 3)) == 0:
            return data.draw(spoilt)
        if isinstance(part, dict):
            return {key: spoil(item) for key, item in part.items() if data.draw(st.integers(0, 5))}
        return [spoil(item) for item in part] if isinstance(part, list) else part

    content = spoil(CONFIG_FILES[name]["example"])
    told = " ".join(faults_of(name, content)) if isinstance(content, dict) else ""
    shown = [
        value for value in values_of(content) if re.fullmatch("[QXZ~]{5,}|[0-9]{8,}|not-.*", value) and value in told
    ]
    assert shown == []
