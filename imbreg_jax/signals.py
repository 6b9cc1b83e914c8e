"""Work that signals end: the first asks for a stop, a second interrupt does not wait for it."""

import signal
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from imbreg_jax import terminal
from imbreg_jax.runner.stop import StopRequest

# How long a stop waits for the chunk in progress before it is abandoned.
GRACE_SECONDS = 8.0
# An interrupt so soon after the first signal is that one once more: `timeout -s INT` and terminals
# signal a process and its group, and a script may pass both on.
SAME_SIGNAL_SECONDS = 1.0


def work(
    does: Callable[[], Any],
    names: Sequence[str],
    stop: StopRequest,
    leave: Callable[[], None],
    abandoned: str,
) -> BaseException | None:
    """Does some work to its end, or to where a signal ends it.

    Args:
      does: the work; ends soon after `stop` holds a signal, if it can.
      names: of the signals that ask for a stop, such as 'SIGTERM'.
      stop: where they ask.
      leave: what is left to do in haste before the process ends in the middle of the work.
      abandoned: what to say then, where the stop came from a first signal.

    Returns:
      What the work raised, or None; where the work does not end in time, not at all.
    """
    failures: list[BaseException] = []

    def run() -> None:
        try:
            does()
        except BaseException as error:  # noqa: B036 - handed to the main thread
            failures.append(error)

    # Python runs signal handlers in the main thread between bytecodes, and a call into XLA can
    # last: so the work is another thread's, and the main thread only waits.
    _handle(names, stop, leave)
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    # Short waits: the kernel may hand a signal to another thread, and then it ends no wait here.
    while thread.is_alive() and stop.signal is None:
        thread.join(0.1)
    patience = time.monotonic() + GRACE_SECONDS
    if thread.is_alive() and stop.signal is not None:
        # Said here and not by the handler, which may have interrupted somebody in mid-sentence.
        name = signal.Signals(stop.signal).name
        terminal.say(f'{name}: stopping as soon as what is in hand is saved')
    while thread.is_alive() and time.monotonic() < patience:
        thread.join(0.1)
    if thread.is_alive():
        terminal.say(abandoned)
        leave()
        terminal.stop_at_once(stop.signal or 0)
    return failures[0] if failures else None


def end_at_once_on(names: Iterable[str]) -> None:
    """Has any of these signals end the process from here on, as there is nothing to save."""
    for name in names:
        signal.signal(getattr(signal, name), terminal.stop_at_once)


def _handle(names: Sequence[str], stop: StopRequest, leave: Callable[[], None]) -> None:
    first = 0.0

    def handle(number: int, _: object) -> None:
        nonlocal first
        now = time.monotonic()
        if stop.signal is None:
            stop.signal, first = number, now
        elif number == signal.SIGINT and now - first > SAME_SIGNAL_SECONDS:
            leave()
            terminal.stop_at_once(number)

    for name in names:
        signal.signal(getattr(signal, name), handle)
