# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated array: one sparse image file for each volume, on the host, where they outlive the plugin.

An image is attached to a loop device and mounted where the engine expects it. The kernel detaches the device with the
last mount, so that nothing is left even where the plugin is killed.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import struct
import subprocess
import time
import urllib.parse
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from .checks import ArrayError, check_options

_CHUNK = 1024**2
# From linux/loop.h.
_LOOP_CONFIGURE = 0x4C0A
_LOOP_GET_STATUS64 = 0x4C05
_LOOP_CTL_GET_FREE = 0x4C82
_LO_FLAGS_AUTOCLEAR = 4
_LOOP_INFO = "=5Q4I64s64s32s2Q"


@dataclass(frozen=True)
class Volume:
    """A volume as the array knows it. The identity also names its loop device: it is the only one on this machine."""

    namespace: str
    name: str
    size: int
    created: str
    identity: str

    @property
    def key(self) -> str:
        """Its name on the array."""
        return f"{self.namespace}-{self.name}"


class Array:
    """An array, as one plugin sees it: folder holds all volumes, those of namespace are the plugin's own."""

    def __init__(self, folder: Path, mounts: Path, namespace: str) -> None:
        self._folder = folder
        self._mounts = mounts
        self._namespace = namespace
        self._users: dict[str, set[str]] = {}

    @contextlib.contextmanager
    def _locked(self) -> Iterator[dict[str, Volume]]:
        """Hold the array, which other plugins on this host may use too; give its volumes, and store their changes."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            before = self._load()
            volumes = dict(before)
            yield volumes
            if volumes != before:
                self._store(volumes)

    def _load(self) -> dict[str, Volume]:
        try:
            records = json.loads((self._folder / "array.json").read_text())
        except FileNotFoundError:
            return {}
        return {key: Volume(**record) for key, record in records["volumes"].items()}

    def _store(self, volumes: dict[str, Volume]) -> None:
        records = {"volumes": {key: asdict(volume) for key, volume in sorted(volumes.items())}}
        draft = self._folder / "array.json.new"
        with draft.open("w") as stream:
            json.dump(records, stream, indent=2)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(self._folder / "array.json")

    def _find(self, volumes: dict[str, Volume], name: str) -> Volume:
        try:
            return volumes[f"{self._namespace}-{name}"]
        except KeyError:
            raise ArrayError(f"the array has no volume {name}") from None

    def _image(self, key: str) -> Path:
        return self._folder / f"{urllib.parse.quote(key, safe='')}.img"

    def _mount_point(self, volume: Volume) -> Path:
        return self._mounts / urllib.parse.quote(volume.key, safe="")

    def create(self, name: str, options: dict[str, str]) -> None:
        """Make a volume: new and empty, a copy of another one, or one that the array has under another name."""
        wish = check_options(options)
        created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        volume = Volume(self._namespace, name, wish.size, created, uuid.uuid4().hex)
        with self._locked() as volumes:
            if volume.key in volumes:
                raise ArrayError(f"the array has a volume {name} already")
            image = self._image(volume.key)
            if wish.source:
                origin = self._find(volumes, wish.source)
                os.sync()
                copy_sparse(self._image(origin.key), image)
                volume = replace(volume, size=origin.size)
            elif wish.import_from:
                if wish.import_from not in volumes:
                    raise ArrayError(f"import_from_src: the array has no volume {wish.import_from}")
                origin = volumes.pop(wish.import_from)
                self._image(origin.key).rename(image)
                volume = replace(origin, namespace=self._namespace, name=name)
            else:
                make_image(image, wish.size)
            volumes[volume.key] = volume

    def remove(self, name: str) -> None:
        """Destroy a volume and its data."""
        with self._locked() as volumes:
            volume = self._find(volumes, name)
            if self._users.get(volume.key):
                raise ArrayError(f"volume {name} is in use")
            self._release(volume)
            self._image(volume.key).unlink(missing_ok=True)
            del volumes[volume.key]

    def mount(self, name: str, user: str) -> str:
        """Mount a volume for a user, if it is not mounted yet, and return where."""
        with self._locked() as volumes:
            volume = self._find(volumes, name)
            target = self._mount_point(volume)
            if not target.is_mount():
                target.mkdir(parents=True, exist_ok=True)
                with attached(self._image(volume.key), volume.identity) as device:
                    run("mount", "-t", "ext4", device, str(target))
                # Pure's volumes carry XFS, where a new volume is empty.
                with contextlib.suppress(OSError):
                    (target / "lost+found").rmdir()
            self._users.setdefault(volume.key, set()).add(user)
            return str(target)

    def unmount(self, name: str, user: str) -> None:
        """Forget a user of a volume; without the last one it is unmounted."""
        with self._locked() as volumes:
            volume = self._find(volumes, name)
            users = self._users.get(volume.key, set())
            users.discard(user)
            if not users:
                self._release(volume)

    def _release(self, volume: Volume) -> None:
        target = self._mount_point(volume)
        if target.is_mount():
            run("umount", str(target))
        with contextlib.suppress(FileNotFoundError):
            target.rmdir()

    def describe(self, name: str) -> dict[str, Any]:
        with self._locked() as volumes:
            return self._description(self._find(volumes, name))

    def listing(self) -> list[dict[str, Any]]:
        with self._locked() as volumes:
            return [self._description(each) for each in volumes.values() if each.namespace == self._namespace]

    def _description(self, volume: Volume) -> dict[str, Any]:
        target = self._mount_point(volume)
        return {
            "Name": volume.name,
            "Mountpoint": str(target) if target.is_mount() else "",
            "CreatedAt": volume.created,
            "Status": {"size": volume.size, "array_name": volume.key},
        }


def run(*command: str) -> None:
    """Run a program; what it says is in the error where it fails."""
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise ArrayError(f"{command[0]} ended with {ended.returncode}: {ended.stderr.strip()}")


def make_image(image: Path, size: int) -> None:
    """Make an image that holds an empty file system; one that is there is of a creation that was interrupted."""
    with image.open("wb") as stream:
        stream.truncate(size)
    # A new file reads as zeros, so that nothing has to be written ahead, neither now nor by the kernel later.
    zeroed = "assume_storage_prezeroed=1,lazy_journal_init=1,nodiscard"
    run("mkfs.ext4", "-q", "-F", "-m", "0", "-E", zeroed, str(image))


def copy_sparse(origin: Path, target: Path) -> None:
    """Copy a file without its holes."""
    with origin.open("rb") as source, target.open("wb") as copy:
        end = source.seek(0, os.SEEK_END)
        copy.truncate(end)
        position = 0
        while position < end:
            try:
                position = os.lseek(source.fileno(), position, os.SEEK_DATA)
            except OSError as error:
                if error.errno != errno.ENXIO:
                    raise
                return  # nothing but a hole follows
            hole = os.lseek(source.fileno(), position, os.SEEK_HOLE)
            while position < hole:
                block = os.pread(source.fileno(), min(_CHUNK, hole - position), position)
                position += os.pwrite(copy.fileno(), block, position)


@contextlib.contextmanager
def attached(image: Path, identity: str) -> Iterator[str]:
    """Give the loop device of an image; the kernel detaches it with its last use, which is this block or a mount."""
    device = _attached_already(identity) or _attach(image, identity)
    try:
        yield f"/dev/loop{os.minor(os.fstat(device).st_rdev)}"
    finally:
        os.close(device)


def _attached_already(identity: str) -> int | None:
    """Return the open loop device that carries this name, such as one whose mount outlived a plugin that was killed.

    The same file system, mounted over two devices, would be destroyed.
    """
    for entry in sorted(Path("/dev").glob("loop[0-9]*")):
        try:
            device = os.open(entry, os.O_RDWR)
        except OSError:
            continue
        buffer = bytearray(struct.calcsize(_LOOP_INFO))
        with contextlib.suppress(OSError):
            fcntl.ioctl(device, _LOOP_GET_STATUS64, buffer)
            if struct.unpack(_LOOP_INFO, buffer)[9].rstrip(b"\0") == identity.encode():
                return device
        os.close(device)
    return None


def _attach(image: Path, identity: str) -> int:
    """Attach an image to a free loop device, which is returned open. Others on this machine may take it first."""
    info = struct.pack(_LOOP_INFO, *[0] * 8, _LO_FLAGS_AUTOCLEAR, identity.encode(), b"", b"", 0, 0)
    with image.open("r+b") as backing, Path("/dev/loop-control").open("r+b", buffering=0) as control:
        config = struct.pack("=2I", backing.fileno(), 0) + info + bytes(64)
        while True:
            number = fcntl.ioctl(control, _LOOP_CTL_GET_FREE)
            device = os.open(f"/dev/loop{number}", os.O_RDWR)
            try:
                fcntl.ioctl(device, _LOOP_CONFIGURE, config)
            except OSError as error:
                os.close(device)
                if error.errno != errno.EBUSY:
                    raise
                continue
            return device
