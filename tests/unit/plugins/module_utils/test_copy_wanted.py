# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task wants copied, from its options."""

from __future__ import annotations

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils._copy_wanted import CopyWanted, parse_copy
from ansible_collections.voltainer.volumes.plugins.module_utils._errors import InvalidInputError
from ansible_collections.voltainer.volumes.plugins.module_utils._quiesce import QuiesceWanted

from .volumes import PER_VOLUME, wanted

OPTIONS = {
    **PER_VOLUME,
    "name": "data",
    "source": "src",
    "source_docker_host": None,
    "on_existing": "fail",
    "verify": True,
    "quiesce": "none",
    "services": "none",
    "quiesce_timeout": 60,
}


def parse(**changes):
    return parse_copy({**OPTIONS, **changes})


def test_the_options_are_taken_as_they_are():
    found = parse(driver_options={"size": "1g"}, on_existing="sync", verify=False, quiesce="stop", quiesce_timeout=5)
    assert found == CopyWanted(
        source="src",
        source_host=None,
        target=wanted(name="data", driver_options={"size": "1g"}),
        on_existing="sync",
        verify=False,
        quiesce=QuiesceWanted("stop", "none", 5),
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"source": "data"}, "'data' cannot be copied to itself"),
        ({"source": "a/../b"}, "source"),
        ({"source": ""}, "source"),
        ({"name": "."}, "name"),
        # What belongs to this collection is no volume of anybody.
        ({"source": "a.voltainer-fill"}, "with which this collection fills other volumes"),
        ({"name": "a.voltainer-change"}, "staging volumes of this collection"),
    ],
)
def test_what_cannot_be_meant_is_told(changes, words):
    with pytest.raises(InvalidInputError, match=words):
        parse(**changes)


def test_a_volume_of_the_same_name_on_another_engine_is_another_volume():
    found = parse(source="data", source_docker_host="tcp://192.0.2.10:2376")
    assert (found.source, found.target.name, found.source_host) == ("data", "data", "tcp://192.0.2.10:2376")
