"""What is said can never stop what is done: standard output and error that cannot fail.

A study that trains for hours must not end because nobody reads what it prints any more: a reader
that went away (`| head -1`, or a `| tee log` that Ctrl-C ended first), one that does not read (a
full pipe, a terminal held by Ctrl-S), a full disk (`> /dev/full`), a descriptor that was closed at
the start (`2>&-`), an encoding without '±'. Within `guarded()` all of these lose text, and nothing
else: everything that is printed or logged goes through the streams made here, that of libraries
(tqdm, logging, warnings) too.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import logging
import os
import select
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any, NoReturn

from absl import flags

# How long a text waits for a reader that does not read. What follows is lost then, until the reader
# has read it after all. What is printed last delays nothing, and a pager takes its time.
PATIENCE_SECONDS = 2.0
LAST_PATIENCE_SECONDS = 60.0

_REPLACEMENT = 'imbreg_jax.plain'
_PLAIN = {
    '±': '+-', '×': 'x', '−': '-', '–': '-', '—': '-', '…': '...', 'µ': 'u', 'μ': 'u', '²': '^2',
    '→': '->', '≤': '<=', '≥': '>=', '≠': '!=', '≈': '~', '·': '.', '‘': "'", '’': "'", '“': '"',
    '”': '"', '\N{NO-BREAK SPACE}': ' ', '\N{NARROW NO-BREAK SPACE}': ' ',
}  # fmt: skip


def _plain(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lost = error.object[error.start : error.end]
    return ''.join(_PLAIN.get(character, '?') for character in lost), error.end


codecs.register_error(_REPLACEMENT, _plain)


class Stream(io.TextIOBase):
    """A text stream whose `write` and `flush` neither raise nor wait for long.

    What has a file descriptor is written to it directly; anything else (a notebook's output, say)
    by its own `write`.
    """

    def __init__(self, inner: Any):
        """Args: the stream to write to; None, where it was closed, takes everything."""
        super().__init__()
        self.patience = PATIENCE_SECONDS
        self._inner = inner
        self._descriptor: int | None = None
        self._turn = threading.RLock()
        self._writer: threading.Thread | None = None
        if isinstance(inner, io.TextIOWrapper):
            with contextlib.suppress(OSError, ValueError):
                inner.flush()
            with contextlib.suppress(OSError, ValueError):
                self._descriptor = inner.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """That of the stream written to, by which libraries choose what they draw with."""
        return getattr(self._inner, 'encoding', None) or 'utf-8'

    @property
    def errors(self) -> str:  # type: ignore[override]
        """What becomes of characters that the encoding lacks."""
        return _REPLACEMENT

    def writable(self) -> bool:
        """True, as the base class asks."""
        return True

    def isatty(self) -> bool:
        """Whether the stream written to is a terminal."""
        try:
            return bool(self._inner is not None and self._inner.isatty())
        except (OSError, ValueError, AttributeError):
            return False

    def fileno(self) -> int:
        """The descriptor written to.

        Raises:
          OSError: there is none.
        """
        if self._inner is None:
            raise io.UnsupportedOperation('fileno')
        return self._inner.fileno()

    def flush(self) -> None:
        """Hands on what the stream written to keeps back; nothing is kept back here."""
        if self._inner is not None and self._descriptor is None:
            with contextlib.suppress(OSError, ValueError, AttributeError):
                self._inner.flush()

    def close(self) -> None:
        """Nothing: the stream belongs to the process."""

    def write(self, text: str) -> int:
        """Writes a text unless nobody takes it; returns its length, as if all had been written."""
        content = text.encode(self.encoding, _REPLACEMENT)
        if self._descriptor is not None:
            self._write(self._descriptor, content)
        elif self._inner is not None:
            with contextlib.suppress(OSError, ValueError):
                self._inner.write(content.decode(self.encoding))
        return len(text)

    def _write(self, descriptor: int, content: bytes) -> None:
        # By a thread of its own, since only a thread can be left behind: whether a terminal or a
        # pipe takes so much at once cannot be asked, and not to wait cannot be set without setting
        # it for all who share the terminal.
        with self._turn:
            if self._writer is not None and self._writer.is_alive():
                return
            writer = threading.Thread(target=_write_all, args=(descriptor, content), daemon=True)
            try:
                writer.start()
            except RuntimeError:
                # No thread to be had, for want of memory say: better late than not said.
                _write_all(descriptor, content)
                return
            self._writer = writer
            writer.join(self.patience)


def _write_all(descriptor: int, content: bytes) -> None:
    with contextlib.suppress(OSError, ValueError):
        while content:
            try:
                content = content[os.write(descriptor, content) :]
            except BlockingIOError:
                # Whoever shares the descriptor has set it not to wait.
                select.select([], [descriptor], [])


def stop_at_once(number: int, _: object = None) -> NoReturn:
    """Handles a signal where there is nothing to save, with the status that a shell reports."""
    os._exit(128 + number)


def end_on_interrupt() -> None:
    """Has an interrupt end the process from here on, in the middle of an import too."""
    signal.signal(signal.SIGINT, stop_at_once)


@contextlib.contextmanager
def guarded() -> Iterator[None]:
    """Makes `sys.stdout` and `sys.stderr` such streams while it lasts.

    Standard descriptors that are closed are opened on the null device, for good: otherwise the next
    file to be opened, a result file say, would have such a number and receive what libraries print.
    """
    _fill_descriptors()
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = Stream(before[0]), Stream(before[1])
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def has_colour(stream: Any) -> bool:
    """Whether text may be coloured: on a terminal that can, unless NO_COLOR says no."""
    is_terminal = stream is not None and stream.isatty()
    return is_terminal and not os.environ.get('NO_COLOR') and os.environ.get('TERM') != 'dumb'


def width() -> int:
    """Characters of a line of the terminal, or what COLUMNS says; 100 where there is none."""
    return shutil.get_terminal_size((100, 24)).columns


def nothing_waits() -> None:
    """From here on output may wait for its reader, as all is done that had to be done."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, Stream):
            stream.patience = LAST_PATIENCE_SECONDS


def say(text: str) -> None:
    """Says something in one line on standard error."""
    print(' '.join(text.split()), file=sys.stderr, flush=True)


def log_to_stderr() -> None:
    """Shows what is logged, each record in a line, and of the libraries warnings alone."""
    logging.basicConfig(level=logging.INFO, format='%(message)s', stream=sys.stderr)
    for noisy in ('absl', 'orbax', 'jax'):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _fill_descriptors() -> None:
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest number that is free, and so this one.
            os.open(os.devnull, os.O_RDWR)


def parse_flags(argv: list[str], usage: str, own: flags.FlagValues) -> list[str]:
    """Parses flags of a command's own; prints help, or one sentence, and ends where asked or wrong.

    Args:
      argv: the program's name and its arguments.
      usage: what --help prints; status 0.
      own: the flags; status 2 where they cannot be parsed.

    Returns:
      The program's name and the arguments that are no flags.
    """
    flags.FLAGS(argv[:1])
    if any(argument.lstrip('-') in ('help', 'h') for argument in argv[1:]):
        print(usage)
        sys.exit(0)
    try:
        return own(argv)
    except flags.Error as error:
        print(error, file=sys.stderr)
        sys.exit(2)
