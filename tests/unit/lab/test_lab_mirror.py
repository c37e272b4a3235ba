# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import subprocess

import pytest
from voltainer_lab import mirror

ARCHIVE = "http://mirror.example/debian/|Debian|Debian|main|Packages"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([ARCHIVE], "http://mirror.example/debian"),
        (
            ["http://mirror.example/debian-security/|Debian|Debian-Security|main|Packages", ARCHIVE],
            "http://mirror.example/debian",
        ),
        (["https://vendor.example/apt|vendor|stable|main|Packages", ARCHIVE], "http://mirror.example/debian"),
        (["http://mirror.example/ubuntu/|Ubuntu|Ubuntu|main|Packages"], None),
        (["cdrom:[Debian 12]/|Debian|Debian|main|Packages"], None),
        (["mirror+file:/etc/apt/mirrors|Debian|Debian|main|Packages"], None),
        (["http://mirror.example/debian/|Debian|Debian|contrib|Packages"], None),
        (["http://mirror.example/debian/|Debian|Debian|main|Translations"], None),
        # Package lists that were never fetched: apt knows neither origin nor label.
        (["http://mirror.example/debian/|||main|Packages"], None),
        (["not an index target", ""], None),
        ([], None),
    ],
)
def test_the_main_debian_archive_is_picked_out_of_apts_sources(lines: list[str], expected: str | None) -> None:
    assert mirror.parse_index_targets("\n".join(lines)) == expected


def test_the_environment_comes_before_the_machines_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(mirror.ENVIRONMENT, "http://other.example/debian/")
    assert mirror.find_mirror() == "http://other.example/debian"


def test_without_apt_debootstrap_chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(mirror.ENVIRONMENT, raising=False)
    monkeypatch.setattr(mirror.shutil, "which", lambda _: None)
    assert mirror.find_mirror() is None


def test_apt_that_fails_is_no_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(mirror.ENVIRONMENT, raising=False)
    monkeypatch.setattr(mirror.shutil, "which", lambda _: "/usr/bin/apt-get")
    failed = subprocess.CompletedProcess([], 100, stdout=ARCHIVE, stderr="E: broken")
    monkeypatch.setattr(mirror.subprocess, "run", lambda *_, **__: failed)
    assert mirror.find_mirror() is None
