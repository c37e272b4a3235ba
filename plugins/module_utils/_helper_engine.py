# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's side of helper containers: an image of links only, which the host's own /usr makes a system of."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from ansible_collections.voltainer.volumes.plugins.module_utils._container_engine import ContainerEngine
from ansible_collections.voltainer.volumes.plugins.module_utils._engine import told
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import EngineError
from ansible_collections.voltainer.volumes.plugins.module_utils._holder import as_label
from ansible_collections.voltainer.volumes.plugins.module_utils._transport import Attached, Request
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import HELPER

# How the engine lists an image without a name (20.10 to 22; later, it lists none).
_NO_NAMES = frozenset({"<none>:<none>"})
_LINKS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
# How long a program in a helper container may take.
_LONGEST_SECONDS = 7 * 24 * 3600
# Where a helper container has its volumes, by number.
VOLUMES_FOLDER = "/volumes"


@dataclass(frozen=True)
class HelperMount:
    """A volume that a helper container has at `path`. One without a name is made with it, and goes with it."""

    volume: str
    path: str
    read_only: bool


@dataclass(frozen=True)
class HelperImage:
    """An image for helper containers: its ID, its label, which says whose it is, and when it was made (Unix time)."""

    id: str
    label: str
    created: int


class HelperEngine(ContainerEngine):
    """The engine's images and containers, as far as the work with a volume's data needs them."""

    def import_helper_image(self) -> str:
        """Make an image for helper containers, which takes no space to speak of, and return its ID.

        It has no name: whatever has a name, somebody else may have put there, with a program that would get volumes.
        """
        what = "Cannot make the image of the helper container"
        return self._import_image(what, _links(), {HELPER: as_label()})

    def helper_images(self) -> tuple[HelperImage, ...]:
        """Return the images for helper containers. One that somebody gave a name to is somebody's."""
        query = {"filters": json.dumps({"label": [HELPER]})}
        listed = self._ask("Cannot list the images of helper containers", Request("GET", "/images/json", query))
        return tuple(
            HelperImage(str(one["Id"]), str((one.get("Labels") or {}).get(HELPER)), int(one.get("Created") or 0))
            for one in listed or ()
            if set(one.get("RepoTags") or ()) <= _NO_NAMES
        )

    def remove_helper_image(self, image: str) -> None:
        """Remove an image again, unless a container has it."""
        try:
            self.remove_image(image)
        except EngineError as exc:
            if exc.status != HTTPStatus.CONFLICT:
                raise

    def create_helper(self, image: str, mounts: tuple[HelperMount, ...], command: list[str], *, powers: bool) -> str:
        """Make a helper container, which ends with its input and is removed by the engine then, and return its ID.

        `image` is the ID of one for helper containers. With `powers`, what runs in it may read and set all that files
        have. Raises EngineError; with the status 404 where the image is not there.
        """
        names = ", ".join(f"'{mount.volume}'" for mount in mounts if mount.volume)
        what = f"Cannot make a helper container for the data of {names}"
        request = Request("POST", "/containers/create", body=_helper(image, mounts, command, powers))
        made = str(self._ask(what, request, slow=True)["Id"])
        self.own_helpers.add(made)
        return made

    def helpers(self) -> tuple[tuple[str, str], ...]:
        """Return the IDs of all helper containers, each with its label, which says whose it is."""
        query = {"all": 1, "filters": json.dumps({"label": [HELPER]})}
        listed = self._ask("Cannot list the helper containers", Request("GET", "/containers/json", query))
        return tuple((str(one["Id"]), str((one.get("Labels") or {}).get(HELPER))) for one in listed or ())

    def start_helper(self, container: str) -> None:
        """Start a container, whose volumes are mounted then."""
        what = "Cannot start the helper container"
        self._ask(what, Request("POST", f"/containers/{container}/start"), slow=True)

    def inspect_helper(self, container: str) -> Mapping[str, Any] | None:
        """Return what inspect says of a container, or None where there is none."""
        what = f"Cannot inspect the container '{container[:12]}'"
        try:
            found: Mapping[str, Any] = self._ask(what, Request("GET", f"/containers/{container}/json"))
        except EngineError as exc:
            if exc.status == HTTPStatus.NOT_FOUND:
                return None
            raise
        return found

    def wait_removed(self, container: str, waiting: Callable[[], None]) -> int:
        """Wait until a container has ended and is gone, and return its exit code.

        `waiting` is called when the engine has begun to wait: the container must not be started before.
        """
        what = f"Cannot wait for the container '{container[:12]}'"
        request = Request("POST", f"/containers/{container}/wait", {"condition": "removed"})
        with (
            told(what, _LONGEST_SECONDS),
            closing(self._transport.stream(request, _LONGEST_SECONDS, waiting)) as events,
        ):
            for event in events:
                return int(event["StatusCode"])
        raise EngineError(what, "the engine did not say how it ended", "Look at the engine's log")

    def attach(self, container: str, *, output: bool) -> Attached:
        """Return the input of a container, and where asked for its output and errors, too."""
        what = f"Cannot attach to the container '{container[:12]}'"
        query = {"stream": 1, "stdin": 1, **({"stdout": 1, "stderr": 1} if output else {})}
        with told(what, self.silence):
            return self._transport.attach(container, query, self.silence)

    @property
    def silence(self) -> float:
        """After how many seconds without a word of an attached container somebody looks whether it still runs."""
        return self._patience(slow=True)


def _helper(image: str, mounts: tuple[HelperMount, ...], command: list[str], powers: bool) -> dict[str, Any]:
    volumes = [
        {
            "Type": "volume",
            **({"Source": mount.volume} if mount.volume else {}),
            "Target": mount.path,
            "ReadOnly": mount.read_only,
            "VolumeOptions": {"NoCopy": True},
        }
        for mount in mounts
    ]
    system = {"Type": "bind", "Source": "/usr", "Target": "/usr", "ReadOnly": True}
    return {
        "Image": image,
        # Not even that of an image is used then (20.10 to 28.5); where there is nothing here, it would be.
        "Entrypoint": [],
        "Cmd": command,
        "Env": ["PATH=/usr/bin:/usr/sbin", "LC_ALL=C"],
        "User": "0:0",
        "Labels": {HELPER: as_label()},
        # The engine closes the input when the connection of this process breaks, however that ends: then the container
        # ends, too, and is removed with its hold on the volumes.
        "OpenStdin": True,
        "StdinOnce": True,
        "AttachStdin": True,
        "HostConfig": {
            "AutoRemove": True,
            "Mounts": [system, *volumes],
            "NetworkMode": "none",
            "ReadonlyRootfs": True,
            # Where the engine maps users, the numbers in the volumes would be others.
            "UsernsMode": "host",
            "CapAdd": ["SYS_ADMIN"] if powers else [],
            # With json-file, a tar file on standard output takes 20 times as long (20.10 to 28.5). Filters of system
            # calls cost a third of the speed with small files, and labels of SELinux would keep volumes out of reach.
            "LogConfig": {"Type": "none"},
            "SecurityOpt": ["seccomp=unconfined", "apparmor=unconfined", "label=disable"],
        },
    }


def _links() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name in _LINKS:
            info = tarfile.TarInfo(name)
            info.type = tarfile.SYMTYPE
            info.linkname = f"usr/{name}"
            archive.addfile(info)
    return packed.getvalue()
