"""Times whole commands, as a user waits for them, and what their time is made of.

A command says on standard error what it does next (`runner.display`); when each of these lines
comes is when the part before it ended.
"""

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from imbreg_jax.study import shipped

# What a line begins with -> the part of a command's time that begins with it. 'Starting' is what
# comes before, to the first of them.
PARTS = {
    'drawing data': 'drawing data',
    'compiling': 'compiling, to the first steps',
    'training': 'training',
    'evaluating': 'evaluating',
    'making the report': 'reporting',
}
STARTING = 'starting'
# What follows the first program, to the report.
OTHERS = 'its other programs'


class Timed(NamedTuple):
    """What a command took.

    Attributes:
      seconds: from its start to its end.
      parts: part -> seconds; they add up to that.
      first_step: seconds to the end of the first training steps; None where there were none.
    """

    seconds: float
    parts: dict[str, float]
    first_step: float | None


def timed(command: Sequence[str]) -> Timed:
    """Runs a command and times it.

    Raises:
      RuntimeError: it failed; the text is the last line that it said.
    """
    began = time.perf_counter()
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        text=True,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        said = [(time.perf_counter() - began, line.strip()) for line in process.stderr]
    status = process.returncode
    seconds = time.perf_counter() - began
    if status:
        raise RuntimeError(said[-1][1] if said else f'{" ".join(command)} failed')
    return divided(said, seconds)


def divided(said: Iterable[tuple[float, str]], seconds: float) -> Timed:
    """Divides a command's time among its parts.

    Args:
      said: its lines, each with the seconds after which it came.
      seconds: what the command took.
    """
    at, part, first_step = 0.0, STARTING, None
    parts = {STARTING: 0.0}
    for when, line in said:
        # Of several programs only the first says all that it does.
        program = re.match(r'program (\d+) of \d+, ', line)
        text = line[program.end() :] if program else line
        begun = next((name for words, name in PARTS.items() if text.startswith(f'{words}…')), None)
        if program and int(program[1]) > 1:
            begun = OTHERS
        if begun is None:
            continue
        parts[part] += when - at
        at, part = when, begun
        parts.setdefault(part, 0.0)
        if part == 'training' and first_step is None:
            first_step = when
    parts[part] += seconds - at
    return Timed(seconds, parts, first_step)


def _train(config: str, folder: Path, cache: Path, *overrides: str) -> list[str]:
    return [
        sys.executable, '-m', 'imbreg_jax.main', f'--config={shipped.path_of(config)}',
        f'--workdir={folder}', f'--config.compute.compilation_cache_dir={cache}', *overrides,
    ]  # fmt: skip


def _report(workdir: Path, out: Path) -> list[str]:
    return [sys.executable, '-m', 'imbreg_jax.report', f'--workdir={workdir}', f'--out={out}']


# With the three conditions of quick.py that many repeats make a thousand runs; small ones, since it
# is their report that is timed.
_MANY = ('repeats=334', 'data.train_size=50', 'data.test_size=60', 'data.validation_size=50',
         'evaluation.dense_size=60', 'evaluation.moment_images=50')  # fmt: skip


def measure(rounds: int, hundred: bool = False) -> dict[str, list[Timed]]:
    """Times the commands that a user waits for, round by round.

    Args:
      rounds: how often each.
      hundred: whether the paper in one pass is also timed with 100 repeats, once.

    Returns:
      What was timed -> its rounds.

    Raises:
      RuntimeError: a command failed.
    """
    found: dict[str, list[Timed]] = {}

    def note(what: str, command: Sequence[str]) -> None:
        found.setdefault(what, []).append(timed(command))

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for number in range(rounds):
            cache = root / f'cache-{number}'
            cold, warm = root / f'cold-{number}', root / f'warm-{number}'
            note(
                'the paper in one pass, 30 networks, nothing compiled', _train('quick', cold, cache)
            )
            note('the same, compiled before', _train('quick', warm, cache))
            note('its report, of 30 networks', _report(cold, root / f'report-{number}'))
        many = root / 'many'
        timed(_train('quick', many, cache, *(f'--config.{text}' for text in _MANY)))
        for number in range(rounds):
            note('a report of 1,002 networks', _report(many, root / f'many-report-{number}'))
        if hundred:
            command = _train('quick', root / 'hundred', cache, '--config.repeats=100')
            note('the paper in one pass with 100 repeats, 300 networks, compiled before', command)
    return found
