"""Trains and evaluates a study.

    python -m imbreg_jax.main --config=configs/u1_10.py [--workdir=DIR] [--config.field=value …]

The same command resumes what was stopped or killed. Exit status: 0 for a finished study; 2 for a
config or workdir that cannot work; 1 for another failure that is explained in a sentence;
128 + n after signal n.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from absl import flags

from imbreg_jax.compute import environment
from imbreg_jax.study import FIELDS, ConfigError, Study, command_line, resolve

if TYPE_CHECKING:
    import pandas as pd

    from imbreg_jax.runner import StopRequest, StudyRun

_WORKDIR = flags.DEFINE_string(
    'workdir', None, 'Where the study leaves its files. Default: workdirs/<config name>.'
)
# How long a stop waits for the chunk in progress before it is abandoned.
GRACE_SECONDS = 8.0


def main(argv: list[str]) -> int:
    """Runs the command line; returns the exit status."""
    # Until the study can save something, a stop ends the process as for any program.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        config, remaining = command_line.read_config(argv)
        if config is None:
            print(_help())
            return 0
        command_line.parse_flags(flags.FLAGS, remaining)
        study = resolve(config)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    logging.basicConfig(level=logging.INFO, format='%(message)s', stream=sys.stderr)
    for noisy in ('absl', 'orbax', 'jax'):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    return _run(study, _WORKDIR.value or str(Path('workdirs') / study.name))


def _help() -> str:
    lines = [__doc__ or '', '  --workdir=DIR: ' + str(flags.FLAGS['workdir'].help), '']
    lines += [
        f'  --config.{name}: {field.meaning} ({field.default!r}); {field.rule}'
        for name, field in FIELDS.items()
        if field.kind not in ('distribution', 'distributions')
    ]
    return '\n'.join(lines)


def _run(study: Study, workdir: str) -> int:
    try:
        environment.check()
        # After the config is known to be good: JAX takes a second.
        environment.import_jax()
    except environment.BackendError as error:
        _say(str(error))
        return 2
    from imbreg_jax import runner
    from imbreg_jax.analysis import tables

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
    while thread.is_alive() and time.monotonic() < patience:
        thread.join(0.1)
    if thread.is_alive():
        _say(f'stopped; the newest checkpoint, if there is one, stands; {_resume(workdir)}')
        _end_at_once(run, stop.signal or 0)
    result = outcome[0]
    if isinstance(result, BaseException):
        return _explain(result, workdir, stop.signal)
    labels = {c.name: c.distribution.label for c in study.conditions}
    labels |= {law.name: law.label for law in study.test_distributions}
    print(tables.format_results_table(tables.results_table(result), labels))
    if run.report is not None:
        print(run.report.terminal_summary())
    return 0


def _explain(error: BaseException, workdir: str, stopped_by: int | None) -> int:
    """Says in one sentence why the study ended; returns the exit status."""
    from imbreg_jax import analysis, runner
    from imbreg_jax.results.checkpoints import CheckpointError
    from imbreg_jax.results.workdir import WorkdirError
    from imbreg_jax.training import out_of_memory
    from imbreg_jax.training.plan import OutOfMemory

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
    os._exit(128 + number)


def _handle_signals(names: tuple[str, ...], stop: StopRequest, run: StudyRun) -> None:
    def handle(number: int, _: object) -> None:
        if stop.signal is not None and number == signal.SIGINT:
            _end_at_once(run, number)
        stop.signal = stop.signal or number
        # Not print: the main thread may be in the middle of one.
        text = f'\n{signal.Signals(number).name}: stopping after this chunk\n'
        os.write(sys.stderr.fileno(), text.encode())

    for name in names:
        signal.signal(getattr(signal, name), handle)


if __name__ == '__main__':
    sys.exit(main(sys.argv))
