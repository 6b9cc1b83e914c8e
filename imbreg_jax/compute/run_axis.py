"""How the runs of a unit lie on devices, and how a function of one run serves all of them."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from imbreg_jax.compute import units
from imbreg_jax.compute.plan import Plan
from imbreg_jax.study import Run

RUNS = 'runs'
# In what all runs share: how many runs each device has.
COUNTS = 'counts'


class Layout:
    """The devices of a plan, and how functions of one run are compiled for them.

    Every array of a program leads with the run axis, in blocks of equal length, one a device. A
    block may have more places than its device has runs. With `map` these take no time; with `vmap`,
    where all places are computed together, they hold a copy of the device's last run.
    """

    def __init__(self, plan: Plan, devices: Sequence[Any], capacity: int):
        """Args: the plan, its devices, and the runs of the largest unit."""
        self.plan = plan
        self.devices = list(devices)
        self.places = -(-capacity // len(self.devices))
        self.mesh = Mesh(np.array(self.devices), (RUNS,))
        self.sharding = NamedSharding(self.mesh, P(RUNS))
        self.replicated = NamedSharding(self.mesh, P())

    def compile(
        self, function: Callable[..., Any], at_once: int = 0, every: bool = False
    ) -> Callable[..., Any]:
        """A program over all runs from a function of one.

        Args:
          function: (carried, run, device, shared) -> tree; `carried` and `run` of one run,
            `device` a tree of the arrays that belong to its device, `shared` common to all, with
            `RunAxis.shared` in it.
          at_once: with `vmap`, at most so many runs at a time (0: all).
          every: whether a block's every place counts, as where the axis is not that of runs.

        Returns:
          (carried, run, device, shared) -> tree, run axis leading; `carried` is donated.
        """

        def block(carried, run, device, shared):
            one = lambda pair: function(*pair, device, shared)  # noqa: E731
            places = jax.tree.leaves(run)[0].shape[0]
            if self.plan.mapping == 'map':
                count = places if every else shared[COUNTS][lax.axis_index(RUNS)]
                return _map(one, (carried, run), count)
            if at_once and at_once < places:
                return lax.map(one, (carried, run), batch_size=at_once)
            return jax.vmap(lambda c, r: function(c, r, device, shared))(carried, run)

        spread = P(RUNS)
        program = jax.shard_map(
            block,
            mesh=self.mesh,
            in_specs=(spread, spread, spread, P()),
            out_specs=spread,
            check_vma=False,
        )
        return jax.jit(program, donate_argnums=0)


def _map(function: Callable[[Any], Any], inputs: Any, count: jax.Array | int) -> Any:
    """`lax.map` over the first `count` elements only, which is data; the others' values are 0."""
    places = jax.tree.leaves(inputs)[0].shape[0]

    def one(i):
        return function(jax.tree.map(lambda a: lax.dynamic_index_in_dim(a, i, 0, False), inputs))

    def put(i, out):
        return jax.tree.map(lambda o, v: lax.dynamic_update_index_in_dim(o, v, i, 0), out, one(i))

    shapes = jax.eval_shape(one, jnp.int32(0))
    out = jax.tree.map(lambda s: jnp.zeros((places, *s.shape), s.dtype), shapes)
    return lax.fori_loop(0, count, put, out)


class RunAxis:
    """Where the runs of one unit lie in the blocks of a layout.

    Attributes:
      layout: the devices, and the length of a block.
      blocks: the runs of each device.
      shared: what `Layout.compile`'s functions must be given among what runs share.
    """

    def __init__(self, layout: Layout, runs: Sequence[Run]):
        """Args: the layout, and the unit's runs."""
        self.layout = layout
        self.blocks = units.blocks(runs, len(layout.devices))
        counts = [len(block) for block in self.blocks]
        starts = layout.places * np.arange(len(counts))
        self._where = np.concatenate(
            [start + np.arange(n) for start, n in zip(starts, counts, strict=True)]
        ).astype(int)
        # The run that each place holds: its own, or its device's last, or the unit's.
        filled = np.maximum(np.cumsum(counts), 1) - 1
        self._held = np.repeat(filled, layout.places)
        self._held[self._where] = np.arange(len(runs))
        self.shared = {
            COUNTS: jax.device_put(np.array(counts, np.int32), layout.replicated),
        }

    @property
    def held(self) -> np.ndarray:
        """[devices * places]: which of the unit's runs each place holds."""
        return self._held

    def spread(self, tree: Any) -> Any:
        """Puts arrays [runs, ...] of the host on the devices, a block each."""
        sharding = self.layout.sharding
        return jax.tree.map(lambda a: jax.device_put(np.asarray(a)[self._held], sharding), tree)

    def per_device(self, tree: Any) -> Any:
        """Puts arrays [devices * n, ...], n to each device."""
        return jax.tree.map(lambda a: jax.device_put(np.asarray(a), self.layout.sharding), tree)

    def fetch(self, tree: Any) -> Any:
        """Arrays [runs, ...] on the host."""
        return jax.tree.map(lambda a: np.asarray(a)[self._where], tree)
