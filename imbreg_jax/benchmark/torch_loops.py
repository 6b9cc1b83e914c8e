"""The same training in PyTorch, timed.

    python -m imbreg_jax.benchmark.torch_loops --which=plain --images=50000 --epochs=1 --networks=1
    python -m imbreg_jax.benchmark.torch_loops --which=best --images=50000 --epochs=1 --networks=2

Each prints one line of JSON. `plain` is the eager loop that the paper used; `compiled` that loop
under torch.compile, and `stacked` all networks at once by torch.func, each in the fastest of its
settings here; `best` the fastest that we found: on CPU one process a core, pinned to it, each with
networks of its own, on CUDA all networks at once (see `torch_folded`).
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import time
from collections.abc import Callable
from multiprocessing import connection
from typing import Any

from imbreg_jax.benchmark import torch_folded, torch_plain

WARM_UP_STEPS = 20
# Steps by which the fastest setting is found.
TRIED_STEPS = 20
WHICH = ('plain', 'compiled', 'stacked', 'best')


def _measure_plain(images: int, epochs: int, networks: int, device: str) -> dict[str, Any]:
    torch = torch_plain.import_torch()
    data = torch_plain.draw_data(images, device)
    start = time.perf_counter()
    torch_plain.train_plain(*data, epochs=1, networks=1, most_steps=WARM_UP_STEPS)
    warm = time.perf_counter()
    final_loss = torch_plain.train_plain(*data, epochs=epochs, networks=networks)
    return {
        'seconds': time.perf_counter() - warm,
        'compile_seconds': warm - start,
        'final_loss': final_loss,
        'threads': torch.get_num_threads(),
    }


def _measure_steps(
    which: str, images: int, epochs: int, networks: int, device: str
) -> dict[str, Any]:
    """Times what comes as steps, in the fastest of its settings; each is tried in a few steps."""
    torch = torch_plain.import_torch()
    data = torch_plain.draw_data(images, device)
    start = time.perf_counter()
    settings: dict[str, Callable[[], Callable[[Any], Any]]]
    if which == 'compiled':
        settings = {
            'contiguous': lambda: torch_plain.compiled_step(*data),
            'channels-last': lambda: torch_plain.compiled_step(*data, channels_last=True),
        }
    else:
        settings = {
            'eager': lambda: torch_plain.stacked_step(*data, networks),
            'compiled': lambda: torch_plain.stacked_step(*data, networks, compiled=True),
        }

    def epoch() -> Any:
        orders = [torch_plain.shuffled_batches(images, device) for _ in range(networks)]
        return orders[0] if which == 'compiled' else torch.stack(orders, 1)

    def run(step: Callable[[Any], Any], batches: Any) -> tuple[float, float]:
        began = time.perf_counter()
        for batch in batches:
            loss = step(batch)
        final_loss = loss.item()  # so that a device has done what it was asked for
        return time.perf_counter() - began, final_loss

    tried = {}
    for name, make in settings.items():
        step = make()
        run(step, epoch()[:WARM_UP_STEPS])
        tried[name] = run(step, epoch()[:TRIED_STEPS])[0], step
    fastest = min(tried, key=lambda name: tried[name][0])
    step = tried[fastest][1]
    warm = time.perf_counter()
    passes = [run(step, epoch()) for _ in range(epochs * (networks if which == 'compiled' else 1))]
    return {
        'seconds': sum(seconds for seconds, _ in passes),
        'compile_seconds': warm - start,
        'final_loss': passes[-1][1],
        'threads': torch.get_num_threads(),
        'setting': fastest,
    }


def _measure_stacked(images: int, epochs: int, networks: int, device: str) -> dict[str, Any]:
    torch = torch_plain.import_torch()
    images_NxHxW, targets_N = torch_plain.draw_data(images, device)
    start = time.perf_counter()
    training = torch_folded.StackedTraining(
        torch_folded.to_tiles(images_NxHxW), targets_N, networks
    )
    torch.cuda.synchronize()
    warm = time.perf_counter()
    final_loss = training.train(epochs)
    return {
        'seconds': time.perf_counter() - warm,
        'compile_seconds': warm - start,
        'final_loss': final_loss,
        'threads': torch.get_num_threads(),
    }


def _work(link: connection.Connection, core: int, images: int, epochs: int, networks: int) -> None:
    """A process of `best` on CPU: says how long warm-up took, waits, trains, says its loss."""
    if hasattr(os, 'sched_setaffinity'):
        os.sched_setaffinity(0, {core})
    torch = torch_plain.import_torch()
    torch.set_num_threads(1)
    torch.manual_seed(core)
    images_NxHxW, targets_N = torch_plain.draw_data(images)
    tiles = torch_folded.to_tiles(images_NxHxW)
    del images_NxHxW
    start = time.perf_counter()
    torch_folded.train_folded(tiles, targets_N, epochs=1, networks=1, most_steps=WARM_UP_STEPS)
    link.send(time.perf_counter() - start)
    link.recv()
    link.send(torch_folded.train_folded(tiles, targets_N, epochs, networks))


def _measure_processes(images: int, epochs: int, networks: int) -> dict[str, Any]:
    """One process a core; the clock runs from when all are warm to when the last has finished."""
    cores = _available_cores()[:networks]
    context = multiprocessing.get_context('spawn')
    links, processes = [], []
    for number, core in enumerate(cores):
        share = networks // len(cores) + (number < networks % len(cores))
        here, there = context.Pipe()
        process = context.Process(target=_work, args=(there, core, images, epochs, share))
        process.start()
        there.close()  # so that a process that dies ends our wait for it
        links.append((here, share))
        processes.append(process)
    warm_up = max(link.recv() for link, _ in links)
    start = time.perf_counter()
    for link, _ in links:
        link.send('go')
    losses = [share * link.recv() for link, share in links]
    seconds = time.perf_counter() - start
    for process in processes:
        process.join()
    return {
        'seconds': seconds,
        'compile_seconds': warm_up,
        'final_loss': sum(losses) / networks,
        'threads': len(cores),
    }


def _available_cores() -> list[int]:
    if hasattr(os, 'sched_getaffinity'):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def measure(
    which: str,
    images: int,
    epochs: int = 1,
    networks: int = 1,
    device: str = 'cpu',
    tf32: bool = False,
) -> dict[str, Any]:
    """Trains networks and measures how long that takes.

    With `best` on CPU the networks are dealt out to the cores; with a number of networks that
    is no multiple of the cores, some cores idle at the end and the time includes that.

    Args:
      which: one of `WHICH`.
      images: size of the training set; what does not fill a batch is left out.
      epochs: passes over it.
      networks: how many.
      device: 'cpu' or 'cuda'.
      tf32: on CUDA, allow TensorFloat-32 products instead of float32.

    Returns:
      which, device, images_trained (over all networks and epochs), seconds (training alone,
      after warm-up, data not counted), compile_seconds (the warm-up with compilation),
      final_loss, threads, setting (the fastest, where several were tried), torch (version).

    Raises:
      RuntimeError: torch is not installed.
      ValueError: fewer images than one batch, no network, or no epoch.
    """
    torch = torch_plain.import_torch()
    if images < torch_plain.BATCH_SIZE or epochs < 1 or networks < 1:
        raise ValueError(
            f'images must be at least {torch_plain.BATCH_SIZE}, epochs and networks at least 1; '
            f'got images={images}, epochs={epochs}, networks={networks}'
        )
    if device == 'cuda':
        torch.backends.cuda.matmul.allow_tf32 = tf32
        torch.backends.cudnn.allow_tf32 = tf32
        torch.backends.cudnn.benchmark = True
    if which == 'plain':
        measured = _measure_plain(images, epochs, networks, device)
    elif which in ('compiled', 'stacked'):
        measured = _measure_steps(which, images, epochs, networks, device)
    elif device == 'cpu':
        measured = _measure_processes(images, epochs, networks)
    else:
        measured = _measure_stacked(images, epochs, networks, device)
    batches = images // torch_plain.BATCH_SIZE
    return {
        'which': which,
        'device': device,
        'images_trained': batches * torch_plain.BATCH_SIZE * epochs * networks,
        **measured,
        'torch': torch.__version__,
    }


def main(arguments: list[str] | None = None) -> None:
    """Measures what the command line asks for and prints it as one line of JSON."""
    parser = argparse.ArgumentParser(prog='python -m imbreg_jax.benchmark.torch_loops')
    parser.add_argument('--which', choices=WHICH, required=True)
    parser.add_argument('--images', type=int, default=50_000, help='size of the training set')
    parser.add_argument('--epochs', type=int, default=1)
    parser.add_argument('--networks', type=int, default=1)
    parser.add_argument('--device', choices=('cpu', 'cuda'), default='cpu')
    parser.add_argument('--tf32', action='store_true', help='on CUDA: allow TensorFloat-32')
    options = vars(parser.parse_args(arguments))
    try:
        measured = measure(**options)
    except (RuntimeError, ValueError) as error:
        parser.exit(2, f'{error}\n')
    print(json.dumps(measured))


if __name__ == '__main__':
    main()
