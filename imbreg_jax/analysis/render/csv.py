"""Tables as CSV: the frame itself, to the last digit."""

from imbreg_jax.analysis.section import Table


def table(shown: Table) -> str:
    """Returns the table's whole frame as CSV."""
    return shown.frame.to_csv(index=False)
