#!/usr/bin/python
# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_volume_plugin_x_drain
short_description: Take a swarm's node out of service while a storage plugin on it changes, and bring it back
version_added: 0.1.0
description:
  - Drains a node, so that the swarm runs its tasks elsewhere, and waits until they do. Afterwards brings the node back
    to the availability that it had, and waits until the services are complete.
  - Runs on a manager of the swarm, whichever node it is about. Usually the task is delegated to one.
  - The availability before stands in the label C(voltainer.volumes.drained) of the node, which is set and removed
    together with the availability, in one call. So a node that a killed run left drained is recognised by whatever runs
    next, and brought back.
  - A node that somebody else drained has no such label. It stays drained, whatever O(state) says.
author:
  - The voltainer.volumes developers (@voltainer)
extends_documentation_fragment:
  - voltainer.volumes.docker
  - voltainer.volumes.docker.socket
  - voltainer.volumes.attributes
  - voltainer.volumes.attributes.changes
options:
  node:
    description:
      - The node, by its ID or its hostname. Where several nodes have that hostname, the task fails and lists their IDs.
      - On the node itself, C(docker info) tells the ID as C(Swarm.NodeID).
    type: str
    required: true
  state:
    description:
      - V(drained) drains the node, and waits until no task is left on it and each replicated service has as many tasks
        running elsewhere as it had before. Tasks of global services and of jobs only have to leave.
      - Where that does not come about within O(wait_timeout), the node becomes what it was before, and the task fails
        with the words of the engine for each task that did not move.
      - V(active) brings back a node that was drained with this module, and waits until it is ready and the services are
        complete. Services that were incomplete before for reasons of their own are not waited for.
      - V(active) does nothing where the node was not drained with this module.
    type: str
    required: true
    choices: [drained, active]
  wait_timeout:
    description:
      - How many seconds to wait for the tasks. A container that does not end by itself when it is told to takes its
        service's stop grace period, 10 seconds unless it is set.
    type: int
    default: 300
  force:
    description:
      - Drain the node also where services have no other node to run on, which is an error else. That is where no other
        node is ready and active, or none of these meets the constraints of a service.
      - Services elsewhere are not waited for then. Those without a node are down until this one is back.
    type: bool
    default: false
notes:
  - To drain a manager does not take away its vote in the swarm.
  - Containers that are not tasks of a service are not touched, and are not waited for.
seealso:
  - module: voltainer.volumes.docker_volume_plugin_x
  - module: voltainer.volumes.docker_volume_plugin_x_info
"""

EXAMPLES = r"""
- name: Take the node of this host out of service
  voltainer.volumes.docker_volume_plugin_x_drain:
    node: "{{ ansible_facts.hostname }}"
    state: drained
  delegate_to: manager1.example.com

- name: Upgrade a plugin, and bring the node back whatever comes of it
  block:
    - name: Upgrade the plugin
      voltainer.volumes.docker_volume_plugin_x:
        remote: registry.example.com/rclone/docker-volume-rclone:1.69
        alias: rclone
        privileges: "{{ approved_privileges }}"
        wait_ready: 30
  always:
    - name: Bring the node back
      voltainer.volumes.docker_volume_plugin_x_drain:
        node: "{{ ansible_facts.hostname }}"
        state: active
        wait_timeout: 600
      delegate_to: manager1.example.com

- name: See which services would have to move
  voltainer.volumes.docker_volume_plugin_x_drain:
    node: worker3
    state: drained
  check_mode: true
  register: plan
  delegate_to: manager1.example.com
"""

RETURN = r"""
node:
  description: The node as it is then, or in check mode would be.
  returned: success
  type: dict
  sample: {id: msl1zrek2tf2vuf7zmu4sv63m, hostname: worker3, availability: drain, state: ready}
  contains:
    id:
      description: Its ID.
      type: str
      returned: always
      sample: msl1zrek2tf2vuf7zmu4sv63m
    hostname:
      description: Its hostname.
      type: str
      returned: always
      sample: worker3
    availability:
      description: V(active), V(pause) or V(drain).
      type: str
      returned: always
      sample: drain
    state:
      description: V(ready) where its engine is in touch with the managers.
      type: str
      returned: always
      sample: ready
services:
  description:
    - With O(state=drained), the services whose tasks left the node, or in check mode would. With O(state=active), those
      that have tasks on it again; empty where nothing was to do, and in check mode.
  returned: success
  type: list
  elements: dict
  sample: [{name: web, id: va27jyt10pgaelgln5rfdlg0v, mode: replicated, tasks: 2}]
  contains:
    name:
      description: The name of the service.
      type: str
      returned: always
      sample: web
    id:
      description: Its ID.
      type: str
      returned: always
      sample: va27jyt10pgaelgln5rfdlg0v
    mode:
      description: V(replicated), V(global), V(replicatedjob) or V(globaljob).
      type: str
      returned: always
      sample: replicated
    tasks:
      description: How many of its tasks these were on the node.
      type: int
      returned: always
      sample: 2
actions:
  description: What was done, or in check mode would be, in order; empty where nothing is to do.
  returned: success
  type: list
  elements: str
  sample: ["Set the node 'worker3' to 'active' again, and remove the label 'voltainer.volumes.drained'"]
diff:
  description: The node's availability and labels, before and after.
  returned: success
  type: dict
  sample:
    before: {id: msl1zrek2tf2vuf7zmu4sv63m, hostname: worker3, availability: active, labels: {}}
    after:
      id: msl1zrek2tf2vuf7zmu4sv63m
      hostname: worker3
      availability: drain
      labels: {voltainer.volumes.drained: active}
not_moved:
  description: What kept the node from being drained, each by itself, with the engine's words.
  returned: when tasks did not leave, or did not run elsewhere, in time
  type: list
  elements: str
  sample: ["web.1 is running on it: started"]
not_settled:
  description: What is missing, each by itself, with the engine's words.
  returned: when the services were not complete in time after the node was brought back
  type: list
  elements: str
  sample: ["the service 'web' has 1 of 2 tasks running (web.2 is rejected: No such image: registry.example.com/web:3)"]
"""

from ansible_collections.voltainer.volumes.plugins.module_utils._drain import parse_drain
from ansible_collections.voltainer.volumes.plugins.module_utils._drain_run import converge_drain
from ansible_collections.voltainer.volumes.plugins.module_utils._module import run_module
from ansible_collections.voltainer.volumes.plugins.module_utils._swarm_engine import connect


def main():
    """Run the module."""
    run_module(
        {
            "node": {"type": "str", "required": True},
            "state": {"type": "str", "required": True, "choices": ["drained", "active"]},
            "wait_timeout": {"type": "int", "default": 300},
            "force": {"type": "bool", "default": False},
        },
        parse_drain,
        converge_drain,
        connect,
    )


if __name__ == "__main__":
    main()
