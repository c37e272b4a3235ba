# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run docker_volume_x_backup, show how far it is, and fetch the archive to the controller where that is asked for."""

from __future__ import annotations

import contextlib
import hashlib
import os
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible_collections.voltainer.volumes.plugins.plugin_utils._progress_action import ProgressAction

_PIECE = 1 << 20


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
        if result.get("failed") or self._task.check_mode or not folder or not archive:
            return result
        here = self._loader.path_dwim(folder)
        try:
            os.makedirs(here, mode=0o700, exist_ok=True)
            # The manifest first: whoever sees the archive sees all of the backup.
            files = [f"{archive}.json", archive]
            changed = [self._fetch(path, here, task_vars or {}, _digest_of(result, path, archive)) for path in files]
        except OSError as exc:
            raise AnsibleActionFail(
                f"Cannot put the backup into '{here}' on the controller: {exc.strerror}. It is complete on the host, as"
                f" '{archive}'. Make space there, or see to the rights of the folder, and run the task again"
            ) from exc
        result["fetched"] = os.path.join(here, os.path.basename(archive))
        result["changed"] = bool(result.get("changed") or any(changed))
        return result

    def _fetch(self, path: str, folder: str, task_vars: dict[str, Any], sha256: str | None) -> bool:
        """Bring a file of the host into a folder here, whole or not at all; return whether that was needed."""
        name = os.path.basename(path)
        target, partial = os.path.join(folder, name), os.path.join(folder, f".{name}.partial")
        if sha256 and _sha256(target) == sha256:
            return False
        before = _sha256(target)
        try:
            self._fetch_file(path, partial, task_vars)
            found = _sha256(partial)
            if sha256 and found != sha256:
                raise AnsibleActionFail(
                    f"The archive '{path}' arrived damaged on the controller: its sha256 is {found} there. It is"
                    " complete on the host; run the task again"
                )
            if found == before:
                return False
            os.chmod(partial, 0o600)
            os.replace(partial, target)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(partial)
        return True

    def _fetch_file(self, path: str, target: str, task_vars: dict[str, Any]) -> None:
        task = self._task.copy()
        task.action, task.args = "ansible.builtin.fetch", {"src": path, "dest": target, "flat": True}
        action = self._shared_loader_obj.action_loader.get(
            "ansible.builtin.fetch",
            task=task,
            connection=self._connection,
            play_context=self._play_context,
            loader=self._loader,
            templar=self._templar,
            shared_loader_obj=self._shared_loader_obj,
        )
        fetched = action.run(task_vars=task_vars)
        if fetched.get("failed"):
            raise AnsibleActionFail(
                f"Cannot fetch '{path}' from the host: {fetched.get('msg')}. It is complete there; run the task again"
            )


def _digest_of(result: dict[str, Any], path: str, archive: str) -> str | None:
    manifest = result.get("manifest") or {}
    return (result.get("sha256") or manifest.get("sha256")) if path == archive else None


def _sha256(path: str) -> str | None:
    """Return the digest of a file, or None where there is none."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            for piece in iter(lambda: file.read(_PIECE), b""):
                digest.update(piece)
    except FileNotFoundError:
        return None
    return digest.hexdigest()
