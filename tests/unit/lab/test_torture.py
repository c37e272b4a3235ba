# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TORTURE = Path(__file__).parents[2] / "lab" / "torture.py"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make devices, owners and attributes")


def torture(*arguments, code=0):
    done = subprocess.run([sys.executable, TORTURE, *arguments], check=False, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    torture("make", folder, "--small")
    return folder


def test_the_tree_is_the_same_each_time(small, tmp_path):
    torture("make", tmp_path / "again", "--small")
    assert torture("list", tmp_path / "again", "--with-sockets") == torture("list", small, "--with-sockets")


@pytest.mark.parametrize(
    ("part", "key"),
    [
        ("owner", "owner"),
        ("mode", "mode"),
        ("times", "mtime"),
        ("xattrs", "xattrs"),
        ("links", "first"),
        ("sparse", "sparse"),
    ],
)
def test_what_is_left_out_of_a_list(small, part, key):
    def has(*options):
        return any(key in json.loads(line) for line in torture("list", small, *options).splitlines())

    assert has()
    assert not has("--without", part)


@pytest.mark.parametrize(
    ("options", "gone"),
    [
        ([], {"socket"}),
        (["--with-sockets"], set()),
        (["--without", "special"], {"socket", "fifo", "character", "block"}),
        (["--without", "symlinks,deep"], {"socket", "symlink"}),
    ],
)
def test_which_kinds_are_listed(small, options, gone):
    kinds = {json.loads(line)["kind"] for line in torture("list", small, *options).splitlines()}
    assert kinds == {"file", "directory", "symlink", "fifo", "character", "block", "socket"} - gone


def test_what_is_left_out_of_a_tree(tmp_path):
    without = "special,symlinks,xattrs,links,deep"
    torture("make", tmp_path, "--small", "--without", without)
    assert torture("list", tmp_path, "--with-sockets") == torture("list", tmp_path, "--without", without)


def test_content_is_the_same_with_holes_and_without(small, tmp_path):
    (tmp_path / "huge").write_bytes((small / "sparse" / "huge").read_bytes())
    lines = [json.loads(line) for line in torture("list", tmp_path).splitlines()]
    others = [json.loads(line) for line in torture("list", small).splitlines()]
    (wanted,) = [line for line in others if line["path"] == "sparse/huge"]
    assert (lines[1]["content"], lines[1]["sparse"], wanted["sparse"]) == (wanted["content"], False, True)


def test_what_it_refuses(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    assert "is not empty" in torture("make", tmp_path, code=2)
    assert "colours: not of owner" in torture("list", tmp_path, "--without", "colours", code=2)
