# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of backups have in common."""

from __future__ import annotations

from datetime import datetime, timezone

from ansible_collections.voltainer.volumes.plugins.module_utils._backup_names import ArchiveName
from ansible_collections.voltainer.volumes.plugins.module_utils._backup_wanted import parse_backup
from ansible_collections.voltainer.volumes.plugins.module_utils._manifest import (
    KEPT,
    EngineFacts,
    Manifest,
    Origin,
    created_text,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._restic import Snapshot, tags
from ansible_collections.voltainer.volumes.plugins.module_utils._restore_wanted import parse_restore

NEW_YEAR = datetime(2026, 1, 1, tzinfo=timezone.utc)
ENGINE = EngineFacts("7a1c", "host1", "26.1.5+dfsg1", "1.45")
OTHER_ENGINE = EngineFacts("99ff", "host2", "20.10.24+dfsg1", "1.41")
DIGEST = f"v1:{'ab' * 32}"


def manifest(name=None, **changes):
    """Return the manifest of an archive: of this name, or of one of the volume `pgdata`."""
    name = name or ArchiveName("pgdata", NEW_YEAR, "zstd")
    values = {
        "volume": name.volume,
        "driver": "local",
        "options": None,
        "hidden_options": (),
        "labels": {"team": "billing"},
        "engine": ENGINE,
        "host_os": "Debian GNU/Linux 13 (trixie)",
        "created": created_text(name.time),
        "archive": str(name),
        "compression": name.compression,
        "encryption": name.encryption,
        "bytes": 1024,
        "sha256": "cd" * 32,
        "content_digest": DIGEST,
        "files": 2,
        "entries": 3,
        "content_bytes": 4096,
        "tools": {"tar": "1.35", "zstd": "1.5.7"},
        "keeps": dict.fromkeys(KEPT, True),
        "quiesced": "none",
        "changed_while_reading": (),
        "sockets_skipped": 0,
    }
    return Manifest(**{**values, **changes})


OPTIONS = {
    "name": "pgdata",
    "path": "/srv/backups",
    "fetch_to": None,
    "repository": None,
    "compression": "zstd",
    "level": None,
    "threads": 0,
    "encryption": "none",
    "recipients": [],
    "unless_changed": False,
    "keep": None,
    "verify": True,
    "secret_options": [],
    "quiesce": "none",
    "services": "none",
    "quiesce_timeout": 60,
    "progress_interval": 5.0,
    "timeout": 60,
}
OPTIONS_BACK = {
    "name": "pgdata",
    "path": "/srv/backups",
    "src": None,
    "repository": None,
    "snapshot": "latest",
    "backup_of": None,
    "on_existing": "replace",
    "keep_previous": True,
    "confirm": None,
    "strip": "auto",
    "identity_file": None,
    "allow_devices": False,
    "allow_links": False,
    "verify": True,
    "driver": None,
    "driver_options": None,
    "labels": None,
    "secret_options": [],
    "quiesce": "none",
    "services": "none",
    "quiesce_timeout": 60,
    "progress_interval": 5.0,
    "timeout": 60,
}
REPOSITORY = {
    "location": "/srv/restic",
    "password_file": "/root/pw",
    "cache_dir": None,
    "host": None,
    "environment": None,
    "init": False,
    "prune": True,
}


def wanted(**params):
    """Return what a task of docker_volume_x_backup wants."""
    return parse_backup({**OPTIONS, **params})


def wanted_back(**params):
    """Return what a task of docker_volume_x_restore wants."""
    return parse_restore({**OPTIONS_BACK, **params})


def snapshot(name, time, host="host1", volume="pgdata", **changes):
    """Return a snapshot that this collection made of a volume; `changes` are of its origin."""
    values = {"volume": volume, "driver": "local", "options": {}, "hidden_options": (), "labels": {"team": "billing"}}
    origin = Origin(**{**values, "engine": ENGINE.id, "content_digest": DIGEST, **changes})
    return Snapshot(name, time, host, (f"/var/lib/docker/volumes/{volume}/_data",), tuple(tags(origin)))
