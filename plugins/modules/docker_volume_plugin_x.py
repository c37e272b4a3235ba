#!/usr/bin/python
# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_volume_plugin_x
short_description: Install, set, upgrade, enable, disable and remove Docker storage plugins
version_added: 0.1.0
description:
  - Installs a managed volume plugin from a registry under an alias, with exactly the privileges that the task
    approves, sets its settings, upgrades it, and enables it.
  - Nothing half-done stays behind. Where an install fails, also at enabling, the plugin is removed again; where a
    change or an upgrade fails, the version, the settings and the state before are brought back.
  - A plugin is never stopped or removed from under running containers, unless O(force) says so; the error names them.
    In check mode, too.
  - Only storage plugins are managed, those whose interface is C(docker.volumedriver) or CSI. Others are refused, and
    do not stay installed.
  - What a change is about is noted in the engine while it goes on, in a volume named C(voltainer-plugin-change.) and
    the plugin's ID. When a task is killed at any point, the next one for the same plugin finds it and finishes the
    change.
author:
  - The voltainer.volumes developers (@voltainer)
extends_documentation_fragment:
  - voltainer.volumes.docker
  - voltainer.volumes.docker.registry
  - voltainer.volumes.attributes
  - voltainer.volumes.attributes.changes
options:
  remote:
    description:
      - The reference of the plugin in a registry, C([registry/]name[:tag]) or C([registry/]name@sha256:...). Without a
        tag, V(latest).
      - Needed to install it. Where a plugin of that name is there from another repository, the task fails and changes
        nothing; another tag or digest of the same repository is an upgrade.
      - A reference by digest is refused on engines before 25.0.3, which it would crash.
    type: str
  alias:
    description:
      - The local name of the plugin, which volumes give as their driver. V(pure) is V(pure:latest).
      - Where it is not given, the plugin is known by O(remote).
    type: str
  plugin_name:
    description:
      - What O(remote) is in C(community.docker.docker_plugin). Tasks for that module work with this one unchanged.
      - As there, it may also be the local name of an installed plugin, where O(alias) is not given.
      - As there, everything that the plugin asks for is granted where O(privileges) is not given; here a warning lists
        it. An upgrade that asks for more than the installed version has is refused all the same.
    type: str
  state:
    description:
      - V(present) installs the plugin; a fresh one stays disabled, an enabled one stays enabled.
      - V(enabled) installs it and enables it.
      - V(disabled) installs it and disables it.
      - V(absent) disables and removes it. Refused while it has volumes, or does not tell which it has.
      - V(enable) and V(disable) are the words of C(community.docker.docker_plugin) for V(enabled) and V(disabled).
    type: str
    choices: [present, absent, enabled, disabled, enable, disable]
    default: present
  pull:
    description:
      - When an installed plugin is compared with the registry.
      - V(missing) asks the registry only where the plugin is not installed, or where O(remote) is not the reference
        that it was installed from. A tag that has moved goes unseen.
      - V(changed) asks at each run which content the tag has, and upgrades the plugin where it is not the installed
        one. Which that is, the engine tells only root on its own host (or of a plugin installed by digest); elsewhere
        the task fails.
      - V(always) upgrades at each run, also to the same content, which repairs a plugin whose files were damaged.
    type: str
    choices: [missing, changed, always]
    default: missing
  settings:
    description:
      - Settings of the plugin by name. These are its environment variables (C(DEBUG)), its arguments (C(args)), the
        sources of its mounts (C(config.source)) and the paths of its devices (C(fuse.path)).
      - Numbers and booleans become strings (V(true), not V(True)), a list becomes the words of the arguments.
        A string of arguments is divided at its spaces only; quotes are words like others.
      - Settings that are not named keep their value, also through an upgrade; O(settings_exact) changes that. One that
        the plugin does not have, or that cannot be set, is an error. For a version that is not yet installed this is
        known only after the pull, so not in check mode; the plugin then stays as it was.
      - An enabled plugin is disabled, set and enabled again, only where a value differs.
      - The engine cannot take the arguments of an installed plugin away. An empty C(args) starts it with one empty
        word, which some plugins refuse.
      - Values whose name tells of a secret (such as C(API_TOKEN)) are hidden in all output. O(secret_settings) names
        others.
    type: dict
    aliases: [plugin_options]
  settings_exact:
    description:
      - Whether settings that O(settings) does not name go back to the defaults of the plugin.
      - The default of a mount is known only to root on the engine's own host; elsewhere such mounts must be named.
    type: bool
    default: false
  secret_settings:
    description:
      - Names in O(settings) whose values are secret, beside those whose names say so.
    type: list
    elements: str
    default: []
  privileges:
    description:
      - What the plugin may have, as the engine words it, a list of C(name) and C(value); or V(all) to grant all that
        it asks for, which is then listed in a warning.
      - Where it asks for more, the task fails before anything is pulled, and prints what it asks for, ready to paste
        here. So does an upgrade.
      - An installed plugin that has more is not enabled; where it is enabled already, a warning lists what is beyond.
      - Where the option is left out, nothing is approved.
    type: raw
  force:
    description:
      - Whether the plugin may be stopped while running containers have its volumes mounted. They lose them, on most
        storage until they are started again.
      - Together with O(confirm), a plugin that has volumes may be removed.
    type: bool
    default: false
  confirm:
    description:
      - The name of the plugin once more, without which O(force=true) removes no plugin that has volumes. Those cannot
        be reached any more afterwards, and their names stay taken.
    type: str
  force_remove:
    description:
      - The word of C(community.docker.docker_plugin) for O(force) with O(state=absent). An enabled plugin without
        volumes is removed anyway; one with volumes needs O(confirm), too.
    type: bool
    default: false
  enable_timeout:
    description:
      - How many seconds the engine gives the plugin to answer when it is enabled, and in its later calls; V(0) sets no
        limit beside the engine's own.
    type: int
    default: 0
  wait_ready:
    description:
      - How many seconds the driver has to list its volumes after it was enabled. Where it does not, the change is
        taken back. V(0) does not ask it. A CSI driver is not asked.
    type: int
    default: 0
  debug:
    description:
      - Without effect. C(community.docker.docker_plugin) returns more when it is set; this module always does.
    type: bool
    default: false
notes:
  - Of several tasks on one host that change the same plugin at once, one waits for the other, where they run as root
    over the engine's socket. Elsewhere, let only one task at a time change a plugin.
seealso:
  - module: voltainer.volumes.docker_volume_plugin_x_info
  - module: voltainer.volumes.docker_volume_x
"""

EXAMPLES = r"""
- name: Install Pure's plugin, with the privileges that it is known to ask for
  voltainer.volumes.docker_volume_plugin_x:
    remote: purestorage/docker-plugin:latest
    alias: pure
    state: enabled
    wait_ready: 30
    privileges:
      - {name: network, value: [host]}
      - {name: host pid namespace, value: ['true']}
      - {name: mount, value: [/etc/pure-docker-plugin/pure.json]}
      - {name: mount, value: [/dev]}
      - {name: mount, value: [/sys]}
      - {name: allow-all-devices, value: ['true']}
      - {name: capabilities, value: [CAP_SYS_ADMIN, CAP_SYS_PTRACE]}

- name: Install rclone's plugin with settings, from a registry that asks for a password
  voltainer.volumes.docker_volume_plugin_x:
    remote: registry.example.com/rclone/docker-volume-rclone:1.68
    alias: rclone
    state: enabled
    registry_username: swarm
    registry_password: '{{ vault_registry_password }}'
    settings:
      args: [-v, --vfs-cache-mode=writes]
      config.source: /etc/rclone-plugin
    privileges: &rclone_privileges
      - {name: network, value: [host]}
      - {name: mount, value: [/var/lib/docker-plugins/rclone/config]}
      - {name: mount, value: [/var/lib/docker-plugins/rclone/cache]}
      - {name: device, value: [/dev/fuse]}
      - {name: capabilities, value: [CAP_SYS_ADMIN]}

- name: Upgrade it; settings and volumes stay, and what does not come up is taken back
  voltainer.volumes.docker_volume_plugin_x:
    remote: registry.example.com/rclone/docker-volume-rclone:1.69
    alias: rclone
    wait_ready: 30
    privileges: *rclone_privileges

- name: Follow a tag that moves
  voltainer.volumes.docker_volume_plugin_x:
    remote: vieux/sshfs:latest
    pull: changed
    privileges: all

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
    - The reference that the plugin was installed from, or in check mode before an install would be, as the engine
      records it, with C(docker.io) spelled out.
  returned: success
  type: str
  sample: docker.io/rclone/docker-volume-rclone:amd64
digest:
  description:
    - The digest of the content that is installed, as the registry has it.
    - V(null) where nobody can tell. The engine tells it only root on its own host, or where the plugin was installed by
      digest, or when this task pulled it.
  returned: success
  type: str
  sample: sha256:0fd22c786f1d7454f3c11f0dc5259a4757b8efd471614afb78bc2988fd5ad509
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
pull_log:
  description: How the pulls went that the task made, a line for each new state of a layer.
  returned: success
  type: list
  elements: str
  sample: ["5d0c76ff7aba: Download complete", "5d0c76ff7aba: Complete"]
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
plugin_log:
  description: What the plugin itself last wrote, oldest first, the values of its secret settings hidden.
  returned: when the plugin did not come up, and the engine's log can be read where the module runs
  type: list
  elements: str
  sample: ['pure.json: FlashArrays[0] has no APIToken']
"""

from ansible_collections.voltainer.volumes.plugins.module_utils._module import SecretsOf, run_module
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_engine import connect
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_run import converge_plugin
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_wanted import parse_plugin

STATES = ["present", "absent", "enabled", "disabled", "enable", "disable"]


def main():
    """Run the module."""
    run_module(
        {
            "remote": {"type": "str"},
            "alias": {"type": "str"},
            "plugin_name": {"type": "str"},
            "state": {"type": "str", "choices": STATES, "default": "present"},
            "pull": {"type": "str", "choices": ["missing", "changed", "always"], "default": "missing"},
            "settings": {"type": "dict", "no_log": True, "aliases": ["plugin_options"]},
            "settings_exact": {"type": "bool", "default": False},
            "secret_settings": {"type": "list", "elements": "str", "default": [], "no_log": False},
            "privileges": {"type": "raw"},
            "force": {"type": "bool", "default": False},
            "confirm": {"type": "str"},
            "force_remove": {"type": "bool", "default": False},
            "registry_username": {"type": "str"},
            "registry_password": {"type": "str", "no_log": True},
            "enable_timeout": {"type": "int", "default": 0},
            "wait_ready": {"type": "int", "default": 0},
            "debug": {"type": "bool", "default": False},
        },
        parse_plugin,
        converge_plugin,
        connect,
        secrets=[SecretsOf(values="settings", keys="secret_settings")],
        mutually_exclusive=[("remote", "plugin_name")],
    )


if __name__ == "__main__":
    main()
