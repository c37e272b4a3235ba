# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Moves a tag of a registry: what one tag names, another tag names too from now on, with the same digest."""

from __future__ import annotations

import argparse
import ssl
import sys
from email.message import Message
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path

_AUTHORITY = Path("/etc/docker/certs.d/registry.lab:5000/ca.crt")
_TYPES = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.index.v1+json",
)


class TagError(Exception):
    """What a registry refuses."""


def move_tag(registry: str, repository: str, source: str, target: str) -> str:
    """Let target name what source names, and return its digest."""
    scheme, _colon, place = registry.partition("://")
    if scheme == "https":
        trust = ssl.create_default_context(cafile=str(_AUTHORITY))
        connection: HTTPConnection = HTTPSConnection(place, timeout=30, context=trust)
    else:
        connection = HTTPConnection(place, timeout=30)
    path = f"/v2/{repository}/manifests/"
    found, manifest = _ask(connection, "GET", path + source, {"Accept": ", ".join(_TYPES)})
    kind = {"Content-Type": found["Content-Type"]}
    stored, _nothing = _ask(connection, "PUT", path + target, kind, manifest)
    return str(stored["Docker-Content-Digest"])


def _ask(
    connection: HTTPConnection, method: str, path: str, headers: dict[str, str], body: bytes | None = None
) -> tuple[Message, bytes]:
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    content = answer.read()
    if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
        raise TagError(f"{method} {path}: {answer.status} {answer.reason}: {content.decode(errors='replace')}")
    return answer.headers, content


def main() -> int:
    parser = argparse.ArgumentParser(prog="lab-tag", description="Move a tag of the lab's registry.")
    parser.add_argument("--registry", default="https://registry.lab:5000", help="default: %(default)s")
    parser.add_argument("repository", help="such as purestorage/docker-plugin")
    parser.add_argument("source", help="the tag, or digest, that names it now")
    parser.add_argument("target", help="the tag that names it from now on")
    wanted = parser.parse_args()
    try:
        print(move_tag(wanted.registry, wanted.repository, wanted.source, wanted.target))
    except (TagError, HTTPException, OSError) as error:
        print(f"lab-tag: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
