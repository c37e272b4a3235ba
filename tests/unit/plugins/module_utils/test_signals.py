# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signals wait, end what they may, and leave no trace."""

from __future__ import annotations

import os
import signal
import threading

import pytest
from ansible_collections.voltainer.volumes.plugins.module_utils._signals import SignalledError, Signals, caught


def send(number=signal.SIGTERM):
    os.kill(os.getpid(), number)


def test_a_signal_waits_until_it_may_come():
    with caught() as signals:
        send()
        assert signals.seen == signal.SIGTERM
        with pytest.raises(SignalledError, match="asked to end by SIGTERM"), signals.open():
            pytest.fail("it went on")
        # Told once.
        send(signal.SIGINT)
        signals.check()
        with signals.open():
            send()


def test_a_signal_ends_what_is_open_and_only_that():
    went_on = []
    with caught() as signals:
        with pytest.raises(SignalledError), signals.open():
            send(signal.SIGHUP)
        went_on.append(True)
    assert went_on


def test_handlers_are_as_before():
    mine = signal.signal(signal.SIGTERM, lambda _number, _frame: None)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    try:
        with caught():
            assert signal.getsignal(signal.SIGTERM) is not before[signal.SIGTERM]
        assert {number: signal.getsignal(number) for number in before} == before
    finally:
        signal.signal(signal.SIGTERM, mine)


def test_what_is_ignored_stays_so():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with caught() as signals, signals.open():
            send(signal.SIGHUP)
        assert signals.seen is None
    finally:
        signal.signal(signal.SIGHUP, before)


def test_in_another_thread_nothing_is_caught():
    seen = []

    def look():
        with caught() as signals, signals.open():
            seen.append(signal.getsignal(signal.SIGTERM) == signals.came)

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [False]


def test_a_signal_between_the_end_of_a_block_and_its_closing_is_raised_once():
    signals = Signals()
    block = signals.open()
    block.__enter__()
    with pytest.raises(SignalledError):
        signals.came(signal.SIGTERM, None)
    signals.came(signal.SIGTERM, None)
    block.__exit__(None, None, None)
