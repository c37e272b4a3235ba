# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Privileges: what a plugin asks for, and what the operator has approved. Pure."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Union

from ansible_collections.voltainer.volumes.plugins.module_utils._errors import InvalidInputError, RefusedError
from ansible_collections.voltainer.volumes.plugins.module_utils._settings import settable

ALL = "all"

_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9/_.-]*(?: [A-Za-z0-9/_.-]+)*\Z")
_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})

_SHAPE = (
    "Write a list of {name, value} as the engine words them, for example [{name: network, value: [host]}], or 'all'"
)


@dataclass(frozen=True)
class Privilege:
    """One privilege as the engine words it: a name (network, mount, device, capabilities, ...) and its values."""

    name: str
    value: tuple[str, ...]

    def as_result(self) -> dict[str, Any]:
        """Return the privilege in the engine's words, as the option `privileges` takes it."""
        return {"name": self.name, "value": list(self.value)}


# What the operator approves: these, or "all"; None is unspecified.
Approved = Union[tuple[Privilege, ...], str, None]


def parse_approved(value: Any) -> Approved:
    """Return the option `privileges`, parsed. Raises InvalidInputError."""
    if value is None or value == ALL:
        return value  # type: ignore[no-any-return]  # None or the word "all", as compared
    if not isinstance(value, list):
        raise InvalidInputError("The option 'privileges' is invalid", f"it is {type(value).__name__}, no list", _SHAPE)
    return tuple(_parse_one(index, item) for index, item in enumerate(value))


def from_engine(offered: Iterable[Mapping[str, Any]]) -> tuple[Privilege, ...]:
    """Return the engine's answer to `GET /plugins/privileges`, parsed; the order is kept."""
    return tuple(Privilege(item["Name"], tuple(item.get("Value") or ())) for item in offered)


def from_config(
    config: Mapping[str, Any], *, fixed_only: bool = False, sources: Mapping[str, str] | None = None
) -> tuple[Privilege, ...]:
    """Return what an installed plugin has, from `Config` of its inspect, in the engine's words and order.

    `fixed_only` leaves out mounts and devices whose source can be set: theirs is what was set, not what was asked for.
    That is in `sources`, by the keys of settings, where it is known.
    """
    linux = config.get("Linux") or {}
    network = (config.get("Network") or {}).get("Type") or ""
    found = [Privilege("network", (network,))] if network not in {"", "null", "bridge"} else []
    found += [
        Privilege(f"host {one} namespace", ("true",)) for one in ("ipc", "pid") if config.get(f"{one.title()}Host")
    ]
    places = [("mount", "source", config.get("Mounts")), ("device", "path", linux.get("Devices"))]
    for name, field, items in places:
        for item in items or ():
            if item.get(field.title()) is not None and not (fixed_only and settable(item, field)):
                asked = (sources or {}).get(f"{item.get('Name')}.{field}", item[field.title()])
                found.append(Privilege(name, (asked,)))
    if linux.get("AllowAllDevices"):
        found.append(Privilege("allow-all-devices", ("true",)))
    if linux.get("Capabilities"):
        found.append(Privilege("capabilities", tuple(linux["Capabilities"])))
    return tuple(found)


def unapproved(asked: Iterable[Privilege], approved: Approved) -> tuple[Privilege, ...]:
    """Return what is asked for beyond what is approved, in the order asked.

    Compared as multisets of single values: `mount: [/dev]` and `mount: [/sys]` are one `mount: [/dev, /sys]`.
    """
    if approved == ALL:
        return ()
    left = _count(approved if isinstance(approved, tuple) else ())
    beyond = []
    for privilege in asked:
        missing = tuple(value for value in _values(privilege) if not _take(left, (privilege.name, value)))
        if missing:
            beyond.append(Privilege(privilege.name, tuple(value for value in missing if value is not None)))
    return tuple(beyond)


def unasked(asked: Iterable[Privilege], approved: Approved) -> tuple[Privilege, ...]:
    """Return what is approved and not asked for."""
    return unapproved(approved, tuple(asked)) if isinstance(approved, tuple) else ()


def not_approved(what: str, asked: tuple[Privilege, ...], approved: Approved, *, pulled: bool = False) -> RefusedError:
    """Return the error for a plugin that asks for more than was approved; its text can be pasted into the task.

    `pulled` says that it turned out only from what had been pulled.
    """
    beyond = unapproved(asked, approved)
    return RefusedError(
        what,
        "it asks for privileges that were not approved, "
        + ("and that the registry did not tell of before the pull" if pulled else "and nothing was pulled")
        + f":\n{as_yaml(beyond)}",
        f"If the plugin may have all that it asks for, approve it by\nprivileges:\n{as_yaml(asked)}",
        privileges=[privilege.as_result() for privilege in asked],
        privileges_not_approved=[privilege.as_result() for privilege in beyond],
    )


def as_yaml(privileges: Iterable[Privilege]) -> str:
    """Return YAML for people to read and paste, a line a privilege."""
    return "\n".join(
        f"  - {{name: {_quoted(one.name)}, value: [{', '.join(_quoted(v) for v in one.value)}]}}" for one in privileges
    )


def _parse_one(index: int, item: Any) -> Privilege:
    what = f"The item {index + 1} of the option 'privileges' is invalid"
    if not isinstance(item, Mapping):
        raise InvalidInputError(what, f"it is {type(item).__name__}, no mapping", _SHAPE)
    # What the engine itself printed may be pasted: its keys are Name, Description, Value.
    keys = {str(key).lower(): value for key, value in item.items()}
    unknown = set(keys) - {"name", "value", "description"}
    if unknown or not keys.get("name"):
        why = f"it has the unknown key(s) {', '.join(sorted(unknown))}" if unknown else "it has no 'name'"
        raise InvalidInputError(what, why, _SHAPE)
    value = keys.get("value")
    values = value if isinstance(value, list) else [] if value is None else [value]
    if any(isinstance(one, (list, dict)) or one is None for one in values):
        raise InvalidInputError(what, "its 'value' is no list of strings", _SHAPE)
    return Privilege(str(keys["name"]), tuple(_word(one) for one in values))


def _word(value: Any) -> str:
    # The engine words allow-all-devices with the value "true", which YAML reads as a boolean.
    return str(value).lower() if isinstance(value, bool) else str(value)


def _quoted(value: str) -> str:
    # What YAML could take for something else than text is written as JSON, which is YAML, too.
    plain = _PLAIN.match(value) and value.lower() not in _WORDS
    return value if plain else json.dumps(value)


def _values(privilege: Privilege) -> tuple[str | None, ...]:
    # vieux/sshfs asks for a mount whose source is empty: the engine words it [""], its client shows [].
    return tuple(value for value in privilege.value if value) or (None,)


def _count(privileges: Iterable[Privilege]) -> Counter[tuple[str, str | None]]:
    return Counter((one.name, value) for one in privileges for value in _values(one))


def _take(left: Counter[tuple[str, str | None]], key: tuple[str, str | None]) -> bool:
    if left[key] <= 0:
        return False
    left[key] -= 1
    return True
