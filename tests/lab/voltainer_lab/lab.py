# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole lab: made, healed, looked at and removed."""

from __future__ import annotations

import ipaddress
import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

from docker.errors import APIError, NotFound

from . import hosts as host_module
from . import inventory, outer, seed
from .certificates import Authority, ssh_key
from .containers import Member, Place, ensure_network, find, network_exists, owned
from .hosts import Credentials
from .images import ensure_images, remove_images
from .names import (
    LABEL_LAB,
    LABEL_ROOT,
    PREFIX,
    SERVICES,
    Host,
    LabError,
    container_name,
    merge_hosts,
    network_name,
)
from .recipes import host_recipe, services_recipe
from .report import say
from .services import ensure_service, healthy, registry_member, sftp_member
from .state import LabState, known_labs, locked, write_atomically
from .swarm import ensure_swarm

_FIRST_SERVICE = 10
_FIRST_HOST = 21
_DEFAULT = Host("host1", "trixie")


def up(root: Path, name: str, wanted: Sequence[Host], swarm: bool) -> None:
    """Make a lab, or whatever of it is missing or broken."""
    with locked(root / f"{name}.lock"):
        state = LabState.load(root, name)
        state.hosts = merge_hosts(state.hosts, list(wanted) or ([] if state.hosts else [_DEFAULT]))
        client = outer.ensure_engine(root)
        _remove_orphans(client, root, name)
        place = ensure_network(client, root, name)
        state.save()
        images = {host_recipe(host.suite).reference: host_recipe(host.suite) for host in state.hosts}
        ensure_images(client, root, [*images.values(), services_recipe()])
        credentials = _credentials(state)
        addressed = [(host, address(place, _FIRST_HOST + index)) for index, host in enumerate(state.hosts)]
        _ensure_members(root, place, state, addressed, credentials)
        _write_inventory(state, addressed, credentials)
        if swarm:
            ensure_swarm(addressed, credentials)
        say(f"lab {name!r} is up: {', '.join(f'{host.name} ({host.suite})' for host in state.hosts)}")
        say(f"inventory: {state.inventory}")


def address(place: Place, number: int) -> str:
    """Return the number-th address of the lab's network."""
    return str(ipaddress.ip_network(place.subnet)[number])


def _credentials(state: LabState) -> Credentials:
    login = ssh_key(state.directory / "ssh" / "id_ed25519")
    credentials = Credentials(state.directory, login, Authority(state.directory / "tls"))
    credentials.authority.client()
    return credentials


def _ensure_members(
    root: Path,
    place: Place,
    state: LabState,
    addressed: Sequence[tuple[Host, str]],
    credentials: Credentials,
) -> None:
    """Bring hosts and services up, all at the same time."""

    # A client of its own for each: the SDK's are not made for threads.
    def host(item: tuple[Host, str]) -> None:
        each, at = item
        client = outer.connect()
        member = host_module.host_member(place, each, at, credentials)
        host_module.ensure_host(client, place, each, member, credentials)

    def services() -> None:
        client = outer.connect()
        content = seed.ensure_content(client, root, services_recipe(), host_recipe(addressed[0][0].suite))
        for member in service_members(place, state, credentials, content):
            ensure_service(client, place, member, credentials, state.password)

    with ThreadPoolExecutor(max_workers=4) as pool:
        running = [pool.submit(services), *(pool.submit(host, item) for item in addressed)]
    failures = [str(error) for error in (each.exception() for each in running) if error is not None]
    if failures:
        raise LabError("\n".join(failures))


def service_members(place: Place, state: LabState, credentials: Credentials, content: Path) -> list[Member]:
    """Describe the lab's services."""
    registry, auth, sftp = (address(place, _FIRST_SERVICE + index) for index in range(len(SERVICES)))
    return [
        registry_member("registry", registry, credentials, content),
        registry_member("registry-auth", auth, credentials, content, state.password),
        sftp_member(sftp, credentials),
    ]


def _write_inventory(state: LabState, addressed: Sequence[tuple[Host, str]], credentials: Credentials) -> None:
    keys = {at: ssh_key(state.directory / "ssh" / f"{host.name}_host_key").public for host, at in addressed}
    write_atomically(state.directory / "ssh" / "known_hosts", inventory.known_hosts(keys).encode())
    user = ssh_key(state.directory / "ssh" / "sftp_user_key")
    secrets = inventory.Secrets(state.password, user.private.decode())
    text = inventory.render(state.directory, addressed, secrets)
    write_atomically(state.inventory, text.encode())


def _lab_objects(client: Any, root: Path, name: str) -> list[tuple[str, Any, dict[str, str]]]:
    """Return everything of a lab in the engine, as kind, object and labels; containers first, they hold the rest.

    What a lab of this name left whose state directory is gone counts too: nobody has the keys to it any more.
    """
    filters = {"label": f"{LABEL_LAB}={name}"}
    containers = client.containers.list(all=True, filters=filters, ignore_removed=True)
    volumes = client.volumes.list(filters=filters)
    networks = client.networks.list(filters=filters)
    found = [("container", each, each.labels) for each in containers]
    found += [("volume", each, each.attrs["Labels"] or {}) for each in volumes]
    found += [("network", each, each.attrs["Labels"] or {}) for each in networks]
    return [each for each in found if owned(each[2], root)]


def _remove(kind: str, thing: Any) -> None:
    if not thing.name.startswith(PREFIX):
        raise LabError(f"{kind} {thing.name} carries the lab's label but not its name: remove it yourself")
    try:
        if kind == "container":
            thing.remove(force=True, v=True)
        else:
            thing.remove()
    except NotFound:
        pass
    except APIError as error:
        # Somebody else's removal of the same container is under way.
        if error.status_code != HTTPStatus.CONFLICT or kind != "container":
            raise


def _remove_from_engine(client: Any, root: Path, name: str) -> int:
    """Remove a lab's containers, volumes and networks; return how many there were."""
    found = _lab_objects(client, root, name)
    containers = [thing for kind, thing, _tags in found if kind == "container"]
    with ThreadPoolExecutor(max_workers=4) as pool:
        list(pool.map(lambda thing: _remove("container", thing), containers))
    for kind, thing, _tags in found:
        if kind != "container":
            _remove(kind, thing)
    return len(found)


def _remove_orphans(client: Any, root: Path, name: str) -> None:
    """Remove a lab of this name whose state directory is gone."""
    owners = {tags.get(LABEL_ROOT, "") for _kind, _thing, tags in _lab_objects(client, root, name)}
    if owners - {str(root)}:
        say(f"lab {name!r}: removing one whose state directory is gone")
        _remove_from_engine(client, root, name)


def down(root: Path, name: str) -> None:
    """Remove a lab: containers, volumes, network, keys and inventory."""
    begun = time.monotonic()
    with locked(root / f"{name}.lock"):
        state = LabState(name, root / name)
        existed = state.directory.exists()
        client = outer.connect()
        if client is None and existed:
            raise LabError(f"no Docker engine answers, so lab {name!r} cannot be removed from it: start it first")
        removed = 0 if client is None else _remove_from_engine(client, root, name)
        state.remove()
    if removed or existed:
        say(f"lab {name!r}: removed in {time.monotonic() - begun:.1f} s")
    else:
        say(f"lab {name!r}: there is none")


def _labs_in_engine(client: Any, root: Path) -> set[str]:
    """Return the names of the labs in the engine that are this checkout's, or nobody's any more."""
    filters = {"label": LABEL_LAB}
    found = [each.labels for each in client.containers.list(all=True, filters=filters, ignore_removed=True)]
    found += [each.attrs["Labels"] for each in client.volumes.list(filters=filters)]
    found += [each.attrs["Labels"] for each in client.networks.list(filters=filters)]
    return {tags[LABEL_LAB] for tags in found if owned(tags, root)} - {""}


def down_all(root: Path) -> None:
    """Remove all labs of this checkout, what an interrupted `up` left, and stop the engine if the lab started it."""
    client = _engine_for_removal(root)
    names = set(known_labs(root))
    if client is not None:
        seed.remove_leftovers(client, root)
        names |= _labs_in_engine(client, root)
    for name in sorted(names):
        down(root, name)
    if not names:
        say("there are no labs")
    outer.stop_engine(root)


def _engine_for_removal(root: Path) -> Any | None:
    """Return a client of the engine, which is started once more where the lab's things are in a stopped one."""
    client = outer.connect()
    if client is None and known_labs(root):
        client = outer.ensure_engine(root)
    return client


def purge(root: Path) -> None:
    """Remove all labs, the images, caches and state; stop the engine if the lab started it."""
    client = outer.connect()
    if client is None and outer.engine_record(root) is not None:
        client = outer.ensure_engine(root)
    if client is not None:
        seed.remove_leftovers(client, root)
        for name in sorted(_labs_in_engine(client, root) | set(known_labs(root))):
            down(root, name)
        remove_images(client)
        outer.stop_engine(root)
    if root.exists():
        shutil.rmtree(root)
        say(f"state and caches in {root}: removed")


def status(root: Path) -> bool:
    """Print what there is; return whether everything that should run does."""
    client = outer.connect()
    if client is None:
        say("no Docker engine answers")
        return not known_labs(root)
    names = known_labs(root)
    for name in names:
        say(f"lab {name!r}: {root / name / 'inventory.yml'}")
    if not names:
        say("there are no labs")
    return [name for name in names if not _status(client, root, name)] == []


def _status(client: Any, root: Path, name: str) -> bool:
    state = LabState.load(root, name)
    place = ensure_network(client, root, name) if network_exists(client, root, name) else None
    if place is None:
        say(f"{network_name(root, name)}: missing")
        return False
    credentials = _credentials(state)
    good = True
    for index, host in enumerate(state.hosts):
        at = address(place, _FIRST_HOST + index)
        good &= _line(
            client,
            container_name(root, name, host.name),
            f"{host.suite}, {at}",
            partial(_host_answers, at, credentials),
        )
    for index, service in enumerate(SERVICES):
        at = address(place, _FIRST_SERVICE + index)
        good &= _line(
            client,
            container_name(root, name, service),
            at,
            partial(_service_answers, service, at, credentials, state.password),
        )
    return good


def _host_answers(at: str, credentials: Credentials) -> str:
    version = host_module.engine_version(at, credentials)
    return f"Docker {version}" if version and host_module.greets(at, 22, b"SSH-") else ""


def _service_answers(service: str, at: str, credentials: Credentials, password: str) -> str:
    return "answers" if healthy(service, at, credentials, password) else ""


def _line(client: Any, name: str, text: str, probe: Callable[[], str]) -> bool:
    """Print the line of one container; return whether it runs and answers."""
    container = find(client, name)
    if container is None or container.status != "running":
        say(f"{name}: {text}, {container.status if container else 'missing'}")
        return False
    answer = probe()
    say(f"{name}: {text}, running, {answer or 'does not answer'}")
    return bool(answer)
