"""One process of several on its way, each of which trains shards; the first merges them all."""

import contextlib
import json
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from imbreg_jax.compute import backend
from imbreg_jax.compute.environment import BackendError
from imbreg_jax.compute.processes import Processes
from imbreg_jax.results import merging, sending
from imbreg_jax.results.workdir import Workdir, WorkdirError
from imbreg_jax.runner import planning
from imbreg_jax.runner.shard_run import ShardRun
from imbreg_jax.runner.stop import Stopped, StopRequest
from imbreg_jax.study import Study
from imbreg_jax.study.shards import Shard

logger = logging.getLogger('imbreg_jax')

# Seconds that one which was asked to stop waits for the others, before it leaves.
_LAST_WORD = 20.0


class ProcessRun:
    """One process on its way.

    Attributes:
      study: the whole study.
      results: the rows of its results.csv in the first process, once they are written, or None.
      report: what `report` returned there, or None.
    """

    def __init__(
        self,
        study: Study,
        processes: Processes,
        workdir: str | os.PathLike[str],
        stop: StopRequest | None = None,
        report: Callable[[Path], Any] | None = None,
    ):
        """Writes nothing yet.

        Args:
          study: the whole study.
          processes: those that are joined, this one among them.
          workdir: the study's folder, of which hosts need not share one: the first is sent what
            it does not hold.
          stop: where a stop is asked for.
          report: makes the report of the merged study; see `StudyRun`.
        """
        self.study = study
        self.results: pd.DataFrame | None = None
        self.report: Any = None
        self._processes = processes
        self._workdir = Workdir(workdir, of_shards=True).path
        self._stop = stop or StopRequest()
        self._make_report = report
        self._run: ShardRun | None = None

    def finish(self) -> pd.DataFrame | None:
        """Trains what is left of this process's shards; the first then merges all.

        Returns:
          The rows of the study's results.csv in the first process, else None.

        Raises:
          BackendError: of GPUs, each process can use its own alone: a shard each needs no others.
          As `ShardRun.finish` does.
        """
        index, count = self._processes.index, self._processes.count
        self._start()
        of = self._agree_on_shards()
        own = [Shard(number, of) for number in range(index + 1, of + 1, count)]
        logger.info(
            'process %d of %d trains shard%s %s of %d',
            index + 1, count, 's' * (len(own) != 1), ', '.join(str(s.number) for s in own), of,
        )  # fmt: skip
        try:
            self._train(own)
        except Stopped:
            # Were it to leave without a word, JAX would end those that wait for it; those that
            # train on, which nobody asked to stop, come too late.
            with contextlib.suppress(TimeoutError):
                self._told('finished', None, _LAST_WORD)
            raise
        self._send(of)
        try:
            if index == 0:
                self._merge()
        finally:
            # Were one to leave before, JAX would end the first in the middle of its work.
            self._processes.wait('the study is merged')
        return self.results

    def _train(self, own: Sequence[Shard]) -> None:
        for shard in own:
            self._stop.obey()
            self._run = ShardRun(self.study, shard, self._workdir, self._stop, self._make_report)
            self._run.train()

    def _merge(self) -> None:
        assert self._run is not None  # as there is a first shard
        if self._run.results is None:
            self._run.merge()
            self.report = self._run.report
        elif self._make_report is not None:
            with Workdir(self._workdir, of_shards=True):
                self.report = self._make_report(self._workdir)
        self.study, self.results = self._run.study, self._run.results

    def leave(self) -> None:
        """Notes, in haste, that this process ends now and knows it."""
        if self._run is not None:
            self._run.leave()

    def _start(self) -> None:
        """Starts the backend, which processes need to send each other anything."""
        first = next(iter(merging.found(self._workdir)), None)
        begun = None if first is None else Workdir(merging.folder(self._workdir, first), first)
        with backend.pinned(self.study):
            devices = backend.prepare(self.study, planning.cores_begun_on(begun))
        if backend.platform(devices) == 'gpu':
            raise BackendError(
                'on GPUs each process can train alone; leave out --distributed, and give each a '
                'shard with --shard=NUMBER/OF'
            )

    def _agree_on_shards(self) -> int:
        """How many shards the study has: as many as it was begun in, or one for each process.

        Raises:
          WorkdirError: it was begun in several numbers of them.
        """
        own = sorted({shard.of for shard in merging.found(self._workdir)})
        begun = {of for other in self._told('begun', own) for of in other}
        if len(begun) > 1:
            raise WorkdirError(
                f'workdir {self._workdir} was begun in shards of '
                f'{" and of ".join(map(str, sorted(begun)))}; remove {self._workdir / "shards"} on '
                'the hosts that have those of one of them, or name another with --workdir=DIR'
            )
        return begun.pop() if begun else self._processes.count

    def _send(self, of: int) -> None:
        """Sends the first process the shards that it does not hold.

        Raises:
          Stopped: a process was asked to stop before it had finished.
        """
        merged = self._run is not None and self._run.results is not None
        told = self._told('finished', [merged, merging.finished(self._workdir, of)])
        if None in told:
            raise Stopped
        finished = [numbers for _, numbers in told]
        if told[0][0]:
            return
        held = set(finished[0])
        sent: list[list[Shard]] = []
        for numbers in finished:
            sent.append([Shard(number, of) for number in numbers if number not in held])
            held.update(numbers)
        own = sent[self._processes.index]
        contents = self._processes.gather('shards', sending.packed(self._workdir, own))
        if self._processes.index == 0:
            for content, wanted in zip(contents, sent, strict=True):
                sending.unpack(self._workdir, content, wanted)

    def _told(self, name: str, own: Any, *seconds: float) -> Sequence[Any]:
        """What each process says of something; see `Processes.gather`."""
        said = self._processes.gather(name, json.dumps(own).encode(), *seconds)
        return [json.loads(text) for text in said]
