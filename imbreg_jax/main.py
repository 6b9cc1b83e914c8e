"""Trains and evaluates a study.

    python -m imbreg_jax.main --config=configs/u1_10.py [--workdir=DIR] [--config.field=value …]
"""

import logging
import os
import signal
import sys
import threading
from pathlib import Path

from absl import flags

from imbreg_jax.study import ConfigError, Study, command_line, resolve

_WORKDIR = flags.DEFINE_string(
    'workdir', None, 'Where the study leaves its files. Default: workdirs/<config name>.'
)
# How long a stop waits for the chunk in progress before it is abandoned.
GRACE_SECONDS = 8.0


def main(argv: list[str]) -> int:
    """Runs the command line; returns the exit status."""
    try:
        config, remaining = command_line.read_config(argv)
        command_line.parse_flags(flags.FLAGS, remaining)
        if config is None:
            return 0
        study = resolve(config)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    logging.basicConfig(level=logging.INFO, format='%(message)s', stream=sys.stderr)
    for noisy in ('absl', 'orbax', 'jax'):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    return _run(study, _WORKDIR.value or str(Path('workdirs') / study.name))


def _run(study: Study, workdir: str) -> int:
    # Imported after the config is known to be good: JAX takes a second.
    from imbreg_jax import analysis, runner
    from imbreg_jax.analysis import tables
    from imbreg_jax.results.checkpoints import CheckpointError
    from imbreg_jax.results.workdir import WorkdirError
    from imbreg_jax.training.plan import OutOfMemory

    stop = runner.StopRequest()
    run = runner.StudyRun(study, workdir, stop)
    outcome: list[object] = []

    def work() -> None:
        try:
            outcome.append(run.finish())
        except BaseException as error:  # noqa: BLE001 - handed to the main thread
            outcome.append(error)

    # Python runs signal handlers in the main thread between bytecodes, and a call into XLA can
    # last: so the work is another thread's, and the main thread only waits.
    _handle_signals(study.compute.stop_signals, stop)
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    resume = f'to resume, give the same command again (workdir {workdir})'
    while thread.is_alive():
        thread.join(0.1)
        if stop.signal is not None:
            thread.join(GRACE_SECONDS)
            if thread.is_alive():
                print(f'stopped; the newest checkpoint stands; {resume}', file=sys.stderr)
                sys.stderr.flush()
                os._exit(128 + stop.signal)
            break
    result = outcome[0]
    if isinstance(result, runner.Stopped):
        print(f'stopped and saved; {resume}', file=sys.stderr)
        return 128 + (stop.signal or 0)
    if isinstance(result, (ConfigError, WorkdirError, CheckpointError, OutOfMemory)):
        print(result, file=sys.stderr)
        return 2
    if isinstance(result, analysis.AnalysisError):
        print(result, file=sys.stderr)
        return 1
    if isinstance(result, OSError):
        print(
            f'{result.filename or workdir}: {result.strerror or result}; what was finished is '
            f'kept; {resume}',
            file=sys.stderr,
        )
        return 1
    if isinstance(result, BaseException):
        raise result
    assert isinstance(result, runner.Finished)
    labels = {c.name: c.distribution.label for c in study.conditions}
    labels |= {law.name: law.label for law in study.test_distributions}
    print(tables.format_results_table(tables.results_table(result.results), labels))
    if run.report is not None:
        print(run.report.terminal_summary())
    return 0


def _handle_signals(names: tuple[str, ...], stop) -> None:
    def handle(number: int, _) -> None:
        if stop.signal is not None and number == signal.SIGINT:
            os._exit(128 + number)
        stop.signal = number
        print(f'\n{signal.Signals(number).name}: stopping after this chunk', file=sys.stderr)

    for name in names:
        signal.signal(getattr(signal, name), handle)


if __name__ == '__main__':
    sys.exit(main(sys.argv))
