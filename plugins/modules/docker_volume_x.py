#!/usr/bin/python
# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_volume_x
short_description: Create and remove Docker volumes
version_added: 0.1.0
description:
  - Creates a Docker volume with its driver, driver options and labels, or removes it.
  - A volume outlives the containers that use it. Docker cannot change an existing volume, so where one differs from
    what the task wants, it is left as it is, and the task warns and names each difference in RV(drift).
  - A volume that a container uses is never removed; the error names the containers. In check mode, too.
author:
  - The voltainer.volumes developers (@voltainer)
extends_documentation_fragment:
  - voltainer.volumes.docker
  - voltainer.volumes.attributes
  - voltainer.volumes.attributes.changes
options:
  name:
    description:
      - The name of the volume, two characters or more of letters, digits, C(_), C(.) and C(-).
      - An empty name is refused. The engine would make a new anonymous volume on each run.
    type: str
    required: true
    aliases: [volume_name]
  state:
    description:
      - V(present) creates the volume where it does not exist.
      - V(absent) removes it, and with most drivers its data.
    type: str
    choices: [present, absent]
    default: present
  driver:
    description:
      - The volume driver, for example V(local), or the alias of a storage plugin. V(pure) and V(pure:latest) are the
        same.
      - Where it is not given, the engine makes the volume with V(local), and the driver of an existing volume is not
        compared.
    type: str
  driver_options:
    description:
      - Options for the driver. Numbers and booleans become the strings that Docker means (V(true), not V(True)).
      - An empty string is a value. Options of an existing volume that are not named here are not compared.
      - Values whose key tells of a secret (such as C(password), C(token)), and a C(password=) among the mount options
        in C(o), are hidden in all output. O(secret_options) names others.
    type: dict
  secret_options:
    description:
      - Keys of O(driver_options) whose values are secret, beside those whose names say so.
    type: list
    elements: str
    default: []
  labels:
    description:
      - Labels for the volume. Values must be strings or integers; quote what YAML takes for something else.
      - Labels of an existing volume that are not named here are not compared.
    type: dict
seealso:
  - module: voltainer.volumes.docker_volume_plugin_x
"""

EXAMPLES = r"""
- name: Create a volume of the engine's own driver
  voltainer.volumes.docker_volume_x:
    name: pgdata
    labels:
      team: billing

- name: Create a volume of 25 GB on the array behind a storage plugin
  voltainer.volumes.docker_volume_x:
    name: fastvol
    driver: pure
    driver_options:
      size: 25GB

- name: Create a volume on an SFTP server, through rclone's plugin
  voltainer.volumes.docker_volume_x:
    name: reports
    driver: rclone
    driver_options:
      remote: store:reports
      vfs-cache-mode: writes
      allow-other: true

- name: Remove a volume, unless a container uses it
  voltainer.volumes.docker_volume_x:
    name: fastvol
    state: absent
"""

RETURN = r"""
volume:
  description:
    - What the engine says of the volume, secret options hidden.
    - V(null) where the volume does not exist, also in check mode before it is created.
  returned: success
  type: dict
  sample:
    CreatedAt: "2026-11-24T09:30:00Z"
    Driver: rclone:latest
    Labels: {team: billing}
    Mountpoint: /var/lib/docker/plugins/8c0f/propagated-mount/reports
    Name: reports
    Options: {remote: "store:reports"}
    Scope: local
actions:
  description: What was done, or in check mode would be, in order; empty where nothing is to do.
  returned: success
  type: list
  elements: str
  sample: ["Create the volume 'reports' with the driver 'rclone'"]
drift:
  description: Each difference between the existing volume and what the task wants, which was left as it is.
  returned: success
  type: list
  elements: dict
  sample: [{what: labels.team, wanted: billing, found: sales}]
  contains:
    what:
      description: V(driver), or the option or label with its kind, such as V(labels.team).
      type: str
      returned: always
      sample: labels.team
    wanted:
      description: What the task wants.
      type: str
      returned: always
      sample: billing
    found:
      description: What the engine has; V(null) where it has none.
      type: str
      returned: always
      sample: sales
diff:
  description: The volume before and after, secret options hidden.
  returned: success
  type: dict
  sample: {before: {exists: false}, after: {exists: true, name: pgdata, driver: local, driver_options: {}, labels: {}}}
users:
  description: Who uses the volume.
  returned: when the volume cannot be removed because it is in use
  type: list
  elements: dict
  sample: [{container: db, id: 4a9f, state: running, volume: pgdata, path: /data, read_only: false}]
"""

from ansible_collections.voltainer.volumes.plugins.module_utils._module import SecretsOf, run_module
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import parse_volume
from ansible_collections.voltainer.volumes.plugins.module_utils._volume_run import converge_volume


def main():
    """Run the module."""
    run_module(
        {
            "name": {"type": "str", "required": True, "aliases": ["volume_name"]},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "driver": {"type": "str"},
            "driver_options": {"type": "dict", "no_log": True},
            "secret_options": {"type": "list", "elements": "str", "default": [], "no_log": False},
            "labels": {"type": "dict"},
        },
        parse_volume,
        converge_volume,
        secrets=[SecretsOf(values="driver_options", keys="secret_options")],
    )


if __name__ == "__main__":
    main()
