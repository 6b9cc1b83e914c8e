"""Executes the notebooks of this folder anew, and leaves in them what a reader sees.

    pip install 'imbreg_jax[examples]'
    python examples/execute.py [NAME …]

Each takes under a minute on 2 cores. What they say is tested without Jupyter.
"""

import pathlib
import sys

import nbclient
import nbformat

_FOLDER = pathlib.Path(__file__).resolve().parent
# A notebook shows the richest of these; a page on the web shows it, too.
_KEPT = ('image/png', 'text/html', 'text/plain')


def execute(path: pathlib.Path) -> None:
    """Executes a notebook in place; an error in it is raised and changes nothing."""
    notebook = nbformat.read(path, as_version=4)
    here = {'metadata': {'path': _FOLDER}}
    nbclient.NotebookClient(notebook, timeout=600, resources=here).execute()
    for cell in notebook.cells:
        cell.metadata.pop('execution', None)  # When it was.
        if cell.cell_type == 'code':
            # What a study does meanwhile is said on standard error.
            cell.outputs = [_kept(output) for output in cell.outputs if 'data' in output]
    notebook.metadata.language_info = {'name': 'python'}
    nbformat.validate(notebook)
    nbformat.write(notebook, path)


def _kept(output: nbformat.NotebookNode) -> nbformat.NotebookNode:
    best = next(kind for kind in _KEPT if kind in output.data)
    output.data = {best: output.data[best]}
    return output


if __name__ == '__main__':
    names = sys.argv[1:] or [path.stem for path in sorted(_FOLDER.glob('*.ipynb'))]
    for name in names:
        execute(_FOLDER / f'{name}.ipynb')
        print(f'{name}: {(_FOLDER / f"{name}.ipynb").stat().st_size / 1000:,.0f} kB')
