"""Trains and evaluates a study.

    python -m imbreg_jax.main --config=configs/u1_10.py [--workdir=DIR] [--config.field=value …]
    python -m imbreg_jax.main --help | --version

The same command resumes what was stopped or killed. Exit status: 0 for a finished study; 2 for a
config or workdir that cannot work; 1 for another failure that is explained in a sentence;
128 + n after signal n. What cannot be printed changes neither: see `terminal`.

A signal that asks for a stop ends training after the chunk in progress. A second interrupt ends the
process at once, where it comes more than a second after the first signal: sooner, it is the same
one, delivered to the process and to its group.
"""

from __future__ import annotations

from imbreg_jax import terminal

if __name__ == '__main__':
    # Before the imports that take their time.
    terminal.end_on_interrupt()

import logging
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from absl import flags

from imbreg_jax.compute import environment
from imbreg_jax.results import kept_tables
from imbreg_jax.study import ConfigError, Study, command_line, resolve

if TYPE_CHECKING:
    import pandas as pd

    from imbreg_jax.runner import StopRequest, StudyRun

_WORKDIR = flags.DEFINE_string(
    'workdir', None, "Where the study leaves its files. Default: workdirs/<the study's name>."
)
# How long a stop waits for the chunk in progress before it is abandoned.
GRACE_SECONDS = 8.0
# An interrupt so soon after the first signal is that one once more: `timeout -s INT` and terminals
# signal a process and its group, and a script may pass both on.
SAME_SIGNAL_SECONDS = 1.0


def main(argv: list[str]) -> int:
    """Runs the command line; returns the exit status."""
    with terminal.guarded():
        return _main(argv)


def _main(argv: list[str]) -> int:
    # Until the study can save something, a stop ends the process as for any program.
    terminal.end_on_interrupt()
    try:
        usage = f'{__doc__}\n  --workdir=DIR: {flags.FLAGS["workdir"].help}'
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
        # A study that was begun goes on where the file of a table of targets is gone.
        source = None if workdir is None else kept_tables.source_of_user(workdir)
        study = resolve(config, source)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    logging.basicConfig(level=logging.INFO, format='%(message)s', stream=sys.stderr)
    for noisy in ('absl', 'orbax', 'jax'):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    return _run(study, workdir or str(Path('workdirs') / study.name))


def _run(study: Study, workdir: str) -> int:
    try:
        environment.check()
        # After the config is known to be good: JAX takes a second.
        environment.import_jax()
    except environment.BackendError as error:
        _say(str(error))
        return 2
    from imbreg_jax import runner

    stop = runner.StopRequest()
    run = runner.StudyRun(study, workdir, stop)
    outcome: list[pd.DataFrame | BaseException] = []

    def work() -> None:
        try:
            outcome.append(run.finish())
        except BaseException as error:  # noqa: B036 - handed to the main thread
            outcome.append(error)

    # Python runs signal handlers in the main thread between bytecodes, and a call into XLA can
    # last: so the work is another thread's, and the main thread only waits.
    _handle_signals(study.compute.stop_signals, stop, run)
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    # Short waits: the kernel may hand a signal to another thread, and then it ends no wait here.
    while thread.is_alive() and stop.signal is None:
        thread.join(0.1)
    patience = time.monotonic() + GRACE_SECONDS
    if thread.is_alive() and stop.signal is not None:
        # Said here and not by the handler, which may have interrupted somebody in mid-sentence.
        _say(f'{signal.Signals(stop.signal).name}: stopping as soon as what is in hand is saved')
    while thread.is_alive() and time.monotonic() < patience:
        thread.join(0.1)
    if thread.is_alive():
        _say(f'stopped; the newest checkpoint, if there is one, stands; {_resume(workdir)}')
        _end_at_once(run, stop.signal or 0)
    result = outcome[0]
    failure = result if isinstance(result, BaseException) else None
    results = run.results if failure else result
    if failure and results is None:
        return _explain(failure, workdir, stop.signal)
    # All is done and written, but for the report where there is a failure. Whoever is tired of
    # reading may go.
    terminal.nothing_waits()
    for name in study.compute.stop_signals:
        signal.signal(getattr(signal, name), terminal.stop_at_once)
    print(_table(results, run.study))
    if failure:
        return _explain(failure, workdir, stop.signal)
    if run.report is not None:
        print(run.report.terminal_summary())
    return 0


def _table(results: pd.DataFrame, study: Study) -> str:
    from imbreg_jax.analysis import paper, tables

    comparable = paper.as_printed(study.resolved, [c.name for c in study.conditions])
    table = tables.results_table(results, comparable).replace({'condition': _titles(study)})
    labels = {law.name: law.label for law in study.test_distributions}
    return tables.format_results_table(table, labels)


def _titles(study: Study) -> dict[str, str]:
    """What the table calls each condition: as the report does, and no two the same."""
    from imbreg_jax.analysis import loading

    titles = {}
    for condition in study.conditions:
        law = condition.distribution
        train = loading.Distribution(law.name, law.label, law.spec)
        titles[condition.name] = loading.Condition(condition.name, train, {}).title
    given = list(titles.values())
    return {
        name: title if given.count(title) == 1 else f'{title} ({name})'
        for name, title in titles.items()
    }


def _explain(error: BaseException, workdir: str, stopped_by: int | None) -> int:
    """Says in one sentence why the study ended; returns the exit status."""
    from imbreg_jax import analysis, runner
    from imbreg_jax.compute import out_of_memory
    from imbreg_jax.compute.plan import OutOfMemory
    from imbreg_jax.results.checkpoints import CheckpointError
    from imbreg_jax.results.workdir import WorkdirError

    if isinstance(error, runner.Stopped):
        _say(f'stopped and saved; {_resume(workdir)}')
        return 128 + (stopped_by or 0)
    refusals = (ConfigError, WorkdirError, CheckpointError, OutOfMemory, environment.BackendError)
    if isinstance(error, refusals):
        _say(str(error))
        return 2
    if isinstance(error, analysis.AnalysisError):
        _say(str(error))
        return 1
    if isinstance(error, OSError):
        where = error.filename or workdir
        _say(f'{where}: {error.strerror or error}; what was finished is kept; {_resume(workdir)}')
        return 1
    if out_of_memory.is_out_of_memory(error):
        _say(f'out of memory ({error}); what was finished is kept; {_resume(workdir)}')
        return 1
    raise error


def _resume(workdir: str) -> str:
    return f'to resume, give the same command again (workdir {workdir})'


def _say(text: str) -> None:
    print(' '.join(text.split()), file=sys.stderr, flush=True)


def _end_at_once(run: StudyRun, number: int) -> NoReturn:
    if run.workdir is not None:
        run.workdir.end()
    terminal.stop_at_once(number)


def _handle_signals(names: tuple[str, ...], stop: StopRequest, run: StudyRun) -> None:
    first = 0.0

    def handle(number: int, _: object) -> None:
        nonlocal first
        now = time.monotonic()
        if stop.signal is None:
            stop.signal, first = number, now
        elif number == signal.SIGINT and now - first > SAME_SIGNAL_SECONDS:
            _end_at_once(run, number)

    for name in names:
        signal.signal(getattr(signal, name), handle)


if __name__ == '__main__':
    sys.exit(main(sys.argv))
