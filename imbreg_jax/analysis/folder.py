"""The folder that a report is written to: whose it is, and what an earlier report left there.

A list of what was written, with digests (`report_files.json`), tells a report's files from those of
others: a file that is on it and unchanged is ours to remove, one that is not is never overwritten.
"""

import hashlib
import json
import pathlib
import re
from collections.abc import Iterable, Mapping

from imbreg_jax.analysis.reader import AnalysisError
from imbreg_jax.results import files as files_lib

MANIFEST = 'report_files.json'
FORMAT = 1
# The list may be a stranger's: nothing that is called otherwise is ever removed.
_OURS = re.compile(r'report\.html|(?:tables|figures)/[^/\\]+')


def check(out: pathlib.Path, workdirs: Iterable[pathlib.Path]) -> None:
    """Refuses a folder that somebody else keeps files in.

    Args:
      out: where the report goes. Free to use are a folder that does not exist or is empty, one that
        holds an earlier report, and the workdirs themselves.
      workdirs: finished workdirs, known to be such.

    Raises:
      AnalysisError: `out` holds files and is none of these.
    """
    if not out.is_dir() or any(out.resolve() == workdir.resolve() for workdir in workdirs):
        return
    if _held(out) is None and any(out.iterdir()):
        raise AnalysisError(
            f'folder {out} holds files that no report of imbreg_jax has written ({MANIFEST} would '
            'list them), and they are left alone; name a new or an empty folder with --out=DIR'
        )


def write(out: pathlib.Path, files: Mapping[str, bytes]) -> None:
    """Writes a report's files in their order, and removes what an earlier report left beside them.

    Every file appears whole or not at all. Cut short, it leaves files of both reports, all of them
    on the list.

    Args:
      out: the folder, which `check` has passed; made if it is not there.
      files: path within the folder -> content; 'report.html', or a file in 'tables' or 'figures'.

    Raises:
      AnalysisError: a file of that name is there, and is not on the list of an earlier report.
      OSError: `out` cannot be written.
    """
    before = _held(out)
    listed = before or {}
    digests = {name: [hashlib.sha256(content).hexdigest()] for name, content in files.items()}
    if before is not None:
        for name in files:
            # In a workdir without a list an earlier version has written the report.
            if name not in listed and (out / name).exists():
                raise AnalysisError(
                    f'{out / name} is not of an earlier report and is left alone; move it, or name '
                    'another folder with --out=DIR'
                )
    for folder in ('tables', 'figures'):
        (out / folder).mkdir(parents=True, exist_ok=True)
    # First, so that after a sudden end whatever is there by then is known as ours.
    _list(
        out, {name: listed.get(name, []) + digests.get(name, []) for name in {**listed, **digests}}
    )
    for name, content in files.items():
        files_lib.write_bytes(out / name, content)
    for name, known in listed.items():
        path = out / name
        if name in files or not _OURS.fullmatch(name) or path.parent.is_symlink():
            continue
        if path.is_file() and not path.is_symlink() and files_lib.sha256(path) in known:
            path.unlink()
    _list(out, digests)


def _list(out: pathlib.Path, digests: Mapping[str, list[str]]) -> None:
    files_lib.write_json(out / MANIFEST, {'format': FORMAT, 'files': dict(sorted(digests.items()))})


def _held(out: pathlib.Path) -> dict[str, list[str]] | None:
    """Returns path -> digests of what an earlier report wrote; None where there is no list."""
    try:
        held = json.loads((out / MANIFEST).read_text(encoding='utf-8'))
        if held['format'] != FORMAT:
            return None
        return {name: [str(digest) for digest in known] for name, known in held['files'].items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
