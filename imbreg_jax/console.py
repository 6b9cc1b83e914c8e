"""A controlled laboratory for imbalanced regression.

    imbreg-jax train CONFIG [--config.field=value …] [--workdir=DIR] [--verbose] [--dry_run]
    imbreg-jax merge --workdir=DIR [--noreport] [--verbose]
    imbreg-jax report --workdir=DIR[,DIR…] [--out=DIR] [--verbose]
    imbreg-jax samples --out=FILE
    imbreg-jax benchmark [--runs=1,10] [--against=torch] [--scaling] [--out=DIR]
    imbreg-jax configs
    imbreg-jax --help | --version

CONFIG is the name of a shipped config, such as paper, or a file of your own, such as ./mine.py;
what follows a colon is handed to it, as in missing_targets:disc_radius.
"""

from __future__ import annotations

import runpy
import sys
from collections.abc import Sequence

import imbreg_jax
from imbreg_jax import terminal

# Command -> the module that `python -m` would run, and what it does.
COMMANDS = {
    'train': ('imbreg_jax.main', 'trains and evaluates a study, or goes on with it'),
    'merge': ('imbreg_jax.merge', 'makes one study of the shards that were trained'),
    'report': ('imbreg_jax.report', 'makes the report of finished studies anew'),
    'samples': ('imbreg_jax.samples', "draws samples of every task's images"),
    'benchmark': ('imbreg_jax.benchmark', 'measures how fast this machine trains'),
}
_LIST = 'configs'
_HELP = ('help', '--help', '-help', '-h')
_VERSION = ('--version', '-version')


class _Refusal(ValueError):
    """A command line that names nothing to be done; its text is one sentence."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line; returns the exit status, or ends the process as the module does.

    Args:
      argv: the program's name and its arguments; None means those of the process.
    """
    terminal.end_on_interrupt()  # Before the imports that take their time.
    words = list(sys.argv if argv is None else argv)[1:]
    command, arguments = (words[0], words[1:]) if words else ('help', [])
    with terminal.guarded():
        if command in _VERSION:
            print(f'imbreg_jax {imbreg_jax.__version__}')
            return 0
        if command in _HELP or (command == _LIST and set(arguments) & set(_HELP)):
            print(_usage())
            return 0
        from imbreg_jax import study  # What is known of configs takes its time, too.

        try:
            if command == _LIST:
                _list(arguments)
                return 0
            if command not in COMMANDS:
                raise _unknown(command)
            if command == 'train':
                arguments = _with_config(arguments)
        except (_Refusal, study.ConfigError) as error:
            print(error, file=sys.stderr)
            return 2
    # As `python -m` has it, so that all that it says and returns is the same.
    sys.argv = [f'imbreg-jax {command}', *arguments]
    runpy.run_module(COMMANDS[command][0], run_name='__main__', alter_sys=True)
    return 0


def _usage() -> str:
    rows = [(name, does) for name, (_, does) in COMMANDS.items()]
    rows += [(_LIST, 'lists the shipped configs')]
    width = max(len(name) for name, _ in rows)
    lines = [(__doc__ or '').strip(), '', 'Commands; each says more with --help:']
    return '\n'.join([*lines, *(f'  {name.ljust(width)}  {does}' for name, does in rows)])


def _list(arguments: Sequence[str]) -> None:
    from imbreg_jax.study import help

    if arguments:
        raise _Refusal(f'{_quoted(arguments[0])}: imbreg-jax configs takes no arguments.')
    print(help.shipped_text())


def _unknown(command: str) -> _Refusal:
    from imbreg_jax.study import shipped, suggestions

    known = [*COMMANDS, _LIST]
    near = suggestions.nearest(command, known)
    if command.startswith('-'):
        hint = f'a command comes first, one of {", ".join(known)}'
    elif command.partition(':')[0] in shipped.files():
        hint = f'it names a config; did you mean imbreg-jax train {command}'
    else:
        hint = f'did you mean imbreg-jax {near}' if near else f'known are {", ".join(known)}'
    return _Refusal(f'{_quoted(command)}: there is no such command; {hint}.')


def _with_config(arguments: list[str]) -> list[str]:
    """The arguments of `imbreg_jax.main`, to which the config that comes first is a flag.

    Raises:
      ConfigError: there is no config of that name.
      _Refusal: none is named, or two are.
    """
    from imbreg_jax.study import command_line, shipped

    argv = ['imbreg-jax', *arguments]
    flagged = command_line.names_config(argv)
    if arguments and not arguments[0].startswith('-'):
        choice, *rest = arguments
        if flagged:
            raise _Refusal(f'the config is {_quoted(choice)}; a --config besides is one too many.')
        return [f'--config={shipped.path_of(choice)}', *rest]
    if flagged or command_line.asks(argv) or command_line.misspelt_config(argv):
        return arguments
    raise _Refusal(
        'no config is named: it comes first, such as imbreg-jax train paper, and imbreg-jax '
        'configs lists those that are shipped.'
    )


def _quoted(text: str) -> str:
    from imbreg_jax.study import errors, reading

    return reading.printable(errors.short_text(text))
