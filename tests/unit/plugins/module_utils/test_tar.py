# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import contextlib
import io
import os
import random
import shutil
import subprocess
import tarfile

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils import _tar_header
from ansible_collections.voltainer.volumes.plugins.module_utils._digest import hash_of
from ansible_collections.voltainer.volumes.plugins.module_utils._entry import Entry, Keeps
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import VolumesError
from ansible_collections.voltainer.volumes.plugins.module_utils._tar import (
    PACK_OPTIONS,
    UNPACK_OPTIONS,
    DamagedArchiveError,
    dangers,
    read_tar,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._tar_header import (
    FormatError,
    parse_header,
    parse_records,
    parse_time,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._tree import strip, walk

from .trees import digest, listed, opened

NS = 1234567890123456789
END = bytes(1024)


@pytest.fixture
def folder(tmp_path):
    """Return a folder with what all archive formats can hold."""
    top = tmp_path / "folder"
    (top / "sub").mkdir(parents=True)
    (top / "file").write_bytes(b"content")
    (top / "sub" / "again").hardlink_to(top / "file")
    (top / "large").write_bytes(os.urandom(3 << 20))
    (top / "symlink").symlink_to("file")
    os.mkfifo(top / "fifo")
    for place in (*top.iterdir(), top / "sub" / "again", top):
        os.utime(place, (1234567890, 1234567890), follow_symlinks=False)
    return top


@pytest.fixture(scope="session")
def packed(shallow):
    """Return an archive of the tree with everything."""
    return pack(shallow)


def tar(*arguments, **options):
    return subprocess.run(["tar", *arguments], check=True, capture_output=True, **options).stdout


def pack(folder, *options):
    return tar(*(options or PACK_OPTIONS), "-C", folder, "-f", "-", ".")


def unpack(archive, folder):
    folder.mkdir()
    tar(*UNPACK_OPTIONS, "-C", folder, "-f", "-", input=archive)
    return folder


def read(archive, **options):
    return list(read_tar(io.BytesIO(archive), **options))


def walked(folder, **options):
    with opened(folder) as fd:
        return [entry for entry in walk(fd, **options) if entry.kind != "socket"]


def made(*members, end=END, **options):
    """Return an archive that Python's tarfile makes of members: a TarInfo, or one and its data."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", **options) as archive:
        for member in members:
            info, data = member if isinstance(member, tuple) else (member, b"")
            info.size = len(data) or info.size
            archive.addfile(info, io.BytesIO(data))
        length = archive.offset
    return file.getvalue()[:length] + end


def info(name, kind=tarfile.REGTYPE, **fields):
    member = tarfile.TarInfo(name)
    member.type = kind
    for field, value in fields.items():
        setattr(member, field, value)
    return member


def header(name=b"file", size=b"00000000000\0", kind=b"0", **fields):
    """Return a header block by its fields, with the right checksum. `rest` are its last bytes."""
    mtime, magic = fields.get("mtime", b"00000000001\0"), fields.get("magic", b"ustar\x0000")
    prefix, rest = fields.get("prefix", b""), fields.get("rest", b"")
    block = name.ljust(100, b"\0") + b"0000644\0" + b"0000001\0" + b"0000002\0" + size + mtime + b" " * 8 + kind
    block += bytes(100) + magic.ljust(8, b"\0") + bytes(80) + prefix
    return signed(block.ljust(512, b"\0")[: 512 - len(rest)] + rest)


def signed(block):
    return block[:148] + b"%06o\0 " % sum(block[:148] + b" " * 8 + block[156:]) + block[156:]


def pax(*records, kind=b"x", data=None):
    data = b"".join(record(*pair) for pair in records) if data is None else data
    return header(b"x", b"%011o\0" % len(data), kind) + padded(data)


def record(name, value):
    body = b" " + name + b"=" + value + b"\n"
    length = len(body) + len(str(len(body)))
    length += len(str(length)) - len(str(len(body)))
    return b"%d" % length + body


def padded(data):
    return data + bytes(-len(data) % 512)


class Pieces:
    """A stream that gives less than what is asked for, as a pipe does."""

    def __init__(self, data, seed=1):
        self.file = io.BytesIO(data)
        self.random = random.Random(seed)  # noqa: S311 - of no secret

    def read(self, size):
        return self.file.read(min(size, self.random.choice([1, 100, 511, 512, 513, 70000])))


def test_folder_archive_and_what_it_is_unpacked_to_are_equal(shallow, packed, tmp_path):
    """The law that all checks of archives rest on."""
    found = walked(shallow)
    assert read(packed) == found
    unpacked = unpack(packed, tmp_path / "unpacked")
    assert walked(unpacked)[1:] == found[1:]
    assert digest(found) == digest(read(packed)) == digest(walked(unpacked))
    assert listed(unpacked) == listed(shallow)
    without = Keeps(owner=False, xattrs=False, times_seconds=True, special=False, symlinks=False)
    assert digest(found, without) == digest(read(packed), without) != digest(found)


def test_what_is_unpacked_inherits_nothing_of_a_folder_that_was_stripped(shallow, packed, tmp_path):
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    given = os.getxattr(shallow / "xattrs" / "listed folder", "system.posix_acl_default")
    os.setxattr(unpacked, "system.posix_acl_default", given)
    os.setxattr(unpacked, "user.of before", b"x")
    with opened(unpacked) as fd:
        strip(fd)
    tar(*UNPACK_OPTIONS, "-C", unpacked, "-f", "-", input=packed)
    assert digest(walked(unpacked)) == digest(read(packed))


def test_attributes_of_selinux_are_no_part_of_archives(folder):
    """The option that leaves them out does so beside the one that takes all in; here with another attribute."""
    os.setxattr(folder / "file", "user.out", b"x")
    os.setxattr(folder / "file", "user.in", b"x")
    options = [option.replace("security.selinux", "user.out") for option in PACK_OPTIONS]
    assert {name for entry in read(pack(folder, *options)) for name, _value in entry.xattrs} == {b"user.in"}


def test_the_archive_of_paths_that_are_too_long_for_the_kernel(tortured):
    archive = pack(tortured)
    assert max(len(entry.path) for entry in read(archive)) > 4096
    assert read(archive) == walked(tortured)


def test_the_same_tree_makes_the_same_archive(shallow):
    without = [*PACK_OPTIONS, "--exclude=./sparse"]
    assert pack(shallow, *without) == pack(shallow, *without)


def test_without_links_each_name_is_a_file(shallow, packed):
    keeps = Keeps(links=False)
    found = read(packed, links=False)
    assert "link" not in {entry.kind for entry in found}
    assert found == walked(shallow, links=False)
    assert digest(found, keeps) == digest(walked(shallow, links=False), keeps)


def test_without_content_nothing_is_hashed(shallow, packed):
    assert read(packed, content=False) == walked(shallow, content=False)


@pytest.mark.parametrize("seed", range(5))
def test_streams_may_come_in_pieces(packed, seed):
    assert list(read_tar(Pieces(packed, seed))) == read(packed)


def test_the_stream_is_read_to_its_end_and_its_bytes_told(packed):
    told = []
    stream = io.BytesIO(packed + bytes(5000))
    assert len(list(read_tar(stream, on_bytes=told.append))) == len(read(packed))
    assert (sum(told), stream.read()) == (len(packed) + 5000, b"")


@pytest.mark.parametrize("kind", ["posix", "gnu", "oldgnu", "ustar", "v7"])
def test_all_formats_of_gnu_tar(folder, kind):
    if kind == "v7":
        (folder / "fifo").unlink()
        os.utime(folder, (1234567890, 1234567890))
    found = [entry._replace(xattrs=()) for entry in walked(folder)]
    assert read(pack(folder, "-c", f"--format={kind}", "--sort=name", "--numeric-owner")) == found


@pytest.mark.parametrize("kind", ["posix", "gnu", "oldgnu"])
def test_long_names_and_large_numbers(tmp_path, kind):
    folder = tmp_path / "folder"
    folder.mkdir()
    name = "n" * 200
    (folder / name).mkdir()
    (folder / name / name).write_bytes(b"x")
    (folder / name / "link").hardlink_to(folder / name / name)
    (folder / name / "symlink").symlink_to("t" * 300)
    for place in (folder / name / name, folder / name / "symlink", folder / name):
        os.utime(place, (-5, -5), follow_symlinks=False)
        if os.geteuid() == 0:
            os.chown(place, 3000000000, 4294967294, follow_symlinks=False)
    (folder / name / name).chmod(0o4711)
    archive = pack(folder, "-c", f"--format={kind}", "--sort=name", "--numeric-owner")
    # The time of the root has a fraction, which old formats do not hold.
    assert read(archive)[1:] == walked(folder)[1:]


@pytest.mark.parametrize(
    "options",
    [
        ["--format=posix", "--sparse-version=0.0"],
        ["--format=posix", "--sparse-version=0.1"],
        ["--format=posix", "--sparse-version=1.0"],
        ["--format=gnu"],
        ["--format=oldgnu"],
    ],
)
def test_all_formats_of_sparse_files(tmp_path, options):
    folder = tmp_path / "folder"
    folder.mkdir()
    for name, count in (("few", 3), ("many", 200)):
        with open(folder / name, "wb") as file:
            for number in range(count):
                file.seek(number * 200000)
                file.write(b"%d" % number)
            file.truncate(count * 200000 + 12345)
    with open(folder / "only a hole", "wb") as file:
        file.truncate(10 << 30)
    for place in (*folder.iterdir(), folder):
        os.utime(place, (1234567890, 1234567890))
    archive = pack(folder, "-c", "--sparse", "--sort=name", *options)
    assert len(archive) < 3 << 20
    assert read(archive) == walked(folder)


def test_archives_of_python():
    members = [
        info("./", tarfile.DIRTYPE, mode=0o755, mtime=1.5),
        (info("a/caf\udce9", uid=5, gid=3000000000, mtime=-1.25, mode=0o640), b"data"),
        info("b", tarfile.SYMTYPE, linkname="/x/../y", mode=0o777),
        info("c", tarfile.LNKTYPE, linkname="./a//caf\udce9"),
        info("d", tarfile.CHRTYPE, devmajor=1, devminor=3),
        info("e", tarfile.BLKTYPE, devmajor=7, devminor=1),
        info("f", tarfile.CONTTYPE),
        info("g/", tarfile.AREGTYPE),
        info("x" * 300, tarfile.FIFOTYPE),
    ]
    wanted = [
        Entry(b"", "directory", 0o755, mtime_ns=1500000000),
        Entry(b"a/caf\xe9", "file", 0o640, 5, 3000000000, -1250000000, 4, content=hash_of(b"data")),
        Entry(b"b", "symlink", 0o777, target=b"/x/../y"),
        Entry(b"c", "link", target=b"a/caf\xe9"),
        Entry(b"d", "character", 0o644, device=(1, 3)),
        Entry(b"e", "block", 0o644, device=(7, 1)),
        Entry(b"f", "file", 0o644, content=hash_of(b"")),
        Entry(b"g", "directory", 0o644),
        Entry(b"x" * 300, "fifo", 0o644),
    ]
    assert read(made(*members, format=tarfile.PAX_FORMAT)) == wanted
    # Whole seconds only.
    whole = [entry._replace(mtime_ns=int(entry.mtime_ns / 10**9) * 10**9) for entry in wanted]
    assert read(made(*members, format=tarfile.GNU_FORMAT)) == whole


def test_records_apply_to_the_next_entry_and_global_ones_to_all():
    archive = pax((b"comment", b"0123"), (b"uid", b"77"), kind=b"g")
    archive += pax(
        (b"path", b"new\nname"), (b"mtime", b"-1.5"), (b"gid", b"88"), (b"SCHILY.xattr.user.a%3Db%25", b"\n=")
    )
    archive += header(b"old") + header(b"other") + header(b"label", kind=b"V")
    archive += pax((b"path", b""), (b"size", b"3"), (b"SCHILY.xattr.security.selinux", b"x"), kind=b"X")
    archive += header(b"third") + padded(b"abc") + END
    empty = hash_of(b"")
    assert read(archive) == [
        Entry(b"new\nname", "file", 0o644, 77, 88, -1500000000, xattrs=((b"user.a=b%", b"\n="),), content=empty),
        Entry(b"other", "file", 0o644, 77, 2, 10**9, content=empty),
        Entry(b"third", "file", 0o644, 77, 2, 10**9, 3, content=hash_of(b"abc")),
    ]


@pytest.mark.parametrize(
    ("block", "path"),
    [
        (header(b"name", prefix=b"pre/fix"), b"pre/fix/name"),
        (header(b"name", magic=b"ustar  ", prefix=b"not one"), b"name"),
        (header(b"name", prefix=b"p".ljust(131, b"\0") + b"00000000001", rest=b"tar\0"), b"p/name"),
        (header(b"n" * 100), b"n" * 100),
        (header(b"./a//b/./c"), b"a/b/c"),
        (header(b"/absolute/../x"), b"/absolute/../x"),
    ],
)
def test_names_in_headers(block, path):
    assert [entry.path for entry in read(block + END)] == [path]


@pytest.mark.parametrize(
    ("field", "ns"),
    [
        (b"00000000017\0", 15),
        (b"17 garbage\0\0"[:3].ljust(12, b"\0"), 15),
        (b"     17\0dust", 15),
        (bytes(12), 0),
        (b"\x80" + bytes(7) + b"\x01\0\0\0", 1 << 24),
        (b"\xff" * 11 + b"\xfb", -5),
    ],
)
def test_numbers_in_headers(field, ns):
    assert read(header(mtime=field) + END)[0].mtime_ns == ns * 10**9


def test_checksums_of_old_programs_took_bytes_for_signed():
    block = header(b"caf\xe9")
    total = sum(block[:148] + b" " * 8 + block[156:]) - 256
    assert read(block[:148] + b"%06o\0 " % total + block[156:] + END)[0].path == b"caf\xe9"


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        (b"0", 0),
        (b"1.5", 1500000000),
        (b"-1.5", -1500000000),
        (b"-0.000000001", -1),
        (b"1.", 1000000000),
        (b"4102444800.123456789", 4102444800123456789),
        (b"1.1234567899", 1123456789),
        (b"99999999999.000000001", 99999999999000000001),
    ],
)
def test_times_are_exact(text, ns):
    assert parse_time(text) == ns


@pytest.mark.parametrize("text", [b"", b"-", b"1e9", b"1.5.5", b"0x1", b" 1", b"1\n", b"9" * 30])
def test_times_that_are_none(text):
    with pytest.raises(FormatError):
        parse_time(text)


@pytest.mark.parametrize(
    ("names", "left"),
    [
        (["lost+found/"], []),
        (["lost+found/", "a"], [b"a"]),
        (["./lost+found/", "./lost+found/#1"], [b"lost+found", b"lost+found/#1"]),
        (["lost+found/", "lost+found.txt"], [b"lost+found.txt"]),
        (["a/", "a/lost+found/"], [b"a", b"a/lost+found"]),
    ],
)
def test_an_empty_lost_and_found_is_no_part_of_a_tree(names, left):
    archive = made(*[info(name, tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE) for name in names])
    assert [entry.path for entry in read(archive)] == left


GOOD = header(b"good")


@pytest.mark.parametrize(
    ("archive", "why"),
    [
        (b"", r"it ends too early \(at byte 0, before its first entry\)"),
        (b"no archive".ljust(512, b"."), "the checksum of a header is wrong"),
        (GOOD, r"it ends too early \(at byte 512, after 'good'\)"),
        (GOOD + bytes(512), "it ends too early"),
        (
            GOOD + bytes(512) + GOOD,
            r"only one of the two blocks of zeros of its end is there \(at byte 512, after 'good'\)",
        ),
        (
            GOOD[:100] + b"1" + GOOD[101:] + END,
            r"the checksum of a header is wrong \(at byte 0, before its first entry\)",
        ),
        (GOOD + b"x" * 512 + END, r"the checksum of a header is wrong \(at byte 512, after 'good'\)"),
        (GOOD[:-100], "it ends too early"),
        (header(size=b"00000001000\0") + b"x" * 100, "it ends too early"),
        (header(size=b"00001000000\0") + b"x" * 1000, "it ends too early"),
        (header(size=b"00000000001\0") + b"x", "it ends too early"),
        (header(size=b"not octal\0\0\0") + END, "a number in a header is none"),
        (header(size=b"\xff" * 12) + END, "a size is below zero"),
        (header(kind=b"?") + END, r"it has an entry of a type that is not known, b'\?'"),
        (header(kind=b"M") + END, "of a type that is not known"),
        (header(kind=b"x", size=b"77777777777\0") + END, "an extended header is too large"),
        (pax(data=b"no record") + GOOD, "a number is none"),
        (pax(data=b"norecord") + GOOD, "an extended header is no list of records"),
        (pax(data=b"5 a=b\n") + GOOD, "an extended header is no list of records"),
        (pax(data=b"7 a=b\n") + GOOD, "an extended header is no list of records"),
        (pax(data=b"6 a b\n") + GOOD, "an extended header is no list of records"),
        (pax(data=b"0 a=b\n") + GOOD, "an extended header is no list of records"),
        (pax(data=b"-6 a=b\n") + GOOD, "a number is none"),
        (pax((b"uid", b"x")) + GOOD, "a number is none"),
        (pax((b"size", b"-1")) + GOOD, "a number is none"),
        (pax((b"mtime", b"yesterday")) + GOOD, "a time is not a number"),
        (pax((b"size", b"5")) + GOOD, "it ends too early"),
        (pax((b"GNU.sparse.map", b"0,1")) + GOOD, "a sparse file has no size"),
        (pax((b"GNU.sparse.size", b"9"), (b"GNU.sparse.map", b"0")) + GOOD, "a list of pieces is incomplete"),
        (pax((b"GNU.sparse.size", b"9"), (b"GNU.sparse.map", b"0,1")) + GOOD, "do not fit its size"),
        (pax((b"GNU.sparse.size", b"9"), (b"GNU.sparse.map", b"5,0,4,0")) + GOOD, "are not in order"),
        (pax((b"GNU.sparse.size", b"9"), (b"GNU.sparse.map", b"10,0")) + GOOD, "do not fit its size"),
        (pax((b"GNU.sparse.realsize", b"9"), (b"GNU.sparse.major", b"1")) + GOOD, "is longer than its data"),
        (
            pax((b"GNU.sparse.realsize", b"9"), (b"GNU.sparse.major", b"1"))
            + header(size=b"00000001000\0")
            + padded(b"x\n1\n2\n"),
            "a number is none",
        ),
    ],
)
def test_what_is_wrong_with_an_archive_is_told(archive, why):
    with pytest.raises(DamagedArchiveError, match=rf"^Cannot read the archive: .*{why}"):
        read(archive)


def test_a_damaged_archive_is_told_with_the_place(packed):
    with pytest.raises(DamagedArchiveError) as error:
        read(packed[:300000])
    assert isinstance(error.value, VolumesError)
    assert error.value.at >= 299000
    assert error.value.after in {entry.path for entry in read(packed)}


def test_a_hard_link_to_what_is_not_there():
    archive = made(info("a", tarfile.LNKTYPE, linkname="gone"))
    assert read(archive) == [Entry(b"a", "link", target=b"gone")]
    with pytest.raises(DamagedArchiveError, match="'a' is a hard link to 'gone', which does not come before it"):
        read(archive, links=False)


def test_a_folder_with_a_list_of_names_as_incremental_archives_have(folder, tmp_path):
    archive = tar("-c", "--format=gnu", "-g", tmp_path / "state", "-C", folder, "-f", "-", ".")
    assert {entry.path for entry in read(archive)} == {entry.path for entry in walked(folder)}


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        (Entry(b"", "directory"), None),
        (Entry(b"a/b", "file"), None),
        (Entry(b"a..b/..c", "file"), None),
        (Entry(b"a/b", "symlink", target=b"../c"), None),
        (Entry(b"a/b", "symlink", target=b"./c/../../d"), None),
        (Entry(b"a", "link", target=b"b/c"), None),
        (Entry(b"a", "fifo"), None),
        (Entry(b"", "file"), "it takes the place of the root"),
        (Entry(b"", "symlink", target=b"x"), "it takes the place of the root"),
        (Entry(b"/etc/passwd", "file"), "its path is absolute"),
        (Entry(b"../a", "file"), "its path climbs with '..'"),
        (Entry(b"a/../b", "file"), "its path climbs with '..'"),
        (Entry(b"a\0b", "file"), "a name has a NUL in it"),
        (Entry(b"a", "symlink", target=b"b\0"), "a name has a NUL in it"),
        (Entry(b"a", "link", target=b"/etc/passwd"), "it is a hard link to what is outside"),
        (Entry(b"a", "link", target=b"../b"), "it is a hard link to what is outside"),
        (Entry(b"a", "link"), "it is a hard link to what is outside"),
        (Entry(b"a", "symlink", target=b"/etc"), "it is a symbolic link to what is outside"),
        (Entry(b"a", "symlink", target=b".."), "it is a symbolic link to what is outside"),
        (Entry(b"a/b", "symlink", target=b"x/../../../y"), "it is a symbolic link to what is outside"),
        (Entry(b"a", "character", device=(1, 3)), "it is a device"),
        (Entry(b"a", "block", device=(8, 0)), "it is a device"),
    ],
)
def test_dangers_of_entries(entry, why):
    assert dangers(entry) == why


def test_a_path_with_a_nul_is_seen():
    archive = pax((b"path", b"harmless\0/../../etc")) + GOOD + END
    assert dangers(read(archive)[0]) == "a name has a NUL in it"


def test_an_archive_that_is_cut_off_anywhere_is_damaged(folder):
    shutil.rmtree(folder / "sub")
    (folder / "large").write_bytes(b"x" * 2000)
    archive = pack(folder)
    # Only the zeros behind the end are padding.
    length = len(archive.rstrip(b"\0"))
    end = length + -length % 512 + 1024
    assert len(read(archive[:end])) == len(walked(folder))
    for cut in range(0, end, 7):
        with pytest.raises(DamagedArchiveError, match="it ends too early"):
            read(archive[:cut])


@pytest.mark.parametrize("seed", range(8))
def test_flipped_bits_are_damage_or_another_digest(packed, seed):
    """No damage makes anything fail in another way, and where headers, records and content are hit it shows."""
    dice = random.Random(seed)  # noqa: S311 - of no secret
    small = packed[: 200 * 512] + END
    try:
        wanted = digest(read(small))
    except DamagedArchiveError as exc:
        small = small[: exc.at // 512 * 512]
        wanted = None
    for _round in range(150):
        damaged = bytearray(small)
        for _flip in range(dice.choice([1, 1, 1, 5, 50])):
            damaged[dice.randrange(len(damaged))] ^= 1 << dice.randrange(8)
        try:
            found = read(bytes(damaged))
        except DamagedArchiveError:
            continue
        assert wanted is None or found != read(small) or digest(found) == wanted


def test_each_bit_of_a_header_counts():
    archive = bytearray(header(b"file", size=b"00000000003\0") + padded(b"abc") + END)
    wanted = read(bytes(archive))
    for place in range(512 + 3):
        archive[place] ^= 1
        with contextlib.suppress(DamagedArchiveError):
            # What fills up the checksum is not in the sum.
            assert read(bytes(archive)) != wanted or place in {148, 154, 155}
        archive[place] ^= 1


@pytest.mark.parametrize("seed", range(3))
def test_headers_of_random_bytes_are_damage(seed):
    dice = random.Random(seed)  # noqa: S311 - of no secret
    for _round in range(300):
        block = signed(dice.randbytes(512))
        try:
            read(block + dice.randbytes(2048) + END)
        except DamagedArchiveError:
            continue


@pytest.mark.parametrize("data", [b"", b"6 a=b\n", b"6 a=b\n" * 100, b"5 a=\n", b"12 a=b\n\0=\n=\n"])
def test_records(data):
    parsed = parse_records(data)
    assert b"".join(record(name, value) for name, value in parsed) == data


def test_the_sum_of_a_header_is_exact():
    for fill in (0, 1, 0x7F, 0xFF):
        block = signed(bytes([fill]) * 512)
        assert _tar_header._sum(block) == sum(block[:148]) + 256 + sum(block[156:])
    with pytest.raises(FormatError):
        parse_header(bytes([255]) * 512)
