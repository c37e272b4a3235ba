# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from cause import cause

RESCUED = """\
TASK [Ask for the impossible] ***
fatal: [one]: FAILED! =>
    msg: rescued
TASK [Go on] ***
ok: [one]
"""
IGNORED = """\
TASK [Try] ***
fatal: [one]: FAILED! =>
    msg: ignored
...ignoring
"""
FAILED = """\
TASK [role : Compare what was found] ****
ok: [two]
\x1b[0;31mfatal: [one]: FAILED! => \x1b[0m
\x1b[0;31m    changed: false\x1b[0m
    evaluated_to: false
    msg: |-
        it is
        different
ok: [three]
"""
RECAP = """\
PLAY RECAP ***
one                        : ok=15   changed=2    unreachable=0    failed=1    skipped=14   rescued=1    ignored=1
two                        : ok=15   changed=2    unreachable=0    failed=0    skipped=14   rescued=0    ignored=0
"""
GONE = """\
TASK [Wait] ***
fatal: [three]: UNREACHABLE! => changed=false
    msg: no route
"""
RECAP_GONE = "three : ok=1    changed=0    unreachable=1    failed=0    skipped=0    rescued=0    ignored=0\n"
TOLD = (
    "TASK [role : Compare what was found] fatal: [one]: FAILED! => "
    "msg: |- it is different changed: false evaluated_to: false"
)


@pytest.mark.parametrize(
    ("output", "told"),
    [
        pytest.param(RESCUED + IGNORED + FAILED + RECAP + "make: *** [molecule] Error 1\n", TOLD, id="a task"),
        pytest.param(FAILED + IGNORED + RECAP, TOLD, id="ignored later"),
        pytest.param(
            FAILED + GONE + RECAP + RECAP_GONE,
            f"{TOLD} | TASK [Wait] fatal: [three]: UNREACHABLE! => changed=false msg: no route",
            id="two hosts",
        ),
        pytest.param(
            'TASK [Loop] ***\nfailed: [one] (item=a) => \n    msg: "no"\n' + RECAP,
            'TASK [Loop] failed: [one] (item=a) => msg: "no"',
            id="an item",
        ),
        pytest.param("a\nb\n\nc\nd\n", "b | c | d", id="no play"),
        pytest.param(RECAP, f"{' '.join(RECAP.splitlines()[0].split())} | one : ok=15", id="no failure in sight"),
        pytest.param("", "it printed nothing", id="nothing"),
    ],
)
def test_the_cause_is_one_line(output: str, told: str) -> None:
    assert cause(output).startswith(told)
    assert "\n" not in cause(output)


def test_a_long_cause_is_cut() -> None:
    assert cause("x" * 100, limit=10) == "x" * 10
