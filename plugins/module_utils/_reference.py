# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""References of plugins and names of drivers: the one place where strings become references. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ansible_collections.voltainer.volumes.plugins.module_utils._errors import InvalidInputError

DEFAULT_DOMAIN = "docker.io"
DEFAULT_TAG = "latest"
# Another name of Docker Hub.
_HUB_INDEX = "index.docker.io"

_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_PART}(?:/{_PART})*\Z")
_DOMAIN = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:]+\])(?::[0-9]+)?\Z")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}\Z")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")


@dataclass(frozen=True)
class Reference:
    """A plugin in a registry, spelled out: `registry.example:5000/team/plugin:1.0` or `...@sha256:...`."""

    domain: str
    path: str
    tag: str | None
    digest: str | None = None

    @property
    def repository(self) -> str:
        """The reference without tag and digest, in the short form that the engine shows."""
        if self.domain != DEFAULT_DOMAIN:
            return f"{self.domain}/{self.path}"
        return self.path.removeprefix("library/")

    @property
    def recorded(self) -> str:
        """The form in which the engine records what a plugin was installed from.

        Other than in a plugin's name, Docker Hub is spelled out, and a tag beside a digest is dropped (20.10 to 28.5).
        """
        end = f"@{self.digest}" if self.digest else f":{self.tag}"
        return f"{self.domain}/{self.path}{end}"

    def __str__(self) -> str:
        """Return the form that the engine is asked for, and that it shows in names."""
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.repository}{tag}{digest}"


def parse_reference(text: str, option: str = "remote") -> Reference:
    """Return the reference that `text` means, with the engine's defaults (Docker Hub, tag `latest`) filled in.

    Raises InvalidInputError, which names `option`.
    """
    rest, at, digest = text.partition("@")
    head, slash, tail = rest.rpartition("/")
    name, colon, tag = tail.partition(":")
    repository = f"{head}{slash}{name}"
    domain, path = _split_domain(repository)
    if at and not _DIGEST.match(digest):
        raise _invalid(option, text, f"'{digest}' is not a digest (sha256: and 64 hexadecimal digits)")
    if colon and not _TAG.match(tag):
        raise _invalid(option, text, f"'{tag}' is not a tag")
    if not _DOMAIN.match(domain) or not _PATH.match(path):
        raise _invalid(
            option, text, f"'{repository}' is not the name of a repository (lower case, parts divided by '/')"
        )
    return Reference(domain, path, tag if colon else (None if at else DEFAULT_TAG), digest if at else None)


def parse_alias(text: str, option: str = "alias") -> str:
    """Return the full local name of a plugin: `pure` is `pure:latest`, as the engine has it."""
    if "@" in text:
        raise _invalid(option, text, "an alias has no digest")
    return str(parse_reference(text, option))


def driver_key(name: str) -> str:
    """Return what two names of one driver have in common.

    The engine reports a volume of the driver `pure` as `pure:latest` when the driver is a managed plugin, and as `pure`
    when it is a legacy one (measured on 20.10 to 28.5).
    """
    suffix = f":{DEFAULT_TAG}"
    return name.removesuffix(suffix)


def _split_domain(repository: str) -> tuple[str, str]:
    first, slash, rest = repository.partition("/")
    # As the engine decides: a first part is a registry only where it could not be a user of Docker Hub.
    if slash and ("." in first or ":" in first or first == "localhost" or first != first.lower()):
        if first in {DEFAULT_DOMAIN, _HUB_INDEX}:
            return DEFAULT_DOMAIN, rest if "/" in rest else f"library/{rest}"
        return first, rest
    return DEFAULT_DOMAIN, repository if slash else f"library/{repository}"


def _invalid(option: str, text: str, why: str) -> InvalidInputError:
    return InvalidInputError(
        f"The option '{option}' has the invalid value '{text}'",
        why,
        "Write it as [registry/]name[:tag], for example registry.example.com:5000/rclone/docker-volume-rclone:1.0",
    )
