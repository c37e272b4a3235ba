# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Engine over the real SDK, against a small HTTP server: the exact requests, and answers as real engines give them."""

from __future__ import annotations

import gc
import json
import warnings
from urllib.parse import unquote

import docker
import pytest
import requests
from ansible_collections.voltainer.volumes.plugins.module_utils import _engine, _holder, _sdk
from ansible_collections.voltainer.volumes.plugins.module_utils._engine import Node, connect
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import (
    DriverUnavailableError,
    EngineError,
    EngineUnreachableError,
    InvalidInputError,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._transport import BrokenError
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import HELPER

from .engine_server import VOLUME, connection, message, serving
from .fake_engine import container, plugin_inspect, service

# How 26.1.5 begins its answer for a volume whose plugin does not answer.
CHECKING = (
    'get reports: error while checking if volume "reports" exists in driver "rclone:latest":'
    " error looking up volume plugin rclone:latest:"
)


@pytest.fixture
def engine(connected):
    """Return a function that makes an Engine, connected to a server with the given answers: by the SDK, and without."""
    return lambda answers: connected(connect, answers)


# As 20.10 to 28.5 say it, in no swarm and on a worker.
NO_MANAGER = (503, message("This node is not a swarm manager. Use docker swarm init"))


@pytest.mark.parametrize(
    ("status", "text"),
    [(404, "get reports: no such volume"), (404, "volume reports not found")],
)
def test_a_missing_volume_is_none(engine, status, text):
    made, _server = engine({"GET /volumes/reports": (status, message(text))})
    assert made.volume("reports") is None


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (409, f"{CHECKING} plugin rclone:latest found but disabled"),
        (404, f'{CHECKING} plugin "rclone:latest" not found'),
    ],
)
def test_a_volume_whose_plugin_is_disabled_or_gone_is_not_missing(engine, status, text):
    made, _server = engine({"GET /volumes/reports": (status, message(text))})
    with pytest.raises(DriverUnavailableError, match=r"it exists, but its driver does not answer") as caught:
        made.volume("reports")
    assert caught.value.status == status


def test_a_path_that_the_engine_takes_for_another_is_an_error(engine):
    made, server = engine({"GET /volumes/reports": (301, message("moved"))})
    with pytest.raises(EngineError, match="moved"):
        made.volume("reports")
    assert len(server.requests) == 1


def test_an_error_without_words_is_told_by_its_number(engine):
    made, _server = engine({"GET /volumes/reports": (502, b"")})
    with pytest.raises(EngineError, match="HTTP status 502"):
        made.volume("reports")


def test_one_volume_is_one_request(engine):
    made, server = engine({"GET /volumes/reports": (200, VOLUME)})
    assert made.volume("reports").driver == "local"
    assert server.requests == ["GET /volumes/reports"]


@pytest.mark.parametrize(
    ("arguments", "body"),
    [
        ((None, None, None), {"Name": "reports", "Driver": None, "DriverOpts": None}),
        (
            ("rclone", {"a": "b"}, {"c": "d"}),
            {"Name": "reports", "Driver": "rclone", "DriverOpts": {"a": "b"}, "Labels": {"c": "d"}},
        ),
        (("local", {}, {}), {"Name": "reports", "Driver": "local", "DriverOpts": {}, "Labels": {}}),
    ],
)
def test_create(engine, arguments, body):
    made, server = engine({"POST /volumes/create": (201, VOLUME), "GET /volumes/reports": (200, VOLUME)})
    made.create_volume("reports", *arguments)
    method, path, sent = server.requests[0].split(" ", 2)
    assert (method, path) == ("POST", "/volumes/create")
    assert {key: value for key, value in json.loads(sent).items() if value is not None} == {
        key: value for key, value in body.items() if value is not None
    }


def test_removal_is_never_forced_and_missing_is_no_error(engine):
    made, server = engine({"DELETE /volumes/reports": (204, b"")})
    assert made.remove_volume("reports") is True
    assert server.requests == ["DELETE /volumes/reports"]
    gone, _server = engine({"DELETE /volumes/reports": (404, message("get reports: no such volume"))})
    assert gone.remove_volume("reports") is False


def test_a_volume_whose_plugin_is_gone_cannot_be_removed_and_is_not_taken_for_missing(engine):
    made, _server = engine({"DELETE /volumes/reports": (404, message(f'{CHECKING} plugin "rclone:latest" not found'))})
    with pytest.raises(EngineError, match="Cannot remove the volume 'reports'"):
        made.remove_volume("reports")


def test_a_created_volume_that_is_not_there_is_no_success(engine):
    made, _server = engine(
        {
            "POST /volumes/create": (201, {**VOLUME, "Driver": "rclone:latest"}),
            "GET /volumes/reports": (404, message("get reports: no such volume")),
        }
    )
    with pytest.raises(EngineError, match="then has no such volume"):
        made.create_volume("reports", None, None, None)


def test_the_volume_filter_of_the_engine_also_matches_paths(engine):
    answer = [container("db", "reports"), container("path", "other")]
    made, server = engine({"GET /containers/json": (200, answer), "GET /services": NO_MANAGER})
    assert [use.container for use in made.users("reports").containers] == ["db"]
    assert made.users().containers[1].container == "path"
    assert "all=1" in server.requests[0]
    assert "volume" in server.requests[0]
    assert server.requests[1] == "GET /services?status=true"


def test_what_a_killed_task_holds_a_volume_with_is_no_user(engine, monkeypatch):
    monkeypatch.setattr(_holder, "has_ended", lambda label: label == "ended")
    answer = [
        {**container(name, "reports"), "Labels": {HELPER: name} if name != "db" else None}
        for name in ("db", "ended", "at work")
    ]
    made, _server = engine({"GET /containers/json": (200, answer), "GET /services": NO_MANAGER})
    assert [use.container for use in made.users("reports").containers] == ["db", "at work"]


@pytest.mark.parametrize(
    ("answer", "services"),
    [((200, [service("shop", "reports"), service("other", "pgdata")]), ["shop"]), (None, [])],
)
def test_services_are_users_where_the_engine_knows_them(engine, answer, services):
    made, _server = engine({"GET /containers/json": (200, []), "GET /services": answer or NO_MANAGER})
    assert [use.service for use in made.users("reports").services] == services


def test_a_swarm_that_does_not_answer_is_no_swarm_without_services(engine):
    failure = message("rpc error: code = Unknown desc = The swarm does not have a leader.")
    made, _server = engine({"GET /containers/json": (200, []), "GET /services": (503, failure)})
    with pytest.raises(EngineError, match="does not have a leader"):
        made.users("reports")


def test_one_driver_is_listed_by_its_full_name_and_within_its_time(engine):
    made, server = engine({"GET /volumes": (200, {"Volumes": [VOLUME], "Warnings": ["broken"]})})
    listing = made.volumes("rclone:latest", label="a.b")
    assert ([volume.name for volume in listing.volumes], listing.warnings) == (["reports"], ("broken",))
    asked = unquote(server.requests[0]).replace("+", "")
    assert asked == 'GET /volumes?filters={"driver":["rclone:latest"],"label":["a.b"]}'
    hanging, _server = engine({"GET /volumes": 2})
    with pytest.raises(EngineError, match=r"did not answer within 0.2 seconds"):
        hanging.volumes("rclone:latest", seconds=0.2)


def test_an_engine_that_was_silent_once_can_be_asked_again(engine):
    made, _server = engine({"GET /volumes": 0.5, "GET /volumes/reports": (200, VOLUME)})
    with pytest.raises(EngineError):
        made.volumes("local", seconds=0.1)
    assert made.volume("reports").name == "reports"


@pytest.mark.parametrize(
    ("plugins", "legacy", "drivers"),
    [
        ([], ["local"], ("local",)),
        ([plugin_inspect()], ["local"], ("local", "rclone:latest")),
        ([plugin_inspect(Enabled=False)], ["local"], ("local",)),
        ([], ["local", "old"], ("local", "old")),
        ([{**plugin_inspect(), "Config": {"Interface": {"Types": ["docker.logdriver/1.0"]}}}], [], ("local",)),
    ],
)
def test_which_volume_drivers_there_are(engine, plugins, legacy, drivers):
    answers = {"GET /plugins": (200, plugins), "GET /info": (200, {"Plugins": {"Volume": legacy}})}
    made, _server = engine(answers)
    assert made.volume_drivers() == drivers


@pytest.mark.parametrize(
    ("swarm", "worker"),
    [
        ({"LocalNodeState": "active", "ControlAvailable": True}, False),
        ({"LocalNodeState": "active", "ControlAvailable": False}, True),
        ({"LocalNodeState": "inactive", "ControlAvailable": False}, False),
        ({}, False),
    ],
)
def test_the_node(engine, swarm, worker):
    made, _server = engine({"GET /info": (200, {"SystemTime": "2026-11-24T08:07:46.92Z", "Swarm": swarm})})
    assert made.node() == Node("2026-11-24T08:07:46.92Z", worker)


def test_volume_plugins_that_are_disabled(engine):
    plugins = [plugin_inspect(), plugin_inspect(Name="pure:latest", Enabled=False)]
    plugins.append(plugin_inspect(Name="net:latest", Enabled=False))
    plugins[2]["Config"]["Interface"]["Types"] = ["docker.networkdriver/1.0"]
    made, _server = engine({"GET /plugins": (200, plugins)})
    assert made.disabled_drivers() == ("pure:latest",)


@pytest.mark.parametrize(
    ("plugin", "info", "ready"),
    [
        ((200, plugin_inspect()), [], True),
        ((200, plugin_inspect(Enabled=False)), [], False),
        ((404, message("plugin not found")), ["local"], False),
        ((404, message("plugin not found")), ["local", "pure"], True),
    ],
)
def test_driver_ready(engine, plugin, info, ready):
    made, _server = engine({"GET /plugins/pure/json": plugin, "GET /info": (200, {"Plugins": {"Volume": info}})})
    assert made.driver_ready("pure") is ready


def test_the_local_driver_is_always_ready(engine):
    made, server = engine({})
    assert made.driver_ready("local")
    assert server.requests == []


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (3, EngineError, "did not answer within 1 seconds"),
        (
            None,
            EngineUnreachableError,
            "the connection to the engine broke",
        ),
    ],
)
def test_a_broken_connection_is_told_without_a_stack_or_an_address(engine, monkeypatch, error, kind, words):
    monkeypatch.setattr(_engine, "SLOW_CALL_SECONDS", 1)
    made, _server = engine({"GET /volumes/reports": error})
    with pytest.raises(kind) as caught:
        made.volume("reports")
    assert words in str(caught.value)
    assert "http" not in str(caught.value)
    assert "Cannot inspect the volume 'reports'" in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({}, EngineUnreachableError, "there is no such socket. Install and start Docker"),
        ({"api_version": "1.41"}, EngineUnreachableError, "there is no such socket"),
        ({"docker_host": "tcp://127.0.0.1:1"}, EngineUnreachableError, "tcp://127.0.0.1:1: nothing listens there"),
        ({"docker_host": "ftp://x"}, EngineUnreachableError, "ftp"),
        ({"docker_host": "tcp://127.0.0.1:port"}, EngineUnreachableError, "Check 'docker_host'"),
        ({"docker_host": "http://[::1"}, EngineUnreachableError, "Check 'docker_host'"),
        ({"api_version": ""}, InvalidInputError, "'' is no version of the API"),
        ({"api_version": "v1.41"}, InvalidInputError, "'v1.41' is no version of the API"),
        ({"timeout": 0}, InvalidInputError, "'timeout' is invalid: it is below 1"),
        ({"timeout": 10**12}, InvalidInputError, "'timeout' is invalid: it is more than a week"),
        (
            {"docker_host": "tcp://127.0.0.1:1", "validate_certs": True, "ca_path": "/nope"},
            InvalidInputError,
            "TLS options",
        ),
        (
            {"docker_host": "tcp://127.0.0.1:1", "validate_certs": True, "tls_hostname": "x"},
            InvalidInputError,
            "'tls_hostname'",
        ),
    ],
)
def test_no_engine_there(changes, kind, words):
    with pytest.raises(kind) as caught:
        connect(connection(**changes))
    assert words in str(caught.value)
    del caught
    with warnings.catch_warnings():
        # The SDK's constructor that failed leaves its socket to the garbage collector.
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PermissionError(13, "Permission denied"), "permission denied. Run the task as root"),
        (docker.errors.InvalidVersion("1.1 is too old"), "1.1 is too old. Correct 'api_version'"),
        (type("SSHException", (Exception,), {"__module__": "paramiko.ssh_exception"})("no route"), "no route. Check"),
    ],
)
def test_why_an_engine_cannot_be_reached(monkeypatch, error, words):
    def refuse(**_options):
        raise error

    monkeypatch.setattr(_sdk, "_Client", refuse)
    with pytest.raises(EngineUnreachableError, match=f"at ssh://host: {words}"):
        connect(connection(docker_host="ssh://host"))


def test_a_mistake_of_our_own_is_not_taken_for_an_engine_that_cannot_be_reached(monkeypatch):
    def fail(**_options):
        raise KeyError

    monkeypatch.setattr(_sdk, "_Client", fail)
    with pytest.raises(KeyError):
        connect(connection(docker_host="tcp://192.0.2.1:2375"))


def test_the_sdk_is_told_the_address_and_the_ssh_client(monkeypatch):
    given = {}

    class Client:
        timeout = 1

        def __init__(self, **options):
            given.update(options)

        def version(self):
            """Answer."""

    monkeypatch.setattr(_sdk, "_Client", Client)
    connect(connection(docker_host="tcp://192.0.2.1:2376", tls=True, use_ssh_client=True))
    assert (given["base_url"], given["use_ssh_client"], given["tls"].verify) == ("https://192.0.2.1:2376", True, False)
    connect(connection(docker_host="tcp://192.0.2.1:2375"))
    assert (given["base_url"], given["use_ssh_client"], given["tls"]) == ("tcp://192.0.2.1:2375", False, False)


def test_certificates_of_the_options_count_and_not_those_of_the_environment(monkeypatch, tmp_path):
    files = {name: str(tmp_path / name) for name in ("ca_path", "client_cert", "client_key")}
    for path in files.values():
        (tmp_path / path).touch()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/elsewhere.pem")
    tls = _sdk._tls_config(connection(validate_certs=True, **files))
    assert (tls.verify, tls.ca_cert, tls.cert) == (True, files["ca_path"], (files["client_cert"], files["client_key"]))
    client = _sdk._Client(base_url="https://127.0.0.1:1", version="1.41", tls=tls)
    settings = client.merge_environment_settings("https://127.0.0.1:1", {}, None, None, None)
    client.close()
    assert settings["verify"] == files["ca_path"]


def test_ssh_without_paramiko_says_so(monkeypatch):
    def without(**_options):
        # Chained as the SDK does it.
        raise docker.errors.DockerException("Install paramiko") from NameError("name 'SSHHTTPAdapter' is not defined")

    monkeypatch.setattr(_sdk, "_Client", without)
    with pytest.raises(EngineUnreachableError, match="needs the Python library paramiko"):
        connect(connection(docker_host="ssh://root@host"))


def test_the_engines_own_words_about_a_version_that_it_does_not_know_are_told(stack):
    server = stack.enter_context(serving({"GET /v9.99/version": (400, message("client version 9.99 is too new"))}))
    at = connection(docker_host=f"tcp://127.0.0.1:{server.server_port}", api_version="9.99")
    with pytest.raises(EngineUnreachableError, match=r"client version 9.99 is too new. Check 'api_version'"):
        connect(at)


def test_the_cause_of_a_broken_connection_is_not_what_urllib3_tried_first():
    broken = requests.exceptions.ConnectionError("closed")
    broken.__context__ = ConnectionResetError("Connection reset by peer")
    broken.__context__.__context__ = TypeError("getresponse() got an unexpected keyword argument 'buffering'")
    with pytest.raises(BrokenError, match="Connection reset by peer"), _sdk.translated():
        raise broken
