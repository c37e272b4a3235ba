# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fill a folder with files as volumes have them.

python3 - large FOLDER BYTES      files of up to 100 MiB, so many bytes together
python3 - small FOLDER FILES      so many files of 1 to 8 KiB, 100 in a folder

Half of all is lines of words, which compress to about a third, the other half is random: each second file of `small`,
each second MiB of `large`. It is the same each time.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

MIB = 1 << 20
LARGEST = 100 * MIB
SMALLEST_FILE, LARGEST_FILE, IN_FOLDER = 1 << 10, 8 << 10, 100
LETTERS = "etaoinshrdlucmfwypvbgkjqxz0123456789"
# More text than zstd looks back.
WORDS, TEXT = 5_000, 16 * MIB


def text(rng: random.Random) -> bytes:
    """Return lines of words, few of which are frequent, as in most languages and logs."""
    words = ["".join(rng.choices(LETTERS, k=rng.randint(2, 12))) for _word in range(WORDS)]
    weights = [1 / (number + 1) for number in range(WORDS)]
    parts: list[str] = []
    size = 0
    while size < TEXT:
        parts.append(f"{rng.random()} {' '.join(rng.choices(words, weights, k=200))}\n")
        size += len(parts[-1])
    return "".join(parts).encode()[:TEXT]


def piece(size: int, number: int, rng: random.Random, words: bytes) -> bytes:
    """Return so many bytes, of text or random ones in turn."""
    start = rng.randrange(len(words) - size + 1)
    return words[start : start + size] if number % 2 else rng.randbytes(size)


def large(folder: Path, size: int, rng: random.Random, words: bytes) -> None:
    """Make few large files."""
    for number, begin in enumerate(range(0, size, LARGEST)):
        with (folder / f"file-{number}").open("wb") as stream:
            for place in range(begin, min(begin + LARGEST, size), MIB):
                stream.write(piece(min(MIB, size - place), place // MIB, rng, words))


def small(folder: Path, files: int, rng: random.Random, words: bytes) -> None:
    """Make many small files."""
    for number in range(files):
        inside = folder / f"folder-{number // IN_FOLDER:04}"
        inside.mkdir(exist_ok=True)
        (inside / f"file-{number}").write_bytes(piece(rng.randint(SMALLEST_FILE, LARGEST_FILE), number, rng, words))


def main() -> None:
    """Do what the command line asks for."""
    kind, folder, count = sys.argv[1:]
    rng = random.Random(1)  # noqa: S311 - no secret
    {"large": large, "small": small}[kind](Path(folder), int(count), rng, text(rng))


if __name__ == "__main__":
    main()
