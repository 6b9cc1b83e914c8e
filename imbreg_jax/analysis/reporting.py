"""Puts the sections of a study together: files, one self-contained page, terminal text."""

import dataclasses
import math
import os
import pathlib
from collections.abc import Mapping, Sequence

from imbreg_jax.analysis import canvas, folder, loading, marks, summary
from imbreg_jax.analysis.finished import FinishedStudy
from imbreg_jax.analysis.registry import SECTIONS
from imbreg_jax.analysis.render import csv, html, markdown, terminal
from imbreg_jax.analysis.section import Content, Section


@dataclasses.dataclass(frozen=True)
class Report:
    """A finished report.

    Attributes:
      path: the `report.html`.
      study: what it is about.
      contents: name of a section -> what it says, for the sections that apply, in order.
    """

    path: pathlib.Path
    study: FinishedStudy
    contents: Mapping[str, Content]

    def terminal_summary(
        self, verbose: bool = False, colour: bool = False, width: int = terminal.WIDTH
    ) -> str:
        """Returns what the study answers as text for a terminal.

        Args:
          verbose: whether every section is heard, and the table is that of all results; otherwise
            there are 25 lines at most.
          colour: whether verdicts are coloured.
          width: characters of a line.
        """
        shown = summary.summary(self.study, self.contents, verbose)
        if verbose:
            return terminal.summary(shown, f'Report: {self.path}', colour, width, math.inf)
        last = f'Report: {self.path} (more of it here with --verbose)'
        return terminal.summary(shown, last, colour, width)


def build(
    workdirs: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    sections: Sequence[Section] = SECTIONS,
) -> Report:
    """Analyses workdirs and writes `tables/`, `figures/` and `report.html`.

    Every file appears whole or not at all, `report.html` last. `report_files.json` lists them; what
    it lists of an earlier report and this one does not write is removed.

    Args:
      workdirs: one or several finished workdirs of one seed.
      out: folder to write to, made if it is not there: one of the workdirs, or a folder that holds
        nothing, or nothing but an earlier report.
      sections: what the report has, in order; each is left out where it does not apply.

    Returns:
      The report, with what each section says.

    Raises:
      AnalysisError: a workdir cannot be read, the workdirs do not belong together, or somebody
        else keeps files in `out`.
      OSError: `out` cannot be written.
      ValueError: two sections, or two tables, have one name.
    """
    paths, out = [pathlib.Path(workdir) for workdir in workdirs], pathlib.Path(out)
    study = loading.load(paths)
    folder.check(out, paths)
    applying = [section for section in sections if section.applies(study)]
    _refuse_twice('section', [section.name for section in applying])
    contents = contents_of(study, applying)
    tables = [t for content in contents.values() for t in content.tables if len(t.frame)]
    _refuse_twice('table', [table.name for table in tables])
    files: dict[str, str | bytes] = {}
    for table in tables:
        files[f'tables/{table.name}.csv'] = csv.table(table)
        files[f'tables/{table.name}.md'] = markdown.table(table)
    drawn: dict[str, list[canvas.Finished]] = {}
    taken: list[str] = []
    for name, content in contents.items():
        drawn[name] = []
        for figure in content.figures:
            with canvas.settings():
                drawing = figure.draw()
            taken.append(canvas.file_name(figure.name, taken))
            finished = canvas.finish(
                taken[-1], figure.title, figure.caption, drawing, marks.describe
            )
            files[f'figures/{taken[-1]}.svg'] = finished.svg
            files[f'figures/{taken[-1]}.png'] = finished.png
            drawn[name].append(finished)
    files['report.html'] = html.page(study, applying, contents, drawn)
    folder.write(
        out,
        {
            name: content.encode(errors='backslashreplace') if isinstance(content, str) else content
            for name, content in files.items()
        },
    )
    return Report(out / 'report.html', study, contents)


def contents_of(study: FinishedStudy, sections: Sequence[Section] = SECTIONS) -> dict[str, Content]:
    """Returns name of a section -> what it says, for the sections that apply, in order."""
    return {section.name: section.build(study) for section in sections if section.applies(study)}


def _refuse_twice(what: str, names: Sequence[str]) -> None:
    for name in set(names):
        if names.count(name) > 1:
            raise ValueError(f'two of the report have the {what} name {name!r}')
