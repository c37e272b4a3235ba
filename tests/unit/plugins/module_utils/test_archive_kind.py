# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import os
import shutil
import subprocess
import tarfile

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils._archive_kind import (
    HEAD,
    ArchiveKind,
    archive_kind,
    check_recipient,
    checked_level,
    compress_command,
    decompress_command,
    decrypt_command,
    encrypt_command,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import InvalidInputError, VolumesError
from hypothesis import given
from hypothesis import strategies as st

AGE_KEY = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"


def tar_of(*names, kind=tarfile.PAX_FORMAT):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=kind) as archive:
        for name in names:
            archive.addfile(tarfile.TarInfo(name))
    return out.getvalue()


PLAIN = tar_of("a")


@pytest.mark.parametrize(
    ("data", "name", "compression", "encryption"),
    [
        (PLAIN, "a.tar", "none", "none"),
        (PLAIN, "wrong.tar.zst", "none", "none"),
        (tar_of("a", kind=tarfile.USTAR_FORMAT), "a", "none", "none"),
        (tar_of("a", kind=tarfile.GNU_FORMAT), "a", "none", "none"),
        (tar_of(), "empty.tar", "none", "none"),
        (gzip.compress(PLAIN), "a.tgz", "gzip", "none"),
        (gzip.compress(PLAIN), "a.tar", "gzip", "none"),
        (bz2.compress(PLAIN), "a", "bzip2", "none"),
        (lzma.compress(PLAIN), "a", "xz", "none"),
        (b"\x28\xb5\x2f\xfd" + b"x" * 600, "a.tar.zst", "zstd", "none"),
        (b"age-encryption.org/v1\n-> X25519 ", "a.tar.zst.age", "zstd", "age"),
        (b"age-encryption.org/v1\n-> X25519 ", "a.tar.age", "none", "age"),
        (b"age-encryption.org/v1\n-> X25519 ", "something", None, "age"),
        (b"-----BEGIN AGE ENCRYPTED FILE-----\n", "a.TGZ.AGE", "gzip", "age"),
        (b"-----BEGIN PGP MESSAGE-----\n", "a.tar.bz2.asc", "bzip2", "gpg"),
        (b"\x85\x01\x0c\x03", "a.tar.xz.gpg", "xz", "gpg"),  # encrypted session key, old format
        (b"\xc1\xc0L\x03", "backup.tar.gz.gpg", "gzip", "gpg"),  # the same, new format
        (b"\x8c\r\x04\t", "backup.tar.gz.gpg", "gzip", "gpg"),  # by a passphrase
        (b"\xd2\xc1", "a", None, "gpg"),
    ],
)
def test_what_an_archive_is(data, name, compression, encryption):
    assert archive_kind(data[:HEAD], name) == ArchiveKind(compression, encryption)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "it is empty"),
        (b"x", "neither a tar archive"),
        (b"PK\x03\x04" + b"\0" * 600, "neither a tar archive"),
        (b"\0" * 100, "neither a tar archive"),
        (PLAIN[:500], "neither a tar archive"),
        (b"b" + PLAIN[1:], "neither a tar archive"),
        (b"\x99\x01\x0d\x04" + b"\0" * 600, "neither a tar archive"),  # a public key of gpg
    ],
)
def test_what_is_no_archive(data, words):
    with pytest.raises(VolumesError, match=words) as caught:
        archive_kind(data[:HEAD], "a.tar")
    assert "Cannot read the archive 'a.tar'" in str(caught.value)


@given(st.binary(max_size=HEAD), st.text(max_size=20))
def test_any_bytes_are_an_archive_or_an_error(data, name):
    with contextlib.suppress(VolumesError):
        assert isinstance(archive_kind(data, name), ArchiveKind)


@pytest.mark.parametrize(
    ("kind", "programs", "decompress"),
    [
        (ArchiveKind("none"), (), None),
        (ArchiveKind("gzip"), ("gzip",), ["gzip", "-d", "-q", "-c"]),
        (ArchiveKind("zstd", "age"), ("age", "zstd"), ["zstd", "-d", "-q", "-c"]),
        (ArchiveKind("bzip2", "gpg"), ("gpg", "bzip2"), ["bzip2", "-d", "-q", "-c"]),
        (ArchiveKind("xz"), ("xz",), ["xz", "-d", "-q", "-c"]),
        (ArchiveKind(None, "gpg"), ("gpg",), None),
    ],
)
def test_what_is_needed_to_read_it(kind, programs, decompress):
    assert (kind.programs, decompress_command(kind)) == (programs, decompress)


@pytest.mark.parametrize(
    ("compression", "level", "threads", "command"),
    [
        ("none", 0, 0, None),
        ("zstd", 3, 0, ["zstd", "-q", "-c", "-3", "-T0"]),
        ("zstd", 19, 2, ["zstd", "-q", "-c", "-19", "-T2"]),
        ("gzip", 6, 8, ["gzip", "-q", "-c", "-6", "-n"]),
    ],
)
def test_compression(compression, level, threads, command):
    assert compress_command(compression, level, threads) == command


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_the_programs_take_these_commands(compression):
    command = compress_command(compression, 1, 0)
    if not shutil.which(command[0]):
        pytest.skip(f"{command[0]} is not installed")
    packed = subprocess.run(command, input=PLAIN, capture_output=True, check=True).stdout
    kind = archive_kind(packed[:HEAD], "")
    assert kind == ArchiveKind(compression)
    assert subprocess.run(decompress_command(kind), input=packed, capture_output=True, check=True).stdout == PLAIN


@pytest.mark.parametrize(
    ("compression", "level", "result"),
    [
        ("none", None, 0),
        ("none", 99, 0),
        ("zstd", None, 3),
        ("zstd", 1, 1),
        ("zstd", 19, 19),
        ("zstd", 0, "zstd has the levels 1 to 19"),
        ("zstd", 20, "zstd has the levels 1 to 19"),
        ("gzip", None, 6),
        ("gzip", 9, 9),
        ("gzip", 10, "gzip has the levels 1 to 9"),
    ],
)
def test_levels(compression, level, result):
    if isinstance(result, int):
        assert checked_level(compression, level) == result
    else:
        with pytest.raises(InvalidInputError, match=result):
            checked_level(compression, level)


@pytest.mark.parametrize(
    ("encryption", "recipient"),
    [
        ("age", AGE_KEY),
        ("age", "age1yubikey1q2w7u3vpya839jxxuq8g0sedh3d740d4xvn639sqhr95ejj8vu3hyfumptt"),
        ("age", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExample backup@example.com"),
        ("age", "ssh-rsa AAAAB3NzaC1yc2E="),
        ("gpg", "0123456789ABCDEF0123456789ABCDEF01234567"),
        ("gpg", "Backup <backup@example.com>"),
    ],
)
def test_recipients(encryption, recipient):
    check_recipient(encryption, recipient)
    command = encrypt_command(encryption, [recipient, recipient])
    assert [command[at + 1] for at, part in enumerate(command) if part == "-r"] == [recipient, recipient]
    assert command[-2:] == ["-o", "-"]


@pytest.mark.parametrize(
    ("encryption", "recipient", "words"),
    [
        ("age", "-o/etc/passwd", "invalid value '-o/etc/passwd'"),
        ("gpg", "--output=/etc/passwd", "would not take it for a recipient"),
        ("age", "", "invalid value ''"),
        ("gpg", "  ", "invalid value '  '"),
        ("gpg", "a\nb", "invalid value"),
        ("age", "backup@example.com", "no public key of age"),
        ("age", f"{AGE_KEY}\n", "invalid value"),
        ("age", "AGE1QQ", "no public key of age"),
        ("age", "ssh-dss AAAA", "no public key of age"),
    ],
)
def test_what_is_no_recipient(encryption, recipient, words):
    with pytest.raises(InvalidInputError, match=words):
        check_recipient(encryption, recipient)


@pytest.mark.parametrize(
    "secret",
    ["AGE-SECRET-KEY-1QQQQ", "age-secret-key-1qqqq", "AGE-PLUGIN-YUBIKEY-1QQ", "-----BEGIN PGP PRIVATE KEY BLOCK-----"],
)
@pytest.mark.parametrize("encryption", ["age", "gpg"])
def test_a_secret_key_is_refused_and_not_shown(encryption, secret):
    with pytest.raises(InvalidInputError, match="has a secret key") as caught:
        check_recipient(encryption, secret)
    assert secret not in str(caught.value)


def test_no_encryption_has_no_command():
    assert encrypt_command("none", []) is None
    assert decrypt_command("none", None) is None


def test_decryption_by_age_needs_the_secret_key():
    assert decrypt_command("age", "/root/key") == ["age", "-d", "-i", "/root/key"]
    with pytest.raises(InvalidInputError, match="'identity_file' is missing"):
        decrypt_command("age", None)


def test_age_takes_these_commands(tmp_path):
    if not (shutil.which("age") and shutil.which("age-keygen")):
        pytest.skip("age is not installed")
    key = tmp_path / "key"
    subprocess.run(["age-keygen", "-o", str(key)], capture_output=True, check=True)
    public = subprocess.run(["age-keygen", "-y", str(key)], capture_output=True, check=True, text=True).stdout.strip()
    check_recipient("age", public)
    sealed = subprocess.run(encrypt_command("age", [public]), input=PLAIN, capture_output=True, check=True).stdout
    assert archive_kind(sealed[:HEAD], "a.tar.age") == ArchiveKind("none", "age")
    opened = subprocess.run(decrypt_command("age", str(key)), input=sealed, capture_output=True, check=True).stdout
    assert opened == PLAIN


def test_gpg_takes_these_commands(tmp_path_factory):
    if not shutil.which("gpg"):
        pytest.skip("gpg is not installed")
    # Its agent's socket must have a short path.
    home = tmp_path_factory.mktemp("g")
    home.chmod(0o700)
    environment = {**os.environ, "GNUPGHOME": str(home)}

    def run(command, data=b""):
        return subprocess.run(command, input=data, capture_output=True, check=True, env=environment).stdout

    try:
        run(["gpg", "--batch", "--passphrase", "", "--quick-gen-key", "backup@example.com", "default", "default", "1d"])
        sealed = run(encrypt_command("gpg", ["backup@example.com"]), PLAIN)
        assert archive_kind(sealed[:HEAD], "a.tar.gpg") == ArchiveKind("none", "gpg")
        assert run(decrypt_command("gpg", None), sealed) == PLAIN
    finally:
        run(["gpgconf", "--kill", "all"])
