# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes into an image. A recipe's tag is a hash of everything in it, so an image is built once and found again.

Scripts and configuration are not part of an image: containers get them when they are made, so a change of those takes
seconds, and a change of packages a minute.
"""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from .names import PREFIX

SOURCES = Path(__file__).resolve().parent.parent / "images"
SERVICES_SUITE = "trixie"

_HOST_PACKAGES = (
    "acl",
    "age",
    "attr",
    "busybox-static",
    "bzip2",
    "ca-certificates",
    "docker.io",
    "fuse3",
    "gpg",
    "gpg-agent",
    "iproute2",
    "iptables",
    "openssh-client",
    "openssh-server",
    "procps",
    "python3",
    "python3-docker",
    "restic",
    "rsync",
    "sudo",
    "tar",
    "xz-utils",
    "zstd",
)
_SERVICES_PACKAGES = (
    "apache2-utils",
    "busybox-static",
    "ca-certificates",
    "docker-registry",
    "e2fsprogs",
    "fuse3",
    "openssh-server",
    "python3",
    "rclone",
)


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what an image holds."""

    kind: str
    suite: str
    packages: tuple[str, ...]
    dpkg_config: str
    install: str
    finish: str

    @property
    def digest(self) -> str:
        """Twelve hex digits over the whole recipe."""
        whole = {
            "kind": self.kind,
            "suite": self.suite,
            "packages": sorted(self.packages),
            "dpkg_config": self.dpkg_config,
            "install": self.install,
            "finish": self.finish,
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


def _recipe(kind: str, suite: str, packages: tuple[str, ...]) -> Recipe:
    return Recipe(
        kind=kind,
        suite=suite,
        packages=packages,
        dpkg_config=(SOURCES / "common" / "dpkg.cfg").read_text(),
        install=(SOURCES / "common" / "install").read_text(),
        finish=(SOURCES / "common" / "finish").read_text() + (SOURCES / kind / "finish").read_text(),
    )


@functools.cache
def host_recipe(suite: str) -> Recipe:
    """Return the recipe of a host. From trixie on, Debian ships the docker client in a package of its own."""
    client = () if suite == "bookworm" else ("docker-cli",)
    return _recipe("host", suite, _HOST_PACKAGES + client)


@functools.cache
def services_recipe() -> Recipe:
    """Return the recipe of the image that registries and the SFTP server run from."""
    return _recipe("services", SERVICES_SUITE, _SERVICES_PACKAGES)
