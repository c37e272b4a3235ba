# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make archives that nobody waits months for, and such as nobody should get.

    archives.py older FOLDER VOLUME TIME[,other|,bare]...   the newest archive once more, as if it were made then
    archives.py damaged FOLDER VOLUME TARGET                the newest archive in all the ways in which it may be wrong
    archives.py hostile TARGET                              archives without a manifest that lead out of the volume
    archives.py reality FOLDER                              what there is to say of the archives of a folder, in JSON

Of `other` engines are archives whose manifest says so, and `bare` ones have none.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import sys
import tarfile
from datetime import datetime
from pathlib import Path
from typing import Any

# A time that none of the archives that tests make has.
OTHER_TIME = "20010101T000000Z"


def newest(folder: Path, volume: str) -> Path:
    """Return the newest archive of the volume."""
    return max(path for path in folder.glob(f"{volume}-*") if not path.name.endswith(".json"))


def manifest_of(archive: Path) -> dict[str, Any]:
    """Return the manifest beside an archive."""
    found: dict[str, Any] = json.loads(Path(f"{archive}.json").read_text())
    return found


def put(archive: Path, data: bytes, manifest: dict[str, Any] | None = None) -> None:
    """Write an archive, and its manifest where there is one."""
    archive.parent.mkdir(mode=0o700, exist_ok=True)
    archive.write_bytes(data)
    if manifest is not None:
        Path(f"{archive}.json").write_text(json.dumps(manifest))


def older(folder: Path, volume: str, times: list[str]) -> None:
    """Copy the newest archive to other times."""
    archive = newest(folder, volume)
    data, manifest = archive.read_bytes(), manifest_of(archive)
    ending = archive.name.partition("Z.")[2]
    for word in times:
        time, _comma, kind = word.partition(",")
        name = f"{volume}-{time}.{ending}"
        created = datetime.strptime(time, "%Y%m%dT%H%M%S%z").strftime("%Y-%m-%dT%H:%M:%SZ")
        made = {**manifest, "archive": name, "created": created}
        if kind == "other":
            made["engine"] = {**manifest["engine"], "id": "another", "name": "elsewhere"}
        put(folder / name, data, None if kind == "bare" else made)


def damaged(folder: Path, volume: str, target: Path) -> None:
    """Write an archive once for each damage, in a folder of its own: with its name, and another manifest or content."""
    archive = newest(folder, volume)
    data, manifest = archive.read_bytes(), manifest_of(archive)
    middle = len(data) // 2
    flipped = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
    short = data[:middle]
    # Whoever damages a manifest as well does not come through by that.
    sized = {**manifest, "bytes": len(short)}
    proved = {**manifest, "sha256": hashlib.sha256(flipped).hexdigest()}
    swapped = {**manifest, "content_digest": f"v1:{'0' * 64}"}
    named = {**manifest, "archive": archive.name.replace(manifest["created"][:4], "2001", 1)}
    named["created"] = f"2001{manifest['created'][4:]}"
    other_volume = {
        **manifest,
        "volume": "another",
        "archive": archive.name.replace(volume, "another", 1),
    }
    cases: dict[str, tuple[bytes, Any]] = {
        "truncated": (short, manifest),
        "truncated-sized": (short, sized),
        "truncated-bare": (short, None),
        "flipped": (flipped, manifest),
        "flipped-proved": (flipped, proved),
        "flipped-bare": (flipped, None),
        "swapped": (data, swapped),
        "other-archive": (data, named),
        "other-volume": (data, other_volume),
        "longer": (data + bytes(512), manifest),
        "empty": (b"", None),
        "bare": (data, None),
        "no-archive": (b"No archive at all.\n" * 1000, None),
        "version": (data, {**manifest, "version": 2}),
    }
    target.mkdir(mode=0o700)
    for name, (content, made) in cases.items():
        put(target / name / archive.name, content, made)
    (target / "no-json" / archive.name).parent.mkdir()
    (target / "no-json" / archive.name).write_bytes(data)
    (target / "no-json" / f"{archive.name}.json").write_text('{"version": 1')
    # A link could lead to any file of the host, whose text an error would then show.
    (target / "linked").mkdir()
    (target / "linked" / archive.name).write_bytes(data)
    (target / "linked" / f"{archive.name}.json").symlink_to("/etc/shadow")
    # What another volume's archive is, with the names of this one.
    named_alike = {**manifest, "volume": "another", "archive": f"another-{archive.name.removeprefix(f'{volume}-')}"}
    put(target / "of-another" / named_alike["archive"], data, named_alike)


def hostile(target: Path) -> None:
    """Write archives that would do harm."""
    target.mkdir(mode=0o700)
    first = _member("first", b"content\n")
    cases: dict[str, list[tuple[tarfile.TarInfo, bytes]]] = {
        "climbing": [first, _member("below/../../climbed", b"harm\n")],
        "absolute": [first, _member("/opt/data/climbed", b"harm\n")],
        "hard-link": [first, _link("hard", "/etc/passwd", tarfile.LNKTYPE)],
        "hard-link-climbing": [first, _link("hard", "../../small/_data/below/file", tarfile.LNKTYPE)],
        "absolute-link": [first, _link("soft", "/etc/passwd")],
        "climbing-link": [first, _link("below/soft", "../../etc")],
        # Through a link that leads to where it may lead, to a place where nothing may be written.
        "through": [_link("way", "/opt/data"), _member("way/climbed", b"harm\n")],
        "device": [first, _device("disk", tarfile.BLKTYPE, 7), _device("null", tarfile.CHRTYPE, 1)],
        "root": [_link(".", "/opt/data")],
    }
    for name, members in cases.items():
        with tarfile.open(target / f"{name}.tar", "w", format=tarfile.PAX_FORMAT) as archive:
            for info, data in members:
                archive.addfile(info, io.BytesIO(data))
    # The header of a file of 1 TiB, which is not there.
    large = tarfile.TarInfo("large")
    large.size = 1 << 40
    (target / "large.tar").write_bytes(large.tobuf(tarfile.GNU_FORMAT) + bytes(10240))


def _member(name: str, data: bytes) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    return info, data


def _link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info, b""


def _device(name: str, kind: bytes, major: int) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.devmajor, info.devminor = kind, major, 3
    return info, b""


def reality(folder: Path) -> dict[str, Any]:
    """Return what the files of a folder are, and for each archive what its manifest says."""
    files = {}
    for path in sorted(folder.iterdir()):
        status = path.stat()
        files[path.name] = {
            "mode": f"{stat.S_IMODE(status.st_mode):04o}",
            "bytes": status.st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "manifest": json.loads(path.read_text()) if path.name.endswith(".json") else None,
        }
    return files


def main() -> None:
    """Do what the command line asks for."""
    os.umask(0o077)
    mode, folder, *others = sys.argv[1:]
    if mode == "older":
        older(Path(folder), others[0], others[1:])
    elif mode == "damaged":
        damaged(Path(folder), others[0], Path(others[1]))
    elif mode == "hostile":
        hostile(Path(folder))
    else:
        print(json.dumps(reality(Path(folder))))


if __name__ == "__main__":
    main()
