# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine that the lab's containers run in: the one that is there, or Debian's, installed and started for it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import docker
from docker.errors import DockerException

from .names import LabError
from .report import say, step
from .state import locked, log_dir, write_atomically

_SOCKET = Path("/var/run/docker.sock")
_TIMEOUT = 180


def connect() -> Any | None:
    """Return a client of the engine that answers, or None."""
    try:
        client = docker.from_env(timeout=_TIMEOUT, use_ssh_client=True)
        client.ping()
    except DockerException:
        return None
    except OSError:
        # The SDK lets a few of the transport's own errors through.
        return None
    return client


def ensure_engine(root: Path) -> Any:
    """Return a client of the outer engine; install and start one where there is none and we may."""
    client = connect()
    if client is None:
        with locked(root / "engine.lock"):
            client = connect() or _start(root)
    return client


def _start(root: Path) -> Any:
    where = os.environ.get("DOCKER_HOST")
    if where:
        raise LabError(f"no Docker engine answers at DOCKER_HOST={where}: start it, or unset DOCKER_HOST")
    if os.geteuid() != 0:
        raise LabError(
            f"no Docker engine answers at {_SOCKET} and only root can start one: start it "
            "(`sudo systemctl start docker`) and join the group docker, point DOCKER_HOST at one, or run this as root"
        )
    if not shutil.which("dockerd"):
        install_packages(["docker.io"])
    client = connect()  # Debian's package starts the engine itself where systemd runs
    if client is None:
        client = _start_with_systemd(root) if Path("/run/systemd/system").is_dir() else _start_detached(root)
    else:
        _remember(root, {"method": "systemd"})
    return client


def install_packages(packages: list[str]) -> None:
    """Install Debian packages."""
    if not shutil.which("apt-get"):
        raise LabError(f"this needs the packages {', '.join(packages)}, and there is no apt-get: install them yourself")
    install = ["install", "--yes", "--quiet", "--no-install-recommends", *packages]
    with step(f"installing Debian packages: {' '.join(packages)}"):
        # The package lists may be absent or old, so a second try follows an update. A third-party repository that fails
        # to update does not matter as long as the packages install.
        if _apt_get(install).returncode == 0:
            return
        update = _apt_get(["update", "--quiet"])
        result = _apt_get(install)
        if result.returncode:
            said = "".join(each.stdout[-800:] + each.stderr[-800:] for each in (update, result))
            raise LabError(f"apt-get {' '.join(install)} failed:\n{said}")


def _apt_get(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(["apt-get", *arguments], env=environment, capture_output=True, text=True, check=False)


def _start_with_systemd(root: Path) -> Any:
    with step("starting this machine's Docker engine (systemctl start docker)"):
        started = subprocess.run(["systemctl", "start", "docker"], capture_output=True, text=True, check=False)
        if started.returncode:
            raise LabError(f"systemctl start docker failed: {started.stderr.strip()}; see `journalctl -u docker`")
        client = _wait(30, lambda: True)
        if client is None:
            raise LabError("docker was started and does not answer: see `journalctl -u docker`")
    _remember(root, {"method": "systemd"})
    return client


def _start_detached(root: Path) -> Any:
    log = log_dir(root) / "dockerd.log"
    with step(f"starting this machine's Docker engine (dockerd, its log is {log})"), log.open("wb") as stream:
        process = subprocess.Popen(
            ["dockerd"], stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, start_new_session=True, cwd="/"
        )
        _remember(root, {"method": "detached", "pid": process.pid})
        client = _wait(60, lambda: process.poll() is None)
        if client is None:
            raise LabError(f"dockerd does not come up: {log} says\n{_tail(log)}")
    return client


def _wait(seconds: float, alive: Any) -> Any | None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and alive():
        client = connect()
        if client is not None:
            return client
        time.sleep(0.2)
    return None


def _tail(path: Path) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-5:])


def _remember(root: Path, record: dict[str, Any]) -> None:
    write_atomically(root / "engine.json", json.dumps(record).encode())


def engine_record(root: Path) -> dict[str, Any] | None:
    """Return how the lab once started this machine's engine, or None where it never did."""
    try:
        record: dict[str, Any] = json.loads((root / "engine.json").read_text())
    except (FileNotFoundError, ValueError):
        return None
    return record


def _is_dockerd(pid: int) -> bool:
    """Tell whether the process is a dockerd: numbers are used again, after a reboot most of all."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip() == "dockerd"
    except OSError:
        return False


def stop_engine(root: Path) -> None:
    """Stop the engine if the lab started it and nothing runs on it. The record stays: its images are still there."""
    record = engine_record(root)
    client = connect()
    if record is None or client is None:
        return
    if record["method"] == "detached" and not _is_dockerd(record["pid"]):
        say("the Docker engine stays: it is not the one that the lab started")
        return
    running = [str(container.name) for container in client.containers.list()]
    if running:
        say(f"the Docker engine stays: it still runs {', '.join(running[:3])}{' ...' if running[3:] else ''}")
        return
    with step("stopping the Docker engine that the lab started"):
        if record["method"] == "systemd":
            subprocess.run(["systemctl", "stop", "docker.socket", "docker"], capture_output=True, check=False)
        else:
            _end(record["pid"])


def _end(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 30
    while _is_dockerd(pid):
        if time.monotonic() > deadline:
            raise LabError(f"dockerd (process {pid}) does not end within 30 s")
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        time.sleep(0.1)
