# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand between a module and the engine, and write down what is asked: count_requests.py SOCKET LOG.

Serves at SOCKET, until it is killed, and leads everything on to the engine's own socket. Each request becomes a line of
LOG, with its method and path.
"""

from __future__ import annotations

import contextlib
import re
import socket
import sys
import threading
from pathlib import Path

ENGINE = "/var/run/docker.sock"
CHUNK = 65536
REQUEST = re.compile(rb"([A-Z]+ \S+) HTTP/1\.1\r\n")


def main() -> None:
    """Serve."""
    path, log = Path(sys.argv[1]), Path(sys.argv[2])
    path.unlink(missing_ok=True)
    log.write_text("")
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()
    while True:
        client, _address = server.accept()
        engine = socket.socket(socket.AF_UNIX)
        engine.connect(ENGINE)
        threading.Thread(target=lead, args=(client, engine, log), daemon=True).start()
        threading.Thread(target=lead, args=(engine, client, None), daemon=True).start()


def lead(source: socket.socket, sink: socket.socket, log: Path | None) -> None:
    """Pass on what comes, and note the requests in it: those of these modules come in one piece each."""
    with contextlib.suppress(OSError):
        while chunk := source.recv(CHUNK):
            if log is not None:
                with log.open("ab") as file:
                    file.writelines(request + b"\n" for request in REQUEST.findall(chunk))
            sink.sendall(chunk)
    for end in (source, sink):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


if __name__ == "__main__":
    main()
