# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules of backups and restores: their options as Ansible reads them, and what is shown of these."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
import types

import pytest
import yaml
from ansible_collections.voltainer.volumes.plugins.module_utils import _errors
from ansible_collections.voltainer.volumes.plugins.module_utils._plan import Outcome, Plan, Step

from .backups import OPTIONS, OPTIONS_BACK

PLUGINS = "ansible_collections.voltainer.volumes.plugins"
# What brings users to rest and carries plans out stands in files of its own.
QUIESCE = {
    "quiesce": {"type": "str", "default": "none", "choices": ["none", "pause", "stop"]},
    "services": {"type": "str", "default": "none", "choices": ["none", "scale"]},
    "quiesce_timeout": {"type": "int", "default": 60},
}
APART = {
    "_quiesce": {"QUIESCE_SPEC": QUIESCE},
    "_backup_run": {"back_up": None},
    "_restore_run": {"restore": None},
}
BACKUP, RESTORE = "docker_volume_x_backup", "docker_volume_x_restore"
REPOSITORY = {
    "location": "/srv/restic",
    "password_file": "/root/pw",
    "environment": {"AWS_SECRET_ACCESS_KEY": "hunter2"},
}


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    for name in [name for name in os.environ if name.startswith("DOCKER_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def load(monkeypatch):
    """Return a function that imports a module, with something in the place of the files that are not there."""

    def load_it(name):
        for part, contents in APART.items():
            full = f"{PLUGINS}.module_utils.{part}"
            if full not in sys.modules and importlib.util.find_spec(full) is None:
                stub = types.ModuleType(full)
                vars(stub).update(contents)
                monkeypatch.setitem(sys.modules, full, stub)
        monkeypatch.delitem(sys.modules, f"{PLUGINS}.modules.{name}", raising=False)
        module = importlib.import_module(f"{PLUGINS}.modules.{name}")
        monkeypatch.delitem(sys.modules, f"{PLUGINS}.modules.{name}")
        return module

    return load_it


@pytest.fixture
def wants(load, run, monkeypatch):
    """Return a function that runs a module, and returns its code, its result and what its options asked for."""

    def run_it(which, /, **params):
        module, asked = load(which), []

        def converge(_engine, wanted, _check_mode):
            asked.append(wanted)
            plan = Plan({}, {}, (Step("pack", "Pack it with hunter2"),))
            return Outcome(plan, {"shown": "hunter3 hunter4 remote5"})

        monkeypatch.setattr(module, "back_up" if which == BACKUP else "restore", converge)
        code, result = run(module, object(), **params)
        return code, result, asked[0] if asked else None

    return run_it


@pytest.mark.parametrize(("name", "defaults"), [(BACKUP, OPTIONS), (RESTORE, OPTIONS_BACK)])
def test_the_defaults_are_those_of_the_tests(wants, load, name, defaults):
    code, _result, wanted = wants(name, name="pgdata", path="/srv/backups")
    module = load(name)
    parse = module.parse_backup if name == BACKUP else module.parse_restore
    assert code == 0
    assert wanted == parse(defaults)


@pytest.mark.parametrize("name", [BACKUP, RESTORE])
def test_each_option_and_result_is_documented(load, monkeypatch, name):
    module = load(name)
    documented = yaml.safe_load(module.DOCUMENTATION)
    seen = []
    monkeypatch.setattr(module, "run_module", lambda spec, *_rest, **_rules: seen.append(spec))
    module.main()
    (spec,) = seen
    own = {key for key in spec if key not in {*QUIESCE, "progress_interval"}}
    assert documented["options"].keys() == own
    for option, told in documented["options"].items():
        assert told.get("default") == spec[option].get("default"), option
        assert told.get("choices") == spec[option].get("choices"), option
        assert told["type"] == spec[option]["type"], option
        assert told.get("suboptions", {}).keys() == spec[option].get("options", {}).keys(), option
        for inner, inner_told in told.get("suboptions", {}).items():
            assert inner_told.get("default") == spec[option]["options"][inner].get("default"), inner
    assert {"actions", "diff", "volume"} < yaml.safe_load(module.RETURN).keys()


@pytest.mark.parametrize("name", [BACKUP, RESTORE])
def test_the_examples_are_options_that_it_takes(wants, load, name):
    ours = f"voltainer.volumes.{name}"
    for task in [task for task in yaml.safe_load(load(name).EXAMPLES) if ours in task]:
        params = task[ours]
        if "src" in params:
            # The action plugin puts it there.
            params = {**params, "path": f"/root/.ansible/tmp/{os.path.basename(params['src'])}"}
            del params["src"]
        code, result, wanted = wants(name, **params)
        assert code == 0, result
        assert wanted.name == params["name"]


@pytest.mark.parametrize("name", [BACKUP, RESTORE])
@pytest.mark.parametrize(
    "params", [{}, {"path": "/srv", "repository": REPOSITORY}, {"path": ""}, {"path": "/srv", "name": None}]
)
def test_options_that_do_not_go_together(wants, name, params):
    code, result, wanted = wants(name, **{"name": "pgdata", **params})
    assert (code, wanted) == (1, None)
    assert result["msg"]


def test_keys_of_storage_and_options_of_drivers_are_hidden(wants, logged):
    params = {
        "driver_options": {"password": "hunter3", "pin": "hunter4", "remote": "remote5"},
        "secret_options": ["pin"],
    }
    repository = {**REPOSITORY, "environment": {"AWS_SECRET_ACCESS_KEY": "hunter2", "B2_ACCOUNT_KEY": "remote5"}}
    _code, result, wanted = wants(RESTORE, name="pgdata", repository=repository, **params)
    assert wanted.repository.environment["AWS_SECRET_ACCESS_KEY"] == "hunter2"
    for secret in ("hunter2", "hunter3", "hunter4", "remote5"):
        assert secret not in json.dumps(result)
        assert secret not in str(logged)
    assert result["invocation"]["module_args"]["repository"]["location"] == "/srv/restic"
    _code, result, _wanted = wants(RESTORE, name="pgdata", repository=REPOSITORY, **params)
    assert result["shown"].endswith("remote5")


@pytest.mark.parametrize("name", [BACKUP, RESTORE])
@pytest.mark.parametrize("secret", ["hunter2", "hun/ter2", "hun@ter2"])
def test_a_password_in_the_location_is_refused_and_hidden(wants, logged, name, secret):
    repository = {"location": f"rest:https://user:{secret}@nas:8000/pgdata", "password_file": "/root/pw"}
    code, result, wanted = wants(name, name="pgdata", repository=repository)
    assert (code, wanted) == (1, None)
    assert "'repository.location' has a password in it" in result["msg"]
    assert secret not in json.dumps(result) + str(logged)
    # What is no secret of it is shown.
    assert "nas:8000/pgdata" in result["invocation"]["module_args"]["repository"]["location"]


def test_errors_of_all_options_are_told_at_once(wants):
    code, result, _wanted = wants(BACKUP, name="", path="/srv", level=99, threads=-1)
    assert code == 1
    assert len(result["errors"]) == 3
    assert issubclass(_errors.InvalidInputError, _errors.VolumesError)
