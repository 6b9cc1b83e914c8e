"""What can be told from the rows of a study's epochs, as metrics.jsonl has them."""

import pandas as pd

# A run whose validation MSE ends at more than so many times what it was before training.
FAR_ABOVE = 3.0


def ended_far_above(rows: pd.DataFrame) -> pd.DataFrame:
    """The runs that training left far worse than it found them.

    Args:
      rows: epochs' rows with columns condition, repeat, epoch, validation_mse and diverged; epoch
        0 is before training.

    Returns:
      A row per run, of those that did not diverge, whose last validation MSE is more than
      `FAR_ABOVE` times its first: condition, repeat (and member, where ensembles are), before,
      after.
    """
    run = [name for name in ('condition', 'repeat', 'member') if name in rows]
    # Of a network that is no member of an ensemble there is no number of one.
    rows = rows.fillna({'member': 0}) if 'member' in rows else rows
    last = rows.sort_values('epoch', kind='stable').drop_duplicates(run, keep='last')
    first = rows.loc[rows['epoch'] == 0, [*run, 'validation_mse']]
    ends = last.merge(first, on=run, suffixes=('', '_before'))
    ends['before'], ends['after'] = (
        pd.to_numeric(ends[name]) for name in ('validation_mse_before', 'validation_mse')
    )
    # An error that is no number is no small one.
    far = ~(ends['after'] <= FAR_ABOVE * ends['before']) & ~ends['diverged'].eq(True)
    return ends.loc[far, [*run, 'before', 'after']]
