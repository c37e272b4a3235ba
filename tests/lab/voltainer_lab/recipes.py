"""What goes into an image. A recipe's tag is a hash of everything in it, so an image is built once and found again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .names import PREFIX

SOURCES = Path(__file__).resolve().parent.parent / "images"
SERVICES_SUITE = "trixie"

_HOST_PACKAGES = (
    "acl",
    "attr",
    "busybox-static",
    "ca-certificates",
    "docker.io",
    "fuse3",
    "iproute2",
    "iptables",
    "openssh-server",
    "procps",
    "python3",
    "python3-docker",
    "sudo",
    "tar",
    "zstd",
)
_SERVICES_PACKAGES = (
    "apache2-utils",
    "busybox-static",
    "ca-certificates",
    "docker-registry",
    "fuse3",
    "openssh-server",
    "rclone",
)


@dataclass(frozen=True)
class ImageFile:
    """A file put into an image; its mode follows from its place, so that a checkout's umask does not matter."""

    content: bytes
    mode: int


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what an image holds."""

    kind: str
    suite: str
    packages: tuple[str, ...]
    dpkg_config: str
    finish: str
    files: Mapping[str, ImageFile]

    @property
    def digest(self) -> str:
        """Twelve hex digits over the whole recipe."""
        whole = {
            "kind": self.kind,
            "suite": self.suite,
            "packages": sorted(self.packages),
            "dpkg_config": self.dpkg_config,
            "finish": self.finish,
            "files": {path: [file.mode, hashlib.sha256(file.content).hexdigest()] for path, file in self.files.items()},
        }
        return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def repository(self) -> str:
        return f"{PREFIX}{self.kind}"

    @property
    def tag(self) -> str:
        return f"{self.suite}-{self.digest}"

    @property
    def reference(self) -> str:
        return f"{self.repository}:{self.tag}"


def read_tree(root: Path) -> dict[str, ImageFile]:
    """Read the files below root; what lies in an sbin directory becomes executable."""
    found = sorted(path for path in root.rglob("*") if path.is_file())
    return {
        str(path.relative_to(root)): ImageFile(path.read_bytes(), 0o755 if path.parent.name == "sbin" else 0o644)
        for path in found
    }


def _recipe(kind: str, suite: str, packages: tuple[str, ...]) -> Recipe:
    return Recipe(
        kind=kind,
        suite=suite,
        packages=packages,
        dpkg_config=(SOURCES / "common" / "dpkg.cfg").read_text(),
        finish=(SOURCES / "common" / "finish").read_text() + (SOURCES / kind / "finish").read_text(),
        files=read_tree(SOURCES / kind / "rootfs"),
    )


def host_recipe(suite: str) -> Recipe:
    """Return the recipe of a host. From trixie on, Debian ships the docker client in a package of its own."""
    client = () if suite == "bookworm" else ("docker-cli",)
    return _recipe("host", suite, _HOST_PACKAGES + client)


def services_recipe() -> Recipe:
    """Return the recipe of the image that registries and the SFTP server run from."""
    return _recipe("services", SERVICES_SUITE, _SERVICES_PACKAGES)
