#!/usr/bin/python
# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_volume_plugin_x_info
short_description: Tell about Docker storage plugins, their health, settings and volumes
version_added: 0.1.0
description:
  - Returns what the engine knows of one storage plugin, of all, or of those that match O(filters), and what can be told
    beyond that. That is whether the driver answers, what is set against the defaults, which volumes it has and who uses
    them, whether a change was ended midway, and when asked, whether its registry has another version.
  - Tells of managed plugins and of legacy ones, which are sockets in C(/run/docker/plugins) and files in
    C(/etc/docker/plugins) and C(/usr/lib/docker/plugins). The engine knows a legacy plugin only once it was used; those
    that it does not know yet are found where the module runs on its host.
  - A plugin that hangs delays the task by O(timeout) at most.
author:
  - The voltainer.volumes developers (@voltainer)
extends_documentation_fragment:
  - voltainer.volumes.docker
  - voltainer.volumes.docker.registry
  - voltainer.volumes.attributes
  - voltainer.volumes.attributes.info
options:
  name:
    description:
      - The name of the one plugin to tell about, as volumes give it as their driver. V(pure) is V(pure:latest). Without
        it, all storage plugins are looked at.
    type: str
    aliases: [alias]
  filters:
    description:
      - Which plugins to return, where O(name) is not given. All of these must be true of a plugin.
    type: dict
    suboptions:
      name:
        description:
          - Names, or patterns such as V(rclone*), which must match the whole name, with or without C(:latest). One of
            them is enough.
        type: list
        elements: str
      kind:
        description:
          - V(managed) returns only plugins that the engine installed, V(legacy) only the others.
        type: str
        choices: [managed, legacy]
      enabled:
        description:
          - V(true) returns only enabled plugins, V(false) only disabled ones. Legacy plugins are always enabled.
        type: bool
  check_registry:
    description:
      - Ask the registry of each managed plugin which content its reference has there now.
      - Where a registry does not answer, a warning says so.
      - Given with O(registry_username), the plugins must be of one registry, so that no other gets the password.
    type: bool
    default: false
  secret_settings:
    description:
      - Names of settings whose values are secret, beside those whose names say so. They are hidden in the result.
    type: list
    elements: str
    default: []
seealso:
  - module: voltainer.volumes.docker_volume_plugin_x
  - module: voltainer.volumes.docker_volume_x_info
"""

EXAMPLES = r"""
- name: Look at a plugin
  voltainer.volumes.docker_volume_plugin_x_info:
    name: pure
    timeout: 10
  register: pure

- name: Stop where it does not answer
  ansible.builtin.assert:
    that:
      - pure.exists
      - pure.plugins[0].healthy

- name: Look which plugins have a new version
  voltainer.volumes.docker_volume_plugin_x_info:
    filters:
      kind: managed
    check_registry: true
  register: found

- name: Name them
  ansible.builtin.debug:
    msg: "{{ found.plugins | selectattr('upgrade_available', 'true') | map(attribute='name') }}"
"""

RETURN = r"""
exists:
  description: Whether there is a storage plugin of that name.
  returned: success, when O(name) is given
  type: bool
  sample: true
plugin:
  description: What the engine says of the one plugin, secrets hidden; V(null) where there is none, or for a legacy one.
  returned: success, when O(name) is given
  type: dict
  sample: {Enabled: true, Id: 8c0f4a9f, Name: "pure:latest"}
plugins:
  description: The plugins that were found, by name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Its full name.
      type: str
      sample: pure:latest
    driver_name:
      description: Its name without C(:latest), as playbooks usually write it.
      type: str
      sample: pure
    kind:
      description: V(managed) or V(legacy).
      type: str
      sample: managed
    enabled:
      description: Whether it runs, as far as the engine knows.
      type: bool
      sample: true
    healthy:
      description:
        - Whether the driver listed its volumes within O(timeout).
        - V(null) for a CSI driver, which only the swarm asks.
      type: bool
      sample: true
    unhealthy_reason:
      description: Why it is not healthy, in the engine's words; V(null) where it is.
      type: str
      sample: it is disabled
    reference:
      description: The reference that it was installed from; V(null) for a legacy plugin.
      type: str
      sample: docker.io/purestorage/docker-plugin:latest
    digest:
      description:
        - The digest of the installed content. The engine tells it only root on its own host, or of a plugin that was
          installed by digest; else V(null).
      type: str
      sample: sha256:0fd22c786f1d7454f3c11f0dc5259a4757b8efd471614afb78bc2988fd5ad509
    registry_digest:
      description: The digest that the reference has in its registry; V(null) where it was not asked or did not answer.
      type: str
      sample: sha256:0fd22c786f1d7454f3c11f0dc5259a4757b8efd471614afb78bc2988fd5ad509
    upgrade_available:
      description: Whether these digests differ; V(null) where one of them is not known.
      type: bool
      sample: false
    privileges:
      description: What the plugin has, as the engine words it.
      type: list
      elements: dict
      sample: [{name: network, value: [host]}]
    settings:
      description: What is set, by the names that M(voltainer.volumes.docker_volume_plugin_x) takes, secrets hidden.
      type: dict
      sample: {DEBUG: "true", args: ""}
    defaults:
      description: The defaults of these settings; that of a mount is V(null) where only root on the host could tell it.
      type: dict
      sample: {DEBUG: "false", args: ""}
    settings_changed:
      description: The names of the settings that differ from their defaults.
      type: list
      elements: str
      sample: [DEBUG]
    volumes:
      description:
        - The volumes of the driver, each with the containers and services that use it.
        - Of a driver that does not list them, those that a container uses.
      type: list
      elements: dict
      contains:
        name:
          description: The name of the volume.
          type: str
          sample: fastvol
        users:
          description: As in M(voltainer.volumes.docker_volume_x_info).
          type: list
          elements: dict
          sample: [{container: db, id: 4a9f, state: running, volume: fastvol, path: /data, read_only: false}]
    unfinished:
      description: What is to be known where a change of the plugin was ended midway; else V(null).
      type: str
      sample: null
    file:
      description: The socket or file that makes a legacy plugin known, where the module runs on the engine's host.
      type: str
      sample: /run/docker/plugins/flocker.sock
    plugin:
      description: What the engine says of a managed plugin, secrets hidden.
      type: dict
      sample: {Enabled: true, Id: 8c0f4a9f, Name: "pure:latest"}
"""

from ansible_collections.voltainer.volumes.plugins.module_utils._module import run_module
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_engine import connect
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_info_run import (
    look_at_plugins,
    parse_plugin_info,
)


def main():
    """Run the module."""
    filters = {
        "name": {"type": "list", "elements": "str"},
        "kind": {"type": "str", "choices": ["managed", "legacy"]},
        "enabled": {"type": "bool"},
    }
    run_module(
        {
            "name": {"type": "str", "aliases": ["alias"]},
            "filters": {"type": "dict", "options": filters},
            "check_registry": {"type": "bool", "default": False},
            "registry_username": {"type": "str"},
            "registry_password": {"type": "str", "no_log": True},
            "secret_settings": {"type": "list", "elements": "str", "default": [], "no_log": False},
        },
        parse_plugin_info,
        look_at_plugins,
        connect,
    )


if __name__ == "__main__":
    main()
