"""Interrupted batches and busy neighbours: Ctrl-C is seen soon, outputs are zero then, other threads go on."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from keysend_fast import Hop, HopTables, KeysendPayment, Route, build_keysends, peel_onions
from tests.nodes import node_id, privkey

# The slow slot without tables makes a batch that lasts, on any machine.
SLOW = "libsecp256k1"
ROUTE = Route([Hop(node_id(i), i, 1000, 40) for i in range(8)])
PAYMENTS = [KeysendPayment(ROUTE)] * 4000


class Stop(Exception):
    """What the handler of a test raises."""


@contextmanager
def alarm(seconds: float) -> Iterator[list[float]]:
    """Raises Stop in the main thread after so long; the list says when."""
    when: list[float] = []

    def handler(_signal: int, _frame: object) -> None:
        when.append(time.monotonic())
        raise Stop

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield when
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def duration(threads: int) -> float:
    start = time.monotonic()
    build_keysends(PAYMENTS[:400], block_height=1, implementation=SLOW, threads=threads)
    return 10 * (time.monotonic() - start)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_signal_ends_the_batch_and_zeroes_its_output(threads: int) -> None:
    """Well before the batch would have ended; every packet already written is zero again."""
    whole = duration(threads)
    out = bytearray(b"\xa5" * 1366 * len(PAYMENTS))
    start = time.monotonic()
    with alarm(whole / 10), pytest.raises(Stop):
        build_keysends(PAYMENTS, block_height=1, implementation=SLOW, threads=threads, out=out)
    assert time.monotonic() - start < whole / 2
    assert not any(out)
    batch = build_keysends(PAYMENTS[:3], block_height=1, implementation=SLOW)  # and all goes on
    assert batch.ok


def test_ctrl_c_is_a_keyboard_interrupt() -> None:
    timer = threading.Timer(0.15, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        for _ in range(100):
            build_keysends(PAYMENTS, block_height=1, implementation=SLOW, threads=1)
    timer.join()


@pytest.mark.parametrize(("hops", "threads"), [(8, 1), (20, 1), (20, 2)])
def test_the_signal_is_seen_within_a_tenth_of_a_second(hops: int, threads: int) -> None:
    """The best of some tries: the machine may be busy with other things. A busy Python thread is one of them here."""
    payments = [KeysendPayment(Route([Hop(node_id(i), i, 1000, 40) for i in range(hops)]))] * 4000
    busy = True

    def spin() -> None:
        while busy:
            sum(range(100))

    spinner = threading.Thread(target=spin)
    spinner.start()
    delays = []
    try:
        for _ in range(5):
            sent = time.monotonic() + 0.1
            with alarm(0.1), pytest.raises(Stop):
                for _ in range(100):
                    build_keysends(payments, block_height=1, implementation=SLOW, threads=threads)
            delays.append(time.monotonic() - sent)
    finally:
        busy = False
        spinner.join()
    assert min(delays) < 0.1, delays


def test_peeling_is_interrupted_too() -> None:
    batch = build_keysends(PAYMENTS[:1], block_height=1)
    packets = bytes(batch.packets) * 20_000
    with alarm(0.1), pytest.raises(Stop):
        for _ in range(100):
            peel_onions(packets, privkey(0), bytes(batch.payment_hashes), implementation=SLOW, threads=1)


def test_python_threads_keep_running_during_a_batch(implementation: str) -> None:
    """The batch holds no GIL: another thread counts on while it runs."""
    counted: list[int] = []
    done = threading.Event()

    def count() -> None:
        n = 0
        while not done.is_set():
            n += 1
            time.sleep(0.001)
        counted.append(n)

    counter = threading.Thread(target=count)
    start = time.monotonic()
    counter.start()
    while time.monotonic() - start < 0.3:
        build_keysends(PAYMENTS, block_height=1, implementation=implementation, threads=1, hop_tables=HopTables(0))
    elapsed = time.monotonic() - start
    done.set()
    counter.join()
    assert counted[0] > 50 * elapsed  # a twentieth of what it could


def test_batches_in_other_threads_are_left_to_end() -> None:
    """Signals are the main thread's: a batch elsewhere neither sees them nor stops."""
    results: list[bool] = []
    other = threading.Thread(
        target=lambda: results.append(build_keysends(PAYMENTS, block_height=1, implementation=SLOW, threads=2).ok)
    )
    with alarm(0.05) as when:
        other.start()
        try:
            while not when:
                time.sleep(0.01)
        except Stop:
            pass
        other.join()
    assert results == [True]


def test_a_handler_that_returns_lets_the_batch_go_on() -> None:
    calls: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda *_: calls.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.03, 0.03)
    try:
        batch = build_keysends(PAYMENTS, block_height=1, implementation=SLOW, threads=1)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert batch.ok
    assert len(calls) > 3
