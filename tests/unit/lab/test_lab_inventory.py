# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import yaml
from voltainer_lab.inventory import Secrets, known_hosts, render
from voltainer_lab.names import Host

PEM = "-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n-----END OPENSSH PRIVATE KEY-----\n"
PASSWORD = "#: s3cret"
HOSTS = [(Host("host1", "trixie"), "10.0.0.21"), (Host("old", "bookworm"), "10.0.0.22")]


def _group(directory: str = "/srv/lab") -> dict[str, Any]:
    text = render(Path(directory), HOSTS, Secrets(PASSWORD, PEM))
    group: dict[str, Any] = yaml.safe_load(text)["all"]["children"]["lab_hosts"]
    return group


def test_every_host_has_its_address_and_suite() -> None:
    assert _group()["hosts"] == {
        "host1": {"ansible_host": "10.0.0.21", "lab_suite": "trixie"},
        "old": {"ansible_host": "10.0.0.22", "lab_suite": "bookworm"},
    }


def test_ssh_trusts_the_labs_own_keys_only() -> None:
    variables = _group()["vars"]
    assert variables["ansible_ssh_private_key_file"] == "/srv/lab/ssh/id_ed25519"
    options = shlex.split(variables["ansible_ssh_common_args"])
    assert "StrictHostKeyChecking=yes" in options
    assert "UserKnownHostsFile=/srv/lab/ssh/known_hosts" in options


def test_a_directory_with_spaces_survives_both_shell_and_ssh() -> None:
    options = shlex.split(_group("/srv/my lab")["vars"]["ansible_ssh_common_args"])
    # ssh splits the value at blanks unless it is quoted once more.
    assert 'UserKnownHostsFile="/srv/my lab/ssh/known_hosts"' in options


def test_secrets_come_through_unchanged() -> None:
    variables = _group()["vars"]
    assert variables["lab_auth_password"] == PASSWORD
    assert variables["lab_sftp_key"] == PEM


def test_privileges_are_in_the_engines_words_and_order() -> None:
    assert _group()["vars"]["lab_plugin_privileges"] == [
        {"name": "network", "value": ["host"]},
        {"name": "mount", "value": ["/var/lib/docker-plugins/rclone/config"]},
        {"name": "mount", "value": ["/var/lib/docker-plugins/rclone/cache"]},
        {"name": "device", "value": ["/dev/fuse"]},
        {"name": "capabilities", "value": ["CAP_SYS_ADMIN"]},
    ]


def test_the_two_plugin_versions_are_two_references_of_one_repository() -> None:
    variables = _group()["vars"]
    assert variables["lab_plugin_remote"] == "registry.lab:5000/rclone/docker-volume-rclone:1.0"
    assert variables["lab_plugin_remote_next"] == "registry.lab:5000/rclone/docker-volume-rclone:1.1"
    assert variables["lab_auth_plugin_remote"] == "registry-auth.lab:5000/rclone/docker-volume-rclone:1.0"


def test_known_hosts_has_a_line_for_each_address() -> None:
    assert known_hosts({"10.0.0.2": "ssh-ed25519 B", "10.0.0.1": "ssh-ed25519 A"}) == (
        "10.0.0.1 ssh-ed25519 A\n10.0.0.2 ssh-ed25519 B\n"
    )


def test_the_array_simulator_can_be_found() -> None:
    variables = _group()["vars"]
    assert variables["lab_array_repository"] == "registry.lab:5000/purestorage/docker-plugin"
    assert variables["lab_array_privileges"][1] == {"name": "host pid namespace", "value": ["true"]}
    assert {"name": "device", "value": ["/dev/null"]} in variables["lab_device_privileges"]
    assert variables["lab_authz_remote"] == "registry.lab:5000/lab/authz-plugin:1.0"
    assert variables["lab_csi_remote"] == "registry.lab:5000/lab/csi-plugin:1.0"
