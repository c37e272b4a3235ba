# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path

import pytest
from voltainer_lab.certificates import Authority, ssh_key


def _serve_once(listener: socket.socket, context: ssl.SSLContext) -> None:
    connection, _key = listener.accept()
    with connection:
        try:
            context.wrap_socket(connection, server_side=True).close()
        except (ssl.SSLError, OSError):
            return  # the client tells what went wrong


def _handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_serve_once, args=(listener, server))
        thread.start()
        try:
            with socket.create_connection(listener.getsockname()) as raw, client.wrap_socket(raw, server_hostname=name):
                pass
        finally:
            thread.join()


@pytest.fixture
def contexts(tmp_path: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    authority = Authority(tmp_path)
    authority.server("host1", ["host1"], ["127.0.0.1"])
    authority.client()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(tmp_path / "ca.pem"))
    server.load_cert_chain(tmp_path / "host1.pem", tmp_path / "host1-key.pem")
    server.verify_mode = ssl.CERT_REQUIRED
    client = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    client.load_cert_chain(tmp_path / "client.pem", tmp_path / "client-key.pem")
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    return server, client


@pytest.mark.parametrize("name", ["host1", "127.0.0.1"])
def test_server_and_client_know_each_other(contexts: tuple[ssl.SSLContext, ssl.SSLContext], name: str) -> None:
    _handshake(*contexts, name)


def test_another_name_is_refused(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        _handshake(*contexts, "host2")


def test_certificates_are_found_again(tmp_path: Path) -> None:
    first = Authority(tmp_path).server("host1", ["host1"], ["10.0.0.1"])
    assert Authority(tmp_path).server("host1", ["host1"], ["10.0.0.1"]) == first


def test_a_new_address_or_a_new_authority_makes_a_new_certificate(tmp_path: Path) -> None:
    first = Authority(tmp_path).server("host1", ["host1"], ["10.0.0.1"])
    second = Authority(tmp_path).server("host1", ["host1"], ["10.0.0.2"])
    assert second != first
    (tmp_path / "ca.pem").unlink()
    assert Authority(tmp_path).server("host1", ["host1"], ["10.0.0.2"]) != second


def test_private_keys_are_for_their_owner_only(tmp_path: Path) -> None:
    Authority(tmp_path).client()
    ssh_key(tmp_path / "id")
    keys = [*tmp_path.glob("*-key.pem"), tmp_path / "id"]
    assert [oct(key.stat().st_mode & 0o777) for key in keys] == ["0o600"] * 3


def test_an_ssh_key_is_made_once(tmp_path: Path) -> None:
    key = ssh_key(tmp_path / "id")
    assert key.public.startswith("ssh-ed25519 ")
    assert ssh_key(tmp_path / "id") == key
