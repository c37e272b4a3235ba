# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from voltainer_lab.capabilities import bounding_set, grantable

EVERYTHING = "000001ffffffffff"


def status(mask: str) -> str:
    return f"Name:\tpython\nCapPrm:\t{EVERYTHING}\nCapBnd:\t{mask}\nCapAmb:\t0000000000000000\n"


def test_the_bounding_set_decides_not_what_the_process_has_now() -> None:
    assert bounding_set(status("0000000000000000")) == []
    assert bounding_set(status("0000000000000001")) == ["CHOWN"]


def test_a_machine_without_one_capability_grants_all_others() -> None:
    everything = bounding_set(status(EVERYTHING))
    assert [name for name in everything if name not in bounding_set(status("000001fffeffffff"))] == ["SYS_RESOURCE"]


def test_only_what_the_oldest_engine_knows_is_named() -> None:
    everything = bounding_set(status(EVERYTHING))
    assert everything[-1] == "AUDIT_READ"
    assert len(everything) == 38


def test_this_machine_grants_what_every_container_gets() -> None:
    assert {"CHOWN", "SETUID", "NET_BIND_SERVICE"} <= set(grantable())
