#!/usr/bin/python
# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_volume_x_backup
short_description: Back up the data of a Docker volume, to an archive or to a restic repository
version_added: 0.1.0
description:
  - Packs all that a volume holds into an archive on the engine's host (O(path)), or backs it up to a repository of
    restic (O(repository)). P(voltainer.volumes.docker_volume_x_restore#module) brings it back.
  - Beside each archive lies its manifest, a JSON file that tells of which volume it is, how that was made, and digests
    of the file and of the content, by which it is proved whole. An archive is a tar file that C(tar) unpacks without
    this collection, by way of C(zstd), C(gzip), C(age) or C(gpg).
  - An archive gets its name only when it is complete and, with O(verify), was read again. A task that is killed leaves
    no archive that seems to be one. The next task removes what it left, and tells so in RV(actions). A manifest whose
    archive was moved elsewhere stays.
  - Containers and services that use the volume can rest meanwhile (O(quiesce), O(services)). They go on as soon as the
    data is read, while what was packed is still verified. Where the engine has its volumes on btrfs, or on XFS with
    reflinks (Linux 5.18 or later), and the files are large, they only rest while a snapshot is made, from which the
    archive is then written. It goes with the task, however that ends. Before restic reads, there is none.
  - All that can be seen before is checked before anybody is brought to rest. A folder that is not there, a program that
    is missing, and space that does not suffice are errors in check mode, too.
author:
  - The voltainer.volumes developers (@voltainer)
extends_documentation_fragment:
  - voltainer.volumes.docker
  - voltainer.volumes.docker.socket
  - voltainer.volumes.quiesce
  - voltainer.volumes.progress
  - voltainer.volumes.attributes
  - voltainer.volumes.attributes.changes
attributes:
  idempotent:
    support: partial
    details:
      - Each run makes a backup, other than with O(unless_changed=true).
options:
  name:
    description:
      - The name of the volume.
    type: str
    required: true
    aliases: [volume_name]
  path:
    description:
      - The folder for the archives, on the host that runs the module, which is the engine's.
      - It must be there. It is not made, since where a disk or share is not mounted, all backups would land on the
        host's own disk without a word.
      - The file is named after the volume and the time in UTC, such as C(pgdata-20260131T235959Z.tar.zst), and its
        manifest like it with C(.json) at the end. A slash in the name of a plugin's volume becomes C(%2F).
      - Give each host a folder of its own. Where several share one, and have volumes of the same name, none removes
        archives of another, and a restore takes those of its own host first.
      - One of O(path) and O(repository) is required.
    type: path
  fetch_to:
    description:
      - A folder of the controller, into which the archive and its manifest are copied when they are complete. They
        stay in O(path) as well.
      - The folder is made where it is not there. A relative path begins at the playbook.
      - Give each host a folder of its own, such as C(backups/{{ inventory_hostname }}). Names have the volume and the
        second alone, so archives of two hosts may have the same. Where another file of the name is there, it stays, and
        that is an error.
      - Where the task becomes C(root) after another user logged in, a copy of the archive lies on the host meanwhile,
        which only the user who logged in can read, in that user's folder for Ansible (C(remote_tmp)). Where that has no
        space for it, or the task becomes another user than C(root), the archive comes in pieces, which takes several
        times as long.
      - This is done by the module's action plugin. It is verified by its digest, whatever O(verify) says.
    type: str
  compression:
    description:
      - How the archive is compressed. V(zstd) needs the program of that name on the host.
      - A repository of restic has a compression of its own, which this does not change.
    type: str
    choices: [zstd, gzip, none]
    default: zstd
  level:
    description:
      - How much time is spent to make the archive smaller, from V(1) to V(19) for V(zstd), and to V(9) for V(gzip).
      - Where it is not given, it is V(3) for V(zstd) and V(6) for V(gzip).
    type: int
  threads:
    description:
      - How many threads compress. V(0) means as many as the host has cores. It counts for O(compression=zstd); gzip has
        one.
    type: int
    default: 0
  encryption:
    description:
      - How the archive is encrypted. V(age) and V(gpg) need the program of that name on the host.
      - It is encrypted for the public keys in O(recipients). No secret key is on the host, so who gets into it cannot
        read the backups. Nor can the module, which is why O(verify) compares the file with what was written, and not
        its content.
      - The manifest is not encrypted. It tells the volume's name, driver, options and labels, with secrets hidden, the
        O(recipients), and the names of files that changed while they were read.
      - A repository of restic is always encrypted, with its own password.
    type: str
    choices: [none, age, gpg]
    default: none
  recipients:
    description:
      - Public keys for which the archive is encrypted; each of them can decrypt it.
      - For V(age), keys as C(age-keygen) prints them (C(age1...)), or public keys of ssh. For V(gpg), fingerprints or
        other IDs of public keys in the keyring of the user who runs the task; they need not be signed there.
    type: list
    elements: str
    default: []
  unless_changed:
    description:
      - Make no backup where the newest one, made by this engine and in the same place, has the same content, driver,
        driver options and labels, and is encrypted in the same way and for the same O(recipients). Another compression
        alone is no reason for a backup.
      - To find out, all data is read, and nothing is written.
      - An archive whose size is not the one that its manifest says does not count, and a backup is made.
    type: bool
    default: false
  keep:
    description:
      - How many backups of the volume stay. Older ones are removed once the new one is complete.
      - A backup stays that any of the numbers keeps. Of each of the last days, weeks and months that have any, the
        newest stays. Days begin at midnight in UTC, weeks on Mondays.
      - Never removed are the newest backup, those whose time is in the future (made while a clock was wrong), and
        archives that another engine made, whose manifest is missing, or that are known to be broken. Warnings tell of
        these.
      - Where no new archive is made, the newest one is read and compared with its manifest before others are removed. A
        broken one takes the place of none that is whole, and a new backup is made.
      - Where it is not given, nothing is removed. V(0) for all is an error.
      - With restic, snapshots count that have the same host and the volume's tag, whatever made them.
    type: dict
    suboptions:
      last:
        description:
          - How many of the last backups stay.
        type: int
      daily:
        description:
          - Of how many days, that have any, the newest backup stays.
        type: int
      weekly:
        description:
          - Of how many weeks, that have any, the newest backup stays.
        type: int
      monthly:
        description:
          - Of how many months, that have any, the newest backup stays.
        type: int
  verify:
    description:
      - Read the archive again when it is written, and compare it with what was read from the volume, before it gets its
        name. An encrypted archive is compared with what was written.
      - With O(repository), this is C(restic check), which proves that the repository is whole without reading all data
        in it. Other hosts can use it meanwhile.
    type: bool
    default: true
  repository:
    description:
      - A repository of restic, instead of O(path). The host needs the program C(restic), 0.14 or newer.
      - Snapshots have the tag C(voltainer.volume=) with the volume's name, and others that tell how the volume was
        made, so that a restore can make it anew. Secrets in its driver options are not among them.
    type: dict
    suboptions:
      location:
        description:
          - Where it is, in restic's words. An absolute path, C(sftp:user@host:/path) or C(s3:https://host/bucket), or
            what else restic knows. A password in it is refused, as locations are shown.
          - For C(sftp:), restic runs C(ssh) as the user who runs the task, and nobody is there to answer a question. So
            the key that it takes belongs into the configuration of ssh, and the host's own key among those that ssh
            knows, as in the examples.
          - Where nothing answers there, that is an error within a minute or so, before anybody is brought to rest. The
            copying itself has no such limit. For C(sftp:), C(ServerAliveInterval) ends it where the host has gone.
          - Several hosts may use one repository at once. What needs it for itself alone, as O(keep) does, waits for the
            others for up to 35 minutes, and they for it. Users of the volume do not rest meanwhile. A lock that a
            killed task left is removed where restic takes it for left behind (after 30 minutes, or of the same host
            after 6), and nothing is meant by it that still runs.
        type: str
        required: true
      password_file:
        description:
          - The file on the host that holds the repository's password.
        type: path
        required: true
      cache_dir:
        description:
          - The folder for restic's cache. Where it is not given, restic chooses it.
        type: path
      host:
        description:
          - The host that the snapshots are marked with. Where it is not given, it is the engine's name.
          - It tells the volumes of several hosts apart that have one repository and the same names.
        type: str
      environment:
        description:
          - Variables for restic, such as the keys of its storage, E(AWS_ACCESS_KEY_ID) and E(AWS_SECRET_ACCESS_KEY).
          - For a C(rest:) server with a password, they are E(RESTIC_REST_USERNAME) and E(RESTIC_REST_PASSWORD).
          - They are never put on a command line, and hidden wherever they stand in the output. So a value such as V(1),
            which is no secret, does not belong here.
        type: dict
      init:
        description:
          - Make the repository where it is not there. Otherwise that is an error, as it may be a mistyped location.
          - Let one host make a repository that several are to use (C(run_once=true)) before the others come. Restic
            does not notice where two make it at once, and nobody can open it afterwards.
        type: bool
        default: false
      prune:
        description:
          - When O(keep) removes snapshots, also remove the data that only they had. This takes time and locks the
            repository meanwhile. Where a job of its own does it, as is best for one that many hosts use, set V(false).
        type: bool
        default: true
  secret_options:
    description:
      - Keys of the volume's driver options whose values are secret, beside those whose names say so. Backups do not
        have these values.
    type: list
    elements: str
    default: []
requirements:
  - zstd, age or gpg on the host, where O(compression) or O(encryption) asks for it
  - restic 0.14 or newer on the host, where O(repository) is given
notes:
  - An archive has all that the volume holds, also passwords and keys of applications. It is readable only for the user
    who runs the task. Look who may read the storage that it is on, or use O(encryption).
  - Without O(quiesce), a container may write while the data is read. Files that changed meanwhile are named in
    RV(changed_while_reading), and a warning tells of them. For a database this is no backup that can be relied on.
  - Sockets are not packed. They are of processes that run, and mean nothing later.
seealso:
  - module: voltainer.volumes.docker_volume_x_restore
  - module: voltainer.volumes.docker_volume_x
"""

EXAMPLES = r"""
- name: Back up a volume while its database is stopped, and keep a week and three months
  voltainer.volumes.docker_volume_x_backup:
    name: pgdata
    path: /srv/backups
    quiesce: stop
    keep:
      daily: 7
      monthly: 3

- name: Back up what changed, encrypted for two keys, and fetch it
  voltainer.volumes.docker_volume_x_backup:
    name: invoices
    path: /srv/backups
    fetch_to: "backups/{{ inventory_hostname }}"
    unless_changed: true
    encryption: age
    recipients:
      - age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p
      - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGh5cG90aGV0aWNhbCBrZXkgZm9yIGRvY3VtZW50cyE backup@example.com

- name: Back up to a repository of restic on S3
  voltainer.volumes.docker_volume_x_backup:
    name: uploads
    repository:
      location: s3:https://s3.example.com/backups
      password_file: /etc/restic/password
      environment:
        AWS_ACCESS_KEY_ID: "{{ vault_s3_key_id }}"
        AWS_SECRET_ACCESS_KEY: "{{ vault_s3_key }}"
    keep:
      last: 3
      weekly: 8

- name: Tell ssh how it gets to the host of a repository
  ansible.builtin.copy:
    dest: /etc/ssh/ssh_config.d/backups.conf
    content: |
      Host backups
        HostName nas.example.com
        User backup
        IdentityFile /etc/restic/id_ed25519
        IdentitiesOnly yes
        ServerAliveInterval 30
    mode: "0644"

- name: Tell it the key of that host
  ansible.builtin.known_hosts:
    name: nas.example.com
    key: nas.example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGh5cG90aGV0aWNhbCBrZXkgZm9yIGRvY3VtZW50cyE

- name: Back up to a repository of restic over SFTP, which one host makes
  voltainer.volumes.docker_volume_x_backup:
    name: uploads
    repository:
      location: sftp:backups:/srv/restic
      password_file: /etc/restic/password
      init: true
  run_once: true

- name: See what a backup would do, and which old ones would go
  voltainer.volumes.docker_volume_x_backup:
    name: pgdata
    path: /srv/backups
    keep:
      last: 2
  check_mode: true
  diff: true
"""

RETURN = r"""
archive:
  description:
    - The path of the archive on the host, or in check mode of the one that would be made. With O(unless_changed), where
      nothing changed, that of the newest one. V(null) with O(repository).
  returned: success
  type: str
  sample: /srv/backups/pgdata-20260131T235959Z.tar.zst
fetched:
  description: The path of the archive on the controller.
  returned: with O(fetch_to), other than in check mode
  type: str
  sample: /home/ops/backups/pgdata-20260131T235959Z.tar.zst
manifest:
  description:
    - What the manifest of the archive says. V(null) with O(repository), and in check mode for an archive that would be
      made.
  returned: success
  type: dict
  sample:
    version: 1
    volume: pgdata
    driver: local
    options: null
    hidden_options: []
    labels: {team: billing}
    engine: {id: 7a1c2a5e-2f6b-4c43-9d0e-0a4f0d6d2b1c, name: host1, version: 26.1.5, api: "1.45"}
    host_os: Debian GNU/Linux 13 (trixie)
    created: "2026-01-31T23:59:59Z"
    archive: pgdata-20260131T235959Z.tar.zst
    format: tar
    compression: zstd
    encryption: none
    bytes: 10485760
    sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    content_digest: v1:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae
    files: 1204
    entries: 1310
    content_bytes: 41943040
    tools: {zstd: 1.5.7}
    keeps:
      owner: true
      mode: true
      times: true
      times_seconds: false
      xattrs: true
      links: true
      sparse: true
      symlinks: true
      special: true
    quiesced: stop
    changed_while_reading: []
    sockets_skipped: 1
    recipients: []
  contains:
    version:
      description: The version of the manifest's form.
      type: int
      returned: always
      sample: 1
    volume:
      description: The name of the volume.
      type: str
      returned: always
      sample: pgdata
    driver:
      description: Its driver.
      type: str
      returned: always
      sample: local
    options:
      description: Its driver options, secrets hidden; V(null) where the engine had no record of them.
      type: dict
      returned: always
      sample: {size: "25"}
    hidden_options:
      description: The keys of those whose values are hidden, in part or in full.
      type: list
      elements: str
      returned: always
      sample: [password]
    labels:
      description: Its labels; V(null) where the engine had no record of them.
      type: dict
      returned: always
      sample: {team: billing}
    engine:
      description: The engine that had the volume, its ID, the name of its host, its version and that of its API.
      type: dict
      returned: always
      sample: {id: 7a1c2a5e-2f6b-4c43-9d0e-0a4f0d6d2b1c, name: host1, version: 26.1.5, api: "1.45"}
    host_os:
      description: The operating system of that host.
      type: str
      returned: always
      sample: Debian GNU/Linux 13 (trixie)
    created:
      description: When the backup was made, in UTC. The name of the archive has the same time.
      type: str
      returned: always
      sample: "2026-01-31T23:59:59Z"
    archive:
      description: The name of the archive's file.
      type: str
      returned: always
      sample: pgdata-20260131T235959Z.tar.zst
    format:
      description: The format of the archive.
      type: str
      returned: always
      sample: tar
    compression:
      description: How it is compressed.
      type: str
      returned: always
      sample: zstd
    encryption:
      description: How it is encrypted.
      type: str
      returned: always
      sample: none
    bytes:
      description: The size of the archive's file.
      type: int
      returned: always
      sample: 10485760
    sha256:
      description: The SHA-256 of the archive's file.
      type: str
      returned: always
      sample: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    content_digest:
      description: A digest of what is packed, which does not depend on how it is packed.
      type: str
      returned: always
      sample: v1:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae
    files:
      description: How many regular files are packed.
      type: int
      returned: always
      sample: 1204
    entries:
      description: How many files, folders, links and all else are packed.
      type: int
      returned: always
      sample: 1310
    content_bytes:
      description: The sizes of all files together.
      type: int
      returned: always
      sample: 41943040
    tools:
      description: The programs that made the archive, with their versions.
      type: dict
      returned: always
      sample: {zstd: 1.5.7}
    keeps:
      description: What of the files the archive has, such as their owners, times and extended attributes.
      type: dict
      returned: always
      sample: {owner: true, mode: true}
    quiesced:
      description: How the users of the volume were brought to rest.
      type: str
      returned: always
      sample: stop
    changed_while_reading:
      description:
        - The first hundred files that changed while they were read. V(null) where nobody could see that, as the module
          did not run as C(root) on the engine's host.
      type: list
      elements: str
      returned: always
      sample: []
    sockets_skipped:
      description: How many sockets were left out; V(null) where RV(changed_while_reading) is.
      type: int
      returned: always
      sample: 1
    recipients:
      description: The public keys of those who can decrypt it, as the task gave them; V(null) where that is unknown.
      type: list
      elements: str
      returned: always
      sample: []
snapshot:
  description: The ID of restic's snapshot; V(null) with O(path), and in check mode for one that would be made.
  returned: success
  type: str
  sample: 1a2b3c4d
content_digest:
  description: A digest of what the volume held; V(null) in check mode where nobody read it.
  returned: success
  type: str
  sample: v1:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae
sha256:
  description:
    - The SHA-256 of the archive's file. With O(unless_changed), where nothing changed, that of the newest one, as its
      manifest says. V(null) with O(repository), and in check mode for an archive that would be made.
  returned: success
  type: str
  sample: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
bytes:
  description: The size of the archive; V(null) where RV(sha256) is.
  returned: success
  type: int
  sample: 10485760
content_bytes:
  description: The sizes of all files of the volume together; V(null) where nobody knows.
  returned: success
  type: int
  sample: 41943040
files:
  description: How many regular files the archive has; V(null) where RV(sha256) is.
  returned: success
  type: int
  sample: 1204
seconds_reading:
  description: How many seconds the volume was read.
  returned: success
  type: float
  sample: 4.2
seconds_verifying:
  description: How many seconds it took to read the archive back, or to check the repository.
  returned: success
  type: float
  sample: 0.8
seconds_quiesced:
  description: How many seconds its users rested; 0 where nobody did.
  returned: success
  type: float
  sample: 6.8
changed_while_reading:
  description:
    - The first hundred files that changed while they were read, or could not be read any more.
    - V(null) where nobody can see that, as the module does not run as C(root) on the engine's host. A warning tells so
      where somebody may write to the volume meanwhile.
  returned: success
  type: list
  elements: str
  sample: []
sockets_skipped:
  description: How many sockets were left out; V(null) where RV(changed_while_reading) is.
  returned: success
  type: int
  sample: 1
removed:
  description: The old backups that were removed, or in check mode would be. Names of archives, or IDs of snapshots.
  returned: success
  type: list
  elements: str
  sample: [pgdata-20260124T235959Z.tar.zst]
kept:
  description:
    - The backups of the volume that are there now, the oldest first, also those of other engines. In check mode, an
      archive that would be made is among them. A snapshot that would be made is not, as it has no ID yet.
  returned: success
  type: list
  elements: str
  sample: [pgdata-20260130T235959Z.tar.zst, pgdata-20260131T235959Z.tar.zst]
volume:
  description: What the engine says of the volume, secret options hidden.
  returned: success
  type: dict
  sample:
    CreatedAt: "2026-01-31T23:59:59Z"
    Driver: local
    Labels: {team: billing}
    Mountpoint: /var/lib/docker/volumes/pgdata/_data
    Name: pgdata
    Options: null
    Scope: local
actions:
  description:
    - What was done, or in check mode would be, in order, with O(fetch_to) also on the controller; empty where nothing
      is to do.
  returned: success
  type: list
  elements: str
  sample:
    - Stop the container 'db'
    - Pack the volume 'pgdata' (zstd, level 3)
    - Start the container 'db' again
    - Read the archive of the volume 'pgdata' again and compare it
    - Put the archive and its manifest in place as '/srv/backups/pgdata-20260131T235959Z.tar.zst'
    - Remove the old archive 'pgdata-20260124T235959Z.tar.zst'
diff:
  description: The backups of the volume, before and after.
  returned: success
  type: dict
  sample:
    before: {volume: pgdata, path: /srv/backups, backups: [pgdata-20260124T235959Z.tar.zst]}
    after: {volume: pgdata, path: /srv/backups, backups: [pgdata-20260131T235959Z.tar.zst]}
missing:
  description: The programs that the host does not have.
  returned: when programs are missing
  type: list
  elements: str
  sample: [zstd]
needed:
  description: How many bytes the archive takes, about.
  returned: when the space does not suffice
  type: int
  sample: 10485760
free:
  description: How many bytes are free in O(path).
  returned: when the space does not suffice
  type: int
  sample: 1048576
errors:
  description: Each error by itself.
  returned: when there are several
  type: list
  elements: str
  sample: ["The option 'level' has the invalid value 20: zstd has the levels 1 to 19."]
"""

from ansible_collections.voltainer.volumes.plugins.module_utils._backup_run import back_up
from ansible_collections.voltainer.volumes.plugins.module_utils._backup_wanted import parse_backup
from ansible_collections.voltainer.volumes.plugins.module_utils._data_engine import connect
from ansible_collections.voltainer.volumes.plugins.module_utils._module import AddressOf, run_module
from ansible_collections.voltainer.volumes.plugins.module_utils._progress import PROGRESS_SPEC
from ansible_collections.voltainer.volumes.plugins.module_utils._quiesce import QUIESCE_SPEC

TEXTS = {"type": "list", "elements": "str", "default": []}


def main():
    """Run the module."""
    run_module(
        {
            "name": {"type": "str", "required": True, "aliases": ["volume_name"]},
            "path": {"type": "path"},
            "fetch_to": {"type": "str"},
            "compression": {"type": "str", "choices": ["zstd", "gzip", "none"], "default": "zstd"},
            "level": {"type": "int"},
            "threads": {"type": "int", "default": 0},
            "encryption": {"type": "str", "choices": ["none", "age", "gpg"], "default": "none"},
            "recipients": TEXTS,
            "unless_changed": {"type": "bool", "default": False},
            "keep": {
                "type": "dict",
                "options": {name: {"type": "int"} for name in ("last", "daily", "weekly", "monthly")},
            },
            "verify": {"type": "bool", "default": True},
            "repository": {
                "type": "dict",
                "options": {
                    "location": {"type": "str", "required": True, "no_log": True},
                    "password_file": {"type": "path", "required": True, "no_log": False},
                    "cache_dir": {"type": "path"},
                    "host": {"type": "str"},
                    "environment": {"type": "dict", "no_log": True},
                    "init": {"type": "bool", "default": False},
                    "prune": {"type": "bool", "default": True},
                },
            },
            "secret_options": {**TEXTS, "no_log": False},
            **QUIESCE_SPEC,
            **PROGRESS_SPEC,
        },
        parse_backup,
        back_up,
        connect,
        secrets=[AddressOf("repository", "location")],
        mutually_exclusive=[("path", "repository")],
        required_one_of=[("path", "repository")],
    )


if __name__ == "__main__":
    main()
