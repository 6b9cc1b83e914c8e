"""Says what a study is doing: a bar on a terminal or in a notebook, lines in a log elsewhere."""

from __future__ import annotations

import logging
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

logger = logging.getLogger('imbreg_jax')

# A log gets no line sooner than this after the one before (but the first and the last), and a line
# within an epoch where an epoch lasts longer than that.
LEAST_SECONDS = 10.0
MOST_SECONDS = 60.0
# tqdm's own rate would count what compiles, and what an earlier start trained.
_BAR = '{desc}: {percentage:3.0f}%|{bar}| {elapsed}{postfix}'


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
        self._rate = 0.0  # Images a second, as last known.
        self._bar: Any = _bar(total) if _is_watched() else None

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
            self._bar.set_description_str(f'{self._where()}{text}')
        elif self._program == 1 or self._is_due(LEAST_SECONDS):
            self._say(f'{text}…')

    def skip(self, images: int) -> None:
        """Counts images that an earlier start trained on."""
        self._done += images
        if self._bar is not None:
            self._bar.update(images)

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
            if self._bar is None and self._program == 1:
                logger.info('%straining…', self._where())
        since, before = self._rated_from
        if now > since:
            self._rate = (self._done - before) / (now - since)
        done = f'{epoch:.0f}' if epoch == int(epoch) else f'{epoch:.1f}'
        said = [f'epoch {done} of {epochs}', *self._pace()]
        self._phase = 'training'
        if self._bar is not None:
            self._bar.set_description_str(f'{self._where()}training', refresh=False)
            # What a narrow terminal cuts off is the least of it.
            self._bar.set_postfix_str(
                ', '.join([*said[1:], said[0], f'{runs} run{"" if runs == 1 else "s"}']), False
            )
            self._bar.update(images)
            return
        is_last = epoch == epochs and self._program == self.programs
        if is_last or self._is_due(LEAST_SECONDS if epoch == int(epoch) else MOST_SECONDS):
            self._say(', '.join(said))

    def _pace(self) -> list[str]:
        if not self._rate:
            return []
        left = (self.total - self._done) / self._rate
        ahead = [f'about {_duration(left)} left'] if self._done < self.total else []
        return [f'{self._rate:,.0f} images/s', *ahead]

    def _is_due(self, seconds: float) -> bool:
        return self._said_at is None or self._clock() - self._said_at >= seconds

    def _say(self, text: str) -> None:
        self._said_at = self._clock()
        logger.info('%s%s', self._where(), text)

    def _where(self) -> str:
        return f'program {self._program} of {self.programs}, ' if self.programs > 1 else ''


def _bar(total: int) -> Any:
    with warnings.catch_warnings():
        # In a notebook without ipywidgets it is of text, and nobody need be told so.
        warnings.simplefilter('ignore')
        from tqdm.auto import tqdm
    # Each chunk is worth a look: its words change with it.
    return tqdm(total=total, bar_format=_BAR, dynamic_ncols=True, mininterval=0, miniters=1)


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
