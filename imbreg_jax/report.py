"""Rebuilds the report of finished studies.

    python -m imbreg_jax.report --workdir=DIR[,DIR…] [--out=DIR] [--verbose]

Several workdirs of one seed make one report, as if their conditions had been one study.
"""

from imbreg_jax import terminal

if __name__ == '__main__':
    # Before the imports that take their time.
    terminal.end_on_interrupt()

import pathlib
import sys
from collections.abc import Sequence

from absl import app, flags

from imbreg_jax import analysis
from imbreg_jax.analysis.formats import printable

# Flags of its own: `imbreg_jax.main` has a --workdir too, and one process may import both.
_FLAGS = flags.FlagValues()
_WORKDIR = flags.DEFINE_list(
    'workdir', None, 'Finished workdirs, separated by commas.', flag_values=_FLAGS
)
_OUT = flags.DEFINE_string(
    'out',
    None,
    'Folder to write to. Default: the workdir; of several, a folder beside the first '
    'that is named after all of them.',
    flag_values=_FLAGS,
)

_VERBOSE = flags.DEFINE_bool(
    'verbose', False, "Print every section's sentence, and all results.", flag_values=_FLAGS
)


def default_out(workdirs: Sequence[pathlib.Path]) -> pathlib.Path:
    """Returns where the report of `workdirs` goes when nobody says so."""
    if len(workdirs) == 1:
        return workdirs[0]
    return workdirs[0].parent / '+'.join(path.name for path in workdirs)


def main(argv: Sequence[str]) -> None:
    """Builds the report and prints what each of its sections says.

    One sentence and status 2 where what it is asked for cannot be reported, status 1 where the disk
    or a drawing library fails. What cannot be printed changes neither: see `terminal`.
    """
    with terminal.guarded():
        _main(argv)


def _main(argv: Sequence[str]) -> None:
    if len(argv) > 1:
        print(
            f'unexpected argument {argv[1]!r}: name workdirs with --workdir=DIR[,DIR…]',
            file=sys.stderr,
        )
        sys.exit(2)
    if not _WORKDIR.value:
        print('no workdir is given: name one with --workdir=DIR[,DIR…]', file=sys.stderr)
        sys.exit(2)
    workdirs = [pathlib.Path(name) for name in _WORKDIR.value]
    try:
        report = analysis.build(workdirs, _OUT.value or default_out(workdirs))
    except analysis.AnalysisError as error:
        print(printable(str(error)), file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        print(printable(str(error)), file=sys.stderr)
        sys.exit(1)
    except Exception as error:
        text = f'the report could not be made: {analysis.reason(error)}'
        print(printable(text), file=sys.stderr)
        sys.exit(1)
    terminal.nothing_waits()
    colour = terminal.has_colour(sys.stdout)
    print(report.terminal_summary(_VERBOSE.value, colour, terminal.width()))


def _parse(argv: list[str]) -> list[str]:
    return terminal.parse_flags(argv, __doc__ or '', _FLAGS)


if __name__ == '__main__':
    app.run(main, flags_parser=_parse)
