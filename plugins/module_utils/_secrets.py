# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is secret in options and settings, and how it is hidden. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

MASK = "********"
# Shorter words of a secret are in any text.
_SHORTEST_WORD = 4

# Names that say of themselves that their value is a secret. Paths and switches whose name merely contains "key" or
# "pass" (keyring, passthrough) must stay readable, therefore the word boundaries.
_SECRET_NAME = re.compile(
    r"secret|token|passw|passphrase|credential|api[-_.]?key|access[-_.]?key|private[-_.]?key|key[-_.]?pem"
    r"|(?<![a-z])pass(?![a-z])",
    re.IGNORECASE,
)
# What the engine lets one put after the name of a setting: of a variable or the arguments, of a mount, of a device.
_SETTING_FIELD = re.compile(r"\.(?:value|source|path)\Z")
# The `o` option of the local driver carries mount(8) options; those of cifs hold the password, in which a comma is
# written twice, and those of ceph the secret.
_MOUNT_OPTIONS = "o"
_MOUNT_PASSWORD = re.compile(r"(?<![^,])((?:pass(?:word2?)?|secret)=)((?:[^,]|,,)*)", re.IGNORECASE)
_PORT = re.compile(r"[0-9]*\Z")
# Parameters in an address, as of rclone (:sftp,pass=x:path) and in a query.
_PARAMETER = re.compile(r"[,?&;]([A-Za-z0-9_.-]+)=([^,?&;:]+)")


def secret_keys(values: Mapping[str, object], listed: Iterable[str] = ()) -> frozenset[str]:
    """Return the keys of `values` that are secret: those in `listed`, and those whose name says so.

    A setting of a plugin is the same with its field and without (`DEBUG` and `DEBUG.value`), whichever is listed.
    """
    named = {_SETTING_FIELD.sub("", name) for name in listed}
    return frozenset(key for key in values if _SETTING_FIELD.sub("", key) in named or _SECRET_NAME.search(key))


def secret_values(values: Mapping[str, object], listed: Iterable[str] = ()) -> frozenset[str]:
    """Return the secrets in `values` themselves, as strings: whole values, and passwords inside mount options."""
    keys = secret_keys(values, listed)
    found = set(leaves([values[key] for key in keys]))
    if _MOUNT_OPTIONS in values and _MOUNT_OPTIONS not in keys:
        found |= {match.group(2) for match in _MOUNT_PASSWORD.finditer(str(values[_MOUNT_OPTIONS]))}
    return frozenset(found - {""})


def address_secrets(address: str) -> frozenset[str]:
    """Return the passwords that stand in an address: before the host, and in parameters whose names say so."""
    _scheme, _slashes, rest = address.partition("//")
    authority = rest.partition("/")[0]
    # Who does not know that a slash is to be written as %2F has it in the password.
    user_info = (authority if "@" in authority else rest).rpartition("@")[0]
    name, _colon, password = user_info.partition(":")
    no_port = "@" in authority or not _PORT.match(authority.rpartition(":")[2])
    before = {password} if "/" not in name and not name.startswith("[") and no_port else set()
    inside = {value for key, value in _PARAMETER.findall(address) if _SECRET_NAME.search(key)}
    return frozenset((before | inside) - {""})


def leaves(value: object) -> Iterator[str]:
    """Yield, as strings, the single values in a value of any depth; None has none."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for one in value:
            yield from leaves(one)
    elif value is not None:
        yield str(value)


def hide(text: str, secrets: Iterable[str]) -> str:
    """Return `text` without the secrets, and without their words: a key of several lines is spoken of line by line."""
    secrets = {secret for secret in secrets if secret}
    pieces = secrets | {word for secret in secrets for word in secret.split() if len(word) >= _SHORTEST_WORD}
    for piece in sorted(pieces, key=len, reverse=True):
        text = text.replace(piece, MASK)
    return text


def mask_value(key: str, value: str, secret: bool) -> str:
    """Return `value` as it may be shown; an empty value is no secret, and telling it from a set one helps."""
    if secret:
        return MASK if value else value
    return _MOUNT_PASSWORD.sub(rf"\g<1>{MASK}", value) if key == _MOUNT_OPTIONS else value


def mask(values: Mapping[str, str], listed: Iterable[str] = ()) -> dict[str, str]:
    """Return a copy of `values` that may be shown to anybody."""
    keys = secret_keys(values, listed)
    return {key: mask_value(key, value, key in keys) for key, value in values.items()}
