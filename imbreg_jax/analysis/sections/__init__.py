"""The views of a study, one a file; `SECTIONS` says which there are and in which order."""

from imbreg_jax.analysis.section import Section
from imbreg_jax.analysis.sections import (
    comparisons,
    decomposition,
    error_curve,
    learning_curves,
    network,
    paper,
    provenance,
    results,
    shrinkage,
    targets,
    warnings,
)

SECTIONS: tuple[Section, ...] = (
    warnings.SECTION,
    results.SECTION,
    comparisons.SECTION,
    paper.SECTION,
    error_curve.SECTION,
    decomposition.SECTION,
    shrinkage.SECTION,
    learning_curves.SECTION,
    targets.SECTION,
    network.SECTION,
    provenance.SECTION,
)
