#!/usr/bin/python
# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_volume_x_prune
short_description: Remove Docker volumes that nobody uses, after a plan that can be read first
version_added: 0.1.0
description:
  - Removes volumes that nobody uses, and tells of each volume why it goes or stays. In check mode it tells the same
    and removes nothing.
  - Anonymous volumes go, and others only where O(anonymous_only=false) and O(filters) say which. This means the same
    with each version of the engine, whose own C(docker volume prune) removes volumes with names in some and keeps them
    in others.
  - Always kept are volumes that a container uses, running or not, or a service of the swarm; volumes that an unfinished
    change is about, with the staging volumes that hold their data; and volumes whose driver does not answer.
  - Volumes are removed by their names, one by one, never by force. Right before, each is looked at again. One that was
    changed or became used meanwhile stays, with a warning.
  - Where single volumes cannot be removed, the others are, and then the task fails with all errors.
author:
  - The voltainer.volumes developers (@voltainer)
extends_documentation_fragment:
  - voltainer.volumes.docker
  - voltainer.volumes.docker.socket
  - voltainer.volumes.attributes
  - voltainer.volumes.attributes.changes
options:
  anonymous_only:
    description:
      - Whether only anonymous volumes go, whose names the engine made up.
      - V(false) needs O(filters). Without it each volume would go that nobody uses at this moment, with its data, such
        as that of a container which is just being made anew. To mean all, set O(filters.name) to V(*).
    type: bool
    default: true
  filters:
    description:
      - Which volumes may go. All of these must be true of a volume.
      - An empty list is an error and not the same as none, as a variable may be empty by mistake.
    type: dict
    suboptions:
      name:
        description:
          - Names, or patterns such as V(ci-*), which must match the whole name. One of them is enough.
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
      older_than:
        description:
          - How long ago the volume must have been created, such as V(30d), V(12h) or V(1w12h). Units are V(s), V(m),
            V(h), V(d) and V(w), and the clock is that of the engine's host.
          - A volume whose creation time nobody knows stays, with a warning.
          - Engine 20.10 does not know when a local volume was created, but when its topmost folder was last changed. A
            volume seems younger there than it is, never older.
        type: str
  keep:
    description:
      - Names of volumes that stay, or patterns such as V(billing-*).
      - Spaces around a name are an error, as of V(a, b), which Ansible splits at the comma only.
    type: list
    elements: str
    default: []
  confirm:
    description:
      - Names of protected volumes that may go nevertheless, each in full. See the option
        O(voltainer.volumes.docker_volume_x#module:protected).
    type: list
    elements: str
    default: []
  size:
    description:
      - Measure how much space each volume takes that goes. This reads all folders of these volumes, which takes its
        time where they hold many files.
      - Only volumes of the driver V(local) that own their data can be measured, where the module runs as root on the
        host of the engine. For others, the size is V(null), and a warning says why.
    type: bool
    default: false
notes:
  - Services are known to the managers of a swarm only. Run the task on a manager where services mount the volumes, or
    name those in O(keep).
  - Of a volume that refers to data (driver V(local) with C(type) or C(device), such as NFS), only the reference goes.
    Plugins decide themselves what becomes of the data; most remove it.
seealso:
  - module: voltainer.volumes.docker_volume_x
  - module: voltainer.volumes.docker_volume_x_info
"""

EXAMPLES = r"""
- name: See which anonymous volumes would go, and how large they are
  voltainer.volumes.docker_volume_x_prune:
    size: true
  check_mode: true
  register: plan

- name: Remove the anonymous volumes that are older than a month
  voltainer.volumes.docker_volume_x_prune:
    filters:
      older_than: 30d

- name: Remove what a build server left behind, apart from its caches
  voltainer.volumes.docker_volume_x_prune:
    anonymous_only: false
    filters:
      name: ["ci-*"]
      driver: [local]
      without_label: [permanent]
    keep: ["ci-cache-*"]

- name: Remove all volumes of a team that nobody uses, among them one that is protected
  voltainer.volumes.docker_volume_x_prune:
    anonymous_only: false
    filters:
      label: [team=billing]
    confirm: [invoices-2019]
"""

RETURN = r"""
volumes:
  description: What became of each volume, or in check mode would, by name, and why.
  returned: success, and when volumes could not be removed
  type: list
  elements: dict
  sample:
    - name: ci-4711
      action: remove
      reason: the filters ask for it, and nobody uses it; its data goes with it
      driver: local
      owner_kind: owned
      size: 1048576
    - name: pgdata
      action: keep
      reason: it has a name, and only anonymous volumes are to go
      driver: local
      owner_kind: owned
      size: null
  contains:
    name:
      description: The name of the volume.
      type: str
      returned: always
      sample: ci-4711
    action:
      description: V(remove), V(keep), or V(gone) where somebody else removed it meanwhile.
      type: str
      returned: always
      sample: remove
    reason:
      description: Why, and what becomes of the data of a volume that goes.
      type: str
      returned: always
      sample: the filters ask for it, and nobody uses it; its data goes with it
    driver:
      description: Its driver, without the tag V(latest).
      type: str
      returned: always
      sample: local
    owner_kind:
      description: V(owned) where the data goes with the volume, V(referenced) where the volume only refers to data.
      type: str
      returned: always
      sample: owned
    size:
      description: How many bytes it takes; V(null) where O(size) is not set, where it stays, or where it is unknown.
      type: int
      returned: always
      sample: 1048576
removed:
  description: The names of the volumes that were removed, or in check mode would be.
  returned: success, and when volumes could not be removed
  type: list
  elements: str
  sample: [ci-4711]
kept:
  description: The names of the volumes that stay.
  returned: success, and when volumes could not be removed
  type: list
  elements: str
  sample: [pgdata]
space_reclaimed:
  description:
    - How many bytes the removed volumes took, as far as their size is known; V(null) where O(size) is not set.
  returned: success, and when volumes could not be removed
  type: int
  sample: 1048576
actions:
  description: What was done, or in check mode would be, in order; empty where nothing is to do.
  returned: success, and when volumes could not be removed
  type: list
  elements: str
  sample: ["Remove the volume 'ci-4711' (its data goes with it)"]
diff:
  description: The volumes that go, before and after.
  returned: success, and when volumes could not be removed
  type: dict
  sample:
    before: {volumes: {ci-4711: {exists: true, driver: local, created: "2026-11-24T09:30:00Z", size: null}}}
    after: {volumes: {ci-4711: {exists: false}}}
errors:
  description: Each error by itself.
  returned: when volumes could not be removed
  type: list
  elements: str
  sample: ["Cannot remove the volume 'reports': remove reports: the array does not answer."]
"""

from ansible_collections.voltainer.volumes.plugins.module_utils._engine import connect
from ansible_collections.voltainer.volumes.plugins.module_utils._module import run_module
from ansible_collections.voltainer.volumes.plugins.module_utils._prune import parse_prune
from ansible_collections.voltainer.volumes.plugins.module_utils._prune_run import prune_volumes

TEXTS = {"type": "list", "elements": "str"}


def main():
    """Run the module."""
    run_module(
        {
            "anonymous_only": {"type": "bool", "default": True},
            "filters": {
                "type": "dict",
                "options": {
                    "name": TEXTS,
                    "driver": TEXTS,
                    "label": TEXTS,
                    "without_label": TEXTS,
                    "older_than": {"type": "str"},
                },
            },
            "keep": {**TEXTS, "default": []},
            "confirm": {**TEXTS, "default": []},
            "size": {"type": "bool", "default": False},
        },
        parse_prune,
        prune_volumes,
        connect,
    )


if __name__ == "__main__":
    main()
