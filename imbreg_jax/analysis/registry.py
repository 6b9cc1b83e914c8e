"""The sections that a report has, in their order. To add one: its file, and an entry here.

What answers the most of a study's questions comes first, what only explains it last.
"""

from imbreg_jax.analysis.paper import section as paper
from imbreg_jax.analysis.section import Section
from imbreg_jax.analysis.sections import (
    comparisons,
    decomposition,
    dose_response,
    error_curve,
    leaderboard,
    learning_curves,
    network,
    provenance,
    questions,
    references,
    results,
    shrinkage,
    targets,
    warnings,
)

SECTIONS: tuple[Section, ...] = (
    warnings.SECTION,
    results.SECTION,
    dose_response.SECTION,
    leaderboard.SECTION,
    *questions.SECTIONS,
    comparisons.SECTION,
    paper.SECTION,
    references.SECTION,
    error_curve.SECTION,
    decomposition.SECTION,
    shrinkage.SECTION,
    learning_curves.SECTION,
    targets.SECTION,
    network.SECTION,
    provenance.SECTION,
)
