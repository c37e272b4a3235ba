# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PluginEngine with and without the SDK, against a small HTTP server: the exact requests, streams, and passwords."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils import _engine, _plugin_engine, _sdk
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import (
    EngineError,
    EngineUnreachableError,
    SdkMissingError,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin import Plugin
from ansible_collections.voltainer.volumes.plugins.module_utils._reference import parse_reference
from ansible_collections.voltainer.volumes.plugins.module_utils._registry import Login, Pulled
from ansible_collections.voltainer.volumes.plugins.module_utils._transport import Request

from .engine_server import VOLUME, Broken, Pieces, message, serving
from .fake_engine import RCLONE, RCLONE_PRIVILEGES, container, plugin_inspect

DIGEST = "sha256:" + "a" * 64
REMOTE = parse_reference(RCLONE["PluginReference"])
LOGIN = Login("reader", "s3cret")
DISTRIBUTION = f"GET /distribution/{REMOTE}/json"


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path_factory):
    """Return the home of a user who never logged in to a registry."""
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.delenv("DOCKER_CONFIG", raising=False)
    return folder


@pytest.fixture
def plugin_engine(connected):
    """Return a function that makes a PluginEngine, connected to a server with the given answers."""
    return lambda answers, *version: connected(_plugin_engine.connect, answers, *version)


def test_stopped_containers_use_a_driver_too(plugin_engine):
    answer = [container("old", "reports", "rclone:latest", "exited"), container("db", "pgdata")]
    made, server = plugin_engine({"GET /containers/json": (200, answer)})
    assert [use.container for use in made.users_of_driver("rclone")] == ["old"]
    assert "all=1" in server.requests[0]


def test_only_calls_that_a_driver_or_a_registry_answers_get_more_time(plugin_engine):
    made, _server = plugin_engine(
        {
            "GET /volumes/reports": (200, VOLUME),
            "GET /plugins/pure/json": (200, plugin_inspect()),
            "GET /plugins/privileges": (200, b"null"),
            "POST /plugins/pull": (200, b""),
            "GET /info": (200, {}),
        }
    )
    given = []
    ask, stream = made._transport.ask, made._transport.stream
    made._transport.ask = lambda request, seconds: (given.append(seconds), ask(request, seconds))[1]
    made._transport.stream = lambda request, seconds: (given.append(seconds), stream(request, seconds))[1]
    made.volume("reports")
    made.privileges(REMOTE)
    made.pull_plugin(REMOTE, "pure", ())
    assert given == [180, 180, 180]
    given.clear()
    made.node()
    made.plugin("pure")
    assert given == [1, 1]


def test_a_missing_plugin_is_none_and_another_error_is_told(plugin_engine):
    made, _server = plugin_engine({"GET /plugins/pure:latest/json": (404, message('plugin "pure:latest" not found'))})
    assert made.plugin("pure:latest") is None
    made, _server = plugin_engine({"GET /plugins/pure:latest/json": (500, message("broken"))})
    with pytest.raises(EngineError, match="Cannot inspect the plugin 'pure:latest': broken"):
        made.plugin("pure:latest")


def test_privileges_are_returned_as_the_engine_words_them(plugin_engine):
    made, server = plugin_engine({"GET /plugins/privileges": (200, list(RCLONE_PRIVILEGES))})
    assert made.privileges(REMOTE) == RCLONE_PRIVILEGES
    assert len(server.requests) == 1


def test_null_is_a_plugin_that_needs_nothing(plugin_engine):
    made, _server = plugin_engine({"GET /plugins/privileges": (200, b"null")})
    assert made.privileges(REMOTE) == ()


@pytest.mark.parametrize("version", ["20.10.24+dfsg1", "23.0.3", "24.0.9", "25.0.2"])
def test_a_digest_that_would_crash_the_engine_is_refused_before_the_call(plugin_engine, monkeypatch, version):
    made, server = plugin_engine({}, version)
    monkeypatch.setattr(_sdk, "registry_auth", None)
    by_digest = parse_reference(f"vieux/sshfs@{DIGEST}")
    for call in (
        lambda: made.privileges(by_digest),
        lambda: made.pull_plugin(by_digest, "sshfs:latest", ()),
        lambda: made.upgrade_plugin("sshfs:latest", by_digest, ()),
    ):
        with pytest.raises(EngineError, match="would crash"):
            call()
    assert not made.digests_work()
    assert server.requests == ["GET /version"]


@pytest.mark.parametrize("version", ["25.0.3", "26.1.5+dfsg1", "28.5.2"])
def test_a_digest_is_taken_by_engines_that_can(plugin_engine, version):
    answers = {"GET /plugins/privileges": (200, list(RCLONE_PRIVILEGES)), "POST /plugins/pull": (200, b"")}
    made, server = plugin_engine(answers, version)
    assert made.digests_work()
    assert made.privileges(parse_reference(f"vieux/sshfs@{DIGEST}")) == RCLONE_PRIVILEGES
    made.pull_plugin(parse_reference(f"vieux/sshfs@{DIGEST}"), "sshfs:latest", ())
    assert f"sshfs%40{DIGEST.replace(':', '%3A')}" in server.requests[-1]


def lines(*events):
    return b"\r\n".join(json.dumps(event).encode() for event in events)


def test_pull_sends_back_what_was_offered_in_that_order(plugin_engine):
    made, server = plugin_engine({"POST /plugins/pull": (200, lines({"status": "Pulling"}, {"status": "done"}))})
    made.pull_plugin(REMOTE, "rclone:latest", RCLONE_PRIVILEGES)
    method, path, sent = server.requests[0].split(" ", 2)
    assert method == "POST"
    assert "remote=registry.example%3A5000%2Frclone%2Fdocker-volume-rclone%3A1.0" in path
    assert "name=rclone%3Alatest" in path
    assert json.loads(sent) == list(RCLONE_PRIVILEGES)


def test_pull_of_a_plugin_that_needs_nothing_sends_an_empty_list(plugin_engine):
    made, server = plugin_engine({"POST /plugins/pull": (200, lines({"status": "done"}))})
    made.pull_plugin(REMOTE, "rclone:latest", ())
    assert server.requests[0].endswith(" []")


def test_errors_of_a_pull_are_read_out_of_the_stream(plugin_engine):
    events = lines(
        {"status": "Pulling"}, {"error": "incorrect privileges", "errorDetail": {"message": "x"}}, {"status": "?"}
    )
    made, _server = plugin_engine({"POST /plugins/pull": (200, events)})
    with pytest.raises(EngineError, match=r"Cannot pull the plugin 'registry.example:5000/.*': incorrect privileges"):
        made.pull_plugin(REMOTE, "rclone:latest", ())


def test_a_pull_tells_its_digest_and_each_state_of_a_layer_once(plugin_engine):
    events = [
        {"status": "Pulling from registry.example:5000/rclone/docker-volume-rclone", "id": "1.1"},
        {"status": f"Digest: {DIGEST}"},
        {"status": "Downloading", "progressDetail": {"current": 1, "total": 9}, "progress": "[>  ]", "id": "5d0c"},
        {"status": "Downloading", "progressDetail": {"current": 1, "total": 9}, "progress": "[>  ]", "id": "7aba"},
        {"status": "Downloading", "progressDetail": {"current": 9, "total": 9}, "progress": "[==>]", "id": "5d0c"},
        {"status": "Complete", "progressDetail": {}, "id": "5d0c"},
        {"stream": "of something else"},
    ]
    made, _server = plugin_engine({"POST /plugins/pull": (200, lines(*events))})
    assert made.pull_plugin(REMOTE, "rclone:latest", ()) == Pulled(
        DIGEST,
        (
            "1.1: Pulling from registry.example:5000/rclone/docker-volume-rclone",
            f"Digest: {DIGEST}",
            "5d0c: Downloading",
            "7aba: Downloading",
            "5d0c: Complete",
        ),
    )


def test_upgrade_puts_a_reference_in_the_place_of_a_plugin(plugin_engine):
    made, server = plugin_engine({"POST /plugins/team/rclone:latest/upgrade": (200, lines({"status": "done"}))})
    assert made.upgrade_plugin("team/rclone:latest", REMOTE, RCLONE_PRIVILEGES) == Pulled(None, ("done",))
    _method, path, sent = server.requests[0].split(" ", 2)
    assert path == (
        "/plugins/team/rclone:latest/upgrade?remote=registry.example%3A5000%2Frclone%2Fdocker-volume-rclone%3A1.0"
    )
    assert json.loads(sent) == list(RCLONE_PRIVILEGES)


@pytest.mark.parametrize("error", [{"error": "no space"}, {"errorDetail": {"message": "no space"}}])
def test_an_error_in_a_stream_ends_it_and_its_connection(plugin_engine, error):
    # What follows must not be taken for the answer to the next request.
    events = Pieces((lines({"status": "Pulling"}), lines(error), b"x" * 100_000))
    made, server = plugin_engine({"POST /plugins/pull": (200, events), "GET /volumes/reports": (200, VOLUME)})
    made.volume("reports")
    before = server.connections
    with pytest.raises(EngineError, match=r"no space. Look at the log") as caught:
        made.pull_plugin(REMOTE, "rclone:latest", ())
    assert caught.value.status is None
    assert made.volume("reports").name == "reports"
    assert server.connections == before + 1


@pytest.mark.parametrize(
    "pieces",
    [
        (b'{"status": "one"}\r\n{"status": "two"}\r\n',),
        (b'{"status": "one"}{"status": "two"}',),
        (b'{"sta', b'tus": "one"}\r', b'\n\r\n{"status": "t', b'wo"', b"}"),
        (b'{"status": "one"}\n', b'{"status": "two"}\n', b"\n"),
    ],
)
def test_events_come_out_wherever_the_chunks_end_and_the_connection_stays(plugin_engine, pieces):
    answers = {"POST /plugins/pull": (200, Pieces(pieces)), "GET /volumes/reports": (200, VOLUME)}
    made, server = plugin_engine(answers)
    made.volume("reports")
    before = server.connections
    assert made.pull_plugin(REMOTE, "rclone:latest", ()).log == ("one", "two")
    assert made.volume("reports").name == "reports"
    assert server.connections == before


def test_a_letter_may_be_divided_between_two_chunks(plugin_engine):
    text = '{"status": "größer"}'.encode()
    made, _server = plugin_engine({"POST /plugins/pull": (200, Pieces((text[:14], text[14:])))})
    assert made.pull_plugin(REMOTE, "rclone:latest", ()).log == ("größer",)


@pytest.mark.parametrize("pieces", [(b'{"status": "Pulling"}', b'{"sta'), (b"<html>",), (b"[1]",)])
def test_a_stream_that_is_no_json_or_ends_within_it_is_broken(plugin_engine, pieces):
    made, _server = plugin_engine({"POST /plugins/pull": (200, Pieces(pieces))})
    with pytest.raises(EngineUnreachableError, match="broke off, or is not JSON"):
        made.pull_plugin(REMOTE, "rclone:latest", ())


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (Broken(b'{"status": "Pulling"}\r\n', None), EngineUnreachableError, "the connection to the engine broke"),
        (Broken(b'{"status": "Pul', None), EngineUnreachableError, "the connection to the engine broke"),
        (Broken(b'{"status": "Pulling"}\r\n', 3), EngineError, "did not answer within 1 seconds"),
    ],
)
def test_a_pull_that_breaks_off_in_its_stream_is_no_crash(plugin_engine, monkeypatch, answer, kind, words):
    monkeypatch.setattr(_engine, "SLOW_CALL_SECONDS", 1)
    answers = {"POST /plugins/pull": answer, "GET /volumes/reports": (200, VOLUME)}
    made, server = plugin_engine(answers)
    made.volume("reports")
    before = server.connections
    with pytest.raises(kind, match=words):
        made.pull_plugin(REMOTE, "rclone:latest", RCLONE_PRIVILEGES)
    assert made.volume("reports").name == "reports"
    assert server.connections == before + 1


def test_an_error_instead_of_a_stream_is_told(plugin_engine):
    answers = {"POST /plugins/pull": (404, message("not found")), "GET /volumes/reports": (200, VOLUME)}
    made, server = plugin_engine(answers)
    made.volume("reports")
    before = server.connections
    with pytest.raises(EngineError, match="not found") as caught:
        made.pull_plugin(REMOTE, "rclone:latest", ())
    assert caught.value.status == 404
    assert made.volume("reports").name == "reports"
    assert server.connections == before


# What the engine says, and a part of the way out.
WAYS_OUT = [
    ("plugin rclone:latest already exists", "Somebody else installed it from registry.example:5000"),
    ('plugin "rclone:latest" not found', "Somebody else changed the plugin meanwhile"),
    ("plugin must be disabled before upgrading: plugin x is enabled", "Somebody else changed the plugin meanwhile"),
    ("incorrect privileges", "registry.example:5000 changed between look-up and pull: run the task again"),
    ("fetched plugin image but plugin config is missing", "but it is no plugin"),
    (
        'Get "https://registry.example:5000/v2/": http: server gave HTTP response to HTTPS client',
        "registry.example:5000 does not speak TLS there: correct the port in 'remote', or list",
    ),
    ("tls: first record does not look like a TLS handshake", "'insecure-registries'"),
    (
        "dial tcp 10.0.0.1:5000: connect: connection refused",
        "See that the registry registry.example:5000 runs, and that the engine's host reaches it",
    ),
    ("dial tcp: lookup registry.example on 127.0.0.11:53: no such host", "the engine's host reaches it"),
    ("net/http: TLS handshake timeout", "the engine's host reaches it"),
    ("context deadline exceeded", "the engine's host reaches it"),
    ("x509: certificate signed by unknown authority", "in /etc/docker/certs.d/registry.example:5000/ca.crt"),
    ("remote error: tls: bad certificate", "does not trust the certificate of registry.example:5000"),
    ("toomanyrequests: You have reached your pull rate limit", "registry.example:5000 limits how often it is asked"),
    ("unauthorized: authentication required", "'docker login registry.example:5000' as the user who runs the task"),
    ("pull access denied, repository does not exist", "Give 'registry_username' and 'registry_password'"),
    ('Head "https://registry.example:5000/v2/": no basic auth credentials', "Give 'registry_username' and"),
    ("manifest unknown: manifest unknown", "registry.example:5000 has no 'registry.example:5000/rclone/"),
    ("error resolving plugin reference: not found", "check repository and tag in the option 'remote'"),
    ("something new", "Look at the log of the engine, and of the registry registry.example:5000"),
]


@pytest.mark.parametrize(("said", "way_out"), WAYS_OUT)
def test_each_error_of_a_registry_has_its_way_out(plugin_engine, said, way_out):
    answers = {"POST /plugins/pull": (200, lines({"error": said})), DISTRIBUTION: (500, message(said))}
    made, _server = plugin_engine({**answers, "POST /plugins/x/upgrade": (500, message(said))})
    for call in (
        lambda: made.pull_plugin(REMOTE, "rclone:latest", ()),
        lambda: made.upgrade_plugin("x", REMOTE, ()),
        lambda: made.registry_digest(REMOTE),
    ):
        with pytest.raises(EngineError) as caught:
            call()
        assert caught.value.why == said
        assert way_out in caught.value.way_out


@pytest.mark.parametrize(
    "said", ["unauthorized: authentication required", "requested access is denied", "403 Forbidden"]
)
def test_a_login_that_was_given_is_blamed_without_its_password(plugin_engine, said):
    made, _server = plugin_engine({DISTRIBUTION: (401, message(said))})
    with pytest.raises(
        EngineError, match=r"registry.example:5000 does not take the given 'registry_username'"
    ) as caught:
        made.registry_digest(REMOTE, LOGIN)
    assert "s3cret" not in repr(caught.value) + str(caught.value)


def test_the_name_of_a_repository_says_nothing_of_an_error(plugin_engine):
    remote = parse_reference("denied.example/unauthorized/x509-timeout:1.0")
    text = 'Get "https://denied.example/v2/unauthorized/x509-timeout/manifests/1.0": no answer from denied.example'
    made, _server = plugin_engine({f"GET /distribution/{remote}/json": (500, message(text))})
    with pytest.raises(EngineError, match="Look at the log of the engine"):
        made.registry_digest(remote)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((404, message("manifest unknown")), "manifest unknown. The registry registry.example:5000 has no"),
        ((401, message("unauthorized: authentication required")), "Give 'registry_username'"),
        ((200, {"Descriptor": {"digest": DIGEST}, "Platforms": []}), "but it is no plugin"),
    ],
)
def test_an_empty_list_of_privileges_is_an_error_and_never_nothing_needed(plugin_engine, answer, words):
    made, server = plugin_engine({"GET /plugins/privileges": (200, []), DISTRIBUTION: answer})
    with pytest.raises(EngineError, match="Cannot look up the privileges") as caught:
        made.privileges(REMOTE, LOGIN if "no plugin" in words else None)
    assert words in str(caught.value)
    # The second call asks as the first.
    assert len(set(server.passwords)) == 1


def test_the_digest_in_a_registry(plugin_engine):
    made, server = plugin_engine({DISTRIBUTION: (200, {"Descriptor": {"digest": DIGEST}, "Platforms": None})})
    assert made.registry_digest(REMOTE) == DIGEST
    assert server.requests == [DISTRIBUTION]


def sent(server):
    """Return the login that came with the last request, or None."""
    password = server.passwords[-1]
    return json.loads(base64.urlsafe_b64decode(password)) if password else None


def test_every_call_of_a_registry_sends_the_login_and_nothing_else_does(plugin_engine, home):
    answers = {
        DISTRIBUTION: (200, {"Descriptor": {"digest": DIGEST}}),
        "GET /plugins/privileges": (200, []),
        "POST /plugins/pull": (200, b""),
        "POST /plugins/rclone:latest/upgrade": (200, b""),
        "GET /plugins": (200, []),
    }
    made, server = plugin_engine(answers)
    # It would be an error to look at this.
    configure(home / ".docker", {"auths": {REMOTE.domain: {"auth": "!"}}, "credsStore": "none"})
    made.registry_digest(REMOTE, LOGIN)
    with pytest.raises(EngineError, match="no plugin"):
        made.privileges(REMOTE, LOGIN)
    made.pull_plugin(REMOTE, "rclone:latest", (), LOGIN)
    made.upgrade_plugin("rclone:latest", REMOTE, (), LOGIN)
    expected = {"username": "reader", "password": "s3cret", "serveraddress": "registry.example:5000"}
    assert [json.loads(base64.urlsafe_b64decode(one)) for one in server.passwords] == [expected] * 5
    made.plugins()
    assert server.passwords[-1] is None


def configure(folder, config):
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(config if isinstance(config, str) else json.dumps(config))


HUB = "GET /distribution/rclone/docker-volume-rclone:1.0/json"
KEPT = base64.b64encode(b"kept:p@ss:w\xc3\xb6rd").decode()


@pytest.mark.parametrize(
    ("remote", "key"),
    [
        ("registry.example:5000/rclone/docker-volume-rclone:1.0", "registry.example:5000"),
        ("registry.example:5000/rclone/docker-volume-rclone:1.0", "https://registry.example:5000/v1/"),
        ("rclone/docker-volume-rclone:1.0", "https://index.docker.io/v1/"),
        ("index.docker.io/rclone/docker-volume-rclone:1.0", "https://index.docker.io/v1/"),
    ],
)
def test_without_a_login_that_of_the_user_is_sent(plugin_engine, home, monkeypatch, remote, key):
    answers = {f"GET /distribution/{parse_reference(remote)}/json": (200, {"Descriptor": {"digest": DIGEST}})}
    made, server = plugin_engine(answers)
    made.registry_digest(parse_reference(remote))
    assert sent(server) is None
    configure(home / ".docker", {"auths": {key: {"auth": KEPT}}})
    made.registry_digest(parse_reference(remote))
    assert (sent(server)["username"], sent(server)["password"]) == ("kept", "p@ss:wörd")
    configure(home / "elsewhere", {"auths": {key: {"identitytoken": "t0ken"}}})
    monkeypatch.setenv("DOCKER_CONFIG", str(home / "elsewhere"))
    made.registry_digest(parse_reference(remote))
    assert sent(server) == {"IdentityToken": "t0ken"}


def test_a_login_for_docker_hub_has_its_address(plugin_engine):
    made, server = plugin_engine({HUB: (200, {"Descriptor": {"digest": DIGEST}})})
    made.registry_digest(parse_reference("rclone/docker-volume-rclone:1.0"), LOGIN)
    assert sent(server)["serveraddress"] == "https://index.docker.io/v1/"


@pytest.fixture
def helper(home, monkeypatch):
    """Return a function that makes a script the program of the credential store "vault"."""

    def make(script):
        program = home / "docker-credential-vault"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{home}:{os.environ['PATH']}")

    return make


@pytest.mark.parametrize(
    ("config", "asked"),
    [
        ({"credHelpers": {"registry.example:5000": "vault"}}, "registry.example:5000"),
        ({"credsStore": "vault"}, "registry.example:5000"),
        ({"credsStore": "vault", "auths": {"index.docker.io": {}}}, "https://index.docker.io/v1/"),
        ({"credHelpers": {"https://index.docker.io/v1/": "vault"}}, "https://index.docker.io/v1/"),
    ],
)
def test_a_credential_helper_is_asked(plugin_engine, home, helper, config, asked):
    remote = "index.docker.io/a/b:1" if "index" in str(config) else "registry.example:5000/a/b:1"
    answer = '{"ServerURL": "x", "Username": "helped", "Secret": "fr0m-vault"}'
    helper(f"cat > {home}/asked; echo '{answer}'")
    configure(home / ".docker", config)
    made, server = plugin_engine(
        {f"GET /distribution/{parse_reference(remote)}/json": (200, {"Descriptor": {"digest": DIGEST}})}
    )
    made.registry_digest(parse_reference(remote))
    assert (sent(server)["Username"], sent(server)["Password"]) == ("helped", "fr0m-vault")
    assert (home / "asked").read_text() == asked


def test_a_helper_that_has_no_password_for_a_registry_is_no_error(plugin_engine, home, helper):
    helper("echo credentials not found in native keychain; exit 1")
    configure(home / ".docker", {"credsStore": "vault"})
    made, server = plugin_engine({DISTRIBUTION: (200, {"Descriptor": {"digest": DIGEST}})})
    made.registry_digest(REMOTE)
    assert sent(server) is None


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (
            "echo the vault is locked; exit 1",
            'Credentials store docker-credential-vault exited with "the vault is locked',
        ),
        ("echo s3cret is no JSON", "what it is kept in is damaged"),
        ("""echo '{"Secret": "s3cret"}'""", "what it is kept in is damaged"),
        (None, "docker-credential-vault not installed or not available in PATH"),
    ],
)
def test_a_credential_helper_that_fails_is_no_broken_connection(plugin_engine, home, helper, script, words):
    if script:
        helper(script)
    configure(home / ".docker", {"credHelpers": {REMOTE.domain: "vault"}})
    made, server = plugin_engine({})
    with pytest.raises(EngineError) as caught:
        made.privileges(REMOTE)
    assert f"the password for the registry registry.example:5000 cannot be read: {words}" in str(caught.value)
    assert "config.json of the user who runs the task" in caught.value.way_out
    assert "s3cret" not in repr(caught.value) + str(caught.value)
    assert server.requests == []


@pytest.mark.parametrize(
    "config",
    [
        {"auths": {REMOTE.domain: {"auth": "s3cret!"}}},
        {"auths": {REMOTE.domain: "s3cret"}},
        {"auths": ["s3cret"]},
        "[1]",
    ],
)
def test_a_damaged_config_file_is_told_without_its_passwords(plugin_engine, home, config):
    # Only now: the SDK's client looks at the file already when it connects, for the proxies of builds.
    made, _server = plugin_engine({})
    configure(home / ".docker", config)
    with pytest.raises(EngineError, match=r"cannot be read: .*config\.json") as caught:
        made.pull_plugin(REMOTE, "rclone:latest", ())
    assert "s3cret" not in repr(caught.value) + str(caught.value)


def test_docker_5_raises_of_a_missing_helper_what_is_none_of_its_own_errors(monkeypatch):
    def raise_it(*_arguments):
        raise _sdk.docker.credentials.errors.InitializationError("docker-credential-x not installed")

    monkeypatch.setattr(_sdk.docker.auth, "resolve_authconfig", raise_it)
    with pytest.raises(_sdk.NoPasswordError, match="docker-credential-x not installed"):
        _sdk.registry_auth("registry.example", None)


@pytest.mark.parametrize("connected", ["unix"], indirect=True)
def test_without_the_sdk_only_what_asks_a_registry_fails(connected, monkeypatch):
    monkeypatch.setattr(_sdk, "SDK_IMPORT_ERROR", "Traceback: No module named 'docker'")
    made, server = connected(_plugin_engine.connect, {"GET /plugins": (200, [])})
    made.plugins()
    for call in (lambda: made.privileges(REMOTE, LOGIN), lambda: made.pull_plugin(REMOTE, "rclone:latest", ())):
        with pytest.raises(SdkMissingError):
            call()
    assert server.requests == ["GET /plugins"]


def test_over_a_socket_what_asks_no_registry_does_not_load_the_sdk(tmp_path):
    script = """
import sys
from ansible_collections.voltainer.volumes.plugins.modules import docker_volume_plugin_x
from ansible_collections.voltainer.volumes.plugins.module_utils import _engine, _plugin_engine
at = _engine.Connection(sys.argv[1], "auto", 5, False, False, None, None, None, None, False)
engine = _plugin_engine.connect(at)
assert engine.plugin("rclone:latest").enabled
assert len(engine.plugins()) == 1
engine.disable_plugin("rclone:latest")
assert engine.digests_work()
print([name for name in ("docker", "requests", "urllib3") if name in sys.modules])
"""
    answers = {
        "GET /plugins/rclone:latest/json": (200, plugin_inspect()),
        "GET /plugins": (200, [plugin_inspect()]),
        "POST /plugins/rclone:latest/disable": (200, b""),
    }
    with serving(answers, "28.5.2", tmp_path / "engine.sock"):
        done = subprocess.run(
            [sys.executable, "-c", script, f"unix://{tmp_path}/engine.sock"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=False,
        )
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_neither_passwords_nor_secret_settings_are_shown():
    request = Request("POST", "/plugins/x/set", body=["TOKEN=s3cret"], headers={"X-Registry-Auth": "s3cret"})
    assert "s3cret" not in f"{request!r} {request} {LOGIN!r} {LOGIN}"


def test_all_plugins_and_the_data_root(plugin_engine):
    plugins = [plugin_inspect(), plugin_inspect(Name="net:latest", Enabled=False)]
    made, _server = plugin_engine(
        {"GET /plugins": (200, plugins), "GET /info": (200, {"DockerRootDir": "/srv/docker"})}
    )
    assert [(plugin.name, plugin.enabled) for plugin in made.plugins()] == [
        ("rclone:latest", True),
        ("net:latest", False),
    ]
    assert made.data_root() == "/srv/docker"


def test_the_version_is_asked_for_once(plugin_engine):
    made, server = plugin_engine({})
    assert made.digests_work()
    assert made.digests_work()
    assert server.requests == ["GET /version"]


def test_set_sends_pairs(plugin_engine):
    made, server = plugin_engine({"POST /plugins/rclone:latest/set": (204, b"")})
    made.set_plugin("rclone:latest", {"args": "-v --x", "config.source": "/srv"})
    assert server.requests == ['POST /plugins/rclone:latest/set ["args=-v --x", "config.source=/srv"]']


def test_enable_without_its_mount_source_says_what_to_do(plugin_engine):
    text = "error while mounting: stat /nope: no such file or directory"
    made, _server = plugin_engine({"POST /plugins/rclone:latest/enable": (500, message(text))})
    with pytest.raises(EngineError, match="Make the mount sources of the plugin first"):
        made.enable_plugin("rclone:latest", 0)


def test_enable_passes_its_timeout_on(plugin_engine):
    made, server = plugin_engine({"POST /plugins/rclone:latest/enable": (200, b"")})
    made.enable_plugin("rclone:latest", 7)
    assert server.requests == ["POST /plugins/rclone:latest/enable?timeout=7"]


def test_enable_of_a_plugin_that_ended_waits_and_does_not_blame_the_mount_sources(plugin_engine, monkeypatch):
    pauses = []
    text = "dial unix /run/docker/plugins/5f1c/rclone.sock: connect: no such file or directory"
    made, server = plugin_engine({"POST /plugins/rclone:latest/enable": (500, message(text))})
    monkeypatch.setattr(_plugin_engine.time, "sleep", pauses.append)
    with pytest.raises(EngineError, match="The plugin does not answer"):
        made.enable_plugin("rclone:latest", 0)
    # The engine's own start takes 12.6 s until it fails.
    assert sum(pauses) >= 13
    assert len(server.requests) == 1


def test_enable_takes_an_enabled_plugin_as_done(plugin_engine):
    text = "plugin already enabled: plugin rclone:latest is enabled"
    made, server = plugin_engine({"POST /plugins/rclone:latest/enable": (409, message(text))})
    made.enable_plugin("rclone:latest", 0)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "text",
    [
        "error creating containerd container: id already in use",
        "OCI runtime start failed: cannot start a container that has stopped: unknown",
        "failed to create task for container: mkdir /run/5f1c: file exists",
        "failed to create task for container: AlreadyExists: task 5f1c: already exists",
    ],
)
def test_enable_while_the_engine_itself_starts_the_plugin_says_so(plugin_engine, text):
    made, _server = plugin_engine({"POST /plugins/rclone:latest/enable": (500, message(text))})
    with pytest.raises(EngineError, match="run the task again in half a minute"):
        made.enable_plugin("rclone:latest", 0)


def test_disable_is_forced_only_where_told(plugin_engine):
    made, server = plugin_engine({"POST /plugins/rclone:latest/disable": (200, b"")})
    made.disable_plugin("rclone:latest")
    made.disable_plugin("rclone:latest", force=True)
    assert [request.partition("?")[2] for request in server.requests] == ["", "force=1"]


def test_a_disabled_plugin_that_still_has_volumes_says_what_to_do(plugin_engine):
    made, _server = plugin_engine({"DELETE /plugins/rclone:latest": (409, message("plugin rclone:latest is in use"))})
    with pytest.raises(EngineError, match="enable it and remove them first"):
        made.remove_plugin("rclone:latest")


def test_volumes_of_a_plugin_are_asked_for_by_its_full_name(plugin_engine):
    made, server = plugin_engine({"GET /volumes": (200, {"Volumes": [VOLUME], "Warnings": None})})
    assert made.volumes_of(made_plugin(enabled=True)) == ("reports",)
    assert "rclone%3Alatest" in server.requests[0]
    assert made.volumes_of(made_plugin(enabled=False)) == ()
    assert len(server.requests) == 1


def test_volumes_that_a_plugin_does_not_list_are_an_error(plugin_engine):
    made, _server = plugin_engine({"GET /volumes": (200, {"Volumes": None, "Warnings": ["the array is down"]})})
    with pytest.raises(EngineError, match="Cannot list the volumes of 'rclone:latest': the array is down"):
        made.volumes_of(made_plugin(enabled=True))


def made_plugin(enabled):
    return Plugin.from_inspect(plugin_inspect(Enabled=enabled))


def test_removal_is_forced_only_where_told(plugin_engine):
    made, server = plugin_engine({"DELETE /plugins/rclone:latest": (200, b"")})
    made.remove_plugin("rclone:latest")
    made.remove_plugin("rclone:latest", force=True)
    assert server.requests == ["DELETE /plugins/rclone:latest", "DELETE /plugins/rclone:latest?force=1"]


def test_a_plugin_that_is_enabled_cannot_be_removed(plugin_engine):
    made, _server = plugin_engine({"DELETE /plugins/rclone:latest": (409, message("plugin rclone:latest is enabled"))})
    with pytest.raises(EngineError, match="Somebody else enabled it meanwhile"):
        made.remove_plugin("rclone:latest")


def test_an_engine_that_is_silent_while_it_enables_a_plugin_is_told_as_such(plugin_engine, monkeypatch):
    monkeypatch.setattr(_engine, "SLOW_CALL_SECONDS", 1)
    made, _server = plugin_engine({"POST /plugins/rclone:latest/enable": 2})
    with pytest.raises(EngineError, match=r"did not answer within 1 seconds.*'timeout' gives more time"):
        made.enable_plugin("rclone:latest", 0)


def test_a_device_that_is_not_there_is_not_taken_for_a_mount(plugin_engine):
    text = 'error gathering device information while adding custom device "/dev/nope": no such file or directory'
    made, _server = plugin_engine({"POST /plugins/rclone:latest/enable": (500, message(text))})
    with pytest.raises(EngineError, match="Correct the path of this device"):
        made.enable_plugin("rclone:latest", 0)
