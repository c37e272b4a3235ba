# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An engine without Docker: holds state, records every call, fails where it is told to."""

from __future__ import annotations

import copy
import re
import time
from contextlib import contextmanager

from ansible_collections.voltainer.volumes.plugins.module_utils._engine import Listing, Node
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import EngineError
from ansible_collections.voltainer.volumes.plugins.module_utils._helper_engine import HelperImage
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin import Installed, Plugin
from ansible_collections.voltainer.volumes.plugins.module_utils._reference import parse_reference
from ansible_collections.voltainer.volumes.plugins.module_utils._registry import Pulled
from ansible_collections.voltainer.volumes.plugins.module_utils._settings import catalog, sources_of
from ansible_collections.voltainer.volumes.plugins.module_utils._usage import (
    Use,
    Users,
    service_uses,
    uses,
    uses_of_driver,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import HELPER, Volume

# As dockerd 26.1.5 shows the managed rclone plugin, shortened.
RCLONE = {
    "Id": "5f1c",
    "Name": "rclone:latest",
    "PluginReference": "registry.example:5000/rclone/docker-volume-rclone:1.0",
    "Enabled": True,
    "Config": {
        "Args": {"Name": "args", "Settable": ["value"], "Value": []},
        "Env": [
            {"Name": "RCLONE_VERBOSE", "Settable": ["value"], "Value": "0"},
            {"Name": "API_TOKEN", "Settable": ["value"], "Value": ""},
            {"Name": "RCLONE_CONFIG", "Settable": None, "Value": "/data/config/rclone.conf"},
        ],
        "Interface": {"Socket": "rclone.sock", "Types": ["docker.volumedriver/1.0"]},
        "IpcHost": False,
        "PidHost": False,
        "Linux": {
            "AllowAllDevices": False,
            "Capabilities": ["CAP_SYS_ADMIN"],
            "Devices": [{"Name": "fuse", "Path": "/dev/fuse", "Settable": None}],
        },
        "Mounts": [
            {"Name": "config", "Source": "/var/lib/docker-plugins/rclone/config", "Settable": ["source"]},
            {"Name": "cache", "Source": "/var/lib/docker-plugins/rclone/cache", "Settable": ["source"]},
        ],
        "Network": {"Type": "host"},
    },
    "Settings": {
        "Args": [],
        "Devices": [{"Name": "fuse", "Path": "/dev/fuse", "Settable": None}],
        "Env": ["RCLONE_VERBOSE=0", "API_TOKEN=", "RCLONE_CONFIG=/data/config/rclone.conf"],
        "Mounts": [],
    },
}

# What the engine answers before the pull of the same plugin.
RCLONE_PRIVILEGES = (
    {"Name": "network", "Description": "permissions to access a network", "Value": ["host"]},
    {"Name": "mount", "Description": "host path to mount", "Value": ["/var/lib/docker-plugins/rclone/config"]},
    {"Name": "mount", "Description": "host path to mount", "Value": ["/var/lib/docker-plugins/rclone/cache"]},
    {"Name": "device", "Description": "host device to access", "Value": ["/dev/fuse"]},
    {"Name": "capabilities", "Description": "list of additional capabilities", "Value": ["CAP_SYS_ADMIN"]},
)


DIGEST = "sha256:" + "1" * 64


def plugin_inspect(**changes):
    return {**copy.deepcopy(RCLONE), **changes}


def container(name, volume, driver="local", state="running", read_write=True):
    mount = {"Type": "volume", "Name": volume, "Driver": driver, "Destination": "/data", "RW": read_write}
    return {"Id": f"id-{name}", "Names": [f"/{name}"], "State": state, "Mounts": [mount]}


def service(name, volume, replicas=1, read_only=False):
    """Return a service as `GET /services?status=true` has it; one without `replicas` is global, with 3 tasks."""
    mount = {"Type": "volume", "Source": volume, "Target": "/data", "ReadOnly": read_only}
    return {
        "ID": f"id-{name}",
        "Spec": {
            "Name": name,
            "Mode": {"Global": {}} if replicas is None else {"Replicated": {"Replicas": replicas}},
            "TaskTemplate": {"ContainerSpec": {"Mounts": [mount]}},
        },
        "ServiceStatus": {"DesiredTasks": 3 if replicas is None else replicas},
    }


class Attached:
    """The input of a helper container."""

    def close(self):
        """Let go of it."""


class FakeEngine:
    """The methods of Engine. `calls` are those that change something.

    `fail[method]` is raised once by that method; of a list, each error once, and None lets a call pass.
    `listing[driver]` is what comes of listing the volumes of the driver: an error that is raised, or a warning.
    `inspected` are the names of the volumes that were inspected.
    `registry[reference]` is the digest that a reference has in its registry, DIGEST unless told otherwise;
    `contents[digest]` is what a plugin of that content is like, `asked_by[digest]` what it asks for. `asked` are the
    requests that a registry answers. `log` is what plugins said. `started[id]` is when a plugin was last started,
    `images` are the labels of the images by their IDs, and `data[volume]` the files in a volume. `unmountable[volume]`
    is what the engine says when it is to mount that volume.
    """

    # What stands for a connection, where an engine is made of that of another one.
    transport = None

    def __init__(self, volumes=(), plugins=(), containers=(), offered=RCLONE_PRIVILEGES, services=()):
        self.volumes_by_name = {raw["Name"]: raw for raw in volumes}
        self.plugins_by_name = {raw["Name"]: raw for raw in plugins}
        self.containers = list(containers)
        self.services = list(services)
        self.offered = tuple(offered)
        self.calls = []
        self.fail = {}
        self.listing = {}
        self.inspected = []
        self.node_time = "2026-11-24T12:00:00.123456789Z"
        self.worker = False
        self.is_here = True
        self.registry = {}
        self.contents = {DIGEST: RCLONE}
        self.asked_by = {}
        self.asked = []
        self.digests_known = True
        self.digest_pulls = True
        self.log = ()
        self.meanwhile = []
        self.legacy = ["local"]
        self.files = []
        self.timeout = 60
        self.silence = 180
        self.started = {}
        self.images = {}
        self.data = {}
        self.unmountable = {}

    def volume(self, name, *, seconds=None):
        self.inspected.append(name)
        self._fail_where_told("volume")
        raw = self.volumes_by_name.get(name)
        return Volume.from_inspect(raw) if raw else None

    def create_volume(self, name, driver, options, labels):
        self._changing("create_volume", name)
        if driver in {"", "local"} and not re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}", name):
            # It tells the first in words of its own, and the second in those of mkdir(2) (20.10 to 28.5).
            raise EngineError(f"Cannot create the volume '{name}'", "invalid name, or too long", status=400)
        # As the engine does it: what exists stays as it is, and the answer is a success.
        raw = {"Name": name, "Driver": driver or "local", "Options": options or {}, "Labels": labels or {}}
        return Volume.from_inspect(self.volumes_by_name.setdefault(name, raw))

    def remove_volume(self, name):
        self._changing("remove_volume", name)
        if any(mount["Name"] == name for one in self.containers for mount in one["Mounts"]):
            raise EngineError(f"Cannot remove the volume '{name}'", "volume is in use", status=409)
        self.data.pop(name, None)
        return self.volumes_by_name.pop(name, None) is not None

    def volumes(self, driver, *, label=None, seconds=None):
        said = self.listing.get(driver)
        if isinstance(said, Exception):
            raise said
        return Listing(
            tuple(
                Volume.from_inspect(raw if driver == "local" else {**raw, "CreatedAt": "0001-01-01T00:00:00Z"})
                for raw in self.volumes_by_name.values()
                if raw["Driver"] == driver and (label is None or label in (raw["Labels"] or {}))
            ),
            (said,) if said else (),
        )

    def volume_drivers(self):
        return ("local", *(name for name, raw in self.plugins_by_name.items() if raw["Enabled"]))

    def disabled_drivers(self):
        return tuple(name for name, raw in self.plugins_by_name.items() if not raw["Enabled"])

    def node(self):
        return Node(self.node_time, self.worker)

    def users(self, volume=None) -> Users:
        found = Users(uses(self.containers), service_uses(self.services))
        return found.of(volume) if volume else found

    def driver_ready(self, driver):
        raw = self.plugins_by_name.get(driver if ":" in driver else f"{driver}:latest")
        return driver == "local" or bool(raw and raw["Enabled"])

    def plugin(self, name):
        raw = self.plugins_by_name.get(name)
        return Plugin.from_inspect(copy.deepcopy(raw)) if raw else None

    def users_of_driver(self, driver) -> tuple[Use, ...]:
        return uses_of_driver(self.containers, driver)

    def volumes_of(self, plugin, *, seconds=None):
        if said := self.listing.get(plugin.name):
            raise EngineError(f"Cannot list the volumes of '{plugin.name}'", str(said))
        return tuple(name for name, raw in self.volumes_by_name.items() if raw["Driver"] == plugin.name)

    def plugins(self):
        return tuple(Plugin.from_inspect(copy.deepcopy(raw)) for raw in self.plugins_by_name.values())

    def installed(self, plugin):
        """As root on the engine's host, or with `digests_known` False as somebody else."""
        pinned = parse_reference(plugin.reference).digest if plugin.reference else None
        if not self.digests_known:
            return Installed(pinned)
        raw = self.contents.get(plugin.raw.get("content"), RCLONE)
        return Installed(pinned or plugin.raw.get("content", DIGEST), sources_of(raw))

    def legacy_drivers(self):
        return tuple(self.legacy)

    def legacy_files(self):
        return tuple(self.files)

    @contextmanager
    def changing(self, name):
        """As while another task changes the plugin: `meanwhile` is what that task does."""
        for change in self.meanwhile:
            change(self)
        yield

    def said_by(self, plugin_id, secrets):
        return tuple(line for line in self.log if not any(secret in line for secret in secrets))

    def digests_work(self):
        return self.digest_pulls

    def privileges(self, remote, login=None):
        self._asking("privileges", remote, login)
        return self.asked_by.get(self._content(remote), self.offered)

    def registry_digest(self, remote, login=None):
        self._asking("registry_digest", remote, login)
        return self._content(remote)

    def pull_plugin(self, remote, alias, offered, login=None):
        self._changing("pull_plugin", str(remote), alias)
        raw = self._fresh(remote, offered)
        self.plugins_by_name[alias] = {**raw, "Name": alias, "Id": f"id-{alias}".replace(":", "-")}
        return Pulled(raw["content"], (f"pulled {remote}",))

    def upgrade_plugin(self, name, remote, offered, login=None):
        self._changing("upgrade_plugin", name, str(remote))
        old, new = self.plugins_by_name[name], self._fresh(remote, offered)
        assert not old["Enabled"]
        # As dockerd 20.10 to 28.5 do it: variables, arguments and devices are kept, mounts go back to their defaults.
        self.plugins_by_name[name] = {**new, "Id": old["Id"], "Name": name, "Settings": old["Settings"]}
        return Pulled(new["content"], (f"upgraded to {remote}",))

    def _content(self, remote):
        return remote.digest or self.registry.get(remote.recorded, DIGEST)

    def _fresh(self, remote, offered):
        """Return what the registry has, as the engine then shows it, disabled."""
        content = self._content(remote)
        assert tuple(offered) == self.asked_by.get(content, self.offered)
        raw = copy.deepcopy(self.contents.get(content, RCLONE))
        return {**raw, "PluginReference": remote.recorded, "Enabled": False, "content": content}

    def _asking(self, method, remote, login):
        self.asked.append((method, str(remote), login))
        self._fail_where_told(method)

    def set_plugin(self, name, settings):
        self._changing("set_plugin", name, dict(settings))
        raw = self.plugins_by_name[name]
        assert not raw["Enabled"], name
        known = catalog(raw)
        for key, value in settings.items():
            self._set_one(raw, known[key], value)

    def enable_plugin(self, name, timeout):
        self._changing("enable_plugin", name, timeout)
        self._start(name)

    def disable_plugin(self, name, force=False):
        self._changing("disable_plugin", name, force)
        in_use = any(raw["Driver"] == name for raw in self.volumes_by_name.values())
        if in_use and not force:
            raise EngineError(f"Cannot disable the plugin '{name}'", "plugin is in use", status=409)
        self.plugins_by_name[name]["Enabled"] = False

    def remove_plugin(self, name, force=False):
        self._changing("remove_plugin", name, *(["force"] if force else []))
        assert not self.plugins_by_name[name]["Enabled"]
        del self.plugins_by_name[name]

    def _start(self, name):
        self.plugins_by_name[name]["Enabled"] = True
        self.started[self.plugins_by_name[name]["Id"]] = time.time_ns()

    def restart(self):
        """As dockerd does it when it is restarted: plugins that are enabled start anew."""
        for name in [name for name, raw in self.plugins_by_name.items() if raw["Enabled"]]:
            self._start(name)

    def listens_since(self, plugin):
        """As root on the engine's host; elsewhere nobody can tell. A plugin is there since long ago."""
        return self.started.get(plugin.id, 1) if self.is_here else None

    def engine_id(self):
        return "7TYZ"

    def import_empty_image(self, labels):
        self._changing("import_empty_image")
        image = f"sha256:{len(self.images)}"
        self.images[image] = dict(labels)
        return image

    def images_labelled(self, label):
        self._fail_where_told("images_labelled")
        return tuple(image for image, labels in self.images.items() if self._has(labels, label))

    def remove_image(self, image):
        self._changing("remove_image", image)
        if any(one.get("Image") == image for one in self.containers):
            raise EngineError(f"Cannot remove the image '{image}'", "a container uses it", status=409)
        self.images.pop(image, None)

    def create_container(self, image, volume, labels):
        self._changing("create_container", volume)
        assert image in self.images
        driver = self.volumes_by_name[volume]["Driver"]
        made = container(f"made{len(self.calls)}", volume, driver, "created")
        self.containers.append({**made, "Image": image, "Labels": dict(labels)})
        return made["Id"]

    def create_helper(self, image, mounts, command, *, powers):
        self._changing("create_helper", *(mount.volume for mount in mounts))
        assert image in self.images
        for mount in mounts:
            # As the engine does it: what is not there is made, by its own driver.
            raw = {"Name": mount.volume, "Driver": "local", "Options": None, "Labels": None}
            self.volumes_by_name.setdefault(mount.volume, raw)
        uses = [
            {
                "Type": "volume",
                "Name": mount.volume,
                "Driver": self.volumes_by_name[mount.volume]["Driver"],
                "Destination": mount.path,
                "RW": not mount.read_only,
            }
            for mount in mounts
        ]
        made = {"Id": f"helper{len(self.calls)}", "Names": [f"/helper{len(self.calls)}"], "State": "created"}
        self.containers.append({**made, "Image": image, "Mounts": uses, "Labels": {HELPER: "true"}})
        return made["Id"]

    def helpers(self):
        return tuple((one["Id"], one["Labels"][HELPER]) for one in self.containers if HELPER in one.get("Labels", {}))

    def attach(self, container, *, output):
        return Attached()

    def start_helper(self, container):
        self._changing("start_helper", container)
        (found,) = (one for one in self.containers if one["Id"] == container)
        for mount in found["Mounts"]:
            if said := self.unmountable.get(mount["Name"]):
                raise EngineError("Cannot start the helper container", said, status=500)
        found["State"] = "running"

    def inspect_helper(self, container):
        return next((one for one in self.containers if one["Id"] == container), None)

    def import_helper_image(self):
        self._changing("import_helper_image")
        image = f"sha256:{len(self.calls)}"
        self.images[image] = {HELPER: "true"}
        return image

    def helper_images(self):
        return tuple(
            HelperImage(image, labels[HELPER], int(time.time()))
            for image, labels in self.images.items()
            if HELPER in labels
        )

    def remove_helper_image(self, image):
        self._changing("remove_helper_image", image)
        if not any(one.get("Image") == image for one in self.containers):
            del self.images[image]

    def containers_labelled(self, label):
        self._fail_where_told("containers_labelled")
        return tuple(one["Id"] for one in self.containers if self._has(one.get("Labels", {}), label))

    def remove_container(self, container):
        self._changing("remove_container", container)
        self.containers = [one for one in self.containers if one["Id"] != container]

    def put_file(self, container, name, content):
        self._changing("put_file", name)
        self._files_of(container)[name] = content

    def get_file(self, container, name):
        self._fail_where_told("get_file")
        return self._files_of(container)[name]

    def _files_of(self, container):
        (volume,) = (one["Mounts"][0]["Name"] for one in self.containers if one["Id"] == container)
        return self.data.setdefault(volume, {})

    @staticmethod
    def _has(labels, label):
        name, _equals, value = label.partition("=")
        return labels.get(name) == value

    def _changing(self, *call):
        self.calls.append(call)
        self._fail_where_told(call[0])

    def _fail_where_told(self, method):
        error = self.fail.get(method)
        if isinstance(error, list):
            error = error.pop(0) if error else None
        else:
            self.fail.pop(method, None)
        if error:
            raise error

    @staticmethod
    def _set_one(raw, setting, value):
        if setting.kind == "env":
            env = [text for text in raw["Settings"]["Env"] if not text.startswith(f"{setting.key}=")]
            raw["Settings"]["Env"] = [*env, f"{setting.key}={value}"]
        elif setting.kind == "args":
            raw["Settings"]["Args"] = value.split(" ")
        elif setting.kind == "device":
            device = next(one for one in raw["Settings"]["Devices"] if f"{one['Name']}.path" == setting.key)
            device["Path"] = value
        else:
            mount = next(one for one in raw["Config"]["Mounts"] if f"{one['Name']}.source" == setting.key)
            mount["Source"] = value
