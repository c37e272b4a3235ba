#!/usr/bin/python
# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_volume_x_info
short_description: Tell about Docker volumes, their users and their risks
version_added: 0.1.0
description:
  - Returns what the engine knows of one volume, of all, or of those that match O(filters), and what can be told beyond
    that. That is who uses a volume and may write to it, whether it is protected, and whether a change of it was ended
    midway.
  - A storage plugin that hangs delays the task by O(timeout) at most. The volumes of the other drivers are returned
    nevertheless, with a warning.
  - A task that uses C(community.docker.docker_volume_info) can use this module instead when only the name of the module
    is changed.
author:
  - The voltainer.volumes developers (@voltainer)
extends_documentation_fragment:
  - voltainer.volumes.docker
  - voltainer.volumes.docker.socket
  - voltainer.volumes.attributes
  - voltainer.volumes.attributes.info
options:
  name:
    description:
      - The name of the one volume to tell about. Without it, all volumes are looked at.
      - The task fails where the volume exists, but belongs to a plugin that is disabled or gone, and where nobody can
        tell because a plugin does not answer.
    type: str
    aliases: [volume_name]
  filters:
    description:
      - Which volumes to return, where O(name) is not given. All of these must be true of a volume.
      - An empty list is an error and not the same as none, as a variable may be empty by mistake.
    type: dict
    suboptions:
      name:
        description:
          - Names, or patterns such as V(billing-*), which must match the whole name. One of them is enough.
        type: list
        elements: str
      driver:
        description:
          - Drivers. V(pure) and V(pure:latest) are the same. One of them is enough, and other plugins are not asked.
        type: list
        elements: str
      label:
        description:
          - Labels, as V(key) or V(key=value). All of them are needed.
        type: list
        elements: str
      without_label:
        description:
          - Labels, as V(key) or V(key=value), of which the volume must have none.
        type: list
        elements: str
      dangling:
        description:
          - V(true) returns only volumes that nobody uses, V(false) only those that somebody does. A container uses its
            volumes when it is stopped, too, and a service those that it mounts on any node.
        type: bool
  size:
    description:
      - Measure how much space each volume takes. This reads all folders of the volumes, which takes its time where they
        hold many files.
      - Only volumes of the driver V(local) that own their data can be measured, where the module runs as root on the
        host of the engine. For others, the size is V(null), and a warning says why.
    type: bool
    default: false
  secret_options:
    description:
      - Keys of driver options whose values are secret, beside those whose names say so. They are hidden in the result.
    type: list
    elements: str
    default: []
notes:
  - Services are known to the managers of a swarm only. On a worker, RV(volumes[].users) has containers only.
  - Where a plugin fails to list its volumes, they are returned as the engine remembers them, with a warning. They are
    not inspected then, since an inspect would make the engine forget their labels and driver options.
seealso:
  - module: voltainer.volumes.docker_volume_x
  - module: voltainer.volumes.docker_volume_x_prune
"""

EXAMPLES = r"""
- name: Look at a volume
  voltainer.volumes.docker_volume_x_info:
    name: pgdata
  register: pgdata

- name: Stop where it does not exist, or where several may write to it
  ansible.builtin.assert:
    that:
      - pgdata.exists
      - pgdata.volumes[0].shared_risk is none

- name: Look at all volumes of a team that nobody uses, and measure them
  voltainer.volumes.docker_volume_x_info:
    filters:
      label: [team=billing]
      dangling: true
    size: true
  register: unused

- name: Look at the volumes of two plugins
  voltainer.volumes.docker_volume_x_info:
    filters:
      driver: [pure, rclone]
      name: ["reports-*"]

- name: Look for changes that were ended midway
  voltainer.volumes.docker_volume_x_info:
    filters:
      driver: [local]
  register: all
  failed_when: all.volumes | selectattr('unfinished') | length > 0
"""

RETURN = r"""
exists:
  description: Whether the volume exists.
  returned: success, with O(name)
  type: bool
  sample: true
volume:
  description:
    - What the engine's inspect says of the volume, secret options hidden.
    - V(null) where it does not exist.
  returned: success, with O(name)
  type: dict
  sample:
    CreatedAt: "2026-11-24T09:30:00Z"
    Driver: local
    Labels: {team: billing}
    Mountpoint: /var/lib/docker/volumes/pgdata/_data
    Name: pgdata
    Options: null
    Scope: local
volumes:
  description: The volumes, by name; with O(name), the one or none.
  returned: success
  type: list
  elements: dict
  sample:
    - name: pgdata
      driver_name: local
      owner_kind: owned
      anonymous: false
      protected: true
      users:
        - {container: db, id: 4a9f, state: running, volume: pgdata, path: /data, read_only: false}
      writers: 1
      shared_risk: null
      unfinished: null
      size: 1610612736
      volume: {Name: pgdata, Driver: local}
  contains:
    name:
      description: The name of the volume.
      type: str
      returned: always
      sample: pgdata
    driver_name:
      description: Its driver, without the tag V(latest).
      type: str
      returned: always
      sample: pure
    owner_kind:
      description:
        - V(owned) where the data goes with the volume, V(referenced) where the volume only refers to data. Those are
          volumes of the driver V(local) with C(type) or C(device), such as NFS, tmpfs, or a folder of the host.
      type: str
      returned: always
      sample: owned
    anonymous:
      description: Whether the engine made up its name.
      type: bool
      returned: always
      sample: false
    protected:
      description: Whether it is protected, see the option O(voltainer.volumes.docker_volume_x#module:protected).
      type: bool
      returned: always
      sample: false
    users:
      description:
        - Who uses it. These are containers of this engine, running or not, and on a manager of a swarm services.
        - The mode of a service is V(replicated), V(global), V(replicatedjob) or V(globaljob).
      type: list
      elements: dict
      returned: always
      sample:
        - {container: db, id: 4a9f, state: running, volume: pgdata, path: /data, read_only: false}
        - {service: web, id: 9x2k, mode: replicated, replicas: 3, volume: pgdata, path: /data, read_only: true}
    writers:
      description:
        - How many may write to it at once. These are running containers, and all tasks of services, such as 3 for a
          service of 3 replicas.
      type: int
      returned: always
      sample: 1
    shared_risk:
      description:
        - Why several may write to the same data at once, and who; V(null) where they may not.
        - What services do on other hosts counts where those reach the same data. That is with drivers of global scope,
          and with data on a server, such as NFS.
      type: str
      returned: always
      sample: "several may write to it at once, on this host: container db, container export"
    unfinished:
      description:
        - What change of the volume was ended midway, and what to do; V(null) where there is none. It is told for the
          volume itself, for the one that it was to be renamed from, and for the staging volume.
      type: str
      returned: always
      sample: >-
        the change of the volume 'pgdata' was ended midway, or goes on at this moment; the next task of docker_volume_x
        for the volume 'pgdata' finishes or undoes it
    size:
      description: How many bytes it takes on its file system; V(null) where O(size) is not set, or it is unknown.
      type: int
      returned: always
      sample: 1610612736
    volume:
      description:
        - What the engine's inspect says of the volume, secret options hidden. Paths are as the engine has them, also
          those of an engine on Windows.
      type: dict
      returned: always
      sample: {Name: pgdata, Driver: local}
"""

from ansible_collections.voltainer.volumes.plugins.module_utils._engine import connect
from ansible_collections.voltainer.volumes.plugins.module_utils._info_run import look_at_volumes, parse_info
from ansible_collections.voltainer.volumes.plugins.module_utils._module import run_module

TEXTS = {"type": "list", "elements": "str"}


def main():
    """Run the module."""
    run_module(
        {
            "name": {"type": "str", "aliases": ["volume_name"]},
            "filters": {
                "type": "dict",
                "options": {
                    "name": TEXTS,
                    "driver": TEXTS,
                    "label": TEXTS,
                    "without_label": TEXTS,
                    "dangling": {"type": "bool"},
                },
            },
            "size": {"type": "bool", "default": False},
            "secret_options": {"type": "list", "elements": "str", "default": [], "no_log": False},
        },
        parse_info,
        look_at_volumes,
        connect,
    )


if __name__ == "__main__":
    main()
