# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a volume's data is reached with where no image is at hand: containers of an empty image that never run."""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Mapping
from contextlib import closing
from http import HTTPStatus

from ansible_collections.voltainer.volumes.plugins.module_utils._engine import Engine, told
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import EngineError
from ansible_collections.voltainer.volumes.plugins.module_utils._transport import Request

# Where such a container has its volume.
_PLACE = "/data"
# The end of a tar file, and so a whole one that holds nothing.
_EMPTY_TAR = bytes(1024)
# Anybody may give a name to an image, and the ID is the digest of all that it is.
_IMAGE_ID = re.compile(r"sha256:[0-9a-f]{64}\Z")


class ContainerEngine(Engine):
    """The engine's images and containers, as far as a volume's data needs them."""

    def engine_id(self) -> str:
        """Return what tells this engine from all others."""
        return str(self._info().get("ID") or "")

    def import_empty_image(self, labels: Mapping[str, str]) -> str:
        """Make an image that holds nothing but labels, and return its ID."""
        return self._import_image("Cannot make an empty image", _EMPTY_TAR, labels)

    def _import_image(self, what: str, archive: bytes, labels: Mapping[str, str]) -> str:
        """Make an image without a name of a tar file and labels, and return its ID."""
        changes = "\n".join(f"LABEL {json.dumps(name)}={json.dumps(value)}" for name, value in labels.items())
        request = Request("POST", "/images/create", {"fromSrc": "-", "changes": changes}, archive=archive)
        found = ""
        seconds = self._patience(slow=True)
        with told(what, seconds), closing(self._transport.stream(request, seconds)) as events:
            for event in events:
                if "error" in event:
                    raise EngineError(what, str(event["error"]))
                found = str(event.get("status") or found)
        if not _IMAGE_ID.match(found):
            raise EngineError(what, "the engine did not say which image it made", "Look at the engine's log")
        return found

    def images_labelled(self, label: str) -> tuple[str, ...]:
        """Return the IDs of the images that carry the label, as NAME=VALUE."""
        query = {"filters": json.dumps({"label": [label]})}
        listed = self._ask("Cannot list the images", Request("GET", "/images/json", query))
        return tuple(str(one["Id"]) for one in listed or ())

    def remove_image(self, image: str) -> None:
        """Remove an image."""
        self._gone_is_well(f"Cannot remove the image '{image}'", Request("DELETE", f"/images/{image}"))

    def create_container(self, image: str, volume: str, labels: Mapping[str, str]) -> str:
        """Make a container that has the volume and is not started, and return its ID."""
        mount = {"Type": "volume", "Source": volume, "Target": _PLACE, "VolumeOptions": {"NoCopy": True}}
        body = {
            "Image": image,
            "Cmd": ["never-run"],
            "Labels": dict(labels),
            "NetworkDisabled": True,
            "HostConfig": {"Mounts": [mount], "NetworkMode": "none"},
        }
        what = f"Cannot make a container with the volume '{volume}'"
        return str(self._ask(what, Request("POST", "/containers/create", body=body), slow=True)["Id"])

    def containers_labelled(self, label: str) -> tuple[str, ...]:
        """Return the IDs of the containers that carry the label, as NAME=VALUE."""
        query = {"all": 1, "filters": json.dumps({"label": [label]})}
        listed = self._ask("Cannot list the containers", Request("GET", "/containers/json", query))
        return tuple(str(one["Id"]) for one in listed or ())

    def remove_container(self, container: str) -> None:
        """Remove a container, which lets go of its volumes; those without a name go with it."""
        request = Request("DELETE", f"/containers/{container}", {"force": 1, "v": 1})
        self._gone_is_well(f"Cannot remove the container '{container[:12]}'", request, slow=True)

    def put_file(self, container: str, name: str, content: bytes) -> None:
        """Write a file into the volume of a container that `create_container` made."""
        request = Request("PUT", f"/containers/{container}/archive", {"path": _PLACE}, archive=_packed(name, content))
        self._ask(f"Cannot write the file '{name}' into the volume", request, slow=True)

    def get_file(self, container: str, name: str) -> bytes:
        """Return the content of a file in the volume of a container that `create_container` made."""
        what = f"Cannot read the file '{name}' from the volume"
        headers = {"Accept-Encoding": "identity"}  # the engine packs, where it may, at a sixth of the speed (20.10)
        query = {"path": f"{_PLACE}/{name}"}
        path = f"/containers/{container}/archive"
        answer = self._ask(what, Request("GET", path, query, headers=headers, wants_archive=True), slow=True)
        try:
            with tarfile.open(fileobj=io.BytesIO(answer)) as packed:
                found = packed.extractfile(packed.next() or tarfile.TarInfo())
                return found.read() if found else b""
        except (tarfile.TarError, KeyError) as exc:
            raise EngineError(what, "what the engine sent is no tar file") from exc

    def _gone_is_well(self, what: str, request: Request, *, slow: bool = False) -> None:
        try:
            self._ask(what, request, slow=slow)
        except EngineError as exc:
            if exc.status != HTTPStatus.NOT_FOUND:
                raise


def _packed(name: str, content: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        info.mode = 0o600
        archive.addfile(info, io.BytesIO(content))
    return packed.getvalue()
