# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The registries' first content: all plugins, and an image."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import array, plugin
from .containers import execute, make_host_config
from .files import PutFile, pack, shipped
from .hosts import HOST_CONFIG
from .names import LABEL_LAB, LABEL_ROLE, LABEL_ROOT, SEED, LabError, container_name
from .outer import connect
from .recipes import Recipe
from .report import step
from .state import cache_dir

IMAGE = "busybox:1"
_REGISTRY = "127.0.0.1:5000"
_MOVE_TAG = "/usr/local/lib/lab/move_tag.py"


@dataclass(frozen=True)
class Plugin:
    """A plugin to push: its files come on top of the root file system in folder, which an image brings along."""

    repository: str
    tag: str
    folder: str
    config: Mapping[str, Any]
    files: Mapping[str, PutFile]


def _plugins() -> list[Plugin]:
    rclone = [
        Plugin(
            repository=plugin.REPOSITORY,
            tag=version,
            folder="/usr/share/lab/plugin",
            config=plugin.plugin_config(version),
            files={"/etc/lab-build": PutFile(f"{version}\n".encode())},
        )
        for version in plugin.VERSIONS
    ]
    arrays = [
        Plugin(each.repository, each.tag, "/usr/share/lab/array", each.config, each.files()) for each in array.builds()
    ]
    return rclone + arrays


def content_file(root: Path, services: Recipe) -> Path:
    """Return the path of the registry content that belongs to this recipe and these plugins."""
    plugins = [[each.repository, each.tag, each.folder, each.config, _hashes(each.files)] for each in _plugins()]
    whole = json.dumps([services.digest, plugins, array.LATEST, IMAGE, "2"])
    return cache_dir(root) / f"registry-{hashlib.sha256(whole.encode()).hexdigest()[:12]}.tar"


def _hashes(files: Mapping[str, PutFile]) -> dict[str, str]:
    return {path: hashlib.sha256(file.content).hexdigest() for path, file in files.items()}


def ensure_content(client: Any, root: Path, services: Recipe, host: Recipe) -> Path:
    """Return a tar file of a registry's folder that holds all plugins and the image.

    They get there as everybody's plugins do: an engine creates and pushes them. That engine and its registry exist for
    this only and have no network but their own loopback, so the lab's hosts see nothing of it.
    """
    target = content_file(root, services)
    if target.exists():
        return target
    remove_leftovers(client, root)
    with step("packing plugins and pushing them to a registry"):
        try:
            registry = _start_registry(client, root, services)
            engine = _start_engine(client, root, host, registry.name)
            _push(engine)
            _save(registry, target)
        finally:
            remove_leftovers(client, root)
    return target


def _labels(root: Path) -> dict[str, str]:
    return {LABEL_LAB: "", LABEL_ROOT: str(root), LABEL_ROLE: "seed"}


def remove_leftovers(client: Any, root: Path) -> None:
    """Remove the containers that push, with their anonymous volumes."""
    filters = {"label": [f"{LABEL_ROLE}=seed", f"{LABEL_ROOT}={root}"]}
    for container in client.containers.list(all=True, filters=filters):
        container.remove(force=True, v=True)


def _start_registry(client: Any, root: Path, services: Recipe) -> Any:
    container = client.containers.create(
        services.reference,
        ["docker-registry", "serve", "/etc/lab/registry.yml"],
        name=container_name(root, SEED, "registry"),
        labels=_labels(root),
        network_mode="none",
        volumes=["/usr/share/lab"],
    )
    container.put_archive("/", pack(shipped("services")))
    container.start()
    return container


def _start_engine(client: Any, root: Path, host: Recipe, registry: str) -> Any:
    created = client.api.create_container(
        host.reference,
        ["sh", "-c", "mount -o remount,rw /sys && exec dockerd --config-file /seed.json"],
        name=container_name(root, SEED, "engine"),
        labels=_labels(root),
        volumes=["/var/lib/docker"],
        host_config=make_host_config(
            client.api, HOST_CONFIG, network_mode=f"container:{registry}", volumes_from=[registry]
        ),
    )
    container = client.containers.get(created["Id"])
    container.put_archive("/", pack({"/seed.json": PutFile(b'{"bridge": "none", "iptables": false}')}))
    container.start()
    wait = "for i in $(seq 300); do docker version >/dev/null 2>&1 && exit 0; sleep 0.1; done; docker version"
    execute(container, ["sh", "-c", wait], "waiting for the engine that pushes")
    return container


def _push(engine: Any) -> None:
    """Create and push everything. Packing takes most of the time, and an engine does several at once."""
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        list(pool.map(lambda item: _push_plugin(engine.id, *item), enumerate(_plugins())))
    _push_image(engine)
    engine.put_archive("/", pack(shipped("host")))
    move = [_MOVE_TAG, "--registry", f"http://{_REGISTRY}", array.REPOSITORY, array.FIRST, array.LATEST]
    execute(engine, ["python3", *move], "tagging the array simulator")


def _push_plugin(engine_id: str, number: int, plugin: Plugin) -> None:
    client = connect()  # the SDK's clients are not made for threads
    if client is None:
        raise LabError("the Docker engine went away while plugins were pushed")
    engine = client.containers.get(engine_id)
    folder = f"/plugins/{number}"
    copy = f"mkdir -p {folder} && cp -a {plugin.folder}/rootfs {folder}/"
    execute(engine, ["sh", "-c", copy], "copying a root file system")
    # Two plugins with one root file system cannot be created on one engine: "content ... already exists" (26.1).
    files = {f"rootfs{path}": file for path, file in plugin.files.items()}
    config = PutFile(json.dumps(plugin.config, indent=2).encode())
    engine.put_archive(folder, pack({"config.json": config} | files))
    reference = f"{_REGISTRY}/{plugin.repository}:{plugin.tag}"
    execute(engine, ["docker", "plugin", "create", reference, folder], f"creating plugin {reference}")
    execute(engine, ["docker", "plugin", "push", reference], f"pushing plugin {reference}")


def _push_image(engine: Any) -> None:
    image = f"{_REGISTRY}/{IMAGE}"
    pipe = (
        f"tar -C /usr/share/lab/busybox -c . | docker import --change 'CMD [\"sh\"]' - {image} && docker push {image}"
    )
    execute(engine, ["bash", "-c", f"set -o pipefail; {pipe}"], "pushing the image")


def _save(registry: Any, target: Path) -> None:
    chunks, _stat = registry.get_archive("/var/lib/registry")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as draft:
        for chunk in chunks:
            draft.write(chunk)
    Path(draft.name).replace(target)
