# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of volumes have in common: options, inspect output, and an engine that keeps data in folders."""

from __future__ import annotations

import shutil

from ansible_collections.voltainer.volumes.plugins.module_utils._errors import EngineError
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
    """An engine whose local driver has folders, as the real one has: removing a volume removes its folder."""

    def __init__(self, root, **kwargs):
        super().__init__(**kwargs)
        self.root = root

    def create_volume(self, name, driver, options, labels):
        volume = super().create_volume(name, driver, options, labels)
        if "Mountpoint" not in volume.raw:
            folder = self.folder(name)
            folder.mkdir(parents=True)
            self.volumes_by_name[name].update(Mountpoint=str(folder))
        return self.volume(name)

    def remove_volume(self, name):
        if any(use.volume == name for use in self.users().containers):
            raise EngineError(f"Cannot remove the volume '{name}'", "volume is in use", status=409)
        there = super().remove_volume(name)
        shutil.rmtree(self.root / name, ignore_errors=True)
        return there

    def folder(self, name):
        return self.root / name / "_data"
