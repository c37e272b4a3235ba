# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules from their arguments to the JSON that they print, with a fake engine in place of the connection."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys

import pytest
from ansible.module_utils import basic

from .engine_server import connection, serving
from .trees import TORTURE


@pytest.fixture(autouse=True, scope="session")
def _hangup():
    """Have the signal that nohup has ignored, and with it the tests that it starts."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def stack():
    with contextlib.ExitStack() as entered:
        yield entered


@pytest.fixture(params=["tcp", "unix"])
def connected(request, stack, tmp_path):
    """Return a function that connects to a server with the given answers: once by the SDK, and once without."""

    def make(connect, answers, version="26.1.5+dfsg1"):
        socket = tmp_path / f"{len(list(tmp_path.iterdir()))}.sock" if request.param == "unix" else None
        server = stack.enter_context(serving(answers, version, socket))
        address = f"unix://{socket}" if socket else f"tcp://127.0.0.1:{server.server_port}"
        made = connect(connection(docker_host=address, api_version="1.41", timeout=1))
        stack.callback(made._transport.close)
        server.requests.clear()
        server.passwords.clear()
        server.headers.clear()
        return made, server

    return make


@pytest.fixture
def logged(monkeypatch):
    """Return the list of what goes to the host's log."""
    lines = []
    monkeypatch.setattr(basic.AnsibleModule, "log", lambda _self, msg, log_args=None: lines.append(f"{msg} {log_args}"))
    return lines


@pytest.fixture
def run(monkeypatch, capsys, logged):
    """Return a function that runs a module on an engine, and returns its exit code and its result.

    `connections` of the function are those that the module asked for, `warned` are its warnings.
    """
    # Not read from the result: Ansible shows warnings at once where its controller's code is loaded, as in other tests.
    monkeypatch.setattr(basic.AnsibleModule, "warn", lambda _self, warning: run_it.warned.append(warning))

    def run_it(module, engine, check_mode=False, **params):
        arguments = {"ANSIBLE_MODULE_ARGS": {**params, "_ansible_check_mode": check_mode}}
        monkeypatch.setattr(basic, "_ANSIBLE_ARGS", json.dumps(arguments).encode())
        # Since ansible-core 2.19 the arguments come with the name of their encoding.
        monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)
        if engine is not None:
            monkeypatch.setattr(module, "connect", lambda asked: run_it.connections.append(asked) or engine)
        with pytest.raises(SystemExit) as ended:
            module.main()
        return ended.value.code, json.loads(capsys.readouterr().out)

    run_it.connections, run_it.warned = [], []
    return run_it


def _make_tortured(folder, *options):
    if os.geteuid() != 0:
        pytest.skip("only root can make devices, owners and attributes")
    subprocess.run([sys.executable, TORTURE, "make", folder, *options], check=True)
    return folder


@pytest.fixture(scope="session")
def tortured(tmp_path_factory):
    """Return the path of a tree with all that a file system can hold. Tests only read it."""
    return _make_tortured(tmp_path_factory.mktemp("tortured"))


@pytest.fixture(scope="session")
def shallow(tmp_path_factory):
    """Return the path of such a tree without paths that are too long for cp and for unpacking by tar."""
    return _make_tortured(tmp_path_factory.mktemp("shallow"), "--without", "deep")
