"""What the accelerator's form of training costs an image, told by XLA where there is none.

On accelerators all runs of a device train at once. That program is lowered here, and its operations
and the bytes that they read and write are counted as they stand, before a compiler fuses any: more
bytes than would be moved, and of use to see what a change does to them. For a TPU it can be
compiled as well, where libtpu is installed; then bytes are those of the compiled program, padding
of its tiles included.
"""

import dataclasses
import importlib.util
import os
import time
from typing import Any, NamedTuple

import jax
import numpy as np

from imbreg_jax.benchmark import ours
from imbreg_jax.compute import plan as plan_lib
from imbreg_jax.compute import units
from imbreg_jax.training.engine import Engine
from imbreg_jax.training.programs import Programs

LOWERED = 'lowered'
# Images of the training set, which a step does not see.
_TRAIN_SIZE = 500
MISSING = (
    'a TPU program is compiled by libtpu, which is not installed here: pip install libtpu; '
    f'or name {LOWERED}'
)


class Cost(NamedTuple):
    """What a training program costs.

    Attributes:
      runs: how many train at once.
      of: what it was made for, as a table calls it.
      operations: floating-point operations an image.
      bytes: read and written an image.
      memory: bytes on the device, 0 where it was not compiled.
      seconds: what compiling took, 0 likewise.
    """

    runs: int
    of: str
    operations: float
    bytes: float
    memory: int
    seconds: float


def refuse(target: str) -> None:
    """Refuses what nothing can be compiled for here.

    Raises:
      ValueError: libtpu is not installed, or knows no such topology; the text is one sentence.
    """
    if target == LOWERED:
        return
    if importlib.util.find_spec('libtpu') is None:
        raise ValueError(f'--ahead={target}: {MISSING}')
    try:
        _topology(target)
    except (jax.errors.JaxRuntimeError, RuntimeError, ValueError, NotImplementedError) as error:
        raise ValueError(
            f'--ahead={target}: {" ".join(str(error).split())[:200]}; name {LOWERED} or a topology '
            'of TPUs, such as v5e:2x2'
        ) from error


def measure(runs: int, target: str, precision: str) -> list[Cost]:
    """What training so many runs of the paper's network at once costs on accelerators.

    Args:
      runs: how many train at once, on one device.
      target: `LOWERED`, or a topology of TPUs, for one device of which it is compiled.
      precision: of matrix products.

    Returns:
      A row for GPUs as it is lowered (for TPUs it comes to the same), and one where it is compiled.
    """
    study = ours.study_of(runs, _TRAIN_SIZE, precision)
    devices = jax.devices('cpu')[:1]
    plan = plan_lib.make(study, devices)
    plan = dataclasses.replace(plan, mapping='vmap', runs_per_unit=runs)
    programs = Programs(study, 0, plan, devices, ())
    engine = Engine(programs, units.cut(study, runs)[0])
    images = runs * engine.training.batch_size
    *spread, shared = engine.initialize(), *engine.chunk_arguments(0, 0)
    with jax.default_matmul_precision(precision):
        chunk: Any = programs.chunk
        traced = chunk.trace(*spread, shared)
        counted = _counted(traced.lower(lowering_platforms=('cuda',)), images)
        found = [Cost(runs, 'GPUs, lowered', *counted, 0, 0.0)]
        if target == LOWERED:
            return found
        ahead = Programs(study, 0, plan, _topology(target).devices[:1], ())
        shapes = [_shapes(given, ahead.layout.sharding) for given in spread]
        chunk = ahead.chunk
        lowered = chunk.lower(*shapes, _shapes(shared, ahead.layout.replicated))
        began = time.perf_counter()
        compiled = lowered.compile()
        seconds = time.perf_counter() - began
    held = compiled.memory_analysis()
    memory = held.argument_size_in_bytes + held.temp_size_in_bytes
    memory += held.output_size_in_bytes - held.alias_size_in_bytes
    return [*found, Cost(runs, target, *_counted(compiled, images), memory, seconds)]


def _topology(name: str) -> Any:
    """The topology of TPUs of a name, whose devices programs may be compiled for."""
    from jax.experimental import topologies

    # There is no TPU to be asked about.
    os.environ.setdefault('TPU_SKIP_MDS_QUERY', '1')
    return topologies.get_topology_desc(platform='tpu', topology_name=name)


def _shapes(tree: Any, sharding: Any) -> Any:
    return jax.tree.map(
        lambda a: jax.ShapeDtypeStruct(np.shape(a), a.dtype, sharding=sharding), tree
    )


def _counted(stage: Any, images: int) -> tuple[float, float]:
    """Operations and bytes an image of a chunk's program, of which XLA counts one step."""
    counted = stage.cost_analysis()
    return counted['flops'] / images, counted['bytes accessed'] / images
