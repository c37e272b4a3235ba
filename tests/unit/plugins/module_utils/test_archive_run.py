# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives of folders, made and read by the host's own programs; damaged ones, and disks that get full."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
from contextlib import contextmanager

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils import _archive_run
from ansible_collections.voltainer.volumes.plugins.module_utils._archive_kind import ArchiveKind
from ansible_collections.voltainer.volumes.plugins.module_utils._archive_run import (
    Packing,
    check_recipients,
    entries_below,
    open_archive,
    pack,
    read_back,
    unpack,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._entry import Keeps
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import RefusedError, VolumesError
from ansible_collections.voltainer.volumes.plugins.module_utils._progress import Progress
from ansible_collections.voltainer.volumes.plugins.module_utils._tree import compare

from .trees import opened
from .volumes import folders

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can set owners, and mount")

PLAIN = [ArchiveKind("none"), ArchiveKind("gzip"), ArchiveKind("zstd")]
ENCRYPTED = [ArchiveKind("zstd", "age"), ArchiveKind("none", "age"), ArchiveKind("gzip", "gpg")]
PROGRESS = Progress(None)


def needs(kind):
    missing = [program for program in kind.programs if not shutil.which(program)]
    if missing:
        pytest.skip(f"{', '.join(missing)} is not installed")


@pytest.fixture
def source(tmp_path):
    place = tmp_path / "source"
    (place / "sub").mkdir(parents=True)
    (place / "file").write_bytes(os.urandom(300_000))
    (place / "sub" / "other").write_text("other")
    return place


@pytest.fixture
def target(tmp_path):
    place = tmp_path / "target"
    place.mkdir()
    return place


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """Return recipients and secret keys, made for these tests."""
    home = tmp_path_factory.mktemp("keys")
    found = {"none": ((), None)}
    if shutil.which("age-keygen"):
        subprocess.run(["age-keygen", "-o", home / "key.txt"], check=True, capture_output=True)
        public = subprocess.run(["age-keygen", "-y", home / "key.txt"], check=True, capture_output=True, text=True)
        found["age"] = ((public.stdout.strip(),), str(home / "key.txt"))
    if shutil.which("gpg"):
        home.chmod(0o700)
        options = ["--batch", "--passphrase", "", "--quick-gen-key", "backup@example.org", "default", "default"]
        subprocess.run(["gpg", "--homedir", home, *options], check=True, capture_output=True)
        found["gpg"] = (("backup@example.org",), None)
    yield found, home
    if shutil.which("gpgconf"):
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False)


@pytest.fixture
def secrets(keys, monkeypatch):
    monkeypatch.setenv("GNUPGHOME", str(keys[1]))
    return keys[0]


def packed(source, path, kind, recipients=(), verify=True):
    out = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with folders(a=source) as at:
            return pack(at, "a", out, Packing(kind, recipients=recipients, verify=verify), PROGRESS)
    finally:
        os.close(out)


@contextmanager
def archive(path):
    handle = open_archive(str(path))
    try:
        yield handle
    finally:
        os.close(handle)


def checked(path, kind, identity_file=None):
    with archive(path) as handle:
        return read_back(handle, kind, PROGRESS, identity_file=identity_file)


def unpacked(path, target, kind, **options):
    with archive(path) as handle, folders(b=target) as at:
        unpack(at, "b", handle, kind, **options)


def equal(one, other):
    with opened(one) as first, opened(other) as second:
        return compare(first, second, Keeps()) == []


@pytest.mark.parametrize(
    ("kind", "verify"), [(kind, True) for kind in (*PLAIN, *ENCRYPTED)] + [(ArchiveKind("zstd"), False)], ids=str
)
def test_what_is_packed_is_read_back_and_unpacked_as_it_was(shallow, tmp_path, secrets, kind, verify):
    needs(kind)
    target = tmp_path / "target"
    target.mkdir()
    recipients, identity = secrets[kind.encryption]
    made = packed(shallow, tmp_path / "archive", kind, recipients, verify)
    found = checked(tmp_path / "archive", kind, identity)
    content = (tmp_path / "archive").read_bytes()
    assert (found.sha256, found.size) == (hashlib.sha256(content).hexdigest(), len(content))
    assert made.sha256 in {None, found.sha256}
    assert made.digest is None or made.digest.hexdigest() == found.digest.hexdigest()
    # Where reading back does not tell it, packing does.
    blind = verify and kind.encryption == "none" and kind.compression != "none"
    assert (made.sha256 is None, made.digest is None) == (blind, blind)
    unpacked(tmp_path / "archive", target, kind, identity_file=identity)
    assert equal(shallow, target)


def test_entries_and_dangers_are_told(source, tmp_path):
    os.mknod(source / "disk", 0o60600, os.makedev(8, 0))
    (source / "out").symlink_to("/etc/passwd")
    packed(source, tmp_path / "archive", ArchiveKind("zstd"))
    seen = []
    with archive(tmp_path / "archive") as handle:
        found = read_back(handle, ArchiveKind("zstd"), PROGRESS, on_entry=seen.append)
    assert [entry.path for entry in seen] == [b"", b"disk", b"file", b"out", b"sub", b"sub/other"]
    assert [one.partition(":")[0] for one in found.devices] == ["'disk'"]
    assert [one.partition(":")[0] for one in found.dangers] == ["'out'"]


@pytest.mark.parametrize("kind", [*PLAIN, *ENCRYPTED], ids=str)
@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "half"])
def test_a_damaged_archive_is_found_out(source, tmp_path, secrets, kind, damage):
    needs(kind)
    recipients, identity = secrets[kind.encryption]
    path = tmp_path / "archive"
    packed(source, path, kind, recipients)
    good = checked(path, kind, identity)
    content = bytearray(path.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 1
    content = content[: {"cut": len(content) - 600, "empty": 0, "half": len(content) // 2}.get(damage, len(content))]
    path.write_bytes(content)
    if kind == ArchiveKind("none") and damage in {"flip", "cut"}:
        # Nothing but the digests tell, which a manifest has.
        found = checked(path, kind)
        assert found.sha256 != good.sha256
        assert damage == "cut" or found.digest.hexdigest() != good.digest.hexdigest()
        return
    with pytest.raises(VolumesError, match=r"Cannot read|damaged"):
        checked(path, kind, identity)


def test_the_wrong_key_is_told(source, tmp_path, secrets):
    needs(ENCRYPTED[0])
    packed(source, tmp_path / "archive", ENCRYPTED[0], secrets["age"][0])
    subprocess.run(["age-keygen", "-o", tmp_path / "other"], check=True, capture_output=True)
    with pytest.raises(VolumesError, match=r"age: .*no identity matched"):
        checked(tmp_path / "archive", ENCRYPTED[0], str(tmp_path / "other"))


def test_an_unknown_recipient_is_told(source, tmp_path, secrets):
    needs(ENCRYPTED[0])
    with pytest.raises(VolumesError, match=r"Cannot write the archive: age failed: .*recipient"):
        packed(source, tmp_path / "archive", ENCRYPTED[0], ("age1nonsense",))


@pytest.mark.parametrize("kind", [*PLAIN, *ENCRYPTED], ids=str)
def test_a_full_disk_is_told(source, tmp_path, secrets, kind):
    needs(kind)
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", place], check=True)
    try:
        with pytest.raises(VolumesError, match=r"Cannot write the archive: .*No space left on device"):
            packed(source, place / "archive", kind, secrets[kind.encryption][0])
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


@pytest.mark.parametrize("encryption", ["none", "age", "gpg"])
def test_recipients_are_tried_before(secrets, encryption):
    needs(ArchiveKind("none", encryption))
    check_recipients("a", Packing(ArchiveKind("zstd", encryption), recipients=secrets[encryption][0]))


@pytest.mark.parametrize(("encryption", "recipient"), [("age", "age1nonsense"), ("gpg", "A" * 40)])
def test_recipients_without_a_key_are_told_before(secrets, encryption, recipient):
    needs(ArchiveKind("none", encryption))
    packing = Packing(ArchiveKind("zstd", encryption), recipients=(*secrets[encryption][0], recipient))
    with pytest.raises(
        VolumesError, match=rf"Cannot encrypt the backup of the volume 'a': {encryption} failed: .*{recipient}"
    ):
        check_recipients("a", packing)


@pytest.mark.parametrize("kind", PLAIN, ids=str)
def test_what_files_with_holes_take_is_told_before_they_are_unpacked(source, tmp_path, kind):
    with open(source / "holes", "wb") as file:
        file.truncate(1 << 30)
    packed(source, tmp_path / "archive", kind)
    found = checked(tmp_path / "archive", kind)
    assert found.digest.bytes > 1 << 30
    assert found.unpacked < 1 << 24


@pytest.mark.parametrize("kind", PLAIN, ids=str)
def test_a_full_disk_is_told_when_unpacking(source, tmp_path, target, kind):
    packed(source, tmp_path / "archive", kind)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", target], check=True)
    try:
        with pytest.raises(
            VolumesError, match=r"Cannot unpack the archive into the volume 'b': tar failed: .*No space"
        ):
            unpacked(tmp_path / "archive", target, kind)
    finally:
        subprocess.run(["umount", "--lazy", target], check=True)


@pytest.mark.parametrize("kind", PLAIN, ids=str)
def test_an_archive_that_is_cut_off_is_told_when_unpacking(source, tmp_path, target, kind):
    path = tmp_path / "archive"
    packed(source, path, kind)
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(VolumesError, match="failed"):
        unpacked(path, target, kind)


@pytest.mark.parametrize("front", ["", "./", "/"])
def test_what_is_below_a_folder_is_unpacked_alone(source, tmp_path, target, front):
    os.link(source / "sub" / "other", source / "sub" / "same")
    change = ["--absolute-names", f"--transform=flags=rhS;s,^,{front},"]
    subprocess.run(["tar", "-C", source, "-cf", tmp_path / "archive", *change, "sub", "file"], check=True)
    unpacked(tmp_path / "archive", target, ArchiveKind("none"), prefix=b"sub")
    assert sorted(os.listdir(target)) == ["other", "same"]
    assert (target / "other").samefile(target / "same")
    with archive(tmp_path / "archive") as handle:
        entries = entries_below(handle, ArchiveKind("none"), prefix=b"sub")
        assert sorted((entry.path, entry.target) for entry in entries) == [(b"other", b""), (b"same", b"other")]


def test_names_that_begin_with_a_slash_are_in_the_volume_and_nowhere_else(source, tmp_path, target):
    change = ["--absolute-names", "--transform=flags=rhS;s,^,/,"]
    subprocess.run(["tar", "-C", source, "-cf", tmp_path / "archive", *change, "sub", "file"], check=True)
    seen = []
    with archive(tmp_path / "archive") as handle:
        found = read_back(handle, ArchiveKind("none"), PROGRESS, on_entry=seen.append)
    assert [entry.path for entry in seen] == [b"sub", b"sub/other", b"file"]
    assert found.dangers == []
    unpacked(tmp_path / "archive", target, ArchiveKind("none"))
    assert sorted(os.listdir(target)) == ["file", "sub"]


@pytest.mark.parametrize("name", ["backup/a", "a.c,k|u*p[x]$^\\/(s){2}+?", "-a b/\n"])
def test_the_volume_gets_the_status_of_the_folder_that_is_unpacked(tmp_path, target, name):
    folder = tmp_path / "tree" / name
    folder.mkdir(parents=True)
    (folder / "file").touch()
    os.link(folder / "file", folder / "same")
    (folder / "link").symlink_to(f"{name}/file")
    folder.chmod(0o2751)
    os.utime(folder, ns=(0, 1))
    subprocess.run(["tar", "-C", tmp_path / "tree", "--format=posix", "-cf", tmp_path / "archive", "."], check=True)
    unpacked(tmp_path / "archive", target, ArchiveKind("none"), prefix=os.fsencode(name))
    assert sorted(os.listdir(target)) == ["file", "link", "same"]
    assert (stat.S_IMODE(target.stat().st_mode), target.stat().st_mtime_ns) == (0o2751, 1)
    assert (target / "file").samefile(target / "same")
    assert os.readlink(target / "link") == f"{name}/file"


@pytest.mark.parametrize(("program", "kind"), [("zstd", ArchiveKind("zstd")), ("age", ArchiveKind("none", "age"))])
def test_a_program_that_is_missing_is_told_before_anything_is_written(source, tmp_path, monkeypatch, program, kind):
    monkeypatch.setattr(_archive_run, "find", lambda _name: None)
    with pytest.raises(RefusedError, match=f"{program} is missing on the host.*Install the package {program}"):
        packed(source, tmp_path / "archive", kind, ("x",))
    assert (tmp_path / "archive").read_bytes() == b""


@pytest.mark.parametrize(("name", "why"), [("none", "No such file"), ("folder", "it is no file"), ("fifo", "no file")])
def test_what_is_no_archive_is_not_opened(tmp_path, name, why):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(RefusedError, match=f"Cannot read the archive '{tmp_path}/{name}': .*{why}"):
        open_archive(str(tmp_path / name))


def test_a_volume_that_cannot_be_packed_is_told(source, tmp_path):
    for kind in PLAIN:
        with pytest.raises(VolumesError, match="Cannot pack the volume 'a': tar failed"):
            packed(source / "none", tmp_path / "archive", kind)
