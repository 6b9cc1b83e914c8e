"""Starts studies in processes of their own and does them harm: for `faults_test.py`."""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

import event_files

# Two programs of two runs; each has two epochs of three chunks.
CONFIG = """
from imbreg_jax import study


def get_config():
    config = study.default_config()
    config.name = 'cut'
    config.repeats = 2
    config.conditions = {name: {'train_distribution': name} for name in ('u1_10', 'u1_5')}
    config.test_distributions = ('u1_10', 'u1_5')
    config.data.image_size = 20
    config.data.train_size = 120
    config.data.validation_size = 20
    config.data.test_size = 20
    config.model.conv_features = (2, 3)
    config.model.dense_features = 4
    config.training.epochs = 2
    config.training.batch_size = 20
    config.training.learning_rate = 1e-3
    config.evaluation.batch_size = 20
    config.evaluation.dense_size = 20
    config.evaluation.moment_images = 20
    config.evaluation.moment_masks = 2
    config.compute.runs_per_program = 2
    config.compute.steps_per_chunk = 2
    config.compute.checkpoint_seconds = 0.0
    return config
"""


class Machine:
    """Starts studies in processes of their own, with a compilation cache that they share."""

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        self.config = folder / 'config.py'
        self.config.write_text(CONFIG)
        self.cuts = 0

    def command(self, workdir: pathlib.Path, point: str, *arguments: str) -> list[str]:
        return [
            sys.executable,
            str(pathlib.Path(__file__).with_name('cut_study.py')),
            point,
            f'--config={self.config}',
            f'--workdir={workdir}',
            f'--config.compute.compilation_cache_dir={self.folder / "xla"}',
            *arguments,
        ]

    def start(
        self,
        workdir: pathlib.Path,
        point: str = '',
        *arguments: str,
        after: float | None = None,
        shell: str = 'exec "$@"',
    ) -> subprocess.CompletedProcess[str]:
        """Runs until its end, or until it is killed `after` seconds; `shell` runs "$@"."""
        process = subprocess.Popen(
            ['bash', '-c', shell, 'bash', *self.command(workdir, point, *arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            out, err = process.communicate(timeout=300 if after is None else after)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            if after is None:
                raise
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def signal(
        self,
        workdir: pathlib.Path,
        numbers: Sequence[signal.Signals],
        *arguments: str,
        slow: int = 1,
        apart: float = 1.2,
        shell: str = 'exec "$@"',
        stderr: int = subprocess.PIPE,
    ) -> subprocess.CompletedProcess[str]:
        """Starts a study, sends it signals in its first chunk, and waits for its end.

        Args:
            workdir: the study's.
            numbers: the signals.
            *arguments: of the command line.
            slow: the seconds that a chunk lasts.
            apart: the seconds between signals; an interrupt right after one is taken for the same.
            shell: how a shell runs the command, "$@".
            stderr: where its standard error goes.
        """
        process = subprocess.Popen(
            ['bash', '-c', shell, 'bash', *self.command(workdir, f'slow@{slow}', *arguments)],
            stderr=stderr,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        began = pathlib.Path(f'{workdir}.began')
        while not began.exists() and process.poll() is None:
            time.sleep(0.02)
        began.unlink(missing_ok=True)
        for place, number in enumerate(numbers):
            time.sleep(apart if place else 0.0)
            process.send_signal(number)
        _, err = process.communicate(timeout=300)
        return subprocess.CompletedProcess(process.args, process.returncode, '', err)


def scalars(workdir: pathlib.Path) -> list[tuple[str, int, str, float]]:
    """Every run's TensorBoard scalars, without their times."""
    paths = sorted((workdir / 'tensorboard').rglob('*tfevents*'))
    return [
        (str(path.parent.relative_to(workdir)), scalar.step, scalar.tag, scalar.value)
        for path in paths
        for scalar in event_files.scalars(path)
    ]


@contextlib.contextmanager
def unheard(kind: str) -> Iterator[tuple[str, int]]:
    """A standard error that nobody hears: how a shell runs a command, and the descriptor."""
    read, write = os.pipe()
    try:
        if kind == 'gone':
            os.close(read)
        if kind == 'full':
            os.set_blocking(write, False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    os.write(write, b' ' * 4096)
            os.set_blocking(write, True)
        yield 'exec "$@" 2>&-' if kind == 'closed' else 'exec "$@"', write
    finally:
        os.close(write)
        if kind != 'gone':
            os.close(read)


def truncate(path: pathlib.Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: pathlib.Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def remove(path: pathlib.Path) -> None:
    path.unlink()


def mount(*arguments: str) -> bool:
    try:
        return subprocess.run(['mount', *arguments], capture_output=True).returncode == 0
    except OSError:
        return False


@contextlib.contextmanager
def mounted(folder: pathlib.Path, options: str) -> Iterator[bool]:
    """A small file system in memory; False where this machine does not let us mount it."""
    if not mount('-t', 'tmpfs', '-o', options, 'tmpfs', str(folder)):
        yield False
        return
    try:
        yield True
    finally:
        subprocess.run(['umount', '-l', str(folder)], check=True)
