# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of volumes have in common: options, inspect output, and an engine that keeps data in folders."""

from __future__ import annotations

import shutil
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ansible_collections.voltainer.volumes.plugins.module_utils._errors import EngineError
from ansible_collections.voltainer.volumes.plugins.module_utils._helper import Helper, held, mounts_of
from ansible_collections.voltainer.volumes.plugins.module_utils._program import start
from ansible_collections.voltainer.volumes.plugins.module_utils._volume_wanted import parse_volumes

from .fake_engine import FakeEngine

PER_VOLUME = {
    "state": "present",
    "driver": None,
    "driver_options": None,
    "secret_options": [],
    "labels": None,
    "comparison": "subset",
    "recreate": "never",
    "data": "keep",
    "drift": "warn",
    "protected": None,
    "confirm": None,
    "wait": 0,
    "rename_from": None,
}


# As an engine on Windows shows a volume (API 1.41).
WINDOWS = {
    "CreatedAt": "2026-11-24T09:30:00+01:00",
    "Driver": "local",
    "Labels": None,
    "Mountpoint": "C:\\ProgramData\\Docker\\volumes\\bizvol\\_data",
    "Name": "bizvol",
    "Options": None,
    "Scope": "local",
}


def task(**params):
    """Return what a task with the option `name` wants."""
    return parse_volumes({"name": "pgdata", "volumes": None, **PER_VOLUME, **params})


def wanted(**params):
    return task(**params).items[0]


def item(**params):
    """Return an item of the option `volumes` as AnsibleModule hands it over."""
    return {**dict.fromkeys(["name", *PER_VOLUME]), **params}


def many(*items, **params):
    """Return what a task with the option `volumes` wants."""
    return parse_volumes({"name": None, "volumes": list(items), **PER_VOLUME, **params})


def inspect(**changes):
    return {
        "CreatedAt": "2026-11-24T09:30:00Z",
        "Driver": "local",
        "Labels": {},
        "Mountpoint": "/var/lib/docker/volumes/pgdata/_data",
        "Name": "pgdata",
        "Options": None,
        "Scope": "local",
        **changes,
    }


class FolderEngine(FakeEngine):
    """An engine whose local driver has folders, as the real one has: removing a volume removes its folder.

    What a volume only refers to, and what a plugin has of one, are folders elsewhere. With `plugins_keep`, plugins keep
    the data of volumes that are removed.
    """

    def __init__(self, root, **kwargs):
        super().__init__(**kwargs)
        self.root = root
        self.plugins_keep = False

    def create_volume(self, name, driver, options, labels):
        volume = super().create_volume(name, driver, options, labels)
        if "Mountpoint" not in volume.raw:
            self.mount_point(name)
        return self.volume(name)

    def mount_point(self, name):
        if self.volumes_by_name[name]["Driver"] == "local":
            self.folder(name).mkdir(parents=True)
        self.volumes_by_name[name].update(Mountpoint=str(self.folder(name)))

    def create_helper(self, image, mounts, command, *, powers):
        made = super().create_helper(image, mounts, command, powers=powers)
        for mount in mounts:
            if "Mountpoint" not in self.volumes_by_name[mount.volume]:
                self.mount_point(mount.volume)
        return made

    def remove_volume(self, name):
        if any(use.volume == name for use in self.users().containers):
            raise EngineError(f"Cannot remove the volume '{name}'", "volume is in use", status=409)
        if name in self.volumes_by_name and self.volumes_by_name[name]["Driver"] != "local" and not self.plugins_keep:
            shutil.rmtree(self.place(name), ignore_errors=True)
        there = super().remove_volume(name)
        shutil.rmtree(self.root / name, ignore_errors=True)
        return there

    def folder(self, name):
        return self.root / name / "_data"

    def place(self, name):
        """Return where the data is that a container sees in the volume."""
        raw = self.volumes_by_name[name]
        refers_to = (raw["Options"] or {}).get("device")
        if raw["Driver"] == "local":
            return self.root / ".shares" / refers_to.strip(":/") if refers_to else self.folder(name)
        return self.root / ".remote" / ((raw["Options"] or {}).get("remote") or name)


class FolderHelper(Helper):
    """Reaches the volumes of a FolderEngine, and runs programs on them, without a container around these."""

    def file_system(self, volume):
        return "ext4"

    def folder_of(self, volume):
        return self.places[volume]

    def start(self, argv, *, stdin=None, stdout=None):
        program = start(argv, stdin=stdin, stdout=stdout, name=Path(argv[0]).name)
        self._stack.callback(program.stop)
        return program


@contextmanager
def folder_helper(engine, volumes):
    """Hold volumes of a FolderEngine with what holds them on a real one, and give the way to their folders."""
    with ExitStack() as stack:
        stack.enter_context(held(engine, mounts_of(volumes), powers=False))
        places = {name: engine.place(name) for name in volumes}
        for place in places.values():
            place.mkdir(parents=True, exist_ok=True)
        yield FolderHelper({name: str(place) for name, place in places.items()}, 0, stack)


@contextmanager
def folders(**places):
    """Give the way to folders by the names of volumes, without an engine."""
    with ExitStack() as stack:
        yield FolderHelper({name: str(place) for name, place in places.items()}, 0, stack)
