# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Both modules from their arguments to the JSON that they print, with a fake engine in place of the connection."""

from __future__ import annotations

import gc
import json
import os
import traceback
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


CONTENT = {
    "FlashArrays": [{"MgmtEndPoint": "10.0.0.1", "APIToken": "hunter2-token"}],
    "password": 87654321,
    "verify_token": True,
    "use_secret": False,
    "name": "rclone",
}


def file_of(path, content=None, file_format="json", **more):
    return {"path": str(path), "content": CONTENT if content is None else content, "format": file_format, **more}


def shown(*what):
    return "".join(one if isinstance(one, str) else json.dumps(one) for one in what)


@pytest.mark.parametrize("check_mode", [True, False])
@pytest.mark.parametrize("content", [CONTENT, json.dumps(CONTENT), json.dumps(CONTENT, indent=2)])
def test_a_content_is_neither_returned_nor_logged_and_all_else_is(run, logged, tmp_path, check_mode, content):
    path = tmp_path / "pure.json"
    code, result = run(
        docker_volume_plugin_x, FakeEngine(), check_mode, **INSTALL, config_files=[file_of(path, content)]
    )
    assert code == 0
    for secret in ("hunter2", "87654321", "10.0.0.1", "MgmtEndPoint"):
        assert secret not in shown(result, run.warned)
        assert secret not in str(logged)
    assert logged
    assert any("'config_files': 'NOT_LOGGING_PARAMETER'" in line for line in logged)
    # Nothing else is blotted out: not what is true, false, null or a plain word in the content.
    assert result["changed"] is True
    assert result["invocation"]["module_args"]["force"] is False
    assert result["invocation"]["module_args"]["confirm"] is None
    assert result["reference"] == INSTALL["remote"]
    assert result["actions"][0] == f"Pull the plugin '{INSTALL['remote']}' as 'rclone:latest'"
    (given,) = result["invocation"]["module_args"]["config_files"]
    assert given == {
        "path": str(path),
        "content": "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER",
        "format": "json",
        "strategy": "replace",
        "initial": [],
        "force": True,
        "backup": True,
        "mode": "0600",
        "owner": None,
        "group": None,
        "directory_mode": "0700",
    }
    assert result["config_files"] == [{"path": str(path), "changed": True, "keys": "new", "backup_file": None}]
    if not check_mode:
        assert json.loads(path.read_text()) == CONTENT


def test_a_file_that_changed_shows_its_keys(run, tmp_path):
    path = tmp_path / "pure.json"
    path.write_text(json.dumps({**CONTENT, "FlashArrays": [{"MgmtEndPoint": "10.0.0.1", "APIToken": "hunter1-old"}]}))
    code, result = run(docker_volume_plugin_x, FakeEngine(), **INSTALL, config_files=[file_of(path)])
    assert code == 0
    keys = "changed: APIToken of FlashArrays[0]; mode or owner"
    assert result["diff"]["after"]["config_files"][str(path)]["content"] == keys
    assert "hunter" not in shown(result, run.warned)


@pytest.mark.parametrize(
    "bad",
    [
        {"content": '{"APIToken": "hunter2-token"'},
        {"content": "APIToken: hunter2-token", "format": "toml"},
        {"content": {"APIToken": "hunter2-token"}, "format": "raw"},
        {"content": {"APIToken": "hunter2-token"}, "format": "xml"},
        {"content": {"APIToken": "hunter2-token"}, "mode": "rw"},
        {"content": {"APIToken": "hunter2-token"}, "path": None},
        {"content": {"APIToken": "hunter2-token"}, "hunter": "option"},
        {"content": {"APIToken": "hunter2-token"}, "initial": {"a": "hunter2-token"}},
        {"content": {"APIToken": "hunter2-token"}, "backup": "hunter2-token"},
    ],
)
def test_a_content_is_not_in_what_bad_input_is_told_with(run, logged, tmp_path, bad):
    engine = FakeEngine()
    code, result = run(docker_volume_plugin_x, engine, **INSTALL, config_files=[{**file_of(tmp_path / "x"), **bad}])
    assert (code, result["failed"], engine.calls) == (1, True, [])
    assert "hunter2" not in shown(result)
    assert "hunter2" not in str(logged)


@pytest.mark.parametrize("where", ["enable_plugin", "put_file"])
def test_a_secret_of_a_content_in_an_answer_of_the_engine_is_hidden(run, tmp_path, where):
    engine = FakeEngine()
    engine.fail[where] = EngineError("Cannot do it", "login with hunter2-token at 10.0.0.1 failed", status=500)
    engine.log = ("rclone says: bad hunter2-token", "no route")
    files = [file_of(tmp_path / "pure.json")]
    code, result = run(docker_volume_plugin_x, engine, **INSTALL, canary=True, config_files=files)
    assert code == 1
    assert "at 10.0.0.1 failed" in result["msg"]
    assert "hunter2" not in shown(result)
    assert result["plugin_log"] == ["no route"]


def test_a_fault_of_ours_shows_no_content(run, capsys, monkeypatch, tmp_path):
    engine = FakeEngine()
    engine.fail["enable_plugin"] = KeyError("a bug")
    monkeypatch.setattr(docker_volume_plugin_x, "connect", lambda _asked: engine)
    with pytest.raises(KeyError) as caught:
        run(docker_volume_plugin_x, engine, **INSTALL, config_files=[file_of(tmp_path / "pure.json")])
    assert "hunter2" not in "".join(traceback.format_exception(None, caught.value, caught.value.__traceback__))
    assert "hunter2" not in capsys.readouterr().out


def test_secret_options_of_a_canary_are_hidden_and_others_are_not(run, logged):
    options = {"api_token": "hunter2-token", "pool": "hunter3-pool", "size": "1GB", "thin": True}
    engine = FakeEngine()
    code, result = run(
        *(docker_volume_plugin_x, engine), **INSTALL, canary=True, canary_options=options, secret_settings=["pool"]
    )
    assert code == 0
    for secret in ("hunter2", "hunter3"):
        assert secret not in shown(result)
        assert secret not in str(logged)
    assert result["invocation"]["module_args"]["canary_options"]["size"] == "1GB"
    assert result["changed"] is True
    assert result["canary"]["volume"].startswith("voltainer-canary-")
    engine = FakeEngine()
    engine.fail["create_volume"] = EngineError("x", "no pool hunter3-pool of 1GB", status=500)
    code, result = run(
        *(docker_volume_plugin_x, engine), **INSTALL, canary=True, canary_options=options, secret_settings=["pool"]
    )
    assert (code, result["canary_step"]) == (1, "create the volume")
    assert "of 1GB" in result["msg"]
    assert "hunter3" not in shown(result)


def test_what_is_no_secret_in_one_option_may_be_one_in_another(run, tmp_path):
    """Each pair shares a value: where one of the two says that it is secret, it is hidden in both."""
    path = tmp_path / "pure.json"
    for params in (
        {"settings": {"RCLONE_VERBOSE": "hunter2"}, "config_files": [file_of(path, {"APIToken": "hunter2"})]},
        {"settings": {"API_TOKEN": "hunter2"}, "config_files": [file_of(path, {"name": "hunter2"})]},
        {"settings": {"API_TOKEN": "hunter2"}, "canary_options": {"size": "hunter2"}},
        {"settings": {"RCLONE_VERBOSE": "hunter2"}, "canary_options": {"token": "hunter2"}},
        {"canary_options": {"size": "hunter2"}, "config_files": [file_of(path, {"APIToken": "hunter2"})]},
        {
            "config_files": [file_of(path, {"name": "hunter2"})],
            "settings": {"RCLONE_VERBOSE": "hunter2"},
            "registry_username": "me",
            "registry_password": "hunter2",
        },
    ):
        code, result = run(docker_volume_plugin_x, FakeEngine(), True, **INSTALL, **params)
        assert code == 0
        assert "hunter2" not in shown(result)


def test_values_that_no_option_calls_secret_are_shown(run, tmp_path):
    path = tmp_path / "pure.json"
    params = {
        "settings": {"RCLONE_VERBOSE": "5"},
        "canary_options": {"size": "5", "fs": "rclone"},
        "config_files": [file_of(path, {"level": 5, "name": "rclone", "mode": "0600", "on": True})],
    }
    _code, result = run(docker_volume_plugin_x, FakeEngine(), True, **INSTALL, **params)
    assert result["invocation"]["module_args"]["canary_options"] == {"size": "5", "fs": "rclone"}
    assert result["invocation"]["module_args"]["settings"] == {"RCLONE_VERBOSE": "5"}
    assert result["diff"]["after"]["config_files"][str(path)]["mode"] == "0600"
    assert "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER" not in shown(
        {**result, "invocation": None}, result["invocation"]["module_args"]["alias"]
    )


@pytest.mark.parametrize("state", ["absent", "enabled"])
def test_a_removal_needs_paths_only(run, tmp_path, state):
    path = tmp_path / "pure.json"
    path.write_text("hunter2")
    engine = FakeEngine()
    code, result = run(
        docker_volume_plugin_x, engine, **{**INSTALL, "state": state}, config_files=[{"path": str(path)}]
    )
    if state == "absent":
        assert (code, result["changed"], result["diff"]["after"]["exists"]) == (0, True, False)
        assert not path.exists()
    else:
        assert code == 1
        assert f"config file {path}: format and content missing" in result["msg"]
        assert engine.calls == []
    assert "hunter2" not in shown(result)


def test_what_is_deferred_is_returned_where_it_is_refused_too(run, tmp_path):
    path = tmp_path / "pure.json"
    path.write_text("{}")
    reason = f"config file '{path}': added: FlashArrays, password, verify_token, use_secret, name; mode or owner"
    for on_change, code in (("fail", 1), ("defer", 0)):
        engine = FakeEngine(plugins=[plugin_inspect()])
        ended, result = run(
            docker_volume_plugin_x, engine, **INSTALL, on_change=on_change, config_files=[file_of(path)]
        )
        assert (ended, result["deferred"]) == (code, [reason])
        assert "hunter2" not in shown(result, run.warned)
    assert any(reason in one for one in run.warned)
