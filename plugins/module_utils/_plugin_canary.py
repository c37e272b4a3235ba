# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The canary: a small volume of a plugin that is created, written, read back and removed, to see that storage works.

Its name has the engine's ID in it, since the nodes of a swarm often share the storage behind their plugins.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.voltainer.volumes.plugins.module_utils._container_engine import ContainerEngine
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import (
    EngineUnreachableError,
    VolumesError,
    sentence,
)
from ansible_collections.voltainer.volumes.plugins.module_utils._reference import driver_key
from ansible_collections.voltainer.volumes.plugins.module_utils._volume import CANARY, CANARY_PREFIX

_FILE = "voltainer-canary"


@dataclass(frozen=True)
class Canary:
    """What the test volume is created with. Options that are secret are hidden in what is returned."""

    driver_options: Mapping[str, str]


@dataclass
class _Flight:
    """What a canary has made so far, and must not leave behind."""

    engine: ContainerEngine
    driver: str
    volume: str
    image: str = ""
    step: str = "look what an earlier canary left behind"

    @property
    def label(self) -> dict[str, str]:
        return {CANARY: self.driver}

    @property
    def mark(self) -> str:
        """The label as the engine is asked for it."""
        return f"{CANARY}={self.driver}"


def fly(engine: ContainerEngine, driver: str, canary: Canary) -> dict[str, Any]:
    """Test the driver, and return the name of the volume and the seconds that it took.

    Raises VolumesError, which says at which step it failed and what the driver said. Nothing is left behind wherever
    the driver lets go of it.
    """
    began = time.monotonic()
    flight = _Flight(engine, driver, _name(engine, driver))
    try:
        _clean(flight)
    except VolumesError as exc:
        raise _failed(flight, exc, None) from exc
    try:
        _test(flight, canary)
    except VolumesError as exc:
        raise _failed(flight, exc, _left(flight)) from exc
    flight.step = "remove the volume"
    left = _left(flight)
    if left is not None:
        raise _failed(flight, left, None)
    return {"volume": flight.volume, "seconds": round(time.monotonic() - began, 1)}


def _test(flight: _Flight, canary: Canary) -> None:
    engine = flight.engine
    flight.step = "create the volume"
    engine.create_volume(flight.volume, flight.driver, canary.driver_options, flight.label)
    flight.image = engine.import_empty_image(flight.label)
    written = secrets.token_bytes(4096)
    flight.step = "write to the volume"
    _with_container(flight, lambda container: engine.put_file(container, _FILE, written))
    # In another container, so that the volume is unmounted and mounted in between.
    flight.step = "read back what was written"
    found = _with_container(flight, lambda container: engine.get_file(container, _FILE))
    if found != written:
        raise VolumesError("", f"of {len(written)} bytes that were written, other {len(found)} came back")


def _with_container(flight: _Flight, use: Callable[[str], Any]) -> Any:
    # Where this fails, it goes with all else, so that the first cause is what is told.
    container = flight.engine.create_container(flight.image, flight.volume, flight.label)
    found = use(container)
    flight.engine.remove_container(container)
    return found


def _clean(flight: _Flight) -> None:
    """Remove what this canary made, or one of this driver left behind that was killed: all that can be removed."""
    removals = (_remove_containers, _remove_images, _remove_volume)
    errors = [error for error in (_error_of(remove, flight) for remove in removals) if error is not None]
    if errors:
        raise errors[0]


def _error_of(remove: Callable[[_Flight], None], flight: _Flight) -> VolumesError | None:
    try:
        remove(flight)
    except EngineUnreachableError:
        raise
    except VolumesError as exc:
        return exc
    return None


def _remove_containers(flight: _Flight) -> None:
    for container in flight.engine.containers_labelled(flight.mark):
        flight.engine.remove_container(container)


def _remove_images(flight: _Flight) -> None:
    for image in flight.engine.images_labelled(flight.mark):
        flight.engine.remove_image(image)


def _remove_volume(flight: _Flight) -> None:
    engine = flight.engine
    there = engine.volume(flight.volume)
    if there is None:
        return
    # Labels of a plugin's volume can get lost, and the name alone tells much already.
    foreign = there.labels and there.labels.get(CANARY) != flight.driver
    if foreign or driver_key(there.driver) != driver_key(flight.driver):
        raise VolumesError(
            "", f"a volume '{flight.volume}' is there that is no canary", "See what it is for, and remove it"
        )
    engine.remove_volume(flight.volume)


def _left(flight: _Flight) -> VolumesError | None:
    """Remove what the canary made; return the error where something is left."""
    try:
        _clean(flight)
    except VolumesError as exc:
        return exc
    return None


def _failed(flight: _Flight, exc: VolumesError, left: VolumesError | None) -> VolumesError:
    why = exc.why
    if left is not None:
        why = f"{sentence(why)} The volume '{flight.volume}' could not be removed, too: {left.why}"
    return VolumesError(
        f"The canary of the plugin '{flight.driver}' failed to {flight.step} ('{flight.volume}')",
        why,
        exc.way_out or "See that the storage behind the plugin works, and that the options of the canary are right",
        canary_step=flight.step,
    )


def _name(engine: ContainerEngine, driver: str) -> str:
    identity = f"{engine.engine_id()} {driver}"
    return f"{CANARY_PREFIX}{hashlib.sha256(identity.encode()).hexdigest()[:12]}"
