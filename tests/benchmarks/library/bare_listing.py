# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The least that a module can do to return all volumes: what the engine lists, as it is."""

from __future__ import annotations

import http.client
import json
import socket

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec={})
    connection = http.client.HTTPConnection("localhost")
    connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.sock.connect("/var/run/docker.sock")
    connection.request("GET", "/volumes")
    module.exit_json(changed=False, volumes=json.loads(connection.getresponse().read())["Volumes"])


if __name__ == "__main__":
    main()
