# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ContainerEngine with and without the SDK, against a small HTTP server: the exact requests, and what comes back."""

from __future__ import annotations

import io
import json
import tarfile
from urllib.parse import parse_qs, urlsplit

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils import _engine, _plugin_engine
from ansible_collections.voltainer.volumes.plugins.module_utils._container_engine import ContainerEngine
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import EngineError, VolumesError
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin import Plugin
from ansible_collections.voltainer.volumes.plugins.module_utils._transport import Request

from .engine_server import Broken, message
from .fake_engine import RCLONE, plugin_inspect

LABEL = "voltainer.volumes.canary"


@pytest.fixture
def made(connected):
    """Return a function that makes a ContainerEngine, connected to a server with the given answers."""
    return lambda answers: connected(lambda asked: ContainerEngine(_engine.reach(asked)), answers)


def asked(server, number=0):
    """Return the method and path of a request, its query, and its body."""
    method, target, *body = server.requests[number].split(" ", 2)
    parts = urlsplit(target)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    return f"{method} {parts.path}", query, json.loads(body[0]) if body else None


def packed(**files):
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return archive.getvalue()


def test_the_engine_has_an_id(made):
    engine, _server = made({"GET /info": (200, {"ID": "7TYZ"})})
    assert engine.engine_id() == "7TYZ"
    engine, _server = made({"GET /info": (200, {})})
    assert engine.engine_id() == ""


def test_an_empty_image_is_imported_with_its_labels_and_nothing_else(made):
    image = f"sha256:{'4a' * 32}"
    engine, server = made({"POST /images/create": (200, f'{{"status":"{image}"}}\r\n'.encode())})
    assert engine.import_empty_image({LABEL: 'pure "x"', "b": "2"}) == image
    path, query, body = asked(server)
    assert (path, body) == ("POST /images/create", None)
    assert query == {"fromSrc": "-", "changes": f'LABEL "{LABEL}"="pure \\"x\\""\nLABEL "b"="2"'}
    (sent,) = server.archives
    with tarfile.open(fileobj=io.BytesIO(sent)) as tar:
        assert tar.getnames() == []
    assert server.headers[0]["Content-Length"] == str(len(sent))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((200, b'{"status":"x"}\r\n{"error":"no space left","errorDetail":{}}\r\n'), "image: no space left"),
        ((500, message("no space left")), "image: no space left"),
        # Another image may have such a name.
        ((200, b'{"status":"busybox"}\r\n'), "image: the engine did not say which image it made"),
        ((200, b""), "image: the engine did not say which image it made"),
        (Broken(b'{"status":"sha', None), "Cannot make an empty image"),
    ],
)
def test_an_image_that_cannot_be_made(made, answer, words):
    engine, _server = made({"POST /images/create": answer})
    with pytest.raises(VolumesError, match=words):
        engine.import_empty_image({LABEL: "pure:latest"})


@pytest.mark.parametrize(
    ("call", "path", "query"),
    [
        ("images_labelled", "/images/json", {}),
        ("containers_labelled", "/containers/json", {"all": "1"}),
    ],
)
def test_what_a_label_marks_is_found_running_or_not(made, call, path, query):
    engine, server = made({f"GET {path}": (200, [{"Id": "a"}, {"Id": "b"}])})
    assert getattr(engine, call)(f"{LABEL}=pure:latest") == ("a", "b")
    assert asked(server) == (
        f"GET {path}",
        {**query, "filters": json.dumps({"label": [f"{LABEL}=pure:latest"]})},
        None,
    )
    engine, _server = made({f"GET {path}": (200, b"null")})
    assert getattr(engine, call)("x=y") == ()


@pytest.mark.parametrize(
    ("call", "path", "query"),
    [
        ("remove_image", "/images/4a", {}),
        ("remove_container", "/containers/4a", {"force": "1", "v": "1"}),
    ],
)
def test_what_is_gone_needs_no_removal(made, call, path, query):
    for status in (200, 404):
        engine, server = made({f"DELETE {path}": (status, message("no such thing"))})
        getattr(engine, call)("4a")
        assert asked(server) == (f"DELETE {path}", query, None)
    engine, _server = made({f"DELETE {path}": (409, message("in use"))})
    with pytest.raises(EngineError, match=r"Cannot remove the \w+ '4a': in use"):
        getattr(engine, call)("4a")


def test_a_container_has_the_volume_and_no_network_and_takes_nothing_from_its_image(made):
    engine, server = made({"POST /containers/create": (201, {"Id": "c1", "Warnings": []})})
    assert engine.create_container("sha256:4a", "canary", {LABEL: "pure:latest"}) == "c1"
    path, query, body = asked(server)
    assert (path, query) == ("POST /containers/create", {})
    assert (body["Image"], body["Labels"]) == ("sha256:4a", {LABEL: "pure:latest"})
    assert body["HostConfig"]["NetworkMode"] == "none"
    (mount,) = body["HostConfig"]["Mounts"]
    assert (mount["Type"], mount["Source"]) == ("volume", "canary")
    # Into an empty volume the engine would copy what the image has there.
    assert mount["VolumeOptions"] == {"NoCopy": True}
    engine, _server = made({"POST /containers/create": (500, message("VolumeDriver.Mount: no route"))})
    with pytest.raises(EngineError, match=r"with the volume 'canary': VolumeDriver.Mount: no route"):
        engine.create_container("sha256:4a", "canary", {})


CONTENTS = [b"", b"x", bytes(range(256)) * 17, b'{"json": 1}\n']


@pytest.mark.parametrize("content", CONTENTS)
def test_a_file_is_put_where_the_volume_is(made, content):
    engine, server = made({"PUT /containers/c1/archive": (200, b"")})
    engine.put_file("c1", "canary", content)
    path, query, _body = asked(server)
    assert path == "PUT /containers/c1/archive"
    assert server.headers[0]["Content-Type"] == "application/x-tar"
    with tarfile.open(fileobj=io.BytesIO(server.archives[0])) as tar:
        (info,) = tar.getmembers()
        assert (info.name, info.mode, tar.extractfile(info).read()) == ("canary", 0o600, content)
    engine, server = made({"POST /containers/create": (201, {"Id": "c1"})})
    engine.create_container("4a", "v", {})
    assert asked(server)[2]["HostConfig"]["Mounts"][0]["Target"] == query["path"]


@pytest.mark.parametrize("content", CONTENTS)
def test_a_file_comes_back_byte_by_byte(made, content):
    engine, server = made({"GET /containers/c1/archive": (200, packed(canary=content))})
    assert engine.get_file("c1", "canary") == content
    path, query, _body = asked(server)
    assert (path, query) == ("GET /containers/c1/archive", {"path": "/data/canary"})
    assert server.headers[0]["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("answer", [b"", b"no tar", packed(canary=bytes(4096))[:600], b'{"message": "x"}'])
def test_what_is_no_tar_file_is_told(made, answer):
    engine, _server = made({"GET /containers/c1/archive": (200, answer)})
    with pytest.raises(EngineError, match=r"Cannot read the file 'canary' from the volume: what the engine sent"):
        engine.get_file("c1", "canary")


def test_a_tar_file_without_a_file_has_no_content(made):
    engine, _server = made({"GET /containers/c1/archive": (200, packed())})
    assert engine.get_file("c1", "canary") == b""


@pytest.mark.parametrize(("call", "arguments"), [("put_file", ("c1", "canary", b"x")), ("get_file", ("c1", "canary"))])
def test_the_cause_of_a_failure_is_the_engine_s(made, call, arguments):
    answer = (500, message("VolumeDriver.Mount: read-only file system"))
    engine, _server = made({"PUT /containers/c1/archive": answer, "GET /containers/c1/archive": answer})
    with pytest.raises(EngineError, match=r"VolumeDriver.Mount: read-only file system") as caught:
        getattr(engine, call)(*arguments)
    assert caught.value.status == 500


def test_one_connection_goes_on_after_an_archive(made):
    engine, _server = made(
        {
            "GET /containers/c1/archive": (200, packed(canary=b"x")),
            "PUT /containers/c1/archive": (200, b""),
            "GET /info": (200, {"ID": "7TYZ"}),
        }
    )
    engine.put_file("c1", "canary", b"x")
    assert engine.get_file("c1", "canary") == b"x"
    assert engine.engine_id() == "7TYZ"


def test_calls_that_a_driver_answers_get_more_time(made):
    engine, _server = made(
        {
            "POST /containers/create": (201, {"Id": "c1"}),
            "PUT /containers/c1/archive": (200, b""),
            "GET /containers/c1/archive": (200, packed(canary=b"x")),
            "DELETE /containers/c1": (204, b""),
            "GET /images/json": (200, []),
        }
    )
    given = []
    ask = engine._transport.ask
    engine._transport.ask = lambda request, seconds: (given.append(seconds), ask(request, seconds))[1]
    engine.images_labelled("x=y")
    assert given == [1]
    given.clear()
    engine.create_container("4a", "v", {})
    engine.put_file("c1", "canary", b"x")
    engine.get_file("c1", "canary")
    engine.remove_container("c1")
    assert given == [180] * 4


def test_what_is_sent_is_not_shown():
    assert "s3cret" not in repr(Request("PUT", "/x", archive=b"s3cret"))


@pytest.mark.parametrize(("headers", "expected"), [(None, {}), ({"A": "b"}, {"A": "b"})])
def test_the_headers_say_what_the_body_is(headers, expected):
    assert Request("GET", "/x", headers=headers).all_headers == expected
    assert Request("PUT", "/x", headers=headers, archive=b"").all_headers == {
        **expected,
        "Content-Type": "application/x-tar",
    }


def test_since_when_a_plugin_runs_tells_its_socket(connected, monkeypatch, tmp_path):
    monkeypatch.setattr(_plugin_engine, "_SOCKETS", str(tmp_path))
    engine, _server = connected(_plugin_engine.connect, {})
    plugin = Plugin.from_inspect(RCLONE)
    monkeypatch.setattr(_plugin_engine.PluginEngine, "is_here", True)
    assert engine.listens_since(plugin) is None
    (tmp_path / plugin.id).mkdir()
    socket = tmp_path / plugin.id / "rclone.sock"
    socket.touch()
    assert engine.listens_since(plugin) == socket.stat().st_mtime_ns
    for interface in (None, {}, {"Socket": ""}):
        config = {**RCLONE["Config"], "Interface": interface}
        assert engine.listens_since(Plugin.from_inspect(plugin_inspect(Config=config))) is None
    monkeypatch.setattr(_plugin_engine.PluginEngine, "is_here", False)
    assert engine.listens_since(plugin) is None
