# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lead connections on to a server, and end after so many bytes of its answers, as a server does that fails.

cut.py LISTEN TARGET BYTES        LISTEN and TARGET are host:port; with 0 bytes it does not end
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading

CHUNK = 65536


class Relay:
    """Leads connections on."""

    def __init__(self, target: tuple[str, int], limit: int) -> None:
        """Take where to, and how many bytes may come from there on all connections; 0 is no limit."""
        self.target = target
        self.limit = limit
        self.passed = 0
        self.lock = threading.Lock()

    def serve(self, server: socket.socket) -> None:
        """Serve until this is killed, or the limit is reached."""
        while True:
            client, _address = server.accept()
            upstream = socket.create_connection(self.target)
            threading.Thread(target=self.lead, args=(client, upstream), daemon=True).start()
            threading.Thread(target=self.lead, args=(upstream, client, True), daemon=True).start()

    def lead(self, source: socket.socket, sink: socket.socket, counts: bool = False) -> None:
        """Pass on what comes; what `counts` may reach the limit."""
        with contextlib.suppress(OSError):
            while chunk := source.recv(CHUNK):
                with self.lock:
                    self.passed += len(chunk) if counts else 0
                    if self.limit and self.passed > self.limit:
                        os._exit(0)
                sink.sendall(chunk)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def main() -> None:
    """Serve."""
    (host, port), (target, target_port) = (address.rsplit(":", 1) for address in sys.argv[1:3])
    with socket.create_server((host, int(port))) as server:
        Relay((target, int(target_port)), int(sys.argv[3])).serve(server)


if __name__ == "__main__":
    main()
