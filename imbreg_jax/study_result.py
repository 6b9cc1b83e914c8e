"""What a finished study gave, in a notebook: its table, numbers, networks, figures and report."""

from __future__ import annotations

import functools
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from imbreg_jax.analysis import loading, summary, tables
from imbreg_jax.analysis.finished import FinishedStudy, Run
from imbreg_jax.analysis.paper.tables import as_printed
from imbreg_jax.analysis.render import terminal
from imbreg_jax.results.workdir import read_finished
from imbreg_jax.study.suggestions import nearest

if TYPE_CHECKING:
    from imbreg_jax.analysis import Content, Figure
    from imbreg_jax.analysis.canvas import Drawing
    from imbreg_jax.trained import TrainedNetworks


class StudyResult:
    """A finished study, or several that are compared as one.

    A notebook shows it as a small table and what is answered, and so does `print`. Its files are
    read when they are asked for, and refused with an AnalysisError or a WorkdirError where they are
    not as the study left them.

    Attributes:
      workdirs: the folders that hold it. Those of a study that was to leave no files go with the
        last of its results.
    """

    def __init__(self, workdirs: Iterable[str | os.PathLike[str]], holds: object = None):
        """Args: finished workdirs, and what must live as long as they are read."""
        self.workdirs = tuple(map(Path, workdirs))
        self._holds = holds

    @functools.cached_property
    def study(self) -> FinishedStudy:
        """All that is known of it; what sections of a report are built of."""
        return loading.load(self.workdirs)

    @functools.cached_property
    def table(self) -> pd.DataFrame:
        """The results table: per condition and test distribution, each metric over repeats.

        The columns are those of `analysis.tables.results_table`: `mse_mean`, `mse_std` (squared
        units of the target), `mape_mean`, `mpe_mean` (percent) …, with the paper's value beside
        them where there is one and the settings are the paper's.
        """
        return tables.results_table(self.study.results, as_printed(self.study))

    @property
    def results(self) -> pd.DataFrame:
        """The rows of results.csv, one value each: condition, predictor, repeat, …, metric."""
        return self.study.results.drop(columns=['source', 'line'])

    @property
    def metrics(self) -> pd.DataFrame:
        """A row per epoch and run, with its training loss and validation errors."""
        return self.study.metrics.drop(columns=['source', 'line'])

    @property
    def predictions(self) -> Mapping[tuple[str, int], Run]:
        """(condition, repeat) -> targets and predictions of that network.

        `predictions['u1_10', 0].test_prediction['u1_5']` are float32 [test images], and
        `test_target` their targets; `dense_target` and `dense_prediction` [dense images] reach well
        beyond the training range.
        """
        return self.study.runs

    @functools.cached_property
    def networks(self) -> TrainedNetworks:
        """The trained networks, to predict on images of one's own.

        Raises:
          ValueError: of several studies.
          WorkdirError: weights.npz is not as the study left it.
        """
        from imbreg_jax import trained  # With it comes JAX, which starts slowly.

        if len(self.workdirs) != 1:
            raise ValueError('networks are those of one study; ask each of those that are compared')
        return trained.load(self.workdirs[0])

    @functools.cached_property
    def _contents(self) -> Mapping[str, Content]:
        from imbreg_jax.analysis import reporting  # With it comes matplotlib.

        return reporting.contents_of(self.study)

    @functools.cached_property
    def _figures(self) -> Mapping[str, Figure]:
        return {f.name: f for content in self._contents.values() for f in content.figures}

    @property
    def figures(self) -> dict[str, str]:
        """Name -> title of each figure that `plot` draws."""
        return {name: figure.title for name, figure in self._figures.items()}

    def plot(self, name: str) -> Drawing:
        """Draws a figure of the report, which a notebook shows.

        Args:
          name: one of `figures`.

        Returns:
          A matplotlib figure, to be changed (`figure.axes`) and saved (`figure.savefig`).

        Raises:
          KeyError: there is no such figure.
        """
        from imbreg_jax.analysis import canvas

        if name not in self._figures:
            near = nearest(name, self._figures)
            known = ', '.join(self._figures)
            raise KeyError(f'no figure {name!r}; ' + (f'did you mean {near}?' if near else known))
        with canvas.settings():
            return self._figures[name].draw()

    def report(self, path: str | os.PathLike[str]) -> Path:
        """Writes the report with its tables and figures.

        Args:
          path: a folder, made if it is not there; see `analysis.build`.

        Returns:
          The page, `report.html` in the folder.

        Raises:
          AnalysisError: somebody else keeps files in the folder.
          OSError: it cannot be written.
          ValueError: the path is that of a page and not of a folder.
        """
        from imbreg_jax.analysis import reporting

        if Path(path).suffix == '.html':
            raise ValueError(f'{path}: a report is a folder; name one, for its report.html')
        return reporting.build(self.workdirs, path).path

    @functools.cached_property
    def _summary(self) -> summary.Summary:
        return summary.summary(self.study, self._contents)

    def __repr__(self) -> str:
        return f'<StudyResult {" and ".join(workdir.name for workdir in self.workdirs)}>'

    def __str__(self) -> str:
        return terminal.summary(self._summary, self._where())

    def _repr_html_(self) -> str:
        from imbreg_jax.analysis.render import notebook

        name = ' and '.join(self.study.sources)
        notes = [f'Figures: {", ".join(self.figures)}.', self._where()]
        return notebook.summary(name, self._summary, notes)

    def _where(self) -> str:
        if self._holds is not None:
            return 'Kept for this process alone; report(path) writes it down.'
        return f'Workdir: {", ".join(map(str, self.workdirs))}'


class TemporaryWorkdir:
    """A folder for a study that is to leave no files; it goes with the last that holds it."""

    def __init__(self, name: str):
        """Args: what the folder is called, within one of its own."""
        root = tempfile.mkdtemp(prefix='imbreg_jax_')
        self.path = Path(root) / name
        # Not a TemporaryDirectory, which warns where nobody closes it.
        self._remove = weakref.finalize(self, shutil.rmtree, root, ignore_errors=True)


def load(workdir: str | os.PathLike[str]) -> StudyResult:
    """The result of a finished study.

    Args:
      workdir: its folder; it is only read.

    Raises:
      WorkdirError: the study is not finished, or its config.json is damaged or of a newer version.
    """
    read_finished(Path(workdir))
    return StudyResult([workdir])


def compare(studies: Iterable[StudyResult | str | os.PathLike[str]]) -> StudyResult:
    """Several studies of one seed as one result, as if their conditions had been one study.

    Args:
      studies: results, or finished workdirs.

    Raises:
      AnalysisError: they do not belong together (other seeds, or one name for two conditions), or a
        workdir cannot be read.
    """
    each = [own if isinstance(own, StudyResult) else StudyResult([own]) for own in studies]
    held = [own._holds for own in each if own._holds is not None]
    result = StudyResult([path for own in each for path in own.workdirs], held or None)
    _ = result.study  # Whether they belong together is to be known now.
    return result
