# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pack what a host needs to run the modules without Ansible: what modules need of ansible-core, and ours."""

from __future__ import annotations

import sys
import tarfile
from pathlib import Path

import ansible

CORE = Path(ansible.__file__).parent
PLUGINS = Path(__file__).resolve().parents[4] / "plugins"


def main() -> None:
    """Write the archive that the command line names."""
    shares = (
        (CORE, ("__init__.py", "release.py", "_vendor", "module_utils"), "ansible"),
        (PLUGINS, ("modules", "module_utils"), "ansible_collections/voltainer/volumes/plugins"),
    )
    with tarfile.open(sys.argv[1], "w:gz") as archive:
        for folder, names, place in shares:
            for name in names:
                archive.add(folder / name, f"{place}/{name}", filter=_source)


def _source(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    return None if "__pycache__" in member.name else member


if __name__ == "__main__":
    main()
