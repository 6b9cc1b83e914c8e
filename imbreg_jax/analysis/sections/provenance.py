"""Where the numbers come from: machines, versions, files."""

import pandas as pd

from imbreg_jax.analysis import formats
from imbreg_jax.analysis.finished import FinishedStudy
from imbreg_jax.analysis.section import Column, Content, Section, Table, listed


def table(study: FinishedStudy) -> pd.DataFrame:
    """Returns a row per workdir, of what its config.json says of machine, versions and time."""
    rows = []
    for name, header in zip(study.sources, study.headers, strict=True):
        timing = header.get('timing') or {}
        rows.append(
            {
                'workdir': name,
                'backend': str(header.get('backend')),
                'devices': ', '.join(map(str, header.get('devices', []))),
                'versions': ', '.join(f'{k} {v}' for k, v in header.get('versions', {}).items()),
                'commit': str(header.get('git_commit') or 'unknown'),
                'seed': header['config'].get('seed'),
                'seconds': timing.get('seconds'),
                'compile_seconds': timing.get('compile_seconds'),
                'source': 'config.json',
            }
        )
    return pd.DataFrame(rows).astype({'seconds': float, 'compile_seconds': float})


def _build(study: FinishedStudy) -> Content:
    frame = table(study)
    columns = [
        Column('workdir', 'workdir'),
        Column('backend', 'backend'),
        Column('devices', 'devices', formats.TEXT),
        Column('versions', 'versions', formats.TEXT),
        Column('commit', 'commit'),
        Column('seed', 'seed', formats.COUNT, 'source'),
        Column('seconds', 'seconds', formats.COUNT, 'source'),
        Column('compile_seconds', 'of which compilation', formats.COUNT, 'source'),
    ]
    trained = [f'{row.workdir} on {row.backend} (seed {row.seed})' for row in frame.itertuples()]
    return Content(
        f'From {listed(trained, "workdirs")}.',
        [Table('provenance', 'Workdirs', frame, columns)],
        notes=[
            'Only config.json, results.csv, metrics.jsonl and predictions.npz were read. Hover, '
            'click or focus a number for its file and lines (line 1 of results.csv is its header).'
        ],
    )


SECTION = Section('provenance', 'Where this comes from', lambda study: True, _build)
