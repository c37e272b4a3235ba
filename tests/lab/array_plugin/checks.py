# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the array simulator takes and what it refuses: its configuration, and a volume's options. Nothing here acts."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DEFAULT_SIZE = 1024**3
SMALLEST_SIZE = 1024**2
_LARGEST_SIZE = 4 * 1024**5
_BLOCK = 4096
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([KMGTP]?)(I?B)?", re.IGNORECASE)
_OPTIONS = ("size", "source", "import_from_src")
_NFS = ("NFSEndPoint", "NfsEndPoint")


class ArrayError(Exception):
    """What a caller is told."""


@dataclass(frozen=True)
class Wish:
    """A volume as its creator wants it."""

    size: int = DEFAULT_SIZE
    source: str = ""
    import_from: str = ""


def parse_size(text: str) -> int:
    """Return a size in bytes, whole blocks: 25GB counts in thousands, 25GiB and 25G in units of 1024."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ArrayError(f"size {text!r}: a number with a unit is needed, such as 25GB or 512MiB")
    number, prefix, suffix = found.groups(default="")
    base = 1000 if prefix and suffix.upper() == "B" else 1024
    size = int(float(number) * base ** " KMGTP".index(prefix.upper() or " "))
    if not SMALLEST_SIZE <= size <= _LARGEST_SIZE:
        raise ArrayError(f"size {text!r}: must be between 1MiB and 4PiB")
    return -(-size // _BLOCK) * _BLOCK


def check_options(options: Mapping[str, str]) -> Wish:
    """Read a volume's options."""
    unknown = sorted(set(options) - set(_OPTIONS))
    if unknown:
        raise ArrayError(f"unknown volume option {', '.join(unknown)}: there are {', '.join(_OPTIONS)}")
    origins = [name for name in ("source", "import_from_src") if name in options]
    empty = [name for name in origins if not options[name]]
    if empty:
        raise ArrayError(f"volume option {empty[0]} is empty: it takes a volume's name")
    if len(origins) > 1:
        raise ArrayError("volume options source and import_from_src exclude each other")
    if origins and "size" in options:
        raise ArrayError(f"volume options size and {origins[0]} exclude each other: the origin decides on the size")
    size = parse_size(options["size"]) if "size" in options else DEFAULT_SIZE
    return Wish(size, options.get("source", ""), options.get("import_from_src", ""))


def check_config(text: str) -> list[str]:
    """Return what is wrong with the text of a pure.json. The text holds secrets, so no value of it is repeated."""
    try:
        config = json.loads(text)
    except ValueError as error:
        return [f"is not JSON: {error}"]
    if not isinstance(config, dict):
        return ["must be a JSON object"]
    if not any(config.get(kind) for kind in ("FlashArrays", "FlashBlades")):
        return ["names neither FlashArrays nor FlashBlades"]
    problems = _check_arrays("FlashArrays", config.get("FlashArrays"))
    return problems + _check_arrays("FlashBlades", config.get("FlashBlades"))


def _check_arrays(kind: str, arrays: Any) -> list[str]:
    if arrays is None:
        return []
    if not isinstance(arrays, list):
        return [f"{kind} must be a list"]
    return [problem for index, array in enumerate(arrays) for problem in _check_array(f"{kind}[{index}]", kind, array)]


def _check_array(where: str, kind: str, array: Any) -> list[str]:
    if not isinstance(array, dict):
        return [f"{where} must be an object"]
    problems = [f"{where} has no {key}" for key in ("MgmtEndPoint", "APIToken") if not _is_text(array.get(key))]
    if kind == "FlashBlades" and not any(_is_text(array.get(key)) for key in _NFS):
        problems.append(f"{where} has no {_NFS[0]}")
    return problems


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""
