"""A study's command line with a fault built in: what `faults_test.py` starts, by `cutting.py`.

python tests/cut_study.py POINT --config=FILE …
"""

import contextlib
import os
import pathlib
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any
from unittest import mock


class _Points:
    """Kills this process when it reaches a point for the n-th time."""

    def __init__(self, wanted: str):
        self.point, _, count = wanted.partition('@')
        self.left = int(count or 0)

    def reach(self, point: str, delay: float = 0.0) -> None:
        if point != self.point:
            return
        self.left -= 1
        if self.left == 0:
            if not delay:
                os.kill(os.getpid(), signal.SIGKILL)
            threading.Timer(delay, os.kill, (os.getpid(), signal.SIGKILL)).start()


def run(wanted: str, argv: Sequence[str]) -> int:
    """Runs the command line with a cut, or another fault, built in.

    Args:
        wanted: the point, `<what>@<n>`: the process is killed when it reaches it for the n-th time
            (`:during`: a moment later). Or a fault: `oom@n`, a device on which more than n runs do
            not fit; `slow@n`, chunks that last n seconds longer; `noreport`; `nodrawing`, a drawing
            library that fails. Or '', nothing.
        argv: the command line.
    """
    import quick_compilation
    from imbreg_jax import analysis, main
    from imbreg_jax.analysis import loading
    from imbreg_jax.evaluation import evaluator
    from imbreg_jax.results import checkpoints, files, tensorboard
    from imbreg_jax.training import engine

    quick_compilation.setUpModule()
    points = _Points(wanted)

    def around(owner: Any, name: str, point: str, delay: float = 0.0) -> None:
        inner = getattr(owner, name)

        def wrapper(*args, **kwargs):
            points.reach(f'{point}:before')
            points.reach(f'{point}:during', delay)
            result = inner(*args, **kwargs)
            points.reach(f'{point}:after')
            return result

        setattr(owner, name, wrapper)

    def at_end(owner: Any, name: str, point: str) -> None:
        inner = getattr(owner, name)

        def wrapper(*args, **kwargs):
            result = inner(*args, **kwargs)
            points.reach(point)
            return result

        setattr(owner, name, wrapper)

    whole = files.whole

    def name_of(path: pathlib.Path) -> str:
        # The names of TensorBoard's files begin so, and go on with the time.
        return 'events' if path.name.startswith('events.') else path.name

    @contextlib.contextmanager
    def cut_whole(path: pathlib.Path) -> Iterator[Any]:
        name = name_of(path)
        points.reach(f'file:{name}:before')
        with whole(path) as file:
            write = file.write

            def half(content):
                if points.left == 1:
                    write(bytes(content)[: len(content) // 2])
                    file.flush()
                    points.reach(points.point)
                points.left -= points.point == f'file:{name}:half'
                return write(content)

            if points.point == f'file:{name}:half':
                file = mock.Mock(wraps=file, write=half)
            yield file
        points.reach(f'file:{name}:after')

    append = files.append

    def cut_append(path: pathlib.Path, content: bytes) -> None:
        point = f'append:{name_of(path)}:half'
        if points.point == point and points.left == 1:
            append(path, content[: len(content) // 2])
        points.reach(point)
        append(path, content)

    files.whole = cut_whole
    files.append = cut_append
    around(checkpoints, '_write_arrays', 'orbax', 0.02)
    at_end(checkpoints, 'save', 'saved')
    around(checkpoints, '_remove', 'remove')
    rmtree = shutil.rmtree

    def cut_rmtree(path, *args, **kwargs):
        if str(path).endswith('.removed'):
            points.reach('remove:renamed')
        return rmtree(path, *args, **kwargs)

    shutil.rmtree = cut_rmtree
    at_end(engine.Engine, '__init__', 'engine')
    train_chunk = engine.Engine.train_chunk
    around(engine.Engine, 'train_chunk', 'chunk', 0.01)
    if points.point == 'compile':

        def compiling(*args):
            points.reach('compile', 0.3)
            return train_chunk(*args)

        engine.Engine.train_chunk = compiling
    if points.point == 'oom':
        # A device on which the images of so many runs do not fit.
        draw = engine.Engine.__init__

        def too_many(self, programs, unit):
            if len(unit.runs) > points.left:
                import jax

                raise jax.errors.JaxRuntimeError(
                    'RESOURCE_EXHAUSTED: Out of memory allocating 123456789 bytes.'
                )
            draw(self, programs, unit)

        engine.Engine.__init__ = too_many
    at_end(evaluator.Evaluator, 'validation', 'validation')
    around(evaluator.Evaluator, 'finish', 'finish', 0.2)
    around(tensorboard.EventFiles, 'replace', 'tensorboard')
    if points.point == 'slow':
        # Long enough for a signal to come while it lasts; who sends it is told that it began.
        inner = engine.Engine.train_chunk
        (began,) = (f'{word[10:]}.began' for word in argv if word.startswith('--workdir='))

        def slow(*args):
            result = inner(*args)
            pathlib.Path(began).touch()
            time.sleep(points.left)
            return result

        engine.Engine.train_chunk = slow
    build = analysis.build

    def cut_build(*args):
        points.reach('report')
        if points.point == 'noreport':
            results = loading.load(args[0]).results
            return mock.Mock(**{'study.results': results, 'terminal_summary.return_value': ''})
        if points.point == 'nodrawing':
            return 1 / 0
        return build(*args)

    analysis.build = cut_build
    return main.main(['imbreg_jax.main', *argv])


if __name__ == '__main__':
    sys.exit(run(sys.argv[1], sys.argv[2:]))
