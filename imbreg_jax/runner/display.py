"""Says what a study is doing: a bar on a terminal or in a notebook, lines in a log elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from typing import Any

import tqdm

logger = logging.getLogger('imbreg_jax')

# A log gets no line sooner than this after the one before (but the first and the last), and a line
# within an epoch where an epoch lasts longer than that.
LEAST_SECONDS = 10.0
MOST_SECONDS = 60.0


class Display:
    """How far a study's training is.

    Attributes:
      total: image passes of the whole study.
      programs: how many programs train them, one after the other.
    """

    def __init__(self, total: int, programs: int, clock: Callable[[], float] = time.monotonic):
        """Begins with nothing trained and nothing said."""
        self.total = total
        self.programs = programs
        self._clock = clock
        self._done = 0
        self._program = 1
        self._phase = ''
        self._said_at: float | None = None
        self._rated_from: tuple[float, int] | None = None
        self._bar: Any = None
        if _is_watched():
            # Its text form also in notebooks: the other one needs ipywidgets, and warns without.
            self._bar = tqdm.tqdm(
                total=total, unit='image', unit_scale=True, dynamic_ncols=True, smoothing=0.1
            )

    def __enter__(self) -> Display:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Takes the bar's line to its end."""
        if self._bar is not None:
            self._bar.close()

    def begin(self, program: int) -> None:
        """Another program begins, counted from 1."""
        self._program = program
        self._rated_from = None

    def phase(self, text: str) -> None:
        """Says what is being done until the next phase or chunk, such as 'drawing data'."""
        if text == self._phase:
            return
        self._phase = text
        if self._bar is not None:
            self._bar.set_description_str(text)
        elif self._program == 1 or self._is_due(LEAST_SECONDS):
            self._say(f'{text}…')

    def skip(self, images: int) -> None:
        """Counts images that an earlier start trained on."""
        self._done += images
        if self._bar is not None:
            # Not by update: that would enter the rate.
            self._bar.n += images
            self._bar.initial += images
            self._bar.refresh()

    def trained(self, images: int, epoch: float, epochs: int, runs: int) -> None:
        """Counts a chunk.

        Args:
          images: image passes of all runs in it.
          epoch: how many epochs of the program are done now, such as 2.5.
          epochs: how many the program has.
          runs: how many train at once in the program.
        """
        self._done += images
        now = self._clock()
        if self._rated_from is None:
            # The first chunk's time is mostly compilation and says nothing of the next.
            self._rated_from = now, self._done
        if self._bar is not None:
            self._phase = 'training'
            self._bar.set_description_str('training', refresh=False)
            self._bar.set_postfix({'epoch': f'{epoch:.1f}', 'runs': runs}, refresh=False)
            self._bar.update(images)
            return
        self._phase = 'training'
        is_last = epoch == epochs and self._program == self.programs
        if is_last or self._is_due(LEAST_SECONDS if epoch == int(epoch) else MOST_SECONDS):
            done = f'{epoch:.0f}' if epoch == int(epoch) else f'{epoch:.1f}'
            self._say(f'epoch {done} of {epochs}{self._rate(now)}')

    def _rate(self, now: float) -> str:
        assert self._rated_from is not None
        since, before = self._rated_from
        if now <= since or self._done == before:
            return ''
        rate = (self._done - before) / (now - since)
        text = f', {rate:,.0f} images/s'
        left = (self.total - self._done) / rate
        return text + (f', about {_duration(left)} left' if self._done < self.total else '')

    def _is_due(self, seconds: float) -> bool:
        return self._said_at is None or self._clock() - self._said_at >= seconds

    def _say(self, text: str) -> None:
        self._said_at = self._clock()
        where = f'program {self._program} of {self.programs}, ' if self.programs > 1 else ''
        logger.info('%s%s', where, text)


def _is_watched() -> bool:
    """Whether somebody may be looking at what standard error draws."""
    stderr = sys.stderr
    try:
        if stderr is not None and stderr.isatty():
            return True
        return 'IPKernelApp' in sys.modules['IPython'].get_ipython().config
    except (AttributeError, KeyError, OSError, ValueError):
        return False


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f'{seconds:.0f} s'
    if seconds < 90 * 60:
        return f'{seconds / 60:.0f} min'
    return f'{seconds / 3600:.1f} h'
