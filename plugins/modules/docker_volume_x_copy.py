#!/usr/bin/python
# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_volume_x_copy
short_description: Copy the data of a Docker volume to another one, whatever their drivers
version_added: 0.1.0
description:
  - Copies what is in the volume O(source) to the volume O(name), with owners, modes, times to the nanosecond, hard
    links, holes, extended attributes, ACLs and devices, and compares the two afterwards, byte by byte.
  - The volumes may be of different drivers. What the target's file system cannot keep, a warning names. Where whole
    entries would get lost, such as symbolic links on an object store, nothing is copied.
  - A target that is equal to the source already is not touched.
  - Nobody sees a target of the driver V(local) with half of the content. It is made complete in a staging volume beside
    it, and then the two change places in one step. The content of another driver's volume is replaced only once the new
    one is complete on this host, and brought back where that fails.
  - What a killed task began is finished or undone by the next one for the same target. A target that still has all
    that it held keeps it.
author:
  - The voltainer.volumes developers (@voltainer)
extends_documentation_fragment:
  - voltainer.volumes.docker
  - voltainer.volumes.docker.socket
  - voltainer.volumes.quiesce
  - voltainer.volumes.progress
  - voltainer.volumes.attributes
  - voltainer.volumes.attributes.changes
options:
  source:
    description:
      - The volume that is copied. It is only read.
    type: str
    required: true
  source_docker_host:
    description:
      - The address of the engine that has the volume O(source), where that is another one than O(docker_host).
      - The data goes through the module as a stream, and is never stored whole. The options O(tls), O(ca_path) and the
        like are for both engines; a C(unix://) socket needs none.
    type: str
  name:
    description:
      - The volume that gets the content. It is created where there is none of that name.
      - No running container may have it mounted.
    type: str
    required: true
    aliases: [target]
  driver:
    description:
      - The driver of the target, where it is created; V(local) without this option.
    type: str
  driver_options:
    description:
      - The driver's options for the target, where it is created. Values are made strings.
    type: dict
  labels:
    description:
      - The labels of the target, where it is created.
    type: dict
  secret_options:
    description:
      - Keys of O(driver_options) whose values are secret, beside those whose names say so, such as C(password).
    type: list
    elements: str
    default: []
  on_existing:
    description:
      - What to do with a target that has content which is not equal to that of the source.
      - V(fail) ends the task with an error.
      - V(replace) takes the old content away, once the new one is complete and compared.
      - V(sync) brings the target up to date in place, and copies only what differs. This needs rsync on the engine's
        host. Where it is interrupted, the target is neither as before nor as the source, until the task is run again.
    type: str
    choices: [fail, replace, sync]
    default: fail
  confirm:
    description:
      - The name of the target once more, where it is protected and its content is to be replaced, or where it is empty
        and goes since a task was killed that made it. See the option
        O(voltainer.volumes.docker_volume_x#module:protected).
    type: str
  verify:
    description:
      - Whether the copy is compared with the source, entry by entry and byte by byte.
    type: bool
    default: true
notes:
  - The module works fastest where it runs as root on the host of the engine and reaches that by its socket. Otherwise
    all data goes through the module, and others may see a target with half of the content.
  - The data is reached in a helper container that has the host's C(/usr), read-only, and the two volumes. No image is
    pulled. The host needs C(cp) of GNU coreutils, and C(nsenter) and C(setpriv) of util-linux.
  - Sockets are not copied, since they mean nothing without the process that made them.
  - In check mode both volumes are mounted to be compared, and nothing is written. Of file systems that do not say what
    they can keep, such as FUSE, only names, kinds and content are compared then.
seealso:
  - module: voltainer.volumes.docker_volume_x
"""

EXAMPLES = r"""
- name: Copy a volume
  voltainer.volumes.docker_volume_x_copy:
    source: pgdata
    name: pgdata-test

- name: Move the data to the array, with the database stopped meanwhile
  voltainer.volumes.docker_volume_x_copy:
    source: pgdata
    name: pgdata-array
    driver: pure
    driver_options:
      size: 25GB
    quiesce: stop

- name: Bring a volume over from another host
  voltainer.volumes.docker_volume_x_copy:
    source_docker_host: tcp://old.example.com:2376
    tls: true
    validate_certs: true
    ca_path: /etc/docker/ca.pem
    client_cert: /etc/docker/cert.pem
    client_key: /etc/docker/key.pem
    source: wiki
    name: wiki

- name: Keep a second volume up to date
  voltainer.volumes.docker_volume_x_copy:
    source: media
    name: media-standby
    on_existing: sync
"""

RETURN = r"""
volume:
  description: The engine's inspect data of the target as it now is, secrets hidden; V(null) where there is none.
  returned: success
  type: dict
  sample: {"Name": "pgdata-test", "Driver": "local", "Options": null, "Labels": null}
bytes:
  description: How many bytes the files of the source have; 0 where nothing was copied.
  returned: success
  type: int
  sample: 2147483648
files:
  description: How many files were copied.
  returned: success
  type: int
  sample: 5120
sockets_skipped:
  description: How many sockets there were, which are not copied.
  returned: success
  type: int
  sample: 1
not_kept:
  description: What the target's file system cannot keep of what there is.
  returned: success
  type: list
  elements: str
  sample: [owners, modes]
unverified:
  description:
    - Files that could not be compared, since they changed after they were copied, and before they were compared. Those
      who were at rest are at work again by then.
  returned: success
  type: list
  elements: str
  sample: []
changed_while_reading:
  description: Files and folders that somebody changed while they were copied, as far as O(quiesce=none) lets them.
  returned: success
  type: list
  elements: str
  sample: [log/today.log]
seconds_copying:
  description: How many seconds the copying took, without the comparison.
  returned: success
  type: float
  sample: 2.31
seconds_verifying:
  description: How many seconds the comparison took.
  returned: success
  type: float
  sample: 1.2
seconds_quiesced:
  description: How many seconds the users of the source rested; 0 where nobody did.
  returned: success
  type: float
  sample: 2.5
actions:
  description: What was done, or in check mode would be, in order; empty where nothing is to do.
  returned: success
  type: list
  elements: str
  sample: ["Bring the copy of the volume 'pgdata' into 'pgdata-test'"]
diff:
  description: The target before and after.
  returned: success
  type: dict
  sample:
    before: {exists: false}
    after: {exists: true, name: pgdata-test, driver: local, driver_options: {}, labels: {}, content: as in 'pgdata'}
"""

from ansible_collections.voltainer.volumes.plugins.module_utils._copy_run import copy_volume
from ansible_collections.voltainer.volumes.plugins.module_utils._copy_wanted import parse_copy
from ansible_collections.voltainer.volumes.plugins.module_utils._data_engine import connect
from ansible_collections.voltainer.volumes.plugins.module_utils._module import SecretsOf, run_module
from ansible_collections.voltainer.volumes.plugins.module_utils._progress import PROGRESS_SPEC
from ansible_collections.voltainer.volumes.plugins.module_utils._quiesce import QUIESCE_SPEC


def main():
    """Run the module."""
    run_module(
        {
            **QUIESCE_SPEC,
            **PROGRESS_SPEC,
            "source": {"type": "str", "required": True},
            "source_docker_host": {"type": "str"},
            "name": {"type": "str", "required": True, "aliases": ["target"]},
            "driver": {"type": "str"},
            "driver_options": {"type": "dict", "no_log": True},
            "labels": {"type": "dict"},
            "secret_options": {"type": "list", "elements": "str", "default": [], "no_log": False},
            "on_existing": {"type": "str", "choices": ["fail", "replace", "sync"], "default": "fail"},
            "confirm": {"type": "str"},
            "verify": {"type": "bool", "default": True},
        },
        parse_copy,
        copy_volume,
        connect,
        [SecretsOf("driver_options", "secret_options")],
    )


if __name__ == "__main__":
    main()
