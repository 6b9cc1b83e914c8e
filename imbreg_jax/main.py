"""Trains and evaluates a study.

    python -m imbreg_jax.main --config=configs/u1_10.py [--workdir=DIR] [--config.field=value …]
                              [--verbose]
    python -m imbreg_jax.main --config=… --shard=3/8 | --distributed
    python -m imbreg_jax.main --config=… --dry_run
    python -m imbreg_jax.main --help | --version

`imbreg-jax train CONFIG …` is the same, CONFIG being the name of a shipped config or a file.

The same command resumes what was stopped or killed. Exit status: 0 for a finished study; 2 for a
config or workdir that cannot work; 1 for another failure that is explained in a sentence;
128 + n after signal n. What cannot be printed changes neither: see `terminal`.

A signal that asks for a stop ends training after the chunk in progress. A second interrupt ends the
process at once, where it comes more than a second after the first signal: sooner, it is the same
one, delivered to the process and to its group.
"""

from imbreg_jax import terminal

if __name__ == '__main__':
    # Before the imports that take their time.
    terminal.end_on_interrupt()

import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from imbreg_jax.compute import environment
from imbreg_jax.results import kept_tables
from imbreg_jax.study import ConfigError, command_line, resolve, shards

if TYPE_CHECKING:
    from imbreg_jax.compute.processes import Processes

_WORKDIR = flags.DEFINE_string(
    'workdir', None, "Where the study leaves its files. Default: workdirs/<the study's name>."
)
_SHARD = flags.DEFINE_string(
    'shard',
    None,
    'Train one part of the study, such as 3/8; 1/1 is all. Default: that of a Slurm array or an '
    'Indexed Job.',
)
_DISTRIBUTED = flags.DEFINE_bool(
    'distributed',
    False,
    'Join the processes of a slice of TPUs, or of srun, mpirun or JAX_* variables: each trains '
    'shards, and the first merges them.',
)
_VERBOSE = flags.DEFINE_bool(
    'verbose', False, "Print in the end every section's sentence, and all results."
)
_DRY_RUN = flags.DEFINE_bool(
    'dry_run', False, 'Say what the study would be and take, and start nothing.'
)

_OWN = ('workdir', 'shard', 'distributed', 'verbose', 'dry_run')


def main(argv: list[str]) -> int:
    """Runs the command line; returns the exit status."""
    with terminal.guarded():
        # Until the study can save something, a stop ends the process as for any program.
        terminal.end_on_interrupt()
        try:
            own = [f'  --{name}: {flags.FLAGS[name].help}' for name in _OWN]
            usage = '\n'.join([__doc__, *own])
            information = command_line.information(argv, usage)
            if information is not None:
                print(information)
                return 0
            config, remaining = command_line.read_config(argv)
            assert config is not None  # as no help was asked for
            command_line.parse_flags(flags.FLAGS, remaining)
            workdir = _WORKDIR.value
            if workdir is None and config.name:
                workdir = str(Path('workdirs') / config.name)
            shard, asked = _shard()
            # A study that was begun goes on where the file of a table of targets is gone.
            source = None if workdir is None else kept_tables.source_of_user(workdir)
            environment.check()
            # Before the config is checked: which tasks and remedies there are, their rooms know.
            environment.import_jax()
            study = resolve(config, source)
            joined = _joined()
        except ConfigError as error:
            print(error, file=sys.stderr)
            return 2
        except environment.BackendError as error:
            terminal.log_to_stderr()
            terminal.say(str(error))
            return 2
        terminal.log_to_stderr()
        if asked:
            logging.getLogger('imbreg_jax').info(
                '%s; --shard=1/1 would train the whole study', asked
            )
        from imbreg_jax import command

        workdir = workdir or str(Path('workdirs') / study.name)
        if _DRY_RUN.value:
            return command.dry_run(study, workdir, shard=shard)
        return command.run(study, workdir, verbose=_VERBOSE.value, shard=shard, processes=joined)


def _joined() -> 'Processes | None':
    """The processes that train the study together, where they are asked for.

    Raises:
      ConfigError: one shard is asked for, too.
      BackendError: there are none.
    """
    if not _DISTRIBUTED.value or _DRY_RUN.value:
        return None
    if _SHARD.value is not None:
        raise ConfigError(
            '--distributed', True, 'joined processes share all shards among them; leave out --shard'
        )
    from imbreg_jax.compute import processes

    return processes.join()


def _shard() -> tuple[shards.Shard | None, str]:
    """Which shard is asked for, None for the whole study, and how where it is not by the flag.

    Raises:
      ConfigError: what asks for one names none.
    """
    shard, asked = None, ''
    if _SHARD.value is not None:
        shard = shards.parse(_SHARD.value)
    elif not _DISTRIBUTED.value and (found := shards.of_environment(os.environ)):
        shard, how = found
        asked = f'shard {shard.number} of {shard.of}, as {how}'
    return (None, '') if shard is None or shard.of == 1 else (shard, asked)


if __name__ == '__main__':
    sys.exit(main(sys.argv))
