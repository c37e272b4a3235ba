# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How an archive is compressed and encrypted, and the programs that do both and undo them. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ansible_collections.voltainer.volumes.plugins.module_utils._errors import InvalidInputError, VolumesError

Compression = Literal["none", "gzip", "zstd", "bzip2", "xz"]
Encryption = Literal["none", "age", "gpg"]

# How many bytes of its start tell what an archive is: one header of tar.
HEAD = 512

# The Debian packages of the programs.
PACKAGES: Mapping[str, str] = {
    "age": "age",
    "bzip2": "bzip2",
    "gpg": "gnupg",
    "gzip": "gzip",
    "restic": "restic",
    "xz": "xz-utils",
    "zstd": "zstd",
}

_PROGRAMS: Mapping[Compression, str] = {"gzip": "gzip", "zstd": "zstd", "bzip2": "bzip2", "xz": "xz"}
_LEVELS: Mapping[Compression, tuple[int, int, int]] = {"gzip": (1, 9, 6), "zstd": (1, 19, 3)}
_COMPRESSED: Sequence[tuple[bytes, Compression]] = (
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
)
_ENCRYPTED: Sequence[tuple[bytes, Encryption]] = (
    (b"age-encryption.org/v1", "age"),
    (b"-----BEGIN AGE ENCRYPTED FILE-----", "age"),
    (b"-----BEGIN PGP MESSAGE-----", "gpg"),
)
# The ends of names, without that of the encryption.
_ENDINGS: Mapping[str, Compression] = {
    ".tar": "none",
    ".tar.gz": "gzip",
    ".tgz": "gzip",
    ".tar.zst": "zstd",
    ".tzst": "zstd",
    ".tar.bz2": "bzip2",
    ".tbz2": "bzip2",
    ".tar.xz": "xz",
    ".txz": "xz",
}
_ENCRYPTED_ENDING = re.compile(r"\.(?:age|gpg|pgp|asc)\Z", re.IGNORECASE)
# Packets that a PGP message begins with (RFC 9580): encrypted session keys, and encrypted data itself.
_PGP_PACKETS = frozenset({1, 3, 9, 18, 20})
_PGP_PACKET, _PGP_NEW_FORMAT = 0x80, 0x40
# In a header of tar: where its checksum stands, as an octal number.
_CHECKSUM = slice(148, 156)

# A public key of age, of an age plugin, or of ssh.
_AGE_RECIPIENT = re.compile(r"age1[a-z0-9]+\Z|ssh-(?:rsa|ed25519) [A-Za-z0-9+/=]+(?: [^\n\r]*)?\Z")
_SECRET_KEY = re.compile(r"AGE-(?:PLUGIN-[A-Z0-9-]+|SECRET-KEY)-|-----BEGIN|PRIVATE KEY", re.IGNORECASE)


@dataclass(frozen=True)
class ArchiveKind:
    """How an archive is compressed, and encrypted after that; what is None is only known once it is decrypted."""

    compression: Compression | None
    encryption: Encryption = "none"

    @property
    def programs(self) -> tuple[str, ...]:
        """The programs that are needed to read it."""
        wanted = (None if self.encryption == "none" else self.encryption, _PROGRAMS.get(self.compression or "none"))
        return tuple(program for program in wanted if program)


def archive_kind(first_bytes: bytes, name: str) -> ArchiveKind:
    """Return what an archive is, by its first `HEAD` bytes; its name only tells what is inside of an encrypted one.

    Raises VolumesError for what is no archive that can be read here.
    """
    encryption = _encryption(first_bytes)
    if encryption != "none":
        return ArchiveKind(_named_compression(name), encryption)
    compression = next((one for magic, one in _COMPRESSED if first_bytes.startswith(magic)), None)
    if compression is None and _is_tar(first_bytes):
        compression = "none"
    if compression is None:
        why = "it is neither a tar archive, plain or compressed by gzip, zstd, bzip2 or xz, nor encrypted by age or gpg"
        raise VolumesError(
            f"Cannot read the archive '{name}'",
            why if first_bytes else "it is empty",
            "Give the archive of a backup; where it was copied here, copy it again",
        )
    return ArchiveKind(compression)


def decompress_command(kind: ArchiveKind) -> list[str] | None:
    """Return the command that decompresses from stdin to stdout; None where the archive is not compressed."""
    program = _PROGRAMS.get(kind.compression or "none")
    return [program, "-d", "-q", "-c"] if program else None


def compress_command(compression: Compression, level: int, threads: int) -> list[str] | None:
    """Return the command that compresses from stdin to stdout, or None for no compression.

    `threads` is for zstd, where 0 is one for each core; gzip has one.
    """
    if compression == "none":
        return None
    program = _PROGRAMS[compression]
    # Of gzip no time: two archives of the same data are the same.
    own = [f"-T{threads}"] if compression == "zstd" else ["-n"]
    return [program, "-q", "-c", f"-{level}", *own]


def encrypt_command(encryption: Encryption, recipients: Sequence[str]) -> list[str] | None:
    """Return the command that encrypts from stdin to stdout for the recipients, or None for no encryption."""
    given = [part for recipient in recipients for part in ("-r", recipient)]
    if encryption == "age":
        return ["age", *given, "-o", "-"]
    if encryption == "gpg":
        # A key counts because the task names it, not because somebody signed it. What is compressed stays as it is.
        start = ["gpg", "--batch", "--no-tty", "--quiet", "--trust-model", "always", "--compress-algo", "none"]
        return [*start, *given, "--encrypt", "-o", "-"]
    return None


def decrypt_command(encryption: Encryption, identity_file: str | None) -> list[str] | None:
    """Return the command that decrypts from stdin to stdout, or None for no encryption.

    age reads the secret key from `identity_file`, gpg takes it from the keyring. Raises InvalidInputError without one.
    """
    if encryption == "age":
        if not identity_file:
            raise InvalidInputError(
                "Cannot decrypt the archive",
                "it is encrypted by age, and the option 'identity_file' is missing",
                "Give the file on the host that has the secret key",
            )
        return ["age", "-d", "-i", identity_file]
    return ["gpg", "--batch", "--no-tty", "--quiet", "--decrypt"] if encryption == "gpg" else None


def checked_level(compression: Compression, level: int | None) -> int:
    """Return the level, or the default of the compression. Raises InvalidInputError for one that it does not have."""
    if compression not in _LEVELS:
        return 0
    lowest, highest, default = _LEVELS[compression]
    if level is None:
        return default
    if not lowest <= level <= highest:
        raise InvalidInputError(
            f"The option 'level' has the invalid value {level}",
            f"{compression} has the levels {lowest} to {highest}",
            f"Give one of these, or leave it out for {default}",
        )
    return level


def check_recipient(encryption: Encryption, recipient: str) -> None:
    """Raise InvalidInputError for a recipient that the program would not take for one. A secret key is not shown."""
    option = "The option 'recipients' has"
    if _SECRET_KEY.search(recipient):
        raise InvalidInputError(
            f"{option} a secret key",
            "backups are encrypted with public keys, and a secret one is not needed to make them",
            "Give the public key; and replace the secret one, since others may have read it in this playbook",
        )
    if not recipient.strip() or recipient.startswith("-") or not recipient.isprintable():
        raise InvalidInputError(
            f"{option} the invalid value {recipient!r}",
            f"{encryption} would not take it for a recipient",
            _way(encryption),
        )
    if encryption == "age" and not _AGE_RECIPIENT.match(recipient):
        raise InvalidInputError(f"{option} the invalid value {recipient!r}", "it is no public key of age", _way("age"))


def _way(encryption: Encryption) -> str:
    if encryption == "age":
        return "Give public keys as age-keygen prints them (age1...), or those of ssh (ssh-ed25519 ..., ssh-rsa ...)"
    return "Give fingerprints, or other IDs of keys in the keyring of the user who runs the task"


def _encryption(first_bytes: bytes) -> Encryption:
    for magic, encryption in _ENCRYPTED:
        if first_bytes.startswith(magic):
            return encryption
    if not first_bytes or not first_bytes[0] & _PGP_PACKET:
        return "none"
    new = first_bytes[0] & _PGP_NEW_FORMAT
    packet = first_bytes[0] & 0x3F if new else (first_bytes[0] & 0x3C) >> 2
    return "gpg" if packet in _PGP_PACKETS else "none"


def _named_compression(name: str) -> Compression | None:
    inner = _ENCRYPTED_ENDING.sub("", name).lower()
    return next((one for ending, one in _ENDINGS.items() if inner.endswith(ending)), None)


def _is_tar(first_bytes: bytes) -> bool:
    header = first_bytes[:HEAD]
    if len(header) < HEAD:
        return False
    # An archive without entries is nothing but zeros.
    if not any(header):
        return True
    try:
        said = int(header[_CHECKSUM].strip(b" \0"), 8)
    except ValueError:
        return False
    blank = header[: _CHECKSUM.start] + b" " * 8 + header[_CHECKSUM.stop :]
    return said == sum(blank)
