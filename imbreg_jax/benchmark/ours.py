"""Our training, ready to be timed, and what it costs an image."""

import math
import time
from collections.abc import Mapping
from typing import Any

import jax

from imbreg_jax import study as study_lib
from imbreg_jax.compute import backend, memory, units
from imbreg_jax.compute import plan as plan_lib
from imbreg_jax.study import Condition, Study
from imbreg_jax.training.engine import Engine
from imbreg_jax.training.programs import Programs


def study_of(
    runs: int, train_size: int, precision: str, fields: Mapping[str, Any] | None = None
) -> Study:
    """The study whose training is timed: the paper's balanced condition, but for its data's sizes.

    Args:
      runs: how many train at once.
      train_size: images in the training set.
      precision: of matrix products.
      fields: values of other fields, by their dotted names.

    Raises:
      ConfigError: there is none of such sizes.
    """
    config = study_lib.default_config()
    config.repeats = runs
    config.data.train_size = train_size
    config.data.validation_size = 50
    config.compute.compilation_cache = False
    config.compute.matmul_precision = precision
    config.update_from_flattened_dict(dict(fields or {}))
    return study_lib.resolve(config)


def bytes_per_image(condition: Condition, size: int) -> int:
    """Bytes that training on one image moves if every activation is written and read once.

    Pixels, the convolutions' outputs and their gradients: a floor, since neighbours are gathered
    too.
    """
    network = condition.model.architecture(size)
    values = size**2
    for layer in network.convolutions:
        values += 2 * layer.outputs * layer.computed**2
    return 2 * values * memory.FLOAT


class Training:
    """Our training of some runs on this machine, ready to be timed."""

    def __init__(self, study: Study):
        """Makes the engine of a study's first unit and compiles its training program."""
        self.study = study
        devices = backend.prepare(self.study)
        plan = plan_lib.make(self.study, devices)
        devices = devices[: plan.devices]
        parts = units.cut(self.study, plan.runs_per_unit)
        self.plan = plan
        with jax.default_matmul_precision(self.study.compute.matmul_precision):
            self.engine = Engine(Programs(self.study, 0, plan, devices, parts), parts[0])
            self.state = self.engine.initialize()
            began = time.perf_counter()
            self.chunks(1)
            first = time.perf_counter() - began
        began = time.perf_counter()
        self.chunks(1)
        self.chunk_seconds = time.perf_counter() - began
        self.compile_seconds = max(first - self.chunk_seconds, 0.0)

    @property
    def images_per_chunk(self) -> int:
        """Image passes of all runs in a chunk."""
        return (
            len(self.engine.unit.runs) * self.engine.next_step(0) * self.engine.training.batch_size
        )

    def chunks(self, count: int) -> None:
        """Trains for some chunks and waits for them."""
        with jax.default_matmul_precision(self.study.compute.matmul_precision):
            for _ in range(count):
                self.state, loss = self.engine.train_chunk(self.state, 0, 0)
            jax.block_until_ready(loss)

    def epoch(self) -> float:
        """Seconds of an epoch, with what a remedy does at its end.

        Of all runs of the study, as if they had been trained part after part.
        """
        engine, step = self.engine, 0
        began = time.perf_counter()
        with jax.default_matmul_precision(self.study.compute.matmul_precision):
            while step < engine.steps_per_epoch:
                self.state, _ = engine.train_chunk(self.state, 0, step)
                step = engine.next_step(step)
            self.state = engine.end_epoch(self.state, 0)
            jax.block_until_ready(self.state)
        return (time.perf_counter() - began) * len(self.study.runs) / len(engine.unit.runs)

    def release(self) -> None:
        """Frees its arrays; it can be timed no more."""
        self.engine.release()
        del self.state

    def rate(self, seconds: float) -> float:
        """Images a second, all runs together, over about so many seconds."""
        count = max(1, math.ceil(seconds / self.chunk_seconds))
        began = time.perf_counter()
        self.chunks(count)
        return count * self.images_per_chunk / (time.perf_counter() - began)
