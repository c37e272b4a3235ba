# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils._usage import Users, service_uses, uses

from .fake_engine import container, service


@pytest.mark.parametrize(
    ("state", "holds"),
    [("running", True), ("paused", True), ("restarting", True), ("removing", True), ("exited", False)],
)
def test_states_in_which_a_container_holds_its_mounts(state, holds):
    (use,) = uses([container("db", "pgdata", state=state)])
    assert use.mounted is holds


def test_what_is_mounted_and_no_volume_is_no_use():
    bind = {"Type": "bind", "Source": "/srv", "Destination": "/data", "RW": True}
    assert uses([{"Id": "4a9f", "Names": ["/db"], "State": "running", "Mounts": [bind]}]) == ()


def test_a_container_that_has_a_volume_twice_is_named_once_for_each():
    one = container("db", "pgdata")
    one["Mounts"] += [{**one["Mounts"][0], "Destination": "/backup"}, one["Mounts"][0]]
    assert str(Users(uses([one]))) == "db (running, read-write at /backup), db (running, read-write at /data)"


@pytest.mark.parametrize(
    ("spec", "mode", "tasks"),
    [
        (service("shop", "pgdata", 3), "replicated", 3),
        (service("shop", "pgdata", 0), "replicated", 0),
        (service("shop", "pgdata", None), "global", 3),
        # Without a status, as before API 1.41, a global service runs somewhere.
        ({**service("shop", "pgdata", None), "ServiceStatus": None}, "global", 1),
    ],
)
def test_a_service_has_as_many_tasks_as_the_swarm_wants(spec, mode, tasks):
    (use,) = service_uses([spec])
    assert (use.service, use.mode, use.tasks, use.volume, use.path) == ("shop", mode, tasks, "pgdata", "/data")


@pytest.mark.parametrize(
    "template",
    [
        {},
        {"ContainerSpec": {}},
        {"ContainerSpec": {"Mounts": None}},
        {"ContainerSpec": {"Mounts": [{"Type": "bind", "Source": "/srv", "Target": "/data"}]}},
        # An anonymous volume, a new one for each task.
        {"ContainerSpec": {"Mounts": [{"Type": "volume", "Target": "/data"}]}},
        {"PluginSpec": {"Name": "rclone"}},
    ],
)
def test_a_service_without_named_volumes_uses_none(template):
    assert service_uses([{"ID": "1", "Spec": {"Name": "shop", "TaskTemplate": template}}]) == ()


def task_of(name):
    one = container(f"{name}.1", "pgdata")
    one["Labels"] = {"com.docker.swarm.service.id": f"id-{name}"}
    return one


@pytest.mark.parametrize(
    ("containers", "services", "writers"),
    [
        ([], [], 0),
        ([container("db", "pgdata")], [], 1),
        ([container("db", "pgdata", read_write=False)], [], 0),
        ([container("db", "pgdata", state="exited")], [], 0),
        ([container("db", "pgdata"), container("db2", "pgdata")], [], 2),
        ([], [service("shop", "pgdata", 3)], 3),
        ([], [service("shop", "pgdata", None)], 3),
        ([], [service("shop", "pgdata", 3, read_only=True)], 0),
        # The task's container is one of the three.
        ([task_of("shop")], [service("shop", "pgdata", 3)], 3),
        ([task_of("shop"), container("db", "pgdata")], [service("shop", "pgdata", 3)], 4),
        # A worker knows no services.
        ([task_of("shop")], [], 1),
    ],
)
def test_how_many_may_write(containers, services, writers):
    assert Users(uses(containers), service_uses(services)).writers == writers


def test_users_of_one_volume_and_of_each():
    users = Users(uses([container("db", "pgdata"), container("x", "other")]), service_uses([service("shop", "pgdata")]))
    assert str(users.of("pgdata")) == (
        "db (running, read-write at /data), service shop (replicated, 1 task(s), read-write at /data)"
    )
    names = ["pgdata", "other", "nobody's"]
    assert users.by_volume(names) == {name: users.of(name) for name in names[:2]}
    assert not users.of("nobody's")


@pytest.mark.parametrize(
    ("source", "volume", "tasks"),
    [
        ("data-{{.Task.Slot}}", "data-2", 1),
        ("{{.Service.Name}}-data", "web-data", 3),
        ('data-{{index .Service.Labels "a"}}.{{.Node.Hostname}}', "data-x.node1", 3),
        ("data-{{.Task.Slot}}", "data", None),
        ("data.{{.Task.Slot}}", "data-2", None),
        ("data", "data-2", None),
    ],
)
def test_a_service_may_have_a_volume_for_each_task(source, volume, tasks):
    users = Users((), service_uses([service("web", source, 3)]))
    found = users.of(volume)
    assert users.by_volume([volume]).get(volume, Users()) == found
    assert [(use.volume, use.tasks) for use in found.services] == ([] if tasks is None else [(volume, tasks)])
    assert found.writers == (tasks or 0)
