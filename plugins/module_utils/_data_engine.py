# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine with all that the modules for a volume's data ask of it."""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.voltainer.volumes.plugins.module_utils._engine import Connection, reach
from ansible_collections.voltainer.volumes.plugins.module_utils._helper_engine import HelperEngine
from ansible_collections.voltainer.volumes.plugins.module_utils._quiesce_engine import QuiesceEngine


class DataEngine(HelperEngine, QuiesceEngine):
    """Helper containers, and the containers and services that come to rest meanwhile."""

    connection: Connection


def connect(connection: Connection) -> DataEngine:
    """Return the engine. Raises EngineUnreachableError, InvalidInputError and SdkMissingError."""
    engine = DataEngine(reach(connection))
    engine.connection = connection
    return engine


def elsewhere(engine: DataEngine, docker_host: str) -> DataEngine:
    """Return another engine, reached with the same options of the connection. Raises as `connect` does."""
    return connect(replace(engine.connection, docker_host=docker_host))
