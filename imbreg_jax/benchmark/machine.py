"""What this machine reaches in what it does best, for shares of it."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from imbreg_jax.compute import environment


def _best_of(call: Callable[[], Any], rounds: int = 5) -> float:
    jax.block_until_ready(call())
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        jax.block_until_ready(call())
        times.append(time.perf_counter() - began)
    return min(times)


def limits(devices: Sequence[Any]) -> tuple[float, float]:
    """(FLOP/s of a large float32 matrix product, bytes/s of a large copy) on all devices."""
    size, length = (1024, 2**24) if devices[0].platform == 'cpu' else (8192, 2**28)
    mesh = jax.sharding.Mesh(np.array(devices), ('d',))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec('d'))
    square = jax.device_put(np.random.default_rng(0).normal(size=(size, size)).astype('f'))
    squares = jax.device_put(np.stack([square] * len(devices)), sharding)
    product = jax.jit(
        jax.shard_map(
            lambda a: a @ a,
            mesh=mesh,
            in_specs=jax.sharding.PartitionSpec('d'),
            out_specs=jax.sharding.PartitionSpec('d'),
        )
    )
    flops = 2 * size**3 * len(devices) / _best_of(lambda: product(squares))
    line = jax.device_put(np.ones((len(devices), length), np.float32), sharding)
    copy = jax.jit(lambda a: a + 1)
    moved = 2 * 4 * length * len(devices) / _best_of(lambda: copy(line))
    return flops, moved


def name(devices: Sequence[Any]) -> str:
    """What the devices are, as text."""
    if devices[0].platform == 'cpu':
        return f'{len(devices)} cores of {environment.processor()}'
    return f'{len(devices)} x {devices[0].device_kind}'
