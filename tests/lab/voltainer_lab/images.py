# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds images by debootstrap and apt, below a directory of the state root, and imports them into the outer engine."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path
from typing import Any

from docker.errors import APIError, ImageNotFound, NotFound

from .mirror import ENVIRONMENT as MIRROR_ENVIRONMENT
from .mirror import find_mirror
from .names import LABEL_IMAGE, LabError
from .outer import connect, install_packages
from .recipes import Recipe
from .report import say, step
from .state import cache_dir, locked, log_dir

_CHUNK = 1024 * 1024


def ensure_images(client: Any, root: Path, recipes: list[Recipe]) -> None:
    """Build the images that the engine does not have yet, all at the same time."""
    missing = [recipe for recipe in recipes if not has_image(client, recipe.reference)]
    if not missing:
        return
    _check_tools()
    lock = Path(tempfile.gettempdir()) / f"voltainer-lab-{os.geteuid()}"
    with locked(lock / "build.lock"):
        # Another checkout may have built the same image while we waited.
        missing = [recipe for recipe in missing if not has_image(client, recipe.reference)]
        _remove_leftovers(root)
        mirror = find_mirror()
        origin = "the machine's own mirror" if mirror else "debootstrap's default mirror"
        if os.environ.get(MIRROR_ENVIRONMENT):
            origin = MIRROR_ENVIRONMENT
        if missing:
            say(f"images to build from {origin}: {', '.join(recipe.reference for recipe in missing)}")
        suites = sorted({recipe.suite for recipe in missing})
        with ThreadPoolExecutor(max_workers=2) as pool:
            list(pool.map(lambda suite: _build_suite(root, suite, missing, mirror), suites))


def has_image(client: Any, reference: str) -> bool:
    try:
        client.images.get(reference)
    except ImageNotFound:
        return False
    return True


def _check_tools() -> None:
    if os.geteuid() != 0:
        raise LabError("images are missing, and building them (debootstrap) needs root once: run this as root")
    packages = {"debootstrap": "debootstrap", "gpgv": "gpgv"}
    needed = [package for tool, package in packages.items() if not shutil.which(tool)]
    if not Path("/usr/share/keyrings/debian-archive-keyring.gpg").exists():
        needed.append("debian-archive-keyring")
    if needed:
        install_packages(needed)


def _builds(root: Path) -> Path:
    return cache_dir(root) / "builds"


def _remove_leftovers(root: Path) -> None:
    """Remove what a killed build left. Nothing is mounted in there: builds mount in a namespace of their own."""
    shutil.rmtree(_builds(root), ignore_errors=True)


def _build_suite(root: Path, suite: str, recipes: list[Recipe], mirror: str | None) -> None:
    """Build all images of one suite: each begins as a copy of the same base system."""
    mine = [recipe for recipe in recipes if recipe.suite == suite]
    base = _builds(root) / f"base-{suite}"
    log = log_dir(root) / f"build-base-{suite}.log"
    log.write_bytes(b"")
    try:
        with step(f"installing a base system of {suite}"):
            _bootstrap(root, mine[0], mirror, base, log)
        with ThreadPoolExecutor(max_workers=2) as pool:
            list(pool.map(lambda recipe: _build(root, recipe, base), mine))
    finally:
        shutil.rmtree(base, ignore_errors=True)


def _build(root: Path, recipe: Recipe, base: Path) -> None:
    target = _builds(root) / f"{recipe.kind}-{recipe.suite}"
    log = log_dir(root) / f"build-{recipe.kind}-{recipe.suite}.log"
    log.write_bytes(b"")
    try:
        with step(f"building {recipe.reference}"):
            _run(["cp", "--archive", str(base), str(target)], log)
            _install(root, recipe, target, log)
            _finish(recipe, target, log)
            _import(recipe, target)
    finally:
        shutil.rmtree(target, ignore_errors=True)


def _run(command: list[str], log: Path) -> None:
    """Run a build step so that nothing of it outlives this process: no mount, and no process even after a kill."""
    whole = ["setpriv", "--pdeathsig", "KILL"]
    whole += ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"]
    with log.open("ab") as stream:
        ended = subprocess.run(
            whole + command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, check=False
        ).returncode
    if ended:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-8:])
        raise LabError(f"building an image: {command[0]} ended with {ended}, {log} ends with\n{tail}")


def _packages(root: Path, name: str) -> Path:
    """Return the directory that keeps downloaded packages; no two steps that run at the same time share one."""
    directory = cache_dir(root) / "debs" / name
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def _bootstrap(root: Path, recipe: Recipe, mirror: str | None, target: Path, log: Path) -> None:
    config = target / "etc/dpkg/dpkg.cfg.d/lab"
    config.parent.mkdir(parents=True)
    config.write_text(recipe.dpkg_config)
    cache = f"--cache-dir={_packages(root, f'{recipe.suite}-base')}"
    command = ["debootstrap", "--variant=minbase", cache, recipe.suite, str(target)]
    _run(command + ([mirror] if mirror else []), log)


def _install(root: Path, recipe: Recipe, target: Path, log: Path) -> None:
    """Install the recipe's packages: apt does that in half the time of debootstrap's --include."""
    (target / "install").write_text(recipe.install)
    cache = _packages(root, f"{recipe.suite}-{recipe.kind}")
    inside = 'mount --bind "$1" "$2/var/cache/apt/archives"; target=$2; shift 2; exec chroot "$target" sh /install "$@"'
    _run(["sh", "-ec", inside, "install", str(cache), str(target), *recipe.packages], log)
    (target / "install").unlink()
    if "lists that have run out" in log.read_text(errors="replace"):
        stale = f"the mirror's package lists of {recipe.suite} have run out (Valid-Until)"
        say(f"{stale}; their signature is good, so they are used")


def _finish(recipe: Recipe, target: Path, log: Path) -> None:
    script = target / "finish"
    script.write_text(recipe.finish)
    _run(["chroot", str(target), "/bin/sh", "/finish"], log)
    script.unlink()


def _import(recipe: Recipe, target: Path) -> None:
    command = ["tar", "--numeric-owner", "--create", "--directory", str(target), "--exclude=./debootstrap", "."]
    client = connect()  # the SDK's clients are not made for threads
    if client is None:
        raise LabError(f"the Docker engine went away while {recipe.reference} was built")
    with subprocess.Popen(command, stdout=subprocess.PIPE) as tar:
        client.api.import_image_from_stream(
            _chunks(tar.stdout),
            repository=recipe.repository,
            tag=recipe.tag,
            changes=[f"LABEL {LABEL_IMAGE}={recipe.kind}", "ENV PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"],
        )
    if tar.returncode:
        client.images.remove(recipe.reference, force=True)
        raise LabError(f"packing {recipe.reference} failed: tar ended with {tar.returncode}")


def _chunks(stream: Any) -> Iterator[bytes]:
    while chunk := stream.read(_CHUNK):
        yield chunk


def remove_images(client: Any) -> None:
    """Remove the lab's images, but for those that a lab of somebody else still uses."""
    for image in client.images.list(filters={"label": LABEL_IMAGE}):
        name = image.tags[0] if image.tags else image.short_id
        try:
            client.images.remove(image.id, force=False)
            say(f"image {name}: removed")
        except NotFound:
            pass
        except APIError as error:
            if error.status_code != HTTPStatus.CONFLICT:
                raise
            say(f"image {name}: stays, another lab uses it")
