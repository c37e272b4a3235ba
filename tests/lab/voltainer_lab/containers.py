# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers, networks and volumes of the outer engine, each brought to the state it should have."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from docker.errors import APIError, NotFound
from docker.types import IPAMConfig, IPAMPool

from .files import PutFile, pack
from .names import LABEL_CONFIG, LABEL_LAB, LABEL_ROLE, LABEL_ROOT, LABEL_SUITE, LabError, container_name, network_name
from .report import say

# What a container prints ends in a file of the outer engine's; it must not grow without end.
_LOGS = {"Type": "json-file", "Config": {"max-size": "5m", "max-file": "2"}}


@dataclass(frozen=True)
class Place:
    """Where a lab lives in the outer engine."""

    root: Path
    lab: str
    network: str
    subnet: str


@dataclass(frozen=True)
class Member:
    """One container of a lab, as it should be."""

    name: str
    role: str
    image: str
    address: str
    aliases: tuple[str, ...]
    command: tuple[str, ...]
    files: Mapping[str, PutFile]
    suite: str = ""
    host_config: Mapping[str, Any] = field(default_factory=dict)
    # Data for a new container, a path and a tar file that is unpacked there; no part of the configuration.
    seed: tuple[str, Path] | None = None

    def digest(self) -> str:
        """Hash everything whose change needs a new container."""
        whole = {
            "image": self.image,
            "address": self.address,
            "aliases": self.aliases,
            "command": self.command,
            "host_config": dict(self.host_config),
            "files": {path: [file.mode, hashlib.sha256(file.content).hexdigest()] for path, file in self.files.items()},
        }
        return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:16]


def labels(root: Path, lab: str, role: str) -> dict[str, str]:
    return {LABEL_LAB: lab, LABEL_ROOT: str(root), LABEL_ROLE: role}


def owned(found: Mapping[str, str], root: Path) -> bool:
    """Tell whether something is this checkout's, or nobody's any more: an owner that is gone owns nothing."""
    owner = found.get(LABEL_ROOT, "")
    return owner == str(root) or not Path(owner).exists()


def check_owner(found: Mapping[str, str] | None, what: str, root: Path, lab: str) -> None:
    """Refuse to touch what belongs to another checkout's lab, or to nobody's."""
    found = found or {}
    if found.get(LABEL_LAB) != lab:
        raise LabError(f"{what} exists and is not lab {lab!r}'s: choose another --name")
    if not owned(found, root):
        owner = found[LABEL_ROOT]
        raise LabError(f"{what} belongs to the lab {lab!r} of {owner}: choose another --name, or take that lab down")


def ensure_network(client: Any, root: Path, lab: str) -> Place:
    """Return the lab's network, made if needed with a subnet that the engine finds free."""
    name = network_name(root, lab)
    found = _network(client, name)
    if found is not None:
        check_owner(found.attrs["Labels"], f"network {name}", root, lab)
        return Place(root, lab, name, found.attrs["IPAM"]["Config"][0]["Subnet"])
    tags = labels(root, lab, "network")
    # Fixed addresses need a subnet that was asked for. The engine knows which ones are free, so it chooses first.
    draft = client.networks.create(name, driver="bridge", labels=tags)
    draft.reload()
    subnet = draft.attrs["IPAM"]["Config"][0]["Subnet"]
    draft.remove()
    client.networks.create(name, driver="bridge", labels=tags, ipam=IPAMConfig(pool_configs=[IPAMPool(subnet=subnet)]))
    say(f"network {name}: made ({subnet})")
    return Place(root, lab, name, subnet)


def _network(client: Any, name: str) -> Any | None:
    # The engine's filter matches parts of names too.
    matches = [network for network in client.networks.list(names=[name]) if network.name == name]
    return matches[0] if matches else None


def network_exists(client: Any, root: Path, lab: str) -> bool:
    return _network(client, network_name(root, lab)) is not None


def ensure_volume(client: Any, place: Place, name: str, role: str, suite: str) -> None:
    """Make a volume, or check that the one that is there belongs to this lab and to this suite."""
    try:
        found = client.volumes.get(name)
    except NotFound:
        tags = labels(place.root, place.lab, role) | {LABEL_SUITE: suite}
        client.volumes.create(name, labels=tags)
        return
    check_owner(found.attrs["Labels"], f"volume {name}", place.root, place.lab)
    known = found.attrs["Labels"].get(LABEL_SUITE)
    if known != suite:
        raise LabError(f"volume {name} holds the data of a {known} engine: take the lab {place.lab!r} down first")


def remove_volume(client: Any, place: Place, name: str) -> None:
    """Remove a volume of this lab, if it is there."""
    try:
        found = client.volumes.get(name)
    except NotFound:
        return
    check_owner(found.attrs["Labels"], f"volume {name}", place.root, place.lab)
    found.remove()


def ensure_member(client: Any, place: Place, member: Member) -> tuple[Any, bool]:
    """Return the running container for a member, and whether it was started or made just now."""
    name = container_name(place.root, place.lab, member.name)
    found = current(client, place, member)
    if found is not None:
        return _started(found, name)
    container = _create(client, place, member, name)
    container.start()
    say(f"{name}: started")
    return container, True


def current(client: Any, place: Place, member: Member) -> Any | None:
    """Return the container for a member, running or not; one that is there and should be another one now is removed."""
    name = container_name(place.root, place.lab, member.name)
    found = find(client, name)
    if found is None:
        return None
    check_owner(found.labels, f"container {name}", place.root, place.lab)
    if found.labels.get(LABEL_CONFIG) == member.digest():
        return found
    found.remove(force=True)
    say(f"{name}: changed, is made anew")
    return None


def make_host_config(api: Any, options: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """Return a container's HostConfig; `raw` among the options holds keys that the SDK has no argument for."""
    ordinary = {key: value for key, value in options.items() if key != "raw"}
    made: dict[str, Any] = api.create_host_config(**ordinary, **more, log_config=_LOGS)
    made.update(options.get("raw", {}))
    return made


def find(client: Any, name: str) -> Any | None:
    try:
        return client.containers.get(name)
    except NotFound:
        return None


def _started(container: Any, name: str) -> tuple[Any, bool]:
    if container.status == "running":
        return container, False
    if container.status == "paused":
        container.unpause()
        say(f"{name}: was paused, continues")
    else:
        container.start()
        say(f"{name}: was {container.status}, started")
    return container, True


def _create(client: Any, place: Place, member: Member, name: str) -> Any:
    api = client.api
    host_config = make_host_config(api, member.host_config, network_mode=place.network)
    endpoint = api.create_endpoint_config(ipv4_address=member.address, aliases=list(member.aliases))
    tags = labels(place.root, place.lab, member.role) | {LABEL_CONFIG: member.digest(), LABEL_SUITE: member.suite}
    created = api.create_container(
        member.image,
        command=list(member.command),
        name=name,
        hostname=member.name,
        labels=tags,
        host_config=host_config,
        networking_config=api.create_networking_config({place.network: endpoint}),
    )
    container = client.containers.get(created["Id"])
    try:
        container.put_archive("/", pack(member.files))
        if member.seed is not None:
            path, content = member.seed
            with content.open("rb") as stream:
                container.put_archive(path, stream)
    except APIError:
        container.remove(force=True)
        raise
    return container


def execute(container: Any, command: list[str], what: str) -> str:
    """Run a command in a container and return its output; what it printed is in the error where it fails."""
    code, output = container.exec_run(command)
    text: str = output.decode(errors="replace").strip()
    if code:
        raise LabError(f"{what} failed in {container.name} (exit code {code}): {text[-600:]}")
    return text
