# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kill docker_volume_plugin_x at every step of a change, run the same task at once, and look whether all is right.

    kill_plugin.py REPOSITORY     the array simulator in a registry, without a tag

Runs as root on the host of an engine, in the folder into which pack.py's archive was unpacked. A step is a request that
may change the engine. Each run of the module is a process that kills itself with SIGKILL as soon as the n-th step is
answered, for all n up to the one that is never reached. A pull is answered when it begins: the engine then goes on with
it, while the next task runs already.

Prints JSON: the steps of each case, how many runs were killed, and the failures, each with what was found.
"""

from __future__ import annotations

import http.client
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).resolve().parent))

import killing
from ansible_collections.voltainer.volumes.plugins.modules import docker_volume_plugin_x
from killing import AFTER, FoundError, Killer, Run, ask

ALIAS = "killed"
VOLUME = "killed-volume"
CONFIG = "/srv/plugins/pure.json"
TOKENS = ("0f2a2d2c-old-token", "7d1f8c4a-new-token")
SETTINGS = {"PURE_DOCKER_NAMESPACE": "killed", "PURE_API_TOKEN": "s3cret", "config.source": CONFIG, "args": "--kept"}


# The engine, by its API and without the code that is tested


def plugin() -> dict[str, Any]:
    """Return what the engine says of the plugin; nothing where it is not there."""
    status, answer = ask("GET", f"/plugins/{ALIAS}/json")
    return answer if status == http.client.OK else {}


def picture() -> dict[str, Any]:
    """Return what counts of the plugin."""
    found = plugin()
    if not found:
        return {}
    env = dict(text.split("=", 1) for text in found["Settings"]["Env"])
    mounts = {f"{one['Name']}.source": one["Source"] for one in found["Config"]["Mounts"] if one["Name"]}
    return {
        "id": found["Id"],
        "enabled": found["Enabled"],
        "tag": found["PluginReference"].rpartition(":")[2],
        "settings": {**env, **mounts, "args": " ".join(found["Settings"]["Args"] or [])},
    }


def leftovers() -> list[str]:
    """Return what a change may leave only while it goes on."""
    plugins = [one["Name"] for one in ask("GET", "/plugins")[1] if "trial" in one["Name"]]
    volumes = [one["Name"] for one in ask("GET", "/volumes")[1]["Volumes"] or []]
    mark = json.dumps({"label": ["voltainer.volumes.canary"]})
    containers = [one["Id"] for one in ask("GET", f"/containers/json?all=1&filters={quote(mark)}")[1]]
    images = [one["Id"] for one in ask("GET", f"/images/json?filters={quote(mark)}")[1]]
    made = [name for name in volumes if name.startswith("voltainer-")]
    return plugins + made + containers + images + [str(one) for one in Path(CONFIG).parent.glob(".*.voltainer~")]


def array(token: str) -> dict[str, Any]:
    """Return the content of the array's config file with a token."""
    return {"FlashArrays": [{"MgmtEndPoint": "192.0.2.1", "APIToken": token}]}


# Runs of the module


def run(options: Mapping[str, Any], *, kill_at: int = 0) -> Run:
    """Run the module with `options` in a process of its own, to be killed at step `kill_at`; 0 is none."""
    return killing.run(
        docker_volume_plugin_x.main, options, lambda pipe: Killer(kill_at, AFTER, pipe, ()).around_requests()
    )


def well(done: Run, *, changed: bool | None = None) -> None:
    """Fail unless the run came to its end, and said of changes what it is to say."""
    done.need(not done.killed and not done.failed, "a run fails")
    done.need(changed is None or done.changed is changed, f"a run does not say changed: {changed}")


# What is changed


@dataclass(frozen=True)
class Case:
    """A change: the task, what is there before, and what must be there in the end."""

    name: str
    task: dict[str, Any]
    tag: str
    enabled: bool
    settings: dict[str, str]
    volume: bool = True
    installed: bool = True
    enabled_before: bool = True
    token: str = TOKENS[0]


def cases(repository: str) -> list[Case]:
    """Return all changes."""
    upgrade = {"remote": f"{repository}:1.1", "alias": ALIAS, "privileges": "all", "state": "present"}
    new = {**SETTINGS, "PURE_TIMEOUT": "30", "DEBUG": "false"}
    change = {"alias": ALIAS, "settings": {"DEBUG": "true"}, "state": "present"}
    install = {
        "remote": f"{repository}:1.0",
        "alias": ALIAS,
        "privileges": "all",
        "state": "enabled",
        "settings": SETTINGS,
    }
    file = {"path": CONFIG, "format": "json", "content": array(TOKENS[1])}
    config = {**change, "config_files": [file], "canary": True, "canary_options": {"size": "20MB"}}
    return [
        Case("config", config, "1.0", True, {**SETTINGS, "DEBUG": "true"}, token=TOKENS[1]),
        Case("upgrade", upgrade, "1.1", True, new),
        Case("upgrade_disabled", upgrade, "1.1", False, new, volume=False, enabled_before=False),
        Case("settings", change, "1.0", True, {**SETTINGS, "DEBUG": "true"}),
        Case("install", install, "1.0", True, SETTINGS, volume=False, installed=False),
    ]


def make(case: Case, repository: str) -> None:
    """Bring everything to what it is before the change."""
    remove()
    Path(CONFIG).write_text(json.dumps(array(TOKENS[0])))
    if not case.installed:
        return
    state = "enabled" if case.enabled_before else "disabled"
    task = {"remote": f"{repository}:1.0", "alias": ALIAS, "privileges": "all", "state": state, "settings": SETTINGS}
    well(run(task))
    if case.volume:
        made = {"Name": VOLUME, "Driver": ALIAS, "DriverOpts": {"size": "32MiB"}}
        ask("POST", "/volumes/create", made)


def remove() -> None:
    """Take everything away."""
    if plugin():
        well(run({"alias": ALIAS, "state": "enabled"}))
        ask("DELETE", f"/volumes/{VOLUME}")
    well(run({"alias": ALIAS, "state": "absent"}))


def check(case: Case, before: Mapping[str, Any]) -> None:
    """Run the task again, and look whether everything is as if it had not been killed."""
    well(run(case.task))
    found = picture()
    wrong = {
        key: found.get(key)
        for key, value in {"tag": case.tag, "enabled": case.enabled, **({"id": before["id"]} if before else {})}.items()
        if found.get(key) != value
    }
    wrong |= {
        key: found["settings"].get(key) for key, value in case.settings.items() if found["settings"].get(key) != value
    }
    if wrong:
        raise FoundError(f"in the end there is {wrong}")
    if json.loads(Path(CONFIG).read_text()) != array(case.token):
        raise FoundError("the config file is another one")
    if left := leftovers():
        raise FoundError(f"there is still {left}")
    names = [one["Name"] for one in ask("GET", "/volumes")[1]["Volumes"] or []]
    if case.volume and VOLUME not in names:
        raise FoundError("the volume is gone")
    well(run(case.task), changed=False)


@dataclass
class Report:
    """What is printed in the end."""

    steps: dict[str, list[str]] = field(default_factory=dict)
    killed: int = 0
    failures: list[str] = field(default_factory=list)


def kill_everywhere(case: Case, repository: str, report: Report) -> None:
    """Kill the change at each of its steps, until it reaches its end."""
    number = 0
    while True:
        number += 1
        make(case, repository)
        before = picture()
        done = run(case.task, kill_at=number)
        where = f"{case.name}, killed at step {number} ({done.steps[-1] if done.steps else 'none'})"
        if not done.killed:
            well(done, changed=True)
            report.steps[case.name] = done.steps
        report.killed += done.killed
        try:
            check(case, before)
        except FoundError as exc:
            report.failures.append(f"{where}: {exc}; there is {json.dumps(picture())}")
        if not done.killed:
            return


def judge(case: Case, repository: str, report: Report) -> None:
    """Kill the change everywhere, and note where even the tests' own steps fail."""
    try:
        kill_everywhere(case, repository, report)
    except FoundError as exc:
        report.failures.append(f"{case.name}: {exc}")


def main() -> None:
    """Kill all."""
    report = Report()
    for case in cases(sys.argv[1]):
        judge(case, sys.argv[1], report)
    remove()
    print(json.dumps(vars(report)))


if __name__ == "__main__":
    main()
