"""Makes one study, and its report, of shards that were trained with --shard.

    python -m imbreg_jax.merge --workdir=DIR [--noreport] [--verbose]

The last shard to finish does so by itself. It can be repeated; the shards stay.
"""

from imbreg_jax import terminal

if __name__ == '__main__':
    # Before the imports that take their time.
    terminal.end_on_interrupt()

import sys
from collections.abc import Sequence

from absl import app, flags

from imbreg_jax import analysis, studies
from imbreg_jax.analysis.formats import printable
from imbreg_jax.results.layout import WorkdirError

# Flags of its own: `imbreg_jax.main` has a --workdir too, and one process may import both.
_FLAGS = flags.FlagValues()
_WORKDIR = flags.DEFINE_string(
    'workdir', None, "The study's folder, which holds its shards.", flag_values=_FLAGS
)
_REPORT = flags.DEFINE_bool('report', True, "Make the study's report, too.", flag_values=_FLAGS)
_VERBOSE = flags.DEFINE_bool(
    'verbose', False, "Print every section's sentence, and all results.", flag_values=_FLAGS
)


def main(argv: Sequence[str]) -> None:
    """Merges, and prints what the report's sections say.

    One sentence and status 2 where the shards make no whole study, status 1 where the disk or the
    report fails. What cannot be printed changes neither: see `terminal`.
    """
    with terminal.guarded():
        if len(argv) > 1 or not _WORKDIR.value:
            _refuse("name the study's folder, and nothing else, with --workdir=DIR", 2)
        try:
            done, report = studies.merged(_WORKDIR.value or '', bool(_REPORT.value))
        except WorkdirError as error:
            _refuse(str(error), 2)
        except (analysis.AnalysisError, OSError) as error:
            _refuse(str(error), 1)
        terminal.nothing_waits()
        if report is None:
            print(done)
            return
        colour = terminal.has_colour(sys.stdout)
        print(report.terminal_summary(bool(_VERBOSE.value), colour, terminal.width()))


def _refuse(sentence: str, status: int) -> None:
    print(printable(sentence), file=sys.stderr)
    sys.exit(status)


def _parse(argv: list[str]) -> list[str]:
    return terminal.parse_flags(argv, __doc__ or '', _FLAGS)


if __name__ == '__main__':
    app.run(main, flags_parser=_parse)
