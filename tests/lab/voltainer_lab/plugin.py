# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rclone volume plugin: its configuration in two versions, and the registry content that holds both."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .containers import execute, make_host_config
from .files import PutFile, pack, shipped
from .hosts import HOST_CONFIG
from .names import LABEL_LAB, LABEL_ROLE, LABEL_ROOT, PREFIX
from .recipes import Recipe
from .report import step
from .state import cache_dir

REPOSITORY = "rclone/docker-volume-rclone"
VERSIONS = ("1.0", "1.1")
IMAGE = "busybox:1"
_CONFIG_DIR = "/var/lib/docker-plugins/rclone/config"
_CACHE_DIR = "/var/lib/docker-plugins/rclone/cache"


def plugin_config(version: str) -> dict[str, Any]:
    """Return a plugin's config.json. The next version says so, and talks more unless it is told otherwise."""
    verbosity = "0" if version == VERSIONS[0] else "1"
    return {
        "description": f"Rclone volume plugin for Docker, lab build {version}",
        "documentation": "https://rclone.org/docker",
        "interface": {"types": ["docker.volumedriver/1.0"], "socket": "rclone.sock"},
        "entrypoint": ["rclone", "serve", "docker"],
        "workdir": "/data",
        "args": {"name": "args", "value": [], "settable": ["value"]},
        "network": {"type": "host"},
        "linux": {"capabilities": ["CAP_SYS_ADMIN"], "devices": [{"path": "/dev/fuse"}]},
        "propagatedMount": "/mnt",
        "mounts": [_mount("config", _CONFIG_DIR), _mount("cache", _CACHE_DIR)],
        "env": [
            _setting("RCLONE_VERBOSE", verbosity),
            {"name": "RCLONE_CONFIG", "value": "/data/config/rclone.conf"},
            {"name": "RCLONE_CACHE_DIR", "value": "/data/cache"},
            {"name": "RCLONE_BASE_DIR", "value": "/mnt"},
            *(_setting(name, "") for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")),
        ],
    }


def _mount(name: str, source: str) -> dict[str, Any]:
    return {
        "name": name,
        "source": source,
        "destination": f"/data/{name}",
        "type": "bind",
        "options": ["rbind"],
        "settable": ["source"],
    }


def _setting(name: str, value: str) -> dict[str, Any]:
    return {"name": name, "value": value, "settable": ["value"]}


def plugin_privileges(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what an engine asks to approve for a plugin, in its words and its order."""
    wanted = [{"name": "network", "value": [config["network"]["type"]]}]
    wanted += [{"name": "mount", "value": [mount["source"]]} for mount in config["mounts"]]
    wanted += [{"name": "device", "value": [device["path"]]} for device in config["linux"]["devices"]]
    wanted.append({"name": "capabilities", "value": list(config["linux"]["capabilities"])})
    return wanted


def content_file(root: Path, services: Recipe) -> Path:
    """Return the path of the registry content that belongs to this recipe and these plugins."""
    whole = json.dumps([services.digest, [plugin_config(version) for version in VERSIONS], REPOSITORY, IMAGE, "1"])
    return cache_dir(root) / f"registry-{hashlib.sha256(whole.encode()).hexdigest()[:12]}.tar"


def ensure_content(client: Any, root: Path, services: Recipe, host: Recipe) -> Path:
    """Return a tar file of a registry's folder that holds both plugins and the image.

    They get there as everybody's plugins do: an engine creates and pushes them. That engine and its registry exist for
    this only and have no network but their own loopback, so the lab's hosts see nothing of it.
    """
    target = content_file(root, services)
    if target.exists():
        return target
    remove_leftovers(client, root)
    with step("packing the rclone plugin and pushing it to a registry"):
        try:
            registry = _start_registry(client, root, target.stem, services)
            engine = _start_engine(client, root, target.stem, host, registry.name)
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


def _start_registry(client: Any, root: Path, stem: str, services: Recipe) -> Any:
    container = client.containers.create(
        services.reference,
        ["docker-registry", "serve", "/etc/lab/registry.yml"],
        name=f"{PREFIX}seed-{stem}",
        labels=_labels(root),
        network_mode="none",
        volumes=["/usr/share/lab"],
    )
    container.put_archive("/", pack(shipped("services")))
    container.start()
    return container


def _start_engine(client: Any, root: Path, stem: str, host: Recipe, registry: str) -> Any:
    created = client.api.create_container(
        host.reference,
        ["sh", "-c", "mount -o remount,rw /sys && exec dockerd --config-file /seed.json"],
        name=f"{PREFIX}seed-engine-{stem}",
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
    folder = "/usr/share/lab/plugin"
    for version in VERSIONS:
        config = json.dumps(plugin_config(version), indent=2).encode()
        # Two plugins with one root file system cannot be created on one engine: "content ... already exists" (26.1).
        release = PutFile(f"{version}\n".encode())
        engine.put_archive(folder, pack({"config.json": PutFile(config), "rootfs/etc/lab-build": release}))
        reference = f"127.0.0.1:5000/{REPOSITORY}:{version}"
        execute(engine, ["docker", "plugin", "create", reference, folder], f"creating plugin {version}")
        execute(engine, ["docker", "plugin", "push", reference], f"pushing plugin {version}")
    image = f"127.0.0.1:5000/{IMAGE}"
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
