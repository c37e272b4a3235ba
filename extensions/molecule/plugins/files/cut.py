# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lead connections on, and end each of them after so many bytes of answers, as a network does that fails.

cut.py LISTEN TARGET BYTES        LISTEN and TARGET are host:port; with 0 bytes none is ended
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading

CHUNK = 65536


def main() -> None:
    """Serve until this is killed."""
    listen, target = (address.rsplit(":", 1) for address in sys.argv[1:3])
    limit = int(sys.argv[3])
    with socket.create_server((listen[0], int(listen[1]))) as server:
        while True:
            client, _address = server.accept()
            upstream = socket.create_connection((target[0], int(target[1])))
            for pair in ((client, upstream, 0), (upstream, client, limit)):
                threading.Thread(target=lead, args=pair, daemon=True).start()


def lead(source: socket.socket, sink: socket.socket, limit: int) -> None:
    """Pass on what comes, up to the limit; then end both connections."""
    passed = 0
    with contextlib.suppress(OSError):
        while chunk := source.recv(CHUNK):
            passed += len(chunk)
            if limit and passed > limit:
                break
            sink.sendall(chunk)
    for end in (source, sink):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


if __name__ == "__main__":
    main()
