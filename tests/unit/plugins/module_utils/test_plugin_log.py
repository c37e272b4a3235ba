# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plugin's last words, in the file that the engine writes its log to, or in the journal."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_log import tail

ID = "5f1c" * 16
ENGINE = """
import socket, sys
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen()
print("ready", flush=True)
sys.stdin.read()
"""


def line(text, of=ID, level="error"):
    return f'time="2026-11-24T12:00:00.123456789Z" level={level} msg={text} plugin={of}\n'


@pytest.fixture
def engine(tmp_path):
    """Return the socket of a process that listens as an engine does, and the file that is its standard error."""
    path, log = str(tmp_path / "engine.sock"), tmp_path / "engine.log"
    with (
        log.open("wb") as stderr,
        subprocess.Popen(
            [sys.executable, "-c", ENGINE, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr
        ) as process,
    ):
        assert process.stdout.readline() == b"ready\n"
        yield path, log
        process.stdin.close()


@pytest.fixture
def journal(tmp_path, monkeypatch):
    """Return a function that makes `journalctl` a script."""

    def make(script):
        program = tmp_path / "bin" / "journalctl"
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(program.parent))

    return make


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('"cannot start"', ("cannot start",)),
        ("ended", ("ended",)),
        ('"it said \\"no\\"\\tto C:\\\\x"', ('it said "no" to C:\\x',)),
        ('""', ()),
        ('"a token: s3cret-long and s3cret"', ("a token: ******** and ********",)),
        ('"plugin=other is not me"', ("plugin=other is not me",)),
    ],
)
def test_lines_of_the_engines_own_file(engine, text, said):
    path, log = engine
    log.write_text(line('"of another"', of="a" * 64) + line(text) + 'time="x" level=info msg="API listen"\n')
    assert tail(path, ID, ["s3cret", "s3cret-long", ""]) == said


def test_only_the_last_lines_are_told(engine):
    path, log = engine
    log.write_text("x" * 300_000 + "\n" + "".join(line(f'"line {number}"') for number in range(20)))
    assert tail(path, ID, []) == tuple(f"line {number}" for number in range(12, 20))


def test_the_journal_is_read_where_the_file_says_nothing(engine, journal):
    path, _log = engine
    journal(f"echo '{line(chr(34) + 'from the journal' + chr(34)).strip()}'")
    assert tail(path, ID, []) == ("from the journal",)


@pytest.mark.parametrize("script", ["exit 1", "echo nothing"])
def test_a_journal_that_says_nothing_is_nothing(engine, journal, script):
    path, _log = engine
    journal(script)
    assert tail(path, ID, []) == ()


def test_an_engine_that_is_gone_has_no_log(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(tmp_path / "stale.sock"))
    assert tail(str(tmp_path / "stale.sock"), ID, []) == ()
