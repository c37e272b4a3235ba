#!/usr/bin/python
# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_volume_plugin_x
short_description: Install, set, enable, disable and remove Docker storage plugins
version_added: 0.1.0
description:
  - Installs a managed volume plugin from a registry under an alias, with exactly the privileges that the task
    approves, sets its settings, and enables it.
  - Nothing half-done stays behind. Where an install fails, also at enabling, the plugin is removed again; where a
    change fails, its settings and its state are brought back.
  - A plugin is never stopped or removed from under running containers; the error names them. In check mode, too.
author:
  - The voltainer.volumes developers (@voltainer)
extends_documentation_fragment:
  - voltainer.volumes.docker
  - voltainer.volumes.docker.sdk
  - voltainer.volumes.attributes
  - voltainer.volumes.attributes.changes
options:
  remote:
    description:
      - The reference of the plugin in a registry, C([registry/]name[:tag]). Without a tag, V(latest).
      - Needed to install it. Where the plugin is there, it must be the one installed, or the task fails and changes
        nothing.
      - A reference by digest is refused on engines before 25.0.3, which it would crash.
      - Credentials for the registry are those of C(docker login) of the user who runs the task on the host.
    type: str
  alias:
    description:
      - The local name of the plugin, which volumes give as their driver. V(pure) is V(pure:latest).
      - Where it is not given, the plugin is known by O(remote).
    type: str
  state:
    description:
      - V(present) installs the plugin; a fresh one stays disabled, an enabled one stays enabled.
      - V(enabled) installs it and enables it. Of a run that is killed in the middle, it makes up for everything at the
        next, while V(present) cannot know that the plugin was enabled before.
      - V(disabled) installs it and disables it.
      - V(absent) disables and removes it. Refused while it has volumes.
    type: str
    choices: [present, absent, enabled, disabled]
    default: present
  settings:
    description:
      - Settings of the plugin by name. These are its environment variables (C(DEBUG)), its arguments (C(args)), the
        sources of its mounts (C(config.source)) and the paths of its devices (C(fuse.path)).
      - Numbers and booleans become strings (V(true), not V(True)), a list becomes the words of the arguments.
      - Settings that are not named keep their value. One that the plugin does not have, or that cannot be set, is an
        error. For a plugin that is not yet installed this is known only after the pull, so not in check mode; it is
        then removed again.
      - An enabled plugin is disabled, set and enabled again, only where a value differs.
      - The engine cannot take the arguments of an installed plugin away. An empty C(args) starts it with one empty
        word, which some plugins refuse.
      - Values whose name tells of a secret (such as C(API_TOKEN)) are hidden in all output. O(secret_settings) names
        others.
    type: dict
  secret_settings:
    description:
      - Names in O(settings) whose values are secret, beside those whose names say so.
    type: list
    elements: str
    default: []
  privileges:
    description:
      - What the plugin may have, as the engine words it, a list of C(name) and C(value); or V(all) to grant all that
        it asks for.
      - Where it asks for more, the task fails before anything is pulled, and prints what it asks for, ready to paste
        here.
      - Where the option is left out, nothing is approved.
    type: raw
  enable_timeout:
    description:
      - How many seconds the engine gives the plugin to answer when it is enabled, and in its later calls; V(0) sets no
        limit beside the engine's own.
    type: int
    default: 0
seealso:
  - module: voltainer.volumes.docker_volume_x
"""

EXAMPLES = r"""
- name: Install Pure's plugin, with the privileges that it is known to ask for
  voltainer.volumes.docker_volume_plugin_x:
    remote: purestorage/docker-plugin:latest
    alias: pure
    state: enabled
    privileges:
      - {name: network, value: [host]}
      - {name: host pid namespace, value: ['true']}
      - {name: mount, value: [/etc/pure-docker-plugin/pure.json]}
      - {name: mount, value: [/dev]}
      - {name: mount, value: [/sys]}
      - {name: allow-all-devices, value: ['true']}
      - {name: capabilities, value: [CAP_SYS_ADMIN, CAP_SYS_PTRACE]}

- name: Install rclone's plugin with settings
  voltainer.volumes.docker_volume_plugin_x:
    remote: rclone/docker-volume-rclone:amd64
    alias: rclone
    state: enabled
    settings:
      args: [-v, --vfs-cache-mode=writes]
      config.source: /etc/rclone-plugin
    privileges:
      - {name: network, value: [host]}
      - {name: mount, value: [/var/lib/docker-plugins/rclone/config]}
      - {name: mount, value: [/var/lib/docker-plugins/rclone/cache]}
      - {name: device, value: [/dev/fuse]}
      - {name: capabilities, value: [CAP_SYS_ADMIN]}

- name: Remove a plugin that has no volumes any more
  voltainer.volumes.docker_volume_plugin_x:
    alias: rclone
    state: absent
"""

RETURN = r"""
plugin:
  description:
    - What the engine says of the plugin, the values of secret settings hidden.
    - V(null) where it is not installed, also in check mode before it is.
  returned: success
  type: dict
  sample:
    Enabled: true
    Id: 8c0f4a9f
    Name: rclone:latest
    PluginReference: docker.io/rclone/docker-volume-rclone:amd64
    Settings: {Args: ["-v"], Devices: [], Env: ["RCLONE_VERBOSE=0"], Mounts: []}
reference:
  description:
    - The reference that the plugin was installed from, or in check mode would be, as the engine records it, with
      C(docker.io) spelled out.
  returned: success
  type: str
  sample: docker.io/rclone/docker-volume-rclone:amd64
privileges:
  description: What the plugin has, or before an install asks for, as the engine words it.
  returned: success
  type: list
  elements: dict
  sample: [{name: network, value: [host]}, {name: capabilities, value: [CAP_SYS_ADMIN]}]
settings:
  description: What is set, by the names that O(settings) takes, secrets hidden; empty where it is not installed.
  returned: success
  type: dict
  sample: {RCLONE_VERBOSE: "0", args: "-v", config.source: /etc/rclone-plugin}
actions:
  description: What was done, or in check mode would be, in order; empty where nothing is to do.
  returned: success
  type: list
  elements: str
  sample:
    - Pull the plugin 'rclone/docker-volume-rclone:amd64' as 'rclone:latest'
    - Enable the plugin 'rclone:latest'
diff:
  description: The plugin before and after, secret settings hidden.
  returned: success
  type: dict
  sample: {before: {exists: true, enabled: false}, after: {exists: true, enabled: true}}
privileges_not_approved:
  description: What the plugin asks for beyond O(privileges).
  returned: when the plugin asks for more than is approved
  type: list
  elements: dict
  sample: [{name: capabilities, value: [CAP_SYS_ADMIN]}]
users:
  description: The containers that use volumes of the plugin.
  returned: when the plugin cannot be stopped or removed because of them
  type: list
  elements: dict
  sample: [{container: db, id: 4a9f, state: running, volume: reports, path: /data, read_only: false}]
volumes:
  description: The volumes of the plugin.
  returned: when the plugin cannot be removed because of them
  type: list
  elements: str
  sample: [reports]
"""

from ansible_collections.voltainer.volumes.plugins.module_utils._module import SecretsOf, run_module
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin import parse_plugin
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_engine import connect
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_run import converge_plugin


def main():
    """Run the module."""
    run_module(
        {
            "remote": {"type": "str"},
            "alias": {"type": "str"},
            "state": {"type": "str", "choices": ["present", "absent", "enabled", "disabled"], "default": "present"},
            "settings": {"type": "dict", "no_log": True},
            "secret_settings": {"type": "list", "elements": "str", "default": [], "no_log": False},
            "privileges": {"type": "raw"},
            "enable_timeout": {"type": "int", "default": 0},
        },
        parse_plugin,
        converge_plugin,
        connect,
        secrets=[SecretsOf(values="settings", keys="secret_settings")],
    )


if __name__ == "__main__":
    main()
