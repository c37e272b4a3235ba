# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking at storage plugins, managed and legacy, on the fake engine and on files and sockets as they are."""

from __future__ import annotations

import contextlib
import json
import socket
import socketserver
import threading
import time
from http.server import BaseHTTPRequestHandler

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import EngineError, InvalidInputError
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin import Installed
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_files import read
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_info_run import (
    look_at_plugins,
    parse_plugin_info,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_legacy import Legacy, legacy_plugins
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_note import Note

from .fake_engine import DIGEST, FakeEngine, container, plugin_inspect
from .test_plugin_upgrade import NEXT_DIGEST, REMOTE

PARAMS = {
    "name": None,
    "filters": None,
    "check_registry": False,
    "secret_settings": [],
    "registry_username": None,
    "registry_password": None,
    "timeout": 5,
}


def look(engine, **params):
    return look_at_plugins(engine, parse_plugin_info({**PARAMS, **params}), False)


def names(found):
    return [one["name"] for one in found.values["plugins"]]


def other(name, **changes):
    return plugin_inspect(Name=name, Id=f"id-{name}", **changes)


def engine_with_all():
    network = other("net:latest")
    network["Config"]["Interface"] = {"Types": ["docker.networkdriver/1.0"]}
    csi = other("csi:latest")
    csi["Config"]["Interface"] = {"Types": ["docker.csinode/1.0"]}
    engine = FakeEngine(plugins=[plugin_inspect(), other("pure:2", Enabled=False), network, csi])
    engine.legacy = ["local", "flocker"]
    return engine


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (None, ["csi:latest", "flocker", "pure:2", "rclone:latest"]),
        ({}, ["csi:latest", "flocker", "pure:2", "rclone:latest"]),
        ({"kind": "managed"}, ["csi:latest", "pure:2", "rclone:latest"]),
        ({"kind": "legacy"}, ["flocker"]),
        ({"enabled": False}, ["pure:2"]),
        ({"enabled": True, "kind": "managed"}, ["csi:latest", "rclone:latest"]),
        ({"name": ["rclone"]}, ["rclone:latest"]),
        ({"name": ["rclone:latest", "pu*"]}, ["pure:2", "rclone:latest"]),
        ({"name": ["none"]}, []),
    ],
)
def test_filters(filters, expected):
    engine = engine_with_all()
    assert names(look(engine, filters=filters)) == expected
    assert engine.calls == []
    assert engine.asked == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [("rclone", True), ("rclone:latest", True), ("pure", False), ("pure:2", True), ("flocker", True), ("net", False)],
)
def test_one_by_name(name, expected):
    values = look(engine_with_all(), name=name).values
    assert values["exists"] is expected
    assert len(values["plugins"]) == int(expected)
    assert (values["plugin"] is not None) is (expected and name != "flocker")


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"name": "a b"}, "'name'"),
        ({"name": "x", "filters": {"enabled": True}}, "exclude each other"),
        ({"filters": {"name": []}}, "empty list"),
        ({"filters": {"name": [""]}}, "empty value"),
    ],
)
def test_bad_input(params, words):
    with pytest.raises(InvalidInputError, match=words):
        look(FakeEngine(), **params)


def facts_of(engine, name="rclone", **params):
    return look(engine, name=name, **params).values["plugins"][0]


def test_settings_against_defaults():
    plugin = plugin_inspect()
    plugin["Settings"]["Env"] = ["RCLONE_VERBOSE=2", "API_TOKEN=s3cret", "RCLONE_CONFIG=/data/config/rclone.conf"]
    plugin["Config"]["Mounts"][0]["Source"] = "/srv/config"
    found = facts_of(FakeEngine(plugins=[plugin]))
    assert found["settings"]["RCLONE_VERBOSE"] == "2"
    assert found["defaults"]["RCLONE_VERBOSE"] == "0"
    assert found["defaults"]["config.source"] == "/var/lib/docker-plugins/rclone/config"
    assert found["settings_changed"] == ["API_TOKEN", "RCLONE_VERBOSE", "config.source"]
    assert "s3cret" not in repr(found)
    engine = FakeEngine(plugins=[plugin])
    engine.digests_known = False
    elsewhere = facts_of(engine, secret_settings=["RCLONE_VERBOSE"])
    assert elsewhere["defaults"]["config.source"] is None
    assert elsewhere["digest"] is None
    assert elsewhere["settings"]["RCLONE_VERBOSE"] == "********"


@pytest.mark.parametrize(
    ("said", "healthy", "why"),
    [
        (None, True, None),
        ("error while listing", False, "error while listing"),
        (EngineError("Cannot list", "the engine did not answer within 5 seconds"), False, "did not answer"),
    ],
)
def test_health(said, healthy, why):
    engine = FakeEngine(plugins=[plugin_inspect()])
    if said:
        engine.listing["rclone:latest"] = said
    found = facts_of(engine)
    assert found["healthy"] is healthy
    assert why is None or why in found["unhealthy_reason"]


def test_health_of_what_cannot_be_asked():
    engine = engine_with_all()
    assert facts_of(engine, "pure:2")["unhealthy_reason"] == "it is disabled"
    assert facts_of(engine, "csi")["healthy"] is None
    # A legacy driver that has gone: the engine lists nothing, without a warning, and does not know it.
    engine.files = [Legacy("dead", "/etc/docker/plugins/dead.spec")]
    assert facts_of(engine, "dead")["healthy"] is False
    assert facts_of(engine, "dead")["file"] == "/etc/docker/plugins/dead.spec"
    assert facts_of(engine, "flocker")["healthy"] is True


def test_volumes_and_their_users():
    volumes = [{"Name": name, "Driver": "rclone:latest"} for name in ("a", "b")]
    containers = [container("web", "a", "rclone:latest"), container("db", "c", "local")]
    engine = FakeEngine(plugins=[plugin_inspect()], volumes=volumes, containers=containers)
    found = facts_of(engine)["volumes"]
    assert [(one["name"], [use["container"] for use in one["users"]]) for one in found] == [("a", ["web"]), ("b", [])]
    engine.plugins_by_name["rclone:latest"]["Enabled"] = False
    engine.listing["rclone:latest"] = EngineError("never", "asked")
    assert [one["name"] for one in facts_of(engine)["volumes"]] == ["a"]


@pytest.mark.parametrize(
    ("newest", "known", "expected"),
    [(DIGEST, True, False), (NEXT_DIGEST, True, True), (NEXT_DIGEST, False, None)],
)
def test_upgrades_when_asked(newest, known, expected):
    engine = FakeEngine(plugins=[plugin_inspect()])
    engine.registry[REMOTE] = newest
    engine.digests_known = known
    found = facts_of(engine, check_registry=True, registry_username="me", registry_password="s3cret")
    assert found["upgrade_available"] is expected
    assert found["registry_digest"] == newest
    assert [(method, login.password) for method, _reference, login in engine.asked] == [("registry_digest", "s3cret")]
    assert facts_of(engine)["upgrade_available"] is None


def test_a_pinned_plugin_has_no_upgrade_and_a_silent_registry_is_told():
    pinned = plugin_inspect(PluginReference=f"{REMOTE.rpartition(':')[0]}@{DIGEST}")
    engine = FakeEngine(plugins=[pinned])
    assert facts_of(engine, check_registry=True)["upgrade_available"] is False
    assert engine.asked == []
    engine = FakeEngine(plugins=[plugin_inspect(), other("pure:2")])
    engine.fail["registry_digest"] = EngineError("Cannot look up the digest", "no route to the registry")
    found = look(engine, check_registry=True)
    assert [one["upgrade_available"] for one in found.values["plugins"]] == [None, False]
    assert len(found.warnings) == 1
    assert "no route to the registry" in found.warnings[0]


def test_a_password_goes_to_one_registry_only():
    engine = engine_with_all()
    engine.plugins_by_name["pure:2"]["PluginReference"] = "docker.io/purestorage/docker-plugin:2"
    login = {"check_registry": True, "registry_username": "me", "registry_password": "s3cret"}
    with pytest.raises(InvalidInputError, match=r"from several: docker\.io, registry\.example:5000"):
        look(engine, **login)
    assert engine.asked == []
    look(engine, filters={"name": ["rclone"]}, **login)
    assert {reference.partition("/")[0] for _method, reference, _login in engine.asked} == {"registry.example:5000"}


def test_legacy_plugins_that_hang_take_no_time_from_others(tmp_path):
    engine = engine_with_all()
    given = {}
    listing = engine.volumes
    engine.volumes = lambda driver, seconds=None, **other: given.update({driver: seconds}) or listing(driver, **other)
    with contextlib.ExitStack() as opened:
        for name in ("hang1", "hang2"):
            path = str(tmp_path / name)
            listener = opened.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(path)
            listener.listen()
            engine.files.append(Legacy(name, path, path))
        begin = time.monotonic()
        found = look(engine, timeout=1)
    assert time.monotonic() - begin < 1.8
    assert given["rclone:latest"] > 0.5
    assert {"hang1", "hang2", "rclone:latest"} <= set(names(found))


def test_an_unfinished_change_is_told():
    note = Note("5f1c", "rclone:latest", True, REMOTE, DIGEST, {})
    volume = {"Name": note.volume, "Driver": "local", "Options": {}, "Labels": note.labels()}
    engine = FakeEngine(plugins=[plugin_inspect(Enabled=False)], volumes=[volume])
    assert f"Before, it was enabled, of '{REMOTE}'" in facts_of(engine)["unfinished"]
    assert facts_of(FakeEngine(plugins=[plugin_inspect()]))["unfinished"] is None


class Activation(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.server.answer
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        """Say nothing."""

    def address_string(self):
        return "socket"


@pytest.fixture
def listening(tmp_path):
    """Return a function that lets a legacy plugin listen at a path below the root folder."""
    servers = []

    def listen(path, answer):
        place = tmp_path / path
        place.parent.mkdir(parents=True, exist_ok=True)
        server = socketserver.ThreadingUnixStreamServer(str(place), Activation)
        server.answer = answer
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return str(place)

    yield listen
    for server in servers:
        server.shutdown()
        server.server_close()


def test_legacy_plugins_are_found_where_the_engine_looks(tmp_path, listening):
    sockets = [
        listening("run/docker/plugins/one.sock", b"{}"),
        listening("run/docker/plugins/two/two.sock", b"{}"),
    ]
    listening(f"run/docker/plugins/{'a' * 12}/pure.sock", b"{}")
    (tmp_path / "run/docker/plugins/no-socket.sock").write_text("")
    etc, usr = tmp_path / "etc/docker/plugins", tmp_path / "usr/lib/docker/plugins"
    for folder in (etc, usr):
        folder.mkdir(parents=True)
    (etc / "three.spec").write_text("tcp://127.0.0.1:9\n")
    (etc / "one.spec").write_text("tcp://127.0.0.1:9\n")
    (usr / "four.json").write_text(json.dumps({"Name": "four", "Addr": f"unix://{sockets[0]}"}))
    (usr / "five.json").write_text("{")
    (usr / "README").write_text("")
    found = {one.name: one for one in legacy_plugins(str(tmp_path))}
    assert sorted(found) == ["five", "four", "one", "three", "two"]
    assert found["one"].socket == sockets[0]
    assert found["two"].socket == sockets[1]
    assert found["four"].socket == sockets[0]
    assert found["three"].socket is None


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b'{"Implements": ["VolumeDriver"]}', True),
        (b'{"Implements": ["NetworkDriver"]}', False),
        (b'{"Implements": null}', False),
        (b"{}", False),
        (b"[]", None),
        (b"{", None),
    ],
)
def test_a_legacy_plugin_says_itself_what_it_is(tmp_path, listening, answer, expected):
    path = listening("p.sock", answer)
    assert Legacy("p", path, path).is_volume_driver(5) is expected
    assert Legacy("p", "x", str(tmp_path / "none.sock")).is_volume_driver(5) is None
    assert Legacy("p", "x").is_volume_driver(5) is None


def test_legacy_plugins_of_other_kinds_are_left_out(listening):
    network = listening("net.sock", b'{"Implements": ["NetworkDriver"]}')
    volume = listening("vol.sock", b'{"Implements": ["VolumeDriver"]}')
    engine = FakeEngine()
    engine.files = [Legacy("net", network, network), Legacy("vol", volume, volume)]
    assert names(look(engine)) == ["vol"]


def engine_files(tmp_path, record, blobs):
    folder = tmp_path / "plugins" / "5f1c"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(record)
    store = tmp_path / "plugins/storage/blobs/sha256"
    store.mkdir(parents=True)
    for name, text in blobs.items():
        (store / name).write_text(text)


@pytest.mark.parametrize(
    ("record", "blobs", "expected"),
    [
        (
            {"Manifest": "sha256:m", "Config": "sha256:c"},
            {"c": '{"Mounts": [{"Name": "config", "Source": "/c"}, {"Source": "/dev", "Name": ""}]}'},
            Installed("sha256:m", {"config.source": "/c"}),
        ),
        ({"Manifest": "sha256:m", "Config": "sha256:c"}, {"c": '{"Mounts": null}'}, Installed("sha256:m", {})),
        ({"Manifest": "sha256:m", "Config": "sha256:c"}, {}, Installed("sha256:m", None)),
        (
            {"Manifest": "sha256:m", "Config": "sha256:c"},
            {"c": '{"mounts": null, "linux": {"devices": [{"name": "log", "path": "/dev/null"}, {"path": "/dev/x"}]}}'},
            Installed("sha256:m", {"log.path": "/dev/null"}),
        ),
        ({"Manifest": "sha256:m", "Config": "sha256:c"}, {"c": "[]"}, Installed("sha256:m", None)),
        ({"Manifest": "", "Config": ""}, {}, Installed(None, None)),
        ({}, {}, Installed(None, None)),
    ],
)
def test_what_the_engines_files_tell(tmp_path, record, blobs, expected):
    engine_files(tmp_path, json.dumps(record), blobs)
    assert read(str(tmp_path), "5f1c") == expected
    assert read(str(tmp_path), "other") is None


@pytest.mark.parametrize("record", ["", "{", "[]", "null"])
def test_files_that_cannot_be_read_tell_nothing(tmp_path, record):
    engine_files(tmp_path, record, {})
    assert read(str(tmp_path), "5f1c") is None
