# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Both modules from their arguments to the JSON that they print, with a fake engine in place of the connection."""

from __future__ import annotations

import gc
import json
import os
import warnings

import pytest
import yaml
from ansible_collections.voltainer.volumes.plugins.module_utils import _sdk
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import EngineError
from ansible_collections.voltainer.volumes.plugins.modules import docker_volume_plugin_x, docker_volume_x

from .fake_engine import RCLONE, RCLONE_PRIVILEGES, FakeEngine, container, plugin_inspect

APPROVED = [{"name": one["Name"], "value": one["Value"]} for one in RCLONE_PRIVILEGES]
INSTALL = {"remote": RCLONE["PluginReference"], "alias": "rclone", "state": "enabled", "privileges": APPROVED}
VOLUME = {"Name": "reports", "Driver": "local", "Options": None, "Labels": None}
SAME_KEYS = {"changed", "actions", "diff", "invocation"}
PLUGIN_KEYS = {"plugin", "reference", "digest", "privileges", "settings", "pull_log"} | {
    *("config_files", "restart", "deferred", "canary")
}


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    for name in [name for name in os.environ if name.startswith("DOCKER_")]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("module", "params", "keys"),
    [
        (docker_volume_x, {"name": "reports", "labels": {"team": "billing"}}, {"volume", "volumes", "drift"}),
        (docker_volume_plugin_x, INSTALL, PLUGIN_KEYS),
    ],
)
def test_check_mode_for_real_and_again_return_the_same_keys(run, module, params, keys):
    engine = FakeEngine()
    code, check = run(module, engine, True, **params)
    assert (code, check["changed"], engine.calls) == (0, True, [])
    assert check.keys() == SAME_KEYS | keys
    code, real = run(module, engine, **params)
    assert (code, real["changed"]) == (0, True)
    assert engine.calls
    assert (real["actions"], real["diff"], real.keys()) == (check["actions"], check["diff"], check.keys())
    assert real["diff"]["before"] == {"exists": False}
    assert real["diff"]["after"]["exists"] is True
    done = list(engine.calls)
    code, again = run(module, engine, **params)
    assert (code, again["changed"], again["actions"], engine.calls) == (0, False, [], done)
    assert again["diff"]["before"] == again["diff"]["after"]
    assert again.keys() == check.keys()


@pytest.mark.parametrize(
    ("module", "task"),
    [
        pytest.param(module, task, id=task["name"])
        for module in (docker_volume_x, docker_volume_plugin_x)
        for task in yaml.safe_load(module.EXAMPLES)
    ],
)
def test_the_examples_of_the_documentation_are_valid(run, module, task):
    options = task[f"voltainer.volumes.{module.__name__.rpartition('.')[2]}"]
    code, result = run(module, FakeEngine(offered=()), True, **options)
    assert code == 0, result["msg"]


def test_actions_are_the_words_of_the_steps_in_order(run):
    _code, result = run(docker_volume_plugin_x, FakeEngine(), settings={"args": "-v"}, **INSTALL)
    assert result["actions"] == [
        f"Pull the plugin '{INSTALL['remote']}' as 'rclone:latest'",
        "Set args of the plugin 'rclone:latest'",
        "Enable the plugin 'rclone:latest'",
    ]


def test_the_other_name_of_the_option_name(run):
    _code, result = run(docker_volume_x, FakeEngine(), volume_name="reports")
    assert result["volume"]["Name"] == "reports"


def test_a_refusal_is_a_failure_with_its_details(run):
    engine = FakeEngine(volumes=[VOLUME], containers=[container("db", "reports")])
    code, result = run(docker_volume_x, engine, name="reports", state="absent")
    assert (code, result["failed"], engine.calls) == (1, True, [])
    assert result["msg"].startswith("Cannot remove the volume 'reports': it is in use by db")
    assert [user["container"] for user in result["users"]] == ["db"]
    assert "exception" not in result


def test_warnings_come_with_the_result(run):
    engine = FakeEngine(volumes=[{**VOLUME, "Labels": {"team": "sales"}}])
    _code, result = run(docker_volume_x, engine, name="reports", labels={"team": "billing"})
    assert result["drift"] == [{"name": "reports", "what": "labels.team", "wanted": "billing", "found": "sales"}]
    assert len(run.warned) == 1
    assert "labels.team is 'sales', wanted 'billing'" in run.warned[0]


def test_without_the_sdk_the_package_is_named(run, monkeypatch):
    monkeypatch.setattr(_sdk, "SDK_IMPORT_ERROR", "Traceback: No module named 'docker'")
    for module, params in (
        (docker_volume_plugin_x, {"alias": "rclone", "docker_host": "tcp://127.0.0.1:1"}),
        (docker_volume_x, {"name": "reports", "docker_host": "tcp://127.0.0.1:1"}),
    ):
        code, result = run(module, None, **params)
        assert code == 1
        assert "python3-docker on Debian" in result["msg"]


def test_without_an_engine_the_socket_is_named(run, tmp_path):
    code, result = run(docker_volume_x, None, name="reports", docker_host=f"unix://{tmp_path}/none.sock")
    assert code == 1
    assert f"unix://{tmp_path}/none.sock: there is no such socket" in result["msg"]
    with warnings.catch_warnings():
        # The SDK's constructor that failed leaves its socket to the garbage collector.
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def test_secrets_are_neither_returned_nor_logged_and_other_values_are(run, logged):
    options = {
        "password": "hunter2",
        "remote": "r3mote",
        "o": "user=u,password=hunter3",
        "count": 1,
        "allow-other": True,
        "size": "25GB",
    }
    for check_mode in (True, False):
        code, result = run(
            docker_volume_x,
            FakeEngine(),
            check_mode,
            name="reports25GB",
            driver_options=options,
            secret_options=["remote"],
        )
        assert code == 0
        for secret in ("hunter2", "hunter3", "r3mote"):
            assert secret not in json.dumps(result)
            assert secret not in str(logged)
        assert result["diff"]["after"]["driver_options"] == {
            "password": "********",
            "remote": "********",
            "o": "user=u,password=********",
            "count": "1",
            "allow-other": "true",
            "size": "25GB",
        }
        assert result["diff"]["after"]["name"] == "reports25GB"
    assert logged


def test_secret_settings_are_neither_returned_nor_logged_and_other_values_are(run, logged):
    code, result = run(
        docker_volume_plugin_x,
        FakeEngine(),
        settings={"API_TOKEN": "hunter2", "args": ["--quiet", "--url=hunter3"], "RCLONE_VERBOSE": 1},
        secret_settings=["args"],
        **INSTALL,
    )
    assert code == 0
    for secret in ("hunter2", "hunter3"):
        assert secret not in json.dumps(result)
        assert secret not in str(logged)
    assert result["settings"]["RCLONE_VERBOSE"] == "1"
    assert result["reference"] == INSTALL["remote"]


def test_a_password_is_hidden_where_a_setting_has_the_same_value(run):
    login = {"registry_username": "me", "registry_password": "hunter2"}
    _code, result = run(
        docker_volume_plugin_x, FakeEngine(), **INSTALL, **login, settings={"RCLONE_VERBOSE": "hunter2"}
    )
    assert "hunter2" not in json.dumps(result)


def test_the_secrets_of_an_item_are_hidden_where_the_task_has_their_values(run):
    options = {"remote": "hunter2", "size": "1g"}
    engine = FakeEngine()
    item = {"name": "reports", "secret_options": ["remote"]}
    _code, result = run(docker_volume_x, engine, driver_options=options, volumes=[item])
    assert "hunter2" not in json.dumps(result)
    assert "1g" in json.dumps(result)


def test_a_secret_in_an_answer_of_the_engine_is_hidden_too(run):
    engine = FakeEngine(plugins=[plugin_inspect()])
    engine.fail["create_volume"] = EngineError("Cannot create", "mount -o password=hunter2 failed: hunter3", status=500)
    options = {"o": "password=hunter2", "token": "hunter3"}
    code, result = run(docker_volume_x, engine, name="reports", driver="rclone", driver_options=options)
    assert code == 1
    assert "mount -o password=" in result["msg"]
    assert "hunter" not in json.dumps(result)


def test_the_connection_that_options_give(run):
    given = {
        "docker_host": "tcp://192.0.2.1:2376",
        "api_version": "1.41",
        "timeout": 7,
        "tls": True,
        "validate_certs": True,
        "ca_path": "/ca",
        "client_cert": "/cert",
        "client_key": "/key",
        "tls_hostname": "engine",
        "use_ssh_client": True,
    }
    run(docker_volume_x, FakeEngine(), name="reports", **given)
    assert [vars(one) for one in run.connections] == [given]


def test_the_connection_that_the_environment_gives(run, monkeypatch):
    for name, value in {
        "DOCKER_HOST": "tcp://192.0.2.1:2376",
        "DOCKER_API_VERSION": "1.41",
        "DOCKER_TIMEOUT": "7",
        "DOCKER_TLS": "1",
        "DOCKER_TLS_VERIFY": "1",
        "DOCKER_TLS_HOSTNAME": "engine",
        "DOCKER_CERT_PATH": "/certs",
    }.items():
        monkeypatch.setenv(name, value)
    run(docker_volume_x, FakeEngine(), name="reports", ca_path="/other/ca.pem")
    assert [vars(one) for one in run.connections] == [
        {
            "docker_host": "tcp://192.0.2.1:2376",
            "api_version": "1.41",
            "timeout": 7,
            "tls": True,
            "validate_certs": True,
            "ca_path": "/other/ca.pem",
            "client_cert": "/certs/cert.pem",
            "client_key": "/certs/key.pem",
            "tls_hostname": "engine",
            "use_ssh_client": False,
        }
    ]


def test_the_connection_by_default(run):
    run(docker_volume_x, FakeEngine(), name="reports")
    (made,) = run.connections
    assert (made.docker_host, made.api_version, made.timeout) == ("unix:///var/run/docker.sock", "auto", 60)
    assert (made.tls, made.validate_certs, made.ca_path, made.client_cert, made.client_key) == (
        False,
        False,
        None,
        None,
        None,
    )


def test_a_certificate_without_its_key_is_refused(run):
    code, result = run(docker_volume_x, FakeEngine(), name="reports", client_cert="/cert")
    assert code == 1
    assert "client_key" in result["msg"]
    assert run.connections == []
