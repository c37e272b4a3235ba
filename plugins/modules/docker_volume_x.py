#!/usr/bin/python
# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_volume_x
short_description: Create, change, rename and remove Docker volumes, and keep their data
version_added: 0.1.0
description:
  - Brings one Docker volume, or thousands in one task, to the driver, driver options and labels that the task wants,
    or removes them.
  - Docker itself can neither change nor rename a volume. This module does both and keeps the data, where O(recreate)
    and O(rename_from) ask for it. Where they do not, a volume that differs is left as it is, and the task warns and
    names each difference in RV(drift).
  - A volume that somebody uses is never removed. The error names the containers, and on a manager of a swarm the
    services. In check mode, too.
  - All volumes of a task are checked before the first is changed, and all that is wrong is told at once.
  - A task that uses C(community.docker.docker_volume) can use this module instead when only the name of the module is
    changed. What differs then is that data is kept.
author:
  - The voltainer.volumes developers (@voltainer)
extends_documentation_fragment:
  - voltainer.volumes.docker
  - voltainer.volumes.docker.socket
  - voltainer.volumes.attributes
  - voltainer.volumes.attributes.changes
  - voltainer.volumes.progress
attributes:
  idempotent:
    support: partial
    details:
      - With O(recreate=always) each run makes the volume anew.
options:
  name:
    description:
      - The name of the volume, two characters or more of letters, digits, C(_), C(.) and C(-).
      - An empty name is refused. The engine would make a new anonymous volume on each run.
      - One of O(name) and O(volumes) is required.
    type: str
    aliases: [volume_name]
  volumes:
    description:
      - Many volumes at once, which takes little longer than one.
      - Each takes the options for a single volume. What it does not name, it takes from the task, as a whole. Labels of
        the task, for instance, do not count where the item has labels of its own.
    type: list
    elements: dict
    suboptions:
      name:
        description: See O(name).
        type: str
        required: true
        aliases: [volume_name]
      state:
        description: See O(state).
        type: str
        choices: [present, absent]
      driver:
        description: See O(driver).
        type: str
      driver_options:
        description: See O(driver_options).
        type: dict
      secret_options:
        description: See O(secret_options).
        type: list
        elements: str
      labels:
        description: See O(labels).
        type: dict
      comparison:
        description: See O(comparison).
        type: str
        choices: [subset, exact]
      recreate:
        description: See O(recreate).
        type: str
        choices: [never, options-changed, always]
      data:
        description: See O(data).
        type: str
        choices: [keep, discard]
      drift:
        description: See O(drift).
        type: str
        choices: [warn, fail, ignore]
      protected:
        description: See O(protected).
        type: bool
      confirm:
        description: See O(confirm).
        type: str
      wait:
        description: See O(wait).
        type: int
      rename_from:
        description: See O(rename_from).
        type: str
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
      - An empty string is a value. How options of an existing volume that are not named here are taken, O(comparison)
        says.
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
      - How labels of an existing volume that are not named here are taken, O(comparison) says.
      - Labels that begin with C(voltainer.volumes.) belong to this collection, and are neither given nor compared.
    type: dict
  comparison:
    description:
      - How O(labels) and O(driver_options) are compared with those of an existing volume. An option that is not given
        is not compared at all.
      - V(subset) looks only at the keys that the task names. Others stay, also when the volume is made anew.
      - V(exact) takes a key that the task does not name for a difference. V({}) then means none.
    type: str
    choices: [subset, exact]
    default: subset
  recreate:
    description:
      - When an existing volume is made anew, as Docker cannot change it. What happens to its data, O(data) says.
      - V(never) leaves it as it is, and O(drift) says how loud a difference is told.
      - V(options-changed) makes it anew where driver, options or labels differ.
      - V(always) makes it anew on each run.
    type: str
    choices: [never, options-changed, always]
    default: never
  data:
    description:
      - What happens to the data of a volume that is made anew.
      - V(keep) keeps it. Of a volume that only refers to its data (driver V(local) with O(driver_options) C(type) or
        C(device), such as NFS or a folder of the host), only the reference changes. Data that a V(local) volume owns is
        moved by renaming its folder inside the engine's data root, which takes no time and no space whatever the size.
      - Where neither is possible, as for another driver, for other options of a plugin's volume, or for a quota, the
        data is copied to a staging volume of this host and from there to the new volume, and compared byte by byte
        before the old one is removed, and once more at the end. Of the two copies one is a rename where that side is a
        plain V(local) volume. The module must run as root on the host of the engine, which needs the space. Nothing is
        removed where the new volume would lose its data with its last container (C(tmpfs)).
      - V(discard) removes the volume with its data.
    type: str
    choices: [keep, discard]
    default: keep
  drift:
    description:
      - What to do about a difference that O(recreate=never) leaves as it is.
      - V(warn) warns, and names each difference. V(ignore) only returns them in RV(drift). V(fail) fails.
    type: str
    choices: [warn, fail, ignore]
    default: warn
  protected:
    description:
      - V(true) puts a label on the volume that makes the modules of this collection refuse to remove it, to discard its
        data or to prune it, unless the task names it in O(confirm). V(false) takes the label away.
      - For an existing volume this is a difference like that of any label. Where it is not given, it is not compared.
      - Others than this collection do not know the label.
    type: bool
  confirm:
    description:
      - The name of the volume, once more. Needed to remove a protected volume or one that services of the swarm mount,
        and to discard its data.
    type: str
  wait:
    description:
      - For how many seconds to wait until nobody uses the volume any more, where it is to be removed, made anew or
        renamed.
    type: int
    default: 0
  rename_from:
    description:
      - The name that the volume has had so far. Where a volume of that name exists, it becomes O(name) with its data,
        driver, options and labels, and whatever else the task wants of it, under the rules of O(data=keep). A rename
        that would take a copy is refused; M(voltainer.volumes.docker_volume_x_copy) copies.
      - Where it is gone and O(name) exists, there is nothing to do. Where both exist, the task fails. Where none
        exists, an empty volume is created, with a warning.
    type: str
  debug:
    description:
      - Without effect. C(community.docker.docker_volume) returns more when it is set; this module always does.
    type: bool
    default: false
notes:
  - A change of a volume that was killed midway is finished or undone by the next task for that volume. Until then all
    data is there, in the volume itself or in one named like it with C(.voltainer-change) at the end, which must not be
    removed by hand. M(voltainer.volumes.docker_volume_x_info) reports it.
  - To move data by renaming its folder, the module must run as root on the host of the engine. Engines on Windows have
    no such folder; their volumes can be re-pointed, or made anew with O(data=discard).
seealso:
  - module: voltainer.volumes.docker_volume_x_info
  - module: voltainer.volumes.docker_volume_x_prune
  - module: voltainer.volumes.docker_volume_plugin_x
"""

EXAMPLES = r"""
- name: Create a volume of the engine's own driver
  voltainer.volumes.docker_volume_x:
    name: pgdata
    labels:
      team: billing

- name: Change its labels, and keep its data
  voltainer.volumes.docker_volume_x:
    name: pgdata
    labels:
      team: sales
    recreate: options-changed

- name: Give it another name, once the containers that use it are gone
  voltainer.volumes.docker_volume_x:
    name: sales-pgdata
    rename_from: pgdata
    protected: true
    wait: 60

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

- name: Point a volume to another NFS server; its data stays on either
  voltainer.volumes.docker_volume_x:
    name: media
    driver_options:
      type: nfs
      o: addr=192.0.2.20,rw
      device: ":/export/media"
    recreate: options-changed

- name: Create many volumes at once
  voltainer.volumes.docker_volume_x:
    labels:
      team: billing
    volumes:
      - name: invoices
      - name: archive
        protected: true
      - name: scratch
        state: absent

- name: Fail where a volume is not as it should be
  voltainer.volumes.docker_volume_x:
    name: invoices
    labels:
      team: billing
    comparison: exact
    drift: fail

- name: Remove a protected volume
  voltainer.volumes.docker_volume_x:
    name: archive
    state: absent
    confirm: archive
"""

RETURN = r"""
volume:
  description:
    - What the engine says of the volume, secret options hidden.
    - V(null) where the volume does not exist, also in check mode before it is created.
  returned: success, with O(name)
  type: dict
  sample:
    CreatedAt: "2026-11-24T09:30:00Z"
    Driver: rclone:latest
    Labels: {team: billing}
    Mountpoint: /var/lib/docker/plugins/8c0f/propagated-mount/reports
    Name: reports
    Options: {remote: "store:reports"}
    Scope: local
volumes:
  description: What became of each volume, in the order of the task; a single one, too.
  returned: success, and with O(volumes) when a change of one of them failed
  type: list
  elements: dict
  sample:
    - name: reports
      changed: true
      actions: ["Create the volume 'reports' with the driver 'rclone'"]
      before: {exists: false}
      after: {exists: true, name: reports, driver: rclone, driver_options: {}, labels: {}}
      drift: []
      volume: {Name: reports}
  contains:
    name:
      description: The name of the volume.
      type: str
      returned: always
      sample: reports
    changed:
      description: Whether it was changed, or in check mode would be.
      type: bool
      returned: always
      sample: true
    actions:
      description: What was done with it.
      type: list
      elements: str
      returned: always
      sample: ["Create the volume 'reports' with the driver 'rclone'"]
    before:
      description: The volume before, secret options hidden.
      type: dict
      returned: always
      sample: {exists: false}
    after:
      description: The volume after, secret options hidden.
      type: dict
      returned: always
      sample: {exists: true, name: reports, driver: rclone, driver_options: {}, labels: {}}
    drift:
      description: What RV(drift) holds, of this volume.
      type: list
      elements: dict
      returned: always
      sample: []
    volume:
      description: What RV(volume) holds, of this volume.
      type: dict
      returned: always
      sample: {Name: reports}
actions:
  description: What was done, or in check mode would be, in order; empty where nothing is to do.
  returned: success
  type: list
  elements: str
  sample: ["Create the volume 'reports' with the driver 'rclone'"]
drift:
  description: Each difference between an existing volume and what the task wants, which was left as it is.
  returned: success, and when O(drift=fail) fails the task
  type: list
  elements: dict
  sample: [{name: pgdata, what: labels.team, wanted: billing, found: sales}]
  contains:
    name:
      description: The name of the volume.
      type: str
      returned: always
      sample: pgdata
    what:
      description: V(driver), V(protected), or the option or label with its kind, such as V(labels.team).
      type: str
      returned: always
      sample: labels.team
    wanted:
      description: What the task wants; V(null) where it wants that there is none.
      type: str
      returned: always
      sample: billing
    found:
      description: What the engine has; V(null) where it has none.
      type: str
      returned: always
      sample: sales
diff:
  description:
    - The volume before and after, secret options hidden. With O(volumes), the volumes that change, by their names.
  returned: success
  type: dict
  sample: {before: {exists: false}, after: {exists: true, name: pgdata, driver: local, driver_options: {}, labels: {}}}
users:
  description: Who uses the volumes, containers of this engine and services of the swarm.
  returned: when a volume cannot be removed, made anew or renamed because it is in use
  type: list
  elements: dict
  sample: [{container: db, id: 4a9f, state: running, volume: pgdata, path: /data, read_only: false}]
errors:
  description: Each error by itself.
  returned: when several volumes cannot be brought to what is wanted
  type: list
  elements: str
  sample:
    - "Cannot remove the volume 'pgdata': it is protected. If it is really meant, say so with 'confirm: pgdata'."
"""

from ansible_collections.voltainer.volumes.plugins.module_utils._engine import connect
from ansible_collections.voltainer.volumes.plugins.module_utils._module import SecretsOf, run_module
from ansible_collections.voltainer.volumes.plugins.module_utils._progress import PROGRESS_SPEC
from ansible_collections.voltainer.volumes.plugins.module_utils._volume_run import converge_volumes
from ansible_collections.voltainer.volumes.plugins.module_utils._volume_wanted import parse_volumes

# The options for a single volume: of the task, where some have defaults, and of each item of `volumes`.
NAME = {"type": "str", "aliases": ["volume_name"]}
PER_VOLUME = {
    "state": {"type": "str", "choices": ["present", "absent"]},
    "driver": {"type": "str"},
    "driver_options": {"type": "dict", "no_log": True},
    "secret_options": {"type": "list", "elements": "str", "no_log": False},
    "labels": {"type": "dict"},
    "comparison": {"type": "str", "choices": ["subset", "exact"]},
    "recreate": {"type": "str", "choices": ["never", "options-changed", "always"]},
    "data": {"type": "str", "choices": ["keep", "discard"]},
    "drift": {"type": "str", "choices": ["warn", "fail", "ignore"]},
    "protected": {"type": "bool"},
    "confirm": {"type": "str"},
    "wait": {"type": "int"},
    "rename_from": {"type": "str"},
}
DEFAULTS = {
    "state": "present",
    "secret_options": [],
    "comparison": "subset",
    "recreate": "never",
    "data": "keep",
    "drift": "warn",
    "wait": 0,
}


def main():
    """Run the module."""
    of_task = {
        name: {**option, "default": DEFAULTS[name]} if name in DEFAULTS else option
        for name, option in PER_VOLUME.items()
    }
    run_module(
        {
            "name": NAME,
            "volumes": {
                "type": "list",
                "elements": "dict",
                "options": {"name": {**NAME, "required": True}, **PER_VOLUME},
            },
            **of_task,
            **PROGRESS_SPEC,
            "debug": {"type": "bool", "default": False},
        },
        parse_volumes,
        converge_volumes,
        connect,
        secrets=[SecretsOf(values="driver_options", keys="secret_options", items="volumes")],
        mutually_exclusive=[("name", "volumes")],
        required_one_of=[("name", "volumes")],
    )


if __name__ == "__main__":
    main()
