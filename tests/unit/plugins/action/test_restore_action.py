# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action of docker_volume_x_restore: what it says of an archive that cannot be read on the controller."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
from ansible.errors import AnsibleActionFail
from ansible.parsing.dataloader import DataLoader
from ansible_collections.voltainer.volumes.plugins.action.docker_volume_x_restore import ActionModule
from ansible_collections.voltainer.volumes.plugins.plugin_utils._progress_action import ProgressAction


def action_for(folder, environment=None, **options):
    task = SimpleNamespace(
        args={"name": "pgdata", **options},
        async_val=0,
        get_search_path=lambda: [str(folder)],
        environment=environment,
        check_mode=False,
    )
    connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir=None))
    loader = DataLoader()
    loader.set_basedir(str(folder))
    return task, ActionModule(task, connection, None, loader, None, None)


@pytest.fixture
def refused(tmp_path):
    """Return a function that runs the action with options that it refuses, and returns the error."""

    def it(**options):
        task, action = action_for(tmp_path, **options)
        with pytest.raises(AnsibleActionFail) as caught:
            action.run(task_vars={})
        assert task.args == {"name": "pgdata", **options}
        # Its words would be shown a second time.
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__ or caught.value.__context__ is None
        return str(caught.value)

    return it


def test_a_missing_archive_is_told_once_with_where_it_was_looked_for(refused, tmp_path):
    said = refused(src="backups/no.tar")
    assert re.match(
        r"Cannot read the archive 'backups/no\.tar' on the controller: there is no such file \(looked for .*\)\. ", said
    )
    assert said.count(f"'{tmp_path}/files/backups/no.tar'") == 1
    assert said.endswith("Correct 'src'; an archive that is on the host is given in 'path'")
    assert said.count("no such file") == 1
    assert "remote_src" not in said


def test_a_folder_is_no_archive(refused, tmp_path):
    (tmp_path / "files").mkdir()
    assert "Cannot read the archive 'files' on the controller: it is no file. Correct 'src'" in refused(src="files")


def test_options_that_contradict_each_other_are_told_once(refused):
    assert "'path'" in refused(src="a.tar", path="/srv/a.tar")


@pytest.mark.parametrize(("environment", "before"), [(None, [None]), ([{"A": "b"}], [{"A": "b"}])])
def test_the_module_learns_what_the_archive_is_called_here(tmp_path, monkeypatch, environment, before):
    task, action = action_for(tmp_path, environment, src="backups/a.tar")
    monkeypatch.setattr(ActionModule, "_upload", lambda _self, _src: "/srv/there/a.tar")
    monkeypatch.setattr(
        ProgressAction, "run", lambda self, *_: {"args": self._task.args, "environment": self._task.environment}
    )
    assert action.run(task_vars={}) == {
        "args": {"name": "pgdata", "path": "/srv/there/a.tar"},
        "environment": [*before, {"VOLTAINER_RESTORE_SRC": "backups/a.tar"}],
    }
    assert (task.args, task.environment) == ({"name": "pgdata", "src": "backups/a.tar"}, environment)
