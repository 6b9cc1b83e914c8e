"""The paper's conclusions as claims, each tested: it stands, fails, is the same, or undecided.

A verdict is given for each claim, metric and predictor, and for each group of the paper's
conditions that differ in nothing but the training law. All tests are at one level,
1 − `analysis.confidence`, and one-sided: Student's t on the log ratios of two errors, paired by
repeat. What is claimed of several pairs stands if it does for each (so no correction), and fails if
for any of them the reverse is shown (Holm over the pairs). "Costs little" and "about the same" are
tests against a margin (`analysis.equivalence_margin`). The sign-flip test is printed beside.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd

from imbreg_jax.analysis import comparison, finished, statistics
from imbreg_jax.analysis.finished import BASELINE
from imbreg_jax.analysis.formats import number
from imbreg_jax.analysis.paper import printed, wording
from imbreg_jax.analysis.paper.printed import ALL_TESTS, BALANCED, MISSING, NORMAL
from imbreg_jax.analysis.paper.wording import Evidence

STANDS, FAILS, UNDECIDED = 'stands', 'fails', 'undecided'
SAME = 'same within the margin'
# No verdict: the study lacks what the claim is about.
UNTESTED = 'not tested'

# A condition by its training law, and what it is tested on.
_Cell = tuple[str, str]


@dataclasses.dataclass(frozen=True)
class Claim:
    """One of the paper's conclusions.

    Attributes:
      statement: in words.
      kind: 'every' network against its guess, 'order' (the first errs more than the second, in each
        pair), 'little' (the first costs little against the second), 'same' (about the same).
      pairs: (first, second) of each comparison, each a training law and a test law.
      metrics: those it is about.
    """

    statement: str
    kind: str
    pairs: tuple[tuple[_Cell, _Cell], ...] = ()
    metrics: tuple[str, ...] = printed.METRICS


def _order_on(test: str) -> tuple[tuple[_Cell, _Cell], ...]:
    return ((NORMAL, test), (BALANCED, test)), ((MISSING, test), (NORMAL, test))


CLAIMS = {
    1: Claim('Every network beats the baseline.', 'every'),
    2: Claim(
        'On U(1, 10) the order in error is balanced < normal < missing.',
        'order',
        _order_on(BALANCED),
    ),
    3: Claim(
        'Training on N(5.5, 1) costs little against balanced training.',
        'little',
        (((NORMAL, BALANCED), (BALANCED, BALANCED)),),
    ),
    4: Claim(
        'Networks trained on U(1, 5) do better on U(1, 5) than on U(1, 10).',
        'order',
        (((MISSING, BALANCED), (MISSING, MISSING)),),
    ),
    5: Claim(
        "N(5.5, 1)-networks' percentage error is about the same on N(5.5, 1) and U(1, 10).",
        'same',
        (((NORMAL, NORMAL), (NORMAL, BALANCED)),),
        ('mape',),
    ),
    6: Claim(
        'Averaged over all test distributions the order is the same: balanced < normal < missing.',
        'order',
        _order_on(ALL_TESTS),
    ),
}


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Whether a claim stands.

    Attributes:
      claim: number of the claim, a key of `CLAIMS`.
      variant: what sets the group of conditions apart; '' for the study's first.
      predictor: 'cnn' or 'cnn_calibrated'.
      metric: 'mse' or 'mape'.
      status: 'stands', 'fails', 'same within the margin' or 'undecided'; or 'not tested'.
      reason: a sentence with the numbers and the tests; '' where it is not tested.
      note: what these repeats could have shown, where the claim is undecided; else ''.
      evidence: the comparisons.
    """

    claim: int
    variant: str
    predictor: str
    metric: str
    status: str
    reason: str
    note: str = ''
    evidence: tuple[Evidence, ...] = ()

    @property
    def statement(self) -> str:
        """The claim in words."""
        return CLAIMS[self.claim].statement


# ------------------------------------------------------------------------------------------------
# The rules


def judge_order(parts: Sequence[statistics.Comparison], level: float) -> str:
    """Judges the claim that first > second in each of the parts.

    It fails where any part is shown to be reversed (Holm over the parts); stands where each part
    is shown; and is the same within the margin where each is shown to be one or the other.
    """
    if (statistics.holm([c.reversed_p_value for c in parts]) < level).any():
        return FAILS
    shown = [c.p_value < level for c in parts]
    if all(shown):
        return STANDS
    same = [c.equivalence_p_value < level for c in parts]
    return SAME if all(a or b for a, b in zip(shown, same, strict=True)) else UNDECIDED


def judge_little(part: statistics.Comparison, level: float) -> str:
    """Judges the claim that first is below second by a factor of 1 + margin; a gain is no cost."""
    if part.below_p_value < level:
        return STANDS
    return FAILS if 1 - part.below_p_value < level else UNDECIDED


def judge_same(part: statistics.Comparison, level: float) -> str:
    """Judges the claim that the ratio of first and second is within 1 ± margin."""
    if part.equivalence_p_value < level:
        return STANDS
    return FAILS if part.outside_p_value < level else UNDECIDED


# Kinds of claims about one pair: how each is judged, and how that is told.
_OF_ONE_PAIR = {'little': (judge_little, wording.little), 'same': (judge_same, wording.same)}


# ------------------------------------------------------------------------------------------------
# Verdicts of a study


@dataclasses.dataclass(frozen=True)
class _Pair:
    """What is compared: two labels, the repeats that both have [n], their values there [2, n]."""

    first: str
    second: str
    repeats: pd.Index
    values: np.ndarray
    source: str


@dataclasses.dataclass(frozen=True)
class _Question:
    """One claim about one group of conditions."""

    study: finished.FinishedStudy
    variant: finished.Variant
    claim: int
    predictor: str
    metric: str

    def pairs(self) -> list[_Pair]:
        """Returns what is to be compared; nothing where the study lacks what the claim is about."""
        conditions, tests = self.variant.conditions, self.study.test_distributions
        cells = [cell for pair in CLAIMS[self.claim].pairs for cell in pair]
        on = {test for _, test in cells}
        averaged = printed.TEST_DISTRIBUTIONS if ALL_TESTS in on else ()
        needed = on - {ALL_TESTS} | {*averaged}
        if not ({law for law, _ in cells} <= conditions.keys() and needed <= tests.keys()):
            return []
        if CLAIMS[self.claim].kind != 'every':
            return [
                self._pair(*((self.predictor, conditions[law], test) for law, test in pair))
                for pair in CLAIMS[self.claim].pairs
            ]
        found = [
            self._pair((BASELINE, name, test), (self.predictor, name, test))
            for name in conditions.values()
            for test in tests
        ]
        return [pair for pair in found if len(pair.repeats)]

    def _pair(self, *sides: tuple[str, str, str]) -> _Pair:
        labels, values, sources = [], [], []
        for predictor, condition, test in sides:
            on = 'all tests' if test == ALL_TESTS else self.study.labels[test]
            if predictor == BASELINE:
                labels.append(f'random guess on {on}')
                values.append(self.study.baseline(condition, test, self.metric))
                condition = self.study.baseline_condition(condition, test, self.metric)
            else:
                labels.append(f'{self.study.titles[condition]}-networks on {on}')
                values.append(self.study.values(predictor, condition, test, self.metric))
            sources.append(self.study.source(predictor, condition, test, self.metric))
        first, second = labels
        repeats, joint = finished.joint(values)
        return _Pair(first, second, repeats, joint, '; '.join(sources))

    def decide(self, pairs: Sequence[_Pair], evidence: Sequence[Evidence]) -> tuple[str, str, str]:
        """Returns status, reason and note of the verdict on what was compared."""
        kind, parts = CLAIMS[self.claim].kind, [e.comparison for e in evidence]
        level, margin = comparison.level(self.study), comparison.margin(self.study)
        said = (comparison.UNITS[self.metric], level, margin)
        if kind in _OF_ONE_PAIR:
            judge, told = _OF_ONE_PAIR[kind]
            status, reason = judge(parts[0], level), told(evidence[0], *said)
            note = wording.open_margin(parts[0])
        else:
            status = judge_order(parts, level)
            note = wording.open_orders(evidence, level, margin)
            if kind == 'every':
                status, reason, note = self._every(pairs, evidence, said, status, note)
            else:
                reason = wording.order(evidence, *said, status == SAME)
        return status, f'{reason}.', note if status == UNDECIDED else ''

    def _every(
        self,
        pairs: Sequence[_Pair],
        evidence: Sequence[Evidence],
        said: tuple[str, float, float],
        status: str,
        note: str,
    ) -> tuple[str, str, str]:
        """Returns status, reason and note where one network that loses refutes the claim."""
        losing = [(place, i) for place, p in enumerate(pairs) for i in _lost(p)]
        total = sum(len(pair.repeats) for pair in pairs)
        reason = (
            f'In {total - len(losing)} of {total} pairs of network and test set the network has '
            'less error than the random guess of its repeat'
        )
        if losing:
            named = [_named(pairs[place], i) for place, i in losing[: wording.MOST_NAMED]]
            reason += f'; not so {wording.listed(named, len(losing))}'
            status = FAILS
        chosen = [evidence[place] for place in dict.fromkeys(p for p, _ in losing)] or evidence
        decides = wording.order([wording.weakest(chosen)], *said, status == SAME)
        reason += f'; the pair that decides: {decides}'
        members = set(self.variant.conditions.values())
        diverged = [
            f'{self.study.titles[condition]} repeat {repeat}'
            for condition, repeat in self.study.diverged
            if condition in members
        ]
        if diverged:
            reason += f'. Not counted, since diverged: {wording.listed(diverged, len(diverged))}'
            if status in (STANDS, SAME):
                # A network that diverged beats nothing, and its error is not known.
                return UNDECIDED, reason, 'The networks that diverged have no error to compare.'
        return status, reason, note


def _lost(pair: _Pair) -> list[int]:
    """Returns the places of the repeats whose network has no less error than its guess."""
    guessed, errors = pair.values
    return np.flatnonzero(~(errors < guessed)).tolist()


def _named(pair: _Pair, i: int) -> str:
    title, on = pair.second.rsplit('-networks on ', 1)
    guessed, error = (number(value) for value in pair.values[:, i])
    return f'{title} repeat {pair.repeats[i]} on {on} ({error} against {guessed})'


def _variants(study: finished.FinishedStudy) -> list[finished.Variant]:
    """Returns the groups of conditions that the paper's claims are about."""
    laws = {BALANCED, NORMAL, MISSING}
    if not laws & set(study.test_distributions):
        return []
    task = printed.SETTINGS['task.name']
    return [
        variant
        for variant in study.variants()
        if laws & set(variant.conditions)
        and all(
            study.conditions[name].settings.get('task.name', task) == task
            for name in variant.conditions.values()
        )
    ]


def applies(study: finished.FinishedStudy) -> bool:
    """Whether a study has a condition of the paper's: its task, trained and tested on its laws."""
    return bool(_variants(study))


def verdicts(study: finished.FinishedStudy) -> list[Verdict]:
    """Returns the verdict on each claim for each variant, predictor and metric.

    Empty where the paper's claims do not apply. A variant beyond the first is left out for the
    claims that it has no conditions for.
    """
    asked = [
        _Question(study, variant, claim, predictor, metric)
        for variant in _variants(study)
        for claim in CLAIMS
        for predictor in study.predictors
        for metric in CLAIMS[claim].metrics
    ]
    pairs = [question.pairs() for question in asked]
    # All at once: see `statistics`.
    compared = iter(
        statistics.compare_many(
            [(pair.values[0], pair.values[1]) for own in pairs for pair in own],
            margin=comparison.margin(study),
            level=comparison.level(study),
            directed=True,
            seed=study.option('seed', 0),
        )
    )
    found = []
    for question, own in zip(asked, pairs, strict=True):
        status, reason, note = UNTESTED, '', ''
        evidence: tuple[Evidence, ...] = ()
        if own:
            parts = [next(compared) for _ in own]
            corrected = statistics.holm([c.reversed_p_value for c in parts])
            evidence = tuple(
                Evidence(pair.first, pair.second, c, float(p), pair.source)
                for pair, c, p in zip(own, parts, corrected, strict=True)
            )
            status, reason, note = question.decide(own, evidence)
        name, predictor, metric = question.variant.name, question.predictor, question.metric
        if own or not name:
            found.append(
                Verdict(question.claim, name, predictor, metric, status, reason, note, evidence)
            )
    return found
