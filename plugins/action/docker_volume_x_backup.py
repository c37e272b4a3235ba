# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run docker_volume_x_backup, show how far it is, and fetch the archive to the controller where that is asked for."""

from __future__ import annotations

import os
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible_collections.voltainer.volumes.plugins.plugin_utils._fetch_file import fetch_file
from ansible_collections.voltainer.volumes.plugins.plugin_utils._fetch_folder import (
    Backup,
    DamagedError,
    FetchFolder,
    OtherFileError,
)
from ansible_collections.voltainer.volumes.plugins.plugin_utils._progress_action import ProgressAction


class ActionModule(ProgressAction):
    """The action of the module docker_volume_x_backup."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module, fetch what it made, and return its result."""
        if self._task.async_val and self._task.args.get("fetch_to"):
            raise AnsibleActionFail(
                "The option 'fetch_to' cannot be used together with 'async': nobody would fetch the archive when the"
                " task has ended. Leave one of them out; the task shows how far it is without 'async', too"
            )
        result = super().run(tmp, task_vars)
        folder, archive = self._task.args.get("fetch_to"), result.get("archive")
        if result.get("failed") or not folder or not archive:
            return result
        here = self._loader.path_dwim(folder)
        if self._brought(result, str(archive), here):
            words = f"Fetch the archive '{os.path.basename(archive)}' and its manifest to '{here}' on the controller"
            result["actions"] = [*result.get("actions", []), words]
            result["changed"] = True
        if not self._task.check_mode:
            result["fetched"] = os.path.join(here, os.path.basename(archive))
        return result

    def _brought(self, result: dict[str, Any], archive: str, here: str) -> bool:
        """Bring the backup here, or in check mode only look; return whether that is needed."""
        manifest = result.get("manifest")
        if not manifest:
            # One that would be made.
            return True
        backup, folder = Backup(os.path.basename(archive), result["sha256"], manifest), FetchFolder(here)
        try:
            if not folder.lacks(backup):
                return False
            if not self._task.check_mode:
                with folder.partial(backup) as partial:
                    fetch_file(self, archive, result["bytes"], partial)
                    folder.publish(partial, backup)
        except OtherFileError as exc:
            raise AnsibleActionFail(
                f"Cannot put the backup into '{here}' on the controller: there is another file '{exc.path}', maybe of"
                f" another host. The backup is complete on the host, as '{archive}'. Give each host a folder of its own"
                " ('fetch_to: \"backups/{{ inventory_hostname }}\"'), or remove that file, and run the task again"
            ) from None
        except DamagedError as exc:
            raise AnsibleActionFail(
                f"The archive '{archive}' arrived damaged on the controller: its sha256 is {exc.sha256} there, and not"
                f" {backup.sha256}. If that happens again, the archive was changed on the host since it was made"
            ) from None
        except OSError as exc:
            raise AnsibleActionFail(
                f"Cannot put the backup into '{here}' on the controller: {exc.strerror or exc}. It is complete on the"
                f" host, as '{archive}'. Make space there, or see to the rights of the folder, and run the task again"
            ) from None
        except AnsibleError as exc:
            # Ansible shows the words of a cause as well (2.19), which are the same.
            raise AnsibleActionFail(
                f"Cannot fetch '{archive}' from the host: {exc}. It is complete there; run the task again"
            ) from None
        return True
