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
      - Names in O(settings) and O(canary_options) whose values are secret, beside those whose names say so.
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
      - A plugin that no longer knows volumes after a change which it knew before is then only warned of, and the change
        stays.
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
        taken back. V(0) does not wait for that. A CSI driver is not asked.
    type: int
    default: 0
  debug:
    description:
      - Without effect. C(community.docker.docker_plugin) returns more when it is set; this module always does.
    type: bool
    default: false
  config_files:
    description:
      - Files that the plugin reads when it starts. They are written on the host on which the module runs, each in one
        step, so that a task that is killed leaves the old file or the new one.
      - A plugin that is enabled is restarted for a change of what a file says, as O(on_change) has it. Where it does
        not come up with the new files, the old ones are brought back, together with its settings and version.
      - With O(state=absent), the files and their backups are removed after the plugin.
      - No content is ever shown. A diff and a warning name the keys that differ, such as C(APIToken of FlashArrays[0]).
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Where the file is, from the root on. A symbolic link is followed.
        type: str
        required: true
      content:
        description:
          - A string, which is checked against O(config_files[].format) and kept as it is.
          - Or a mapping (for C(json) and C(yaml) also a list), which is written in the format.
          - Needed unless O(state=absent).
        type: raw
      format:
        description:
          - The format of the file. V(raw) takes a string only and checks nothing.
          - Needed unless O(state=absent).
          - To write or merge V(yaml), the module needs PyYAML where it runs; for V(toml) it needs C(tomlkit). A string
            that it has no library to check is written unchecked, and any change of it restarts the plugin.
        type: str
        choices: [json, yaml, ini, toml, raw]
      strategy:
        description:
          - V(replace) makes the file what O(config_files[].content) says.
          - V(merge) brings in the keys of O(config_files[].content) and leaves others alone, for plugins that write to
            their own file.
        type: str
        choices: [replace, merge]
        default: replace
      initial:
        description:
          - With V(merge), names of keys, at any depth, that are written only where the file has none, since the plugin
            renews their values, such as C(token) of rclone.
        type: list
        elements: str
        default: []
      force:
        description: Whether the file is changed where it is there and not empty.
        type: bool
        default: true
      backup:
        description:
          - Whether what the file was before a change of its content is kept beside it, closed to others, under its
            name with the time and C(~) at the end. The newest five are kept.
          - Without it, the old file comes back only where the task itself lives to see that the plugin does not come
            up.
        type: bool
        default: true
      mode:
        description: The mode of the file, three octal digits in quotes.
        type: str
        default: "0600"
      owner:
        description: The owner of the file. Not given, an existing file keeps its own.
        type: str
      group:
        description: The group of the file. Not given, an existing file keeps its own.
        type: str
      directory_mode:
        description: The mode of the folders of the file that are missing and made, three octal digits in quotes.
        type: str
        default: "0700"
  on_change:
    description:
      - What becomes of a plugin that is enabled and must be restarted to take up other settings or config files.
      - V(restart) disables it, changes them, and enables it again; refused while running containers have its volumes
        mounted, unless O(force) says otherwise.
      - V(fail) changes nothing and fails, telling what differs.
      - V(defer) writes config files, changes no settings, and leaves the plugin running with what it read when it
        started. What it does not know yet is a warning of each such task, until it was restarted, by whomever.
      - An upgrade, which restarts it anyway, takes everything up.
    type: str
    choices: [restart, fail, defer]
    default: restart
  canary:
    description:
      - Whether each install, change, upgrade and enabling ends with a test. A small volume of the plugin is created,
        written to, unmounted, mounted again, read and removed, all on this host.
      - Where that fails, the change is taken back, and the error says at which step, and what the driver said.
      - No image is pulled, and no container is started. A CSI driver is not tested.
    type: bool
    default: false
  state_files:
    description:
      - The files on this host in which the plugin keeps which volumes it has, absolute paths. One that is missing is
        left out.
      - They are kept aside before the plugin is stopped or started for a change, and come back where the change is
        taken back, or where the plugin has forgotten volumes in one that was killed. Some plugins forget volumes when
        they start with a config file that does not lead to these; rclone does.
      - Whatever is given here, a change is taken back where the plugin does not list a volume afterwards that it listed
        before, unless there is O(force=true).
    type: list
    elements: path
    default: []
  canary_options:
    description:
      - What the driver needs to create the volume of the O(canary), such as C(size).
      - Values whose name tells of a secret are hidden in all output. O(secret_settings) names others.
    type: dict
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
config_files:
  description:
    - For each of O(config_files), whether it was changed or would be, what differs, by keys, and where the content from
      before is kept.
  returned: success
  type: list
  elements: dict
  sample:
    - path: /etc/pure-docker-plugin/pure.json
      changed: true
      keys: "changed: APIToken of FlashArrays[0]"
      backup_file: /etc/pure-docker-plugin/pure.json.20261124T161500Z~
restart:
  description: Whether the plugin was running, and was stopped for this task, or in check mode would be.
  returned: success
  type: bool
  sample: false
deferred:
  description: What the plugin that runs does not know yet, with O(on_change=defer) or O(on_change=fail).
  returned: success, or when O(on_change=fail) refuses a change
  type: list
  elements: str
  sample: ["config file '/etc/pure-docker-plugin/pure.json': changed: APIToken of FlashArrays[0]"]
canary:
  description: The volume with which the plugin was tested, and the seconds that it took; V(null) where it was not.
  returned: success
  type: dict
  sample: {volume: voltainer-canary-5f70bf18a086, seconds: 0.9}
canary_step:
  description: At which step the canary failed.
  returned: when the canary failed
  type: str
  sample: create the volume
forgotten_volumes:
  description: The volumes that the plugin knew before the change and not after it.
  returned: when the change was taken back for that
  type: list
  elements: str
  sample: [reports]
diff:
  description: The plugin and its config files before and after, secret settings and all contents hidden.
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

from ansible_collections.voltainer.volumes.plugins.module_utils._module import ContentsOf, SecretsOf, run_module
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_engine import connect
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_run import converge_plugin
from ansible_collections.voltainer.volumes.plugins.module_utils._plugin_wanted import parse_plugin

STATES = ["present", "absent", "enabled", "disabled", "enable", "disable"]

FILE = {
    "path": {"type": "str", "required": True},
    "content": {"type": "raw"},
    "format": {"type": "str", "choices": ["json", "yaml", "ini", "toml", "raw"]},
    "strategy": {"type": "str", "choices": ["replace", "merge"], "default": "replace"},
    "initial": {"type": "list", "elements": "str", "default": []},
    "force": {"type": "bool", "default": True},
    "backup": {"type": "bool", "default": True},
    "mode": {"type": "str", "default": "0600"},
    "owner": {"type": "str"},
    "group": {"type": "str"},
    "directory_mode": {"type": "str", "default": "0700"},
}


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
            "config_files": {"type": "list", "elements": "dict", "default": [], "no_log": True, "options": FILE},
            "on_change": {"type": "str", "choices": ["restart", "fail", "defer"], "default": "restart"},
            "canary": {"type": "bool", "default": False},
            "canary_options": {"type": "dict", "no_log": True},
            "state_files": {"type": "list", "elements": "path", "default": []},
        },
        parse_plugin,
        converge_plugin,
        connect,
        secrets=[
            SecretsOf(values="settings", keys="secret_settings"),
            SecretsOf(values="canary_options", keys="secret_settings"),
            ContentsOf("config_files"),
        ],
        mutually_exclusive=[("remote", "plugin_name")],
    )


if __name__ == "__main__":
    main()
