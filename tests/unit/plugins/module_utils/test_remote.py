# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way to volumes through the API: the engine's frames, wherever they are split, and programs that end."""

from __future__ import annotations

import io
import random
import threading
from unittest import mock

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils import _remote
from ansible_collections.voltainer.volumes.plugins.module_utils._entry import LEAST, Keeps
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import (
    EngineError,
    EngineUnreachableError,
    RefusedError,
    VolumesError,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._guard import name_of
from ansible_collections.voltainer.volumes.plugins.module_utils._program import ProgramError
from ansible_collections.voltainer.volumes.plugins.module_utils._remote import Input, Output, remote
from ansible_collections.voltainer.volumes.plugins.module_utils._transport import BrokenError, SilenceError

from .fake_engine import FakeEngine
from .volumes import inspect


def frame(kind, piece):
    return bytes([kind, 0, 0, 0]) + len(piece).to_bytes(4, "big") + piece


class Raw:
    """What a container writes, handed on in pieces of random sizes; `error` comes at the end."""

    def __init__(self, raw=b"", error=None, seed=0):
        self.rest = io.BytesIO(raw)
        self.error = error
        self.sizes = random.Random(seed)  # noqa: S311 - no secret
        self.written = b""
        self.closed = threading.Event()

    def read(self, size):
        piece = self.rest.read(self.sizes.randint(1, max(size, 1)))
        if not piece and self.error:
            raise self.error
        return piece

    def write(self, data):
        if self.error:
            raise self.error
        self.written += data

    def close(self):
        self.closed.set()


def read(raw, size=1 << 20, runs=()):
    output = Output(raw, "Cannot pack the volume 'a'", 5, iter([*runs, False]).__next__)
    return b"".join(iter(lambda: output.read(size), b"")), output.said


@pytest.mark.parametrize("seed", range(20))
def test_frames_are_put_together_wherever_they_are_split(seed):
    pieces = random.Random(seed)  # noqa: S311 - no secret
    raw = out = err = b""
    for _frame in range(50):
        piece = pieces.randbytes(pieces.choice([0, 1, 7, 8, 300]))
        kind = pieces.choice([1, 1, 2])
        raw += frame(kind, piece)
        out, err = (out + piece, err) if kind == 1 else (out, err + piece)
    found, said = read(Raw(raw, seed=seed), pieces.choice([1, 8, 1000, 1 << 20]))
    assert found == out
    assert said == err[:4000].decode("utf-8", "backslashreplace").strip()


def test_no_output_is_an_end():
    assert read(Raw()) == (b"", "")
    assert read(Raw(frame(1, b"") * 3000)) == (b"", "")


def test_what_a_program_says_is_kept_up_to_a_length_and_read_to_its_end():
    assert read(Raw(frame(2, b"x" * 3000) + frame(2, b"y" * 3000) + frame(1, b"out"))) == (
        b"out",
        "x" * 3000 + "y" * 1000,
    )


@pytest.mark.parametrize("cut", [1, 7, 8, 10])
def test_output_that_breaks_off_is_an_error(cut):
    with pytest.raises(VolumesError, match=r"Cannot pack the volume 'a': the engine's output broke off"):
        read(Raw((frame(1, b"whole") + frame(1, b"more"))[: 13 + cut]))


@pytest.mark.parametrize("error", [BrokenError("reset"), SilenceError()])
def test_a_connection_that_breaks_is_the_engine_s_fault(error):
    with pytest.raises((EngineUnreachableError, EngineError), match="Cannot pack the volume 'a'"):
        read(Raw(frame(1, b"some"), error))
    with pytest.raises((EngineUnreachableError, EngineError), match="Cannot unpack"):
        Input(Raw(error=error), "Cannot unpack", 5).write(b"x")


def test_a_program_may_be_silent_as_long_as_it_runs():
    raw = Raw(frame(1, b"some"))
    heard, silences = raw.read, iter([False, False, True, True])

    def silent(size):
        if next(silences, False):
            raise SilenceError
        return heard(size)

    with mock.patch.object(raw, "read", silent):
        assert read(raw, runs=[True, True]) == (b"some", "")


def test_input_is_handed_on():
    raw = Raw()
    Input(raw, "Cannot unpack", 5).write(b"some")
    assert raw.written == b"some"


class RemoteEngine(FakeEngine):
    """An engine whose containers write what `outputs` has for their programs, and end with the code there."""

    def __init__(self):
        super().__init__([inspect(Name="a"), inspect(Name="b")])
        self.outputs = {}
        self.commands = {}
        self.attachments = []
        self.codes = {}

    def create_helper(self, image, mounts, command, *, powers):
        assert powers
        made = super().create_helper(image, mounts, command, powers=powers)
        self.commands[made] = command
        return made

    def attach(self, container, *, output):
        if not output:
            return Raw()
        name = self.commands[container][0].rpartition("/")[2]
        raw, self.codes[container] = self.outputs.get(name, (b"", 0))
        attached = Raw(raw)
        self.attachments.append(attached)
        return attached

    def wait_removed(self, container, waiting):
        waiting()
        code = self.codes[container]
        if isinstance(code, Exception):
            raise code
        return code

    @property
    def programs(self):
        return [" ".join(command) for command in self.commands.values()][1:]


@pytest.fixture
def engine():
    return RemoteEngine()


def test_each_program_is_a_container_that_is_gone_afterwards(engine):
    engine.outputs["find"] = (frame(1, b"/volumes/0/file\n"), 0)
    with remote(engine, {"a": False, "b": True}) as at:
        assert at.has_data("a")
        assert [one["State"] for one in engine.containers] == ["running"]
    assert engine.containers == []
    assert engine.programs == [
        "/usr/bin/find /volumes/0 -mindepth 1 -maxdepth 1 ! -name lost+found -print -quit",
    ]
    assert all(one.closed.is_set() for one in engine.attachments)


def test_the_programs_of_each_method(engine):
    engine.outputs["stat"] = (frame(1, b"xfs\n"), 0)
    with remote(engine, {"a": False, "b": True}) as at:
        assert not at.has_data("b")
        assert at.keeps("b", may_write=True) == Keeps()
        at.guard("b", "4f")
        assert not at.is_guarded("b", "4f")
        at.unguard("b", "4f")
        at.sync("b")
        at.empty("b")
    guard = f"/volumes/1/{name_of('4f')}"
    assert engine.programs[1:5] == [
        "/usr/bin/stat --file-system --format=%T /volumes/1",
        f"/usr/bin/touch {guard}",
        f"/usr/bin/find /volumes/1 -mindepth 1 -maxdepth 1 -name {name_of('4f')} -print -quit",
        f"/usr/bin/rm {guard}",
    ]
    assert engine.programs[5] == "/usr/bin/sync -f /volumes/1"
    assert engine.programs[6].startswith("/usr/bin/find /volumes/1 -mindepth 1 -maxdepth 1 ! -name lost+found -exec rm")


@pytest.mark.parametrize("said", [b"nfs\n", b"UNKNOWN (0x65735546)\n", b""])
def test_a_file_system_that_nobody_knows_keeps_the_least(engine, said):
    engine.outputs["stat"] = (frame(1, said), 0)
    with remote(engine, {"a": False}) as at:
        assert at.keeps("a", may_write=True) == LEAST


def test_a_program_that_fails_says_why_and_is_gone(engine):
    engine.outputs["sync"] = (frame(2, b"sync: error syncing: Input/output error\n"), 1)
    with (
        remote(engine, {"a": True}) as at,
        pytest.raises(ProgramError, match=r"of 'a' to the disk: sync failed: sync: error syncing: Input") as caught,
    ):
        at.sync("a")
    assert caught.value.code == 1
    assert engine.containers == []


def test_a_program_that_says_nothing_is_told_by_its_code(engine):
    engine.outputs["touch"] = (b"", 7)
    with (
        remote(engine, {"a": True}) as at,
        pytest.raises(ProgramError, match="ended with the code 7, and said nothing"),
    ):
        at.guard("a", "4f")


@pytest.mark.parametrize(("code", "accepted"), [(0, True), (1, True), (2, False)])
def test_tar_may_find_files_that_change(engine, code, accepted):
    engine.outputs["tar"] = (frame(1, b"tar file") + frame(2, b"tar: ./a: file changed as we read it\n"), code)
    with remote(engine, {"a": False}) as at:
        if accepted:
            with at.packed("a") as stream:
                assert b"".join(iter(stream.read, b"")) == b"tar file"
            return
        with pytest.raises(ProgramError, match="Cannot pack the volume 'a': tar failed"), at.packed("a") as stream:
            stream.read()


def test_a_block_that_fails_is_not_hidden_and_its_program_does_not_go_on(engine):
    engine.outputs["tar"] = (frame(1, b"tar file"), 0)
    with remote(engine, {"a": False}) as at, pytest.raises(ZeroDivisionError), at.packed("a"):
        raise ZeroDivisionError
    assert engine.containers == []


def test_what_the_program_says_comes_before_the_pipe_that_broke(engine):
    engine.outputs["tar"] = (frame(2, b"tar: No space left on device"), 2)
    with (
        remote(engine, {"a": True}) as at,
        pytest.raises(ProgramError, match="tar failed: tar: No space left on device"),
        at.unpacking("a") as sink,
    ):
        broken(sink)


def broken(sink):
    attached = sink._attached
    attached.error = BrokenError("pipe")
    try:
        sink.write(b"x")
    finally:
        attached.error = None


def test_an_exit_code_that_nobody_knows_is_an_error(engine):
    engine.outputs["sync"] = (b"", EngineError("Cannot wait for the container", "gone", status=404))
    with remote(engine, {"a": True}) as at, pytest.raises(EngineError, match="Cannot wait for the container: gone"):
        at.sync("a")


def test_a_volume_that_is_not_there_is_not_made(engine):
    with pytest.raises(RefusedError, match="'c': there is no such volume"), remote(engine, {"c": False}):
        pass
    assert engine.calls == []


def test_waiting_without_an_end_is_an_error(engine):
    waiting = _remote._Waiting(engine, "c1")
    waiting.start = lambda: None
    waiting.join = lambda: None
    with pytest.raises(RefusedError, match="its exit code is unknown"):
        waiting.code()
