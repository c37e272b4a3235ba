# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HelperEngine with and without the SDK, against a small HTTP server: the exact requests, and what comes back."""

from __future__ import annotations

import io
import json
import tarfile

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils import _engine
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import EngineError, VolumesError
from ansible_collections.voltainer.volumes.plugins.module_utils._helper_engine import (
    HelperEngine,
    HelperImage,
    HelperMount,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._holder import as_label

from .engine_server import Broken, message
from .test_container_engine import asked

MOUNTS = (HelperMount("src", "/volumes/0", read_only=True), HelperMount("data", "/volumes/1", read_only=False))
HELPER = "voltainer.volumes.helper"
IMAGE = f"sha256:{'4a' * 32}"


@pytest.fixture
def made(connected):
    """Return a function that makes a HelperEngine, connected to a server with the given answers."""
    return lambda answers: connected(lambda asked: HelperEngine(_engine.reach(asked)), answers)


def test_the_image_has_no_name_a_label_that_says_whose_it_is_and_links_only(made):
    engine, server = made({"POST /images/create": (200, f'{{"status":"{IMAGE}"}}\r\n'.encode())})
    assert engine.import_helper_image() == IMAGE
    assert asked(server) == (
        "POST /images/create",
        {"fromSrc": "-", "changes": f'LABEL "{HELPER}"={json.dumps(as_label())}'},
        None,
    )
    (sent,) = server.archives
    with tarfile.open(fileobj=io.BytesIO(sent)) as tar:
        members = tar.getmembers()
    assert all(one.issym() and one.linkname == f"usr/{one.name}" for one in members)
    assert {"bin", "lib", "lib64"} <= {one.name for one in members}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((200, b'{"error":"no space left"}\r\n'), "image of the helper container: no space left"),
        ((500, message("no space left")), "image of the helper container: no space left"),
        ((200, b'{"status":"busybox"}\r\n'), "helper container: the engine did not say which image it made"),
        (Broken(b'{"status":"sha', None), "Cannot make the image of the helper container"),
    ],
)
def test_an_image_that_cannot_be_made(made, answer, words):
    engine, _server = made({"POST /images/create": answer})
    with pytest.raises(VolumesError, match=words):
        engine.import_helper_image()


def test_images_are_told_with_who_has_them_and_those_with_names_are_somebody_s(made):
    one = {"Labels": {HELPER: "{}"}, "Created": 7}
    answer = [
        {**one, "Id": "i1", "RepoTags": ["<none>:<none>"]},
        {**one, "Id": "i2", "RepoTags": []},
        {**one, "Id": "i3", "RepoTags": None},
        {**one, "Id": "i4", "RepoTags": ["shop:1"]},
    ]
    engine, server = made({"GET /images/json": (200, answer)})
    assert engine.helper_images() == tuple(HelperImage(name, "{}", 7) for name in ("i1", "i2", "i3"))
    assert asked(server) == ("GET /images/json", {"filters": json.dumps({"label": [HELPER]})}, None)


@pytest.mark.parametrize("status", [200, 404, 409])
def test_the_image_is_removed_unless_another_container_has_it(made, status):
    engine, server = made({f"DELETE /images/{IMAGE}": (status, message("is being used"))})
    engine.remove_helper_image(IMAGE)
    assert asked(server) == (f"DELETE /images/{IMAGE}", {}, None)


def test_an_image_that_cannot_be_removed_is_told(made):
    engine, _server = made({f"DELETE /images/{IMAGE}": (500, message("disk I/O error"))})
    with pytest.raises(EngineError, match="disk I/O error"):
        engine.remove_helper_image(IMAGE)


@pytest.mark.parametrize("powers", [True, False])
def test_the_container_has_the_volumes_and_the_host_s_programs_and_nothing_else(made, powers):
    engine, server = made({"POST /containers/create": (201, {"Id": "c1", "Warnings": []})})
    assert engine.create_helper(IMAGE, MOUNTS, ["/usr/bin/cat"], powers=powers) == "c1"
    volume = {"Type": "volume", "VolumeOptions": {"NoCopy": True}}
    assert asked(server) == (
        "POST /containers/create",
        {},
        {
            "Image": IMAGE,
            "Entrypoint": [],
            "Cmd": ["/usr/bin/cat"],
            "Env": ["PATH=/usr/bin:/usr/sbin", "LC_ALL=C"],
            "User": "0:0",
            "Labels": {HELPER: as_label()},
            "OpenStdin": True,
            "StdinOnce": True,
            "AttachStdin": True,
            "HostConfig": {
                "AutoRemove": True,
                "Mounts": [
                    {"Type": "bind", "Source": "/usr", "Target": "/usr", "ReadOnly": True},
                    {**volume, "Source": "src", "Target": "/volumes/0", "ReadOnly": True},
                    {**volume, "Source": "data", "Target": "/volumes/1", "ReadOnly": False},
                ],
                "NetworkMode": "none",
                "ReadonlyRootfs": True,
                "UsernsMode": "host",
                "CapAdd": ["SYS_ADMIN"] if powers else [],
                "LogConfig": {"Type": "none"},
                "SecurityOpt": ["seccomp=unconfined", "apparmor=unconfined", "label=disable"],
            },
        },
    )


def test_helper_containers_are_told_with_who_has_them(made):
    answer = [{"Id": "c1", "Labels": {HELPER: "{}"}}]
    engine, server = made({"GET /containers/json": (200, answer)})
    assert engine.helpers() == (("c1", "{}"),)
    assert "all=1" in server.requests[0]
    assert HELPER in server.requests[0]


def test_a_missing_image_is_told_by_the_status(made):
    engine, _server = made({"POST /containers/create": (404, message(f"No such image: {IMAGE}"))})
    with pytest.raises(EngineError, match=r"for the data of 'src', 'data': No such image") as caught:
        engine.create_helper(IMAGE, MOUNTS, ["/usr/bin/cat"], powers=False)
    assert caught.value.status == 404


def test_a_container_is_started_inspected_and_waited_for(made):
    engine, server = made(
        {
            "POST /containers/c1/start": (204, b""),
            "GET /containers/c1/json": (200, {"Id": "c1", "State": {"Pid": 7}}),
            "GET /containers/c2/json": (404, message("No such container")),
            "GET /containers/c3/json": (500, message("broken")),
            "POST /containers/c1/wait": (200, {"StatusCode": 3}),
        }
    )
    engine.start_helper("c1")
    assert engine.inspect_helper("c1") == {"Id": "c1", "State": {"Pid": 7}}
    assert engine.inspect_helper("c2") is None
    with pytest.raises(EngineError, match="Cannot inspect the container 'c3': broken"):
        engine.inspect_helper("c3")
    began = []
    assert engine.wait_removed("c1", lambda: began.append(True)) == 3
    assert began == [True]
    assert asked(server, 0) == ("POST /containers/c1/start", {}, None)
    assert asked(server, -1) == ("POST /containers/c1/wait", {"condition": "removed"}, None)


def test_a_volume_that_cannot_be_mounted_is_told_at_the_start(made):
    engine, _server = made({"POST /containers/c1/start": (500, message("VolumeDriver.Mount: no route to host"))})
    with pytest.raises(EngineError, match=r"Cannot start the helper container: VolumeDriver\.Mount: no route to host"):
        engine.start_helper("c1")


@pytest.mark.parametrize("output", [True, False])
def test_what_cannot_be_attached_to_is_told(made, output):
    engine, server = made({"POST /containers/c1/attach": (404, message("No such container: c1"))})
    with pytest.raises(EngineError, match=r"Cannot attach to the container 'c1': No such container"):
        engine.attach("c1", output=output)
    path, query, _body = asked(server)
    assert path == "POST /containers/c1/attach"
    streams = {"stdout": "1", "stderr": "1"} if output else {}
    assert query == {"stream": "1", "stdin": "1", **streams}


def test_a_volume_without_a_name_is_made_with_the_container(made):
    engine, server = made({"POST /containers/create": (201, {"Id": "c1", "Warnings": []})})
    engine.create_helper(IMAGE, (*MOUNTS, HelperMount("", "/volumes/scratch", read_only=False)), [], powers=False)
    _system, *volumes = asked(server)[2]["HostConfig"]["Mounts"]
    assert [one.get("Source") for one in volumes] == ["src", "data", None]
    assert "Source" not in volumes[-1]
