"""The processes of JAX's distributed runtime, where a slice of several hosts needs one.

On such a slice no process can use its chips before all have met. They train apart all the same:
each the runs of its own shards, on its own chips.
"""

import dataclasses
import os
import re

import jax
import numpy as np

from imbreg_jax.compute.environment import BackendError

# As JAX names them where it looks for what else it is not told.
ADDRESS, COUNT, INDEX = 'JAX_COORDINATOR_ADDRESS', 'JAX_NUM_PROCESSES', 'JAX_PROCESS_ID'
# Seconds: the slowest of them may take days longer than the fastest.
_PATIENCE = 30 * 24 * 3600.0
# What is sent at once: every device holds as much of every process.
_PIECE = 4 * 2**20


@dataclasses.dataclass(frozen=True)
class Processes:
    """This process among those that it has joined.

    Attributes:
        index: which it is, from 0.
        count: how many there are.
    """

    index: int
    count: int

    def wait(self, name: str, seconds: float = _PATIENCE) -> None:
        """Waits until every process waits for the same; where one ended, JAX ends all.

        Args:
            name: what for; no two waits of a process have the same.
            seconds: how long at most.

        Raises:
            TimeoutError: not all came; none can wait for this any more.
        """
        # The public one is made of a collective, which gives up after half a minute on CPUs.
        from orbax.checkpoint import multihost

        try:
            multihost.get_barrier_sync_fn()(
                key=f'imbreg_jax: {name}', timeout_ms=int(1000 * seconds)
            )
        except jax.errors.JaxRuntimeError as error:
            if 'DEADLINE_EXCEEDED' not in str(error):
                raise
            raise TimeoutError(name) from error

    def gather(self, name: str, own: bytes, seconds: float = _PATIENCE) -> list[bytes]:
        """What every process has, in order; all have to ask for it, under the same name.

        The backend must have started.

        Args:
            name: see `wait`.
            own: what this one has.
            seconds: see `wait`.

        Raises:
            TimeoutError: see `wait`.
        """
        self.wait(name, seconds)
        sizes = _all_gathered(np.array([len(own)], np.int32))[:, 0]
        pieces = []
        for start in range(0, int(sizes.max(initial=0)), _PIECE):
            piece = np.frombuffer(own[start : start + _PIECE], np.uint8)
            filled = np.zeros(min(_PIECE, int(sizes.max()) - start), np.uint8)
            filled[: len(piece)] = piece
            pieces.append(_all_gathered(filled))
        if not pieces:
            return [b''] * self.count
        whole = np.concatenate(pieces, axis=1)
        return [row[:size].tobytes() for row, size in zip(whole, sizes, strict=True)]


def join() -> Processes:
    """Joins the processes that JAX finds, or that the environment names; before a backend starts.

    Raises:
      BackendError: there are none, or they do not meet.
    """
    # It would take the signal that asks for a stop.
    if hasattr(jax.config, 'jax_enable_preemption_service'):
        jax.config.update('jax_enable_preemption_service', False)
    try:
        jax.distributed.initialize(num_processes=_number(COUNT), process_id=_number(INDEX))
    except (RuntimeError, ValueError, TypeError) as error:
        raise BackendError(
            f'JAX cannot join other processes ({" ".join(str(error).split())}); it finds those of '
            f'a TPU slice, of srun and of mpirun, or set {ADDRESS}=HOST:PORT, {COUNT} and {INDEX}'
        ) from error
    from jax._src import distributed  # The public API cannot tell without starting the backend.

    state = distributed.global_state
    return Processes(state.process_id, state.num_processes)


def _number(name: str) -> int | None:
    text = os.environ.get(name, '')
    if not text:
        return None
    if not re.fullmatch(r'\d{1,7}', text):
        raise BackendError(f'{name} is {text!r} and must be a number')
    return int(text)


def _all_gathered(own: np.ndarray) -> np.ndarray:
    from jax.experimental import multihost_utils

    return np.asarray(multihost_utils.process_allgather(own))
