# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An action that runs its module as any other task does, and meanwhile shows how far the module is.

The module writes a small file on the host, in a place that is told to it by its environment. A thread reads that file
over a connection of its own, since the task's is busy until the module ends. Whatever goes wrong with that ends the
lines, and never the task.
"""

from __future__ import annotations

import contextlib
import secrets
import shlex
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ansible import constants as C  # noqa: N812 - its name in all of Ansible
from ansible.errors import AnsibleAuthenticationFailure, AnsibleError
from ansible.plugins.action.normal import ActionModule as NormalAction
from ansible.plugins.loader import become_loader, connection_loader
from ansible.utils.display import Display
from ansible_collections.voltainer.volumes.plugins.module_utils._progress import PROGRESS_SPEC, VARIABLE
from ansible_collections.voltainer.volumes.plugins.plugin_utils._progress_line import Meter, parse

_SHORTEST = 1.0  # seconds between two looks
_FAILURES = 3  # looks in a row that may fail


class ProgressAction(NormalAction):
    """Ansible's ordinary action, with lines for long work."""

    NOT_BEFORE = 5.0  # seconds: work that is shorter is not worth a line, nor a connection

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module and return its result."""
        del tmp
        interval = self._interval()
        if not interval:
            return super().run(task_vars=task_vars)
        path = self._progress_path()
        with self._told(path):
            show = _Screen(self._task, task_vars or {})
            reporter = Reporter(max(interval, self.NOT_BEFORE), interval, Look(self, path), show)
            with contextlib.suppress(RuntimeError):  # no room for another thread
                reporter.start()
            try:
                result = super().run(task_vars=task_vars)
            finally:
                reporter.stop()
        if not result.get("_ansible_parsed"):
            self._remove_left(path)
        return result

    def _interval(self) -> float:
        """Return the seconds between two lines, 0 where none are wanted or nobody may see any."""
        if self._task.check_mode or self._task.async_val or self._task.no_log:
            return 0
        option = PROGRESS_SPEC["progress_interval"]
        try:
            wanted = float(self._task.args.get("progress_interval", option["default"]))
        except (TypeError, ValueError):
            return 0  # the module says what is wrong with it
        return max(wanted, _SHORTEST) if 0 < wanted < float("inf") else 0

    def _progress_path(self) -> str:
        """Return where the module's file is to be: a name that nobody can foresee, in a folder that is there anyway."""
        shell = self._connection._shell
        if self._is_become_unprivileged() or self._is_pipelining_enabled("new"):
            # The module's user cannot write to the task's folder, or the task has none; one would be an exec more.
            folders = self.get_shell_option("system_tmpdirs") or []
            folder = folders[-1] if folders else "/tmp"  # noqa: S108 - see the name, and how the module makes the file
        else:
            if shell.tmpdir is None:
                self._make_tmp_path()  # the module's run would do so next
            folder = shell.tmpdir
        return shell.join_path(folder, f"voltainer-progress-{secrets.token_hex(16)}")

    @contextlib.contextmanager
    def _told(self, path: str) -> Iterator[None]:
        """Tell the module where its file is to be.

        By its environment, as Ansible itself does for async: an option would stand in the result, and Ansible refuses
        internal ones that it does not know.
        """
        before = self._task.environment
        mine = before if isinstance(before, list) else [before]
        self._task.environment = [*mine, {VARIABLE: path}]
        try:
            yield
        finally:
            self._task.environment = before

    def _remove_left(self, path: str) -> None:
        """Remove the file of a module that was killed, where no folder takes it along."""
        with contextlib.suppress(AnsibleError):
            self._low_level_execute_command(self._connection._shell.remove(path))


class Reporter(threading.Thread):
    """Looks after `first` seconds and every `interval` from then on, and shows what is found, until `stop`.

    A look that hangs keeps nobody waiting: `stop` waits only for a line that is just being shown.
    """

    def __init__(self, first: float, interval: float, look: Look, show: Callable[[str], None]) -> None:
        super().__init__(daemon=True, name="progress")
        self._interval = interval
        self._look = look
        self._show = show
        self._next = time.monotonic() + first
        self._meter = Meter()
        self._ended = threading.Event()
        # A worker that ended in the midst of a line would leave the queue of all workers locked.
        self._showing = threading.Lock()

    def run(self) -> None:
        """Look and show until the end, or until it has failed too often."""
        failures = 0
        try:
            while failures < _FAILURES and not self._ended.wait(max(0.0, self._next - time.monotonic())):
                self._next = max(self._next, time.monotonic() - self._interval) + self._interval
                try:
                    self._report(self._look())
                    failures = 0
                except AnsibleAuthenticationFailure:
                    return  # a second attempt could lock the account
                except Exception:  # noqa: BLE001 - connections fail in ways of their own; the task goes on
                    failures += 1
        finally:
            self._look.close()

    def _report(self, text: str) -> None:
        state = parse(text)
        if state is None:
            return
        line = self._meter.line(state, time.monotonic())
        with self._showing:
            if not self._ended.is_set():
                self._show(line)

    def stop(self) -> None:
        """Show nothing from now on."""
        with self._showing:
            self._ended.set()


class Look:
    """Reads the file over a second connection, which is made at the first look."""

    def __init__(self, action: ProgressAction, path: str) -> None:
        self._action = action
        self._path = path
        self._other: ProgressAction | None = None

    def __call__(self) -> str:
        """Return what the file holds, nothing where there is none."""
        if self._other is None:
            self._other = self._with_other_connection()
        # A module that has not come to long work has no file; that is no failure.
        command = f"cat {shlex.quote(self._path)} 2>/dev/null || true"
        result = self._other._low_level_execute_command(command)
        if result["rc"] != 0:
            raise AnsibleError(f"cannot look: {result['stderr']}")
        return str(result["stdout"])

    def _with_other_connection(self) -> ProgressAction:
        """Return an action like the first, with a connection of its own, and a become plugin: these keep state."""
        action = self._action
        first = action._connection
        other = connection_loader.get(first._load_name, first._play_context, new_stdin=None)
        other.set_options(direct=first.get_options())
        other._shell.set_options(direct=first._shell.get_options())
        with contextlib.suppress(KeyError, AnsibleError):
            other.set_option("reconnection_retries", 0)  # only what was there comes back the next time
        if first.become:
            become = become_loader.get(first.become._load_name)
            become.set_options(direct=first.become.get_options())
            other.set_become_plugin(become)
        return type(action)(
            task=action._task,
            connection=other,
            play_context=action._play_context,
            loader=action._loader,
            templar=action._templar,
            shared_loader_obj=action._shared_loader_obj,
        )

    def close(self) -> None:
        """Close the second connection."""
        if self._other is None:
            return
        first, other = self._action._connection, self._other._connection
        client = getattr(other, "ssh", None)
        if client is not None and client is getattr(first, "ssh", None):
            return  # paramiko and libssh have one client for all connections to a host: it would be closed for all
        with contextlib.suppress(Exception):
            other.close()


class _Screen:
    """Shows lines, with the host in front where the play has several."""

    def __init__(self, task: Any, variables: Mapping[str, Any]) -> None:
        self._prefix = ""
        if len(variables.get("ansible_play_hosts_all") or ()) > 1:
            host = variables.get("inventory_hostname", "")
            self._prefix = f"[{host} -> {task.delegate_to}] " if task.delegate_to else f"[{host}] "
        # What reads JSON from the standard output would choke on lines.
        self._stderr = "json" in str(C.DEFAULT_STDOUT_CALLBACK)

    def __call__(self, line: str) -> None:
        """Show a line at once: from a worker it goes through the main process."""
        Display().display(f"{self._prefix}{line}", stderr=self._stderr)
