# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A swarm of the lab's hosts, made over their engines' API: a join token has no place in a list of processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import requests

from .hosts import Credentials, ask
from .names import Host, LabError
from .report import say

# Nodes find each other and agree on who leads.
_TIMEOUT = 60.0


def ensure_swarm(hosts: Sequence[tuple[Host, str]], credentials: Credentials) -> None:
    """Make a swarm: the first host is its manager. A host that is in a swarm already is left alone."""
    (first, manager), *workers = hosts
    if not _is_member(first, manager, credentials):
        _call(first, manager, credentials, "swarm/init", _addresses(manager))
        say(f"swarm: {first.name} is its manager")
    token = _call(first, manager, credentials, "swarm")["JoinTokens"]["Worker"]
    for host, address in workers:
        if _is_member(host, address, credentials):
            continue
        join = _addresses(address) | {"RemoteAddrs": [f"{manager}:2377"], "JoinToken": token}
        _call(host, address, credentials, "swarm/join", join)
        say(f"swarm: {host.name} joined as a worker")


def _addresses(address: str) -> dict[str, Any]:
    return {"ListenAddr": "0.0.0.0:2377", "AdvertiseAddr": f"{address}:2377"}


def _is_member(host: Host, address: str, credentials: Credentials) -> bool:
    return bool(_call(host, address, credentials, "info")["Swarm"]["LocalNodeState"] == "active")


def _call(
    host: Host, address: str, credentials: Credentials, path: str, body: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Call a host's engine; an answer that is no mapping counts as an empty one."""
    try:
        answer = ask(f"https://{address}:2376/{path}", credentials, body=body, timeout=_TIMEOUT)
    except requests.RequestException as error:
        raise LabError(f"swarm: the engine of {host.name} does not answer: {error}") from error
    said = answer.json() if answer.content else {}
    if not answer.ok:
        raise LabError(f"swarm: {path} on {host.name}: the engine says: {said.get('message', answer.reason)}")
    return said if isinstance(said, dict) else {}
