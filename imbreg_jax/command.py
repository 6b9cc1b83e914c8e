"""A study at the command line: signals stop it, its table is printed, its end is explained."""

import sys

from imbreg_jax import signals, studies, terminal
from imbreg_jax.analysis import AnalysisError
from imbreg_jax.compute import environment, out_of_memory
from imbreg_jax.compute.plan import OutOfMemory
from imbreg_jax.compute.processes import Processes
from imbreg_jax.results.checkpoints import CheckpointError
from imbreg_jax.results.workdir import WorkdirError
from imbreg_jax.runner import dry_run as dry_run_lib
from imbreg_jax.runner.stop import Stopped, StopRequest
from imbreg_jax.study import ConfigError, Study
from imbreg_jax.study.shards import Shard

_REFUSALS = (ConfigError, WorkdirError, CheckpointError, OutOfMemory, environment.BackendError)


def run(
    study: Study,
    workdir: str,
    verbose: bool = False,
    shard: Shard | None = None,
    processes: Processes | None = None,
) -> int:
    """Trains and evaluates a study, says what came of it, and returns the exit status.

    Args:
      study: the study.
      workdir: its folder, as it is to be called in what is said.
      verbose: whether to say in the end all that the report's sections say, too.
      shard: which part of it to train; None for all.
      processes: that train it together, this one among them; None for this one alone.

    Raises:
      Exception: what nobody expects of a study, a programming error say.
    """
    stop, names = StopRequest(), study.compute.stop_signals
    started = studies.reported(study, workdir, stop, shard, processes)
    abandoned = f'stopped; the newest checkpoint, if there is one, stands; {_resume(workdir)}'
    failure = signals.work(started.finish, names, stop, started.leave, abandoned)
    if started.results is not None:
        # All is done and written, but for the report where there is a failure. Whoever is tired of
        # reading may go.
        terminal.nothing_waits()
        signals.end_at_once_on(names)
        if started.report is None:
            print(studies.printed_table(started.results, started.study))
    if failure is not None:
        return _explain(failure, workdir, stop.signal)
    if started.report is not None:
        colour = terminal.has_colour(sys.stdout)
        print(started.report.terminal_summary(verbose, colour, terminal.width()))
    return 0


def dry_run(study: Study, workdir: str, shard: Shard | None = None) -> int:
    """Says what a study would be and take, starts nothing, and returns the exit status."""
    try:
        print(dry_run_lib.text(study, workdir, shard))
    except _REFUSALS as error:
        terminal.say(str(error))
        return 2
    return 0


def _explain(error: BaseException, workdir: str, stopped_by: int | None) -> int:
    """Says in one sentence why the study ended; returns the exit status."""
    if isinstance(error, Stopped):
        terminal.say(f'stopped and saved; {_resume(workdir)}')
        return 128 + (stopped_by or 0)
    if isinstance(error, _REFUSALS):
        terminal.say(str(error))
        return 2
    kept = f'what was finished is kept; {_resume(workdir)}'
    if isinstance(error, AnalysisError):
        terminal.say(str(error))
    elif isinstance(error, OSError):
        terminal.say(f'{error.filename or workdir}: {error.strerror or error}; {kept}')
    elif out_of_memory.is_out_of_memory(error):
        terminal.say(f'out of memory ({error}); {kept}')
    else:
        raise error
    return 1


def _resume(workdir: str) -> str:
    return f'to resume, give the same command again (workdir {workdir})'
