"""How the runs of a program lie on devices, and how a function of one run serves all of them."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from imbreg_jax.compute.plan import Plan

RUNS = 'runs'


class RunAxis:
    """Compiles functions of one run into programs over all runs, sharded over the devices.

    Every array of a program leads with the run axis, in blocks of equal length, one a device.
    """

    def __init__(self, plan: Plan, devices: list[Any], runs: int):
        """Args: the plan, its devices, and how many runs there are."""
        self.plan = plan
        self.mesh = Mesh(np.array(devices), (RUNS,))
        self.sharding = NamedSharding(self.mesh, P(RUNS))
        self.replicated = NamedSharding(self.mesh, P())
        self.runs = runs
        self.padded = -(-runs // len(devices)) * len(devices)

    def spread(self, tree: Any) -> Any:
        """Puts arrays [runs, ...] of the host on the devices, the last run repeated to fill up."""

        def put(a):
            a = np.asarray(a)
            fill = [(0, self.padded - len(a))] + [(0, 0)] * (a.ndim - 1)
            return jax.device_put(np.pad(a, fill, mode='edge'), self.sharding)

        return jax.tree.map(put, tree)

    def per_device(self, tree: Any) -> Any:
        """Puts arrays [devices * n, ...], n to each device."""
        return jax.tree.map(lambda a: jax.device_put(np.asarray(a), self.sharding), tree)

    def fetch(self, tree: Any) -> Any:
        """Arrays [runs, ...] on the host, fillers dropped."""
        return jax.tree.map(lambda a: np.asarray(a)[: self.runs], tree)

    def compile(self, function: Callable[..., Any], at_once: int = 0) -> Callable[..., Any]:
        """A program over all runs from a function of one.

        Args:
          function: (carried, run, device, shared) -> tree; `carried` and `run` of one run,
            `device` a tree of the arrays that belong to its device, `shared` common to all.
          at_once: with `vmap`, at most so many runs at a time (0: all).

        Returns:
          (carried, run, device, shared) -> tree, run axis leading; `carried` is donated.
        """

        def block(carried, run, device, shared):
            one = lambda pair: function(*pair, device, shared)  # noqa: E731
            if self.plan.mapping == 'map':
                return lax.map(one, (carried, run))
            length = jax.tree.leaves(run)[0].shape[0]
            if at_once and at_once < length:
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
