#!/usr/bin/python
# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_volume_x_restore
short_description: Restore the data of a Docker volume from an archive or from a restic repository
version_added: 0.1.0
description:
  - Brings a backup of P(voltainer.volumes.docker_volume_x_backup#module) back into a volume, also on another host or
    under another name, and makes the volume as it was where it is not there.
  - The content of the volume afterwards is that of the backup, and nothing else. What it held before is kept as a
    volume of its own (O(keep_previous)).
  - The backup is unpacked beside the volume and verified while the volume is still in use. Only then is the old content
    exchanged for it. On the engine's host this is a rename, which takes the same time whatever the size is; where data
    is on a share or belongs to a plugin, it is copied. A task that fails or is killed leaves the old content, or the
    new one, and never a mixture that seems to be whole. The next task finishes or undoes what it began.
  - Archives of others are restored as well, when they are tar files, plain or compressed by gzip, zstd, bzip2 or xz, or
    encrypted by age or gpg. Those of C(offen/docker-volume-backup) and copies of C(/var/lib/docker/volumes) are known
    by their folders, see O(strip).
  - Nothing that an archive holds can lead out of the volume. Slashes that names begin with are left out, as tar does.
    Entries with C(..) in their names and hard links to other places are errors before anything is changed.
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
      - A volume that holds what the backup has stays as it is; to find out, its content is read. What an archive
        without a manifest has is not known before, so each run restores it.
options:
  name:
    description:
      - The name of the volume.
    type: str
    required: true
    aliases: [volume_name]
  path:
    description:
      - An archive on the host that runs the module, which is the engine's, or the folder with the archives that
        P(voltainer.volumes.docker_volume_x_backup#module) made.
      - From a folder, the newest archive of the volume is taken, or the one that O(snapshot) names. Where several
        engines have archives of a volume of this name there, it is the newest of this engine, or of the only other one
        where it has none, as on a new host. Where none is of this engine, and they are of several, that is an error.
      - What a file is, its first bytes tell, and not its name. The name only counts for what is inside of an encrypted
        one.
      - One of O(path), O(src) and O(repository) is required.
    type: path
  src:
    description:
      - An archive on the controller. It is copied to the host, with the manifest beside it where there is one, and
        removed there afterwards.
      - This is done by the module's action plugin.
    type: path
  snapshot:
    description:
      - Which backup is taken.
      - V(latest) is the newest one. From a folder in O(path), any other is named by its time as it stands in the name
        of the archive, such as V(20260131T235959Z). From O(repository) it is named by its ID, of which eight digits
        suffice.
      - What has a time in the future, by the clock of the engine's host, is left out with a warning, and is taken only
        where it is named.
      - A snapshot of restic that this collection did not make can be named by its ID as well.
    type: str
    default: latest
  backup_of:
    description:
      - The name of the volume that was backed up, where it is not O(name).
      - Without it, a backup of another volume is refused, so that no mistyped name replaces the wrong data. Of which
        volume an archive is, its manifest tells, or where there is none, its name, if it is one such as
        C(pgdata-20260131T235959Z.tar.zst).
    type: str
  repository:
    description:
      - A repository of restic. The host needs the program C(restic), 0.14 or newer.
    type: dict
    suboptions:
      location:
        description:
          - Where it is, in restic's words. An absolute path, C(sftp:user@host:/path) or C(s3:https://host/bucket), or
            what else restic knows. A password in it is refused, as locations are shown.
          - For C(sftp:), restic runs C(ssh) as the user who runs the task, and nobody is there to answer a question.
            The examples of P(voltainer.volumes.docker_volume_x_backup#module) show how it gets there.
          - Where nothing answers there, that is an error within a minute or so. Another host that prunes the repository
            is waited for, for up to 35 minutes.
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
          - The host whose snapshots count for O(snapshot=latest). Where it is not given, it is the engine's name, or
            where that has none, the only other host that has some.
        type: str
      environment:
        description:
          - Variables for restic, such as the keys of its storage, E(AWS_ACCESS_KEY_ID) and E(AWS_SECRET_ACCESS_KEY).
          - For a C(rest:) server with a password, they are E(RESTIC_REST_USERNAME) and E(RESTIC_REST_PASSWORD).
          - They are never put on a command line, and hidden wherever they stand in the output. So a value such as V(1),
            which is no secret, does not belong here.
        type: dict
  on_existing:
    description:
      - What to do where the volume is there and holds something else.
      - V(replace) exchanges its content. V(fail) is an error.
    type: str
    choices: [replace, fail]
    default: replace
  keep_previous:
    description:
      - Keep what the volume held before as a volume of its own, named after it and the time, such as
        C(pgdata.before-20260131T235959Z). It takes its space until you remove it.
      - Where the volume was empty, nothing is kept.
    type: bool
    default: true
  confirm:
    description:
      - The name of the volume once more. A protected volume is only restored with O(keep_previous=false) where this
        names it; so it is where a volume is empty and goes since a task was killed that made it. See the option
        O(voltainer.volumes.docker_volume_x#module:protected).
    type: str
  strip:
    description:
      - The folder in the archive that is the volume's. What lies elsewhere in the archive is left out. That it is not
        there is an error before anything is changed.
      - V(auto) finds it out by all that is in the archive. An archive of this collection is all of the volume. Of
        others, folders are known such as C(backup/pgdata) (offen/docker-volume-backup, where it is called like the
        volume, or is the only one) and C(pgdata/_data) (a copy of C(/var/lib/docker/volumes)). Where several could be
        meant, or where such a folder of the volume lies beside what does not belong there, that is an error, which
        names them. Where none is known, all of the archive is the volume's, and a warning tells of a single folder
        around all of it.
      - An empty string means all of the archive. For a folder that is called C(auto), write V(./auto).
      - RV(strip) tells what was chosen, in check mode, too.
    type: str
    default: auto
  identity_file:
    description:
      - The file on the host with the secret key (the identity) for an archive that is encrypted by C(age).
      - For C(gpg), the secret key is in the keyring of the user who runs the task, without a passphrase, or with an
        agent that knows it.
    type: path
  allow_devices:
    description:
      - Whether devices in the archive are made. Without it, an archive with devices is an error before anything is
        changed, as a device may give a container access to all disks of the host.
    type: bool
    default: false
  allow_links:
    description:
      - Whether symbolic links that lead out of the volume, by absolute paths or by C(..), are made of an archive
        without a manifest. Without it, such an archive is an error before anything is changed. Backups of this
        collection have the links that the volume had.
    type: bool
    default: false
  verify:
    description:
      - Compare what was unpacked with the digest of the content in the archive's manifest, or, without a manifest, with
        the archive itself, apart from its folders. It takes about as long as to read the volume once.
      - The archive itself is read and compared with the digests in its manifest in any case, before anything is
        changed. That one without a manifest is damaged is only noticed where it cannot be read.
      - Of O(repository), it is restic that compares what it restored.
    type: bool
    default: true
  driver:
    description:
      - The driver, where the volume is not there. Where it is not given, it is that of the backup, or V(local) where
        the backup does not tell.
      - A volume that is there stays as it is made, with a warning where the task says otherwise.
    type: str
  driver_options:
    description:
      - Options for the driver, where the volume is not there. They take the place of all that are in the backup. Where
        they are not given, and O(driver) is not another one, they are those of the backup.
      - Backups do not have secrets. Where options of the volume had some, they must be given here in full.
      - They must also be given where those of the backup refer to a place outside, such as a share or a folder of the
        host. A backup may come from anybody, and must not choose what on the host is written to.
    type: dict
  secret_options:
    description:
      - Keys of O(driver_options) whose values are secret, beside those whose names say so.
    type: list
    elements: str
    default: []
  labels:
    description:
      - Labels, where the volume is not there. They take the place of all that are in the backup. Where they are not
        given, they are those of the backup. That the volume is protected comes back in any case.
      - Values must be strings or integers; quote what YAML takes for something else.
    type: dict
requirements:
  - zstd, gzip, bzip2, xz, age or gpg on the host, where the archive needs it
  - restic 0.14 or newer on the host, where O(repository) is given
notes:
  - A container that has the volume mounted would go on with the previous content, also when it is only paused. So such
    containers are an error, unless they are stopped meanwhile with O(quiesce=stop), or O(services=scale) for services.
  - What is kept and what is unpacked need space at the same time, where the engine has its volumes.
seealso:
  - module: voltainer.volumes.docker_volume_x_backup
  - module: voltainer.volumes.docker_volume_x
"""

EXAMPLES = r"""
- name: Bring back the newest backup, with the database stopped meanwhile
  voltainer.volumes.docker_volume_x_restore:
    name: pgdata
    path: /srv/backups
    quiesce: stop

- name: See what is in the backup of the last day of January, beside the volume that is in use
  voltainer.volumes.docker_volume_x_restore:
    name: pgdata-january
    backup_of: pgdata
    path: /srv/backups
    snapshot: 20260131T235959Z
    labels: {}

- name: Restore an encrypted archive of the controller
  voltainer.volumes.docker_volume_x_restore:
    name: invoices
    src: backups/host1/invoices-20260131T235959Z.tar.zst.age
    identity_file: /root/backup.key

- name: Restore from a repository of restic on a new host
  voltainer.volumes.docker_volume_x_restore:
    name: uploads
    repository:
      location: s3:https://s3.example.com/backups
      password_file: /etc/restic/password
      host: host1
      environment:
        AWS_ACCESS_KEY_ID: "{{ vault_s3_key_id }}"
        AWS_SECRET_ACCESS_KEY: "{{ vault_s3_key }}"

- name: Restore an archive that offen/docker-volume-backup made of several volumes
  voltainer.volumes.docker_volume_x_restore:
    name: gitea
    path: /srv/offen/backup-2026-01-31T23-59-59.tar.gz
    strip: backup/gitea-data
"""

RETURN = r"""
archive:
  description: The path of the archive on the host, or with O(src) as it is given there; V(null) with O(repository).
  returned: success
  type: str
  sample: /srv/backups/pgdata-20260131T235959Z.tar.zst
manifest:
  description:
    - What the manifest of the archive says, see RV(voltainer.volumes.docker_volume_x_backup#module:manifest). V(null)
      where there is none.
  returned: success
  type: dict
  sample:
    version: 1
    volume: pgdata
    driver: local
    created: "2026-01-31T23:59:59Z"
snapshot:
  description: The ID of restic's snapshot; V(null) with O(path) and O(src).
  returned: success
  type: str
  sample: 1a2b3c4d5e6f70819293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f9
strip:
  description: The folder in the archive that is the volume's; empty for all of the archive.
  returned: success
  type: str
  sample: backup/gitea-data
content_digest:
  description: A digest of what the volume holds now; V(null) in check mode where the backup does not tell it.
  returned: success
  type: str
  sample: v1:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae
content_bytes:
  description: The sizes of all files that were restored together; V(null) where nobody knows.
  returned: success
  type: int
  sample: 41943040
files:
  description: How many regular files were restored; V(null) where nobody knows.
  returned: success
  type: int
  sample: 1204
previous:
  description: The volume that keeps the previous content; V(null) where there was none, or it was not to be kept.
  returned: success
  type: str
  sample: pgdata.before-20260203T081500Z
seconds_unpacking:
  description:
    - How many seconds it took to unpack the backup, without reading it before and comparing after; 0 where nothing was
      unpacked.
    - Restic compares what it restores meanwhile, where O(verify=true).
  returned: success
  type: float
  sample: 4.2
seconds_quiesced:
  description: How many seconds the users of the volume rested; 0 where nobody did.
  returned: success
  type: float
  sample: 1.3
volume:
  description:
    - What the engine says of the volume, secret options hidden.
    - V(null) in check mode where the volume is not there.
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
  description: What was done, or in check mode would be, in order; empty where nothing is to do.
  returned: success
  type: list
  elements: str
  sample:
    - Create the volume 'pgdata.voltainer-fill', which tells of the content of the archive
      'pgdata-20260131T235959Z.tar.zst' until it is done
    - Bring the content of the archive 'pgdata-20260131T235959Z.tar.zst' into 'pgdata.voltainer-fill'
    - Compare 'pgdata.voltainer-fill' with what it is to be
    - Create the volume 'pgdata.voltainer-filled', which tells that the new content is complete
    - Stop the container 'db'
    - Exchange the folders of 'pgdata' and 'pgdata.voltainer-fill'
    - Start the container 'db' again
    - Create the volume 'pgdata.before-20260203T081500Z' with the content of before
    - Remove the volume 'pgdata.voltainer-fill'
diff:
  description: The volume before and after, secret options hidden.
  returned: success
  type: dict
  sample:
    before: {exists: true, name: pgdata, driver: local, driver_options: {}, labels: {}, content: unknown}
    after:
      exists: true
      name: pgdata
      driver: local
      driver_options: {}
      labels: {}
      content: v1:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae
      previous: pgdata.before-20260203T081500Z
users:
  description: The containers that have the volume mounted.
  returned: when these are in the way
  type: list
  elements: dict
  sample: [{container: db, id: 4f5a, state: running, volume: pgdata, path: /data, read_only: false}]
missing:
  description: The programs that the host does not have.
  returned: when programs are missing
  type: list
  elements: str
  sample: [zstd]
needed:
  description: How many bytes the content takes, about.
  returned: when the space does not suffice
  type: int
  sample: 41943040
free:
  description: How many bytes are free where the engine has its volumes.
  returned: when the space does not suffice
  type: int
  sample: 1048576
errors:
  description: Each error by itself.
  returned: when there are several
  type: list
  elements: str
  sample: ["The option 'driver' is empty: a volume has a driver. Leave it out to use that of the backup."]
"""

from ansible_collections.voltainer.volumes.plugins.module_utils._data_engine import connect
from ansible_collections.voltainer.volumes.plugins.module_utils._module import AddressOf, SecretsOf, run_module
from ansible_collections.voltainer.volumes.plugins.module_utils._progress import PROGRESS_SPEC
from ansible_collections.voltainer.volumes.plugins.module_utils._quiesce import QUIESCE_SPEC
from ansible_collections.voltainer.volumes.plugins.module_utils._restore_run import restore
from ansible_collections.voltainer.volumes.plugins.module_utils._restore_wanted import SOURCES, parse_restore


def main():
    """Run the module."""
    run_module(
        {
            "name": {"type": "str", "required": True, "aliases": ["volume_name"]},
            "path": {"type": "path"},
            "src": {"type": "path"},
            "snapshot": {"type": "str", "default": "latest"},
            "backup_of": {"type": "str"},
            "repository": {
                "type": "dict",
                "options": {
                    "location": {"type": "str", "required": True, "no_log": True},
                    "password_file": {"type": "path", "required": True, "no_log": False},
                    "cache_dir": {"type": "path"},
                    "host": {"type": "str"},
                    "environment": {"type": "dict", "no_log": True},
                },
            },
            "on_existing": {"type": "str", "choices": ["replace", "fail"], "default": "replace"},
            "keep_previous": {"type": "bool", "default": True},
            "confirm": {"type": "str"},
            "strip": {"type": "str", "default": "auto"},
            "identity_file": {"type": "path"},
            "allow_devices": {"type": "bool", "default": False},
            "allow_links": {"type": "bool", "default": False},
            "verify": {"type": "bool", "default": True},
            "driver": {"type": "str"},
            "driver_options": {"type": "dict", "no_log": True},
            "secret_options": {"type": "list", "elements": "str", "default": [], "no_log": False},
            "labels": {"type": "dict"},
            **QUIESCE_SPEC,
            **PROGRESS_SPEC,
        },
        parse_restore,
        restore,
        connect,
        secrets=[
            SecretsOf(values="driver_options", keys="secret_options"),
            AddressOf("repository", "location"),
        ],
        mutually_exclusive=[SOURCES],
        required_one_of=[SOURCES],
    )


if __name__ == "__main__":
    main()
