# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run docker_volume_x_restore, show how far it is, and bring an archive of the controller to the host before."""

from __future__ import annotations

import os
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleFileNotFound
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import VolumesError
from ansible_collections.voltainer.volumes.plugins.module_utils._restore_wanted import SRC_VARIABLE, check_source
from ansible_collections.voltainer.volumes.plugins.plugin_utils._progress_action import ProgressAction


class ActionModule(ProgressAction):
    """The action of the module docker_volume_x_restore."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Bring the archive to the host where it is one of the controller, run the module, and return its result."""
        src = self._task.args.get("src")
        if src is None:
            return super().run(tmp, task_vars)
        before, environment = self._task.args, self._task.environment
        try:
            check_source({"snapshot": "latest", **before})
            there = self._upload(str(src))
            self._task.args = {**{key: value for key, value in before.items() if key != "src"}, "path": there}
            # The module tells it: with async, nobody here sees the result.
            mine = environment if isinstance(environment, list) else [environment]
            self._task.environment = [*mine, {SRC_VARIABLE: str(src)}]
            return super().run(tmp, task_vars)
        except VolumesError as exc:
            # Ansible shows the words of a cause as well (2.19), which are the same.
            raise AnsibleActionFail(str(exc)) from None
        finally:
            self._task.args, self._task.environment = before, environment
            # With async there is none any more: the module's wrapper removes it at its end.
            self._remove_tmp_path(self._connection._shell.tmpdir)

    def _upload(self, src: str) -> str:
        """Bring the archive, and its manifest where there is one, to the host; return the path there."""
        try:
            local = self._find_needle("files", src)
        except AnsibleFileNotFound as exc:
            # Its own words are for tasks that have the option remote_src.
            places = ", ".join(f"'{path}'" for path in dict.fromkeys(exc.paths or ()))
            why = f"there is no such file (looked for {places})" if places else "there is no such file"
            raise _unreadable(src, why) from None
        if not os.path.isfile(local):
            raise _unreadable(src, "it is no file")
        if self._connection._shell.tmpdir is None:
            self._make_tmp_path()
        shell = self._connection._shell
        # The names count: a manifest names its archive, and what is encrypted tells its compression by its name only.
        there = [
            self._transfer_file(path, shell.join_path(shell.tmpdir, os.path.basename(path)))
            for path in (local, f"{local}.json")
            if os.path.isfile(path)
        ]
        self._fixup_perms2([shell.tmpdir, *there], execute=False)
        return there[0]


def _unreadable(src: str, why: str) -> AnsibleActionFail:
    return AnsibleActionFail(
        f"Cannot read the archive '{src}' on the controller: {why}. Correct 'src'; an archive that is on the host is"
        " given in 'path'"
    )
