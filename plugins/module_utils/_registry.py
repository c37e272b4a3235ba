# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a registry is asked with, and what comes of a pull. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from ansible_collections.voltainer.volumes.plugins.module_utils._errors import InvalidInputError


@dataclass(frozen=True)
class Login:
    """Who logs in to a registry."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Pulled:
    """What a pull told: the digest of the manifest, and its progress, a line for each new state of a layer."""

    digest: str | None = None
    log: tuple[str, ...] = ()


def parse_login(username: str | None, password: str | None) -> Login | None:
    """Return the login that the options give, or None. Raises InvalidInputError for half a login."""
    if not username and not password:
        return None
    if not username or not password:
        given, missing = ("username", "password") if username else ("password", "username")
        raise InvalidInputError(
            f"The option 'registry_{given}' is given without 'registry_{missing}'",
            "a registry asks for both",
            "Give both, or neither: then the 'docker login' of the task's user counts",
        )
    return Login(username, password)
