"""The paper's conclusions as claims, each tested: it stands, fails, is the same, or undecided.

A verdict is given for each claim, metric and predictor, and for each group of the paper's
conditions that differ in nothing but the training law. All tests are at one level,
1 − `analysis.confidence`, and one-sided: Student's t on the log ratios of two errors, paired by
repeat. What is claimed of several pairs stands if it does for each (so no correction), and fails if
for any of them the reverse is shown (Holm over the pairs). "Costs little" and "about the same" are
tests against a margin (`analysis.equivalence_margin`). The sign-flip test is printed beside.
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from imbreg_jax.analysis import comparison, finished, statistics
from imbreg_jax.analysis.comparison import UNITS
from imbreg_jax.analysis.formats import number
from imbreg_jax.analysis.paper import printed
from imbreg_jax.analysis.paper.printed import ALL_TESTS, BALANCED, MISSING, NORMAL

STANDS, FAILS, UNDECIDED = 'stands', 'fails', 'undecided'
SAME = 'same within the margin'
# No verdict: the study lacks what the claim is about.
UNTESTED = 'not tested'

_MOST_NAMED = 5
_MOST_NOTES = 10

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
STATEMENTS = {index: claim.statement for index, claim in CLAIMS.items()}


@dataclasses.dataclass(frozen=True)
class Evidence:
    """One paired comparison behind a verdict.

    Attributes:
      first: what the first values are.
      second: what the second values are.
      comparison: its statistics; p values are of first > second.
      reversed_p_value: of first < second, Holm-corrected over the pairs of the claim.
      source: files and rows of the numbers.
    """

    first: str
    second: str
    comparison: statistics.Comparison
    reversed_p_value: float
    source: str


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Whether a claim stands.

    Attributes:
      claim: number of the claim, a key of `CLAIMS`.
      variant: what sets the group of conditions apart; '' for the study's first.
      predictor: 'cnn' or 'cnn_calibrated'.
      metric: 'mse' or 'mape'.
      status: 'stands', 'fails', 'same within the margin' or 'undecided'; or 'not tested'.
      reason: a sentence with the numbers and the tests.
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
        return STATEMENTS[self.claim]


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


# ------------------------------------------------------------------------------------------------
# Sentences


def p_text(p: float) -> str:
    """Returns 'p = 0.012', 'p < 0.001' or 'p undefined'."""
    if not math.isfinite(p):
        return 'p undefined'
    return 'p < 0.001' if p < 0.001 else f'p = {p:.3f}'


def _listed(names: Sequence[str], most: int = _MOST_NAMED) -> str:
    """Returns the first names, and how many more there are."""
    more = f' and {len(names) - most:,} more' if len(names) > most else ''
    return ', '.join(names[:most]) + more


@dataclasses.dataclass(frozen=True)
class _Series:
    """What a verdict compares: values by repeat, what to call them, where they come from."""

    label: str
    values: pd.Series
    source: str


@dataclasses.dataclass
class _Question:
    """One claim about one group of conditions, its pairs of series, and the evidence on them."""

    study: finished.FinishedStudy
    variant: finished.Variant
    claim: int
    predictor: str
    metric: str
    pairs: list[tuple[_Series, _Series]] = dataclasses.field(default_factory=list)
    evidence: tuple[Evidence, ...] = ()

    def ask(self) -> str:
        """Looks up what is to be compared; returns what of it the study lacks, or ''."""
        claim, tests = CLAIMS[self.claim], self.study.test_distributions
        cells = [cell for pair in claim.pairs for cell in pair]
        lacking = [law for law, _ in cells if law not in self.variant.conditions]
        if lacking:
            return f'No condition is trained on {", ".join(dict.fromkeys(lacking))}.'
        wanted = printed.test_distributions()
        needed = [t for _, test in cells for t in (wanted if test == ALL_TESTS else (test,))]
        lacking = [test for test in needed if test not in tests]
        if lacking:
            return f'The study does not test on {", ".join(dict.fromkeys(lacking))}.'
        if claim.kind == 'every':
            self.pairs = [
                (self._guess(name, test), self._networks(name, test))
                for name in self.variant.conditions.values()
                for test in tests
            ]
            self.pairs = [
                pair
                for pair in self.pairs
                if len(pair[0].values.index.intersection(pair[1].values.index))
            ]
            if not self.pairs:
                return 'No run has both a value and a baseline to hold it against.'
        for pair in claim.pairs:
            first, second = (
                self._networks(self.variant.conditions[law], test) for law, test in pair
            )
            self.pairs.append((first, second))
        return ''

    def _networks(self, condition: str, test: str) -> _Series:
        key = (self.predictor, condition, test, self.metric)
        label = f'{self.study.conditions[condition].title}-networks on {self._on(test)}'
        return _Series(label, self.study.values(*key), self.study.source(*key))

    def _guess(self, condition: str, test: str) -> _Series:
        held = self.study.baseline_condition(condition, test, self.metric)
        return _Series(
            f'random guess on {self._on(test)}',
            self.study.baseline(condition, test, self.metric),
            self.study.source(finished.BASELINE, held, test, self.metric),
        )

    def _on(self, test: str) -> str:
        return 'all tests' if test == ALL_TESTS else self.study.test_distributions[test].label

    def verdict(self, status: str, reason: str, note: str = '') -> Verdict:
        return Verdict(
            self.claim,
            self.variant.name,
            self.predictor,
            self.metric,
            status,
            reason,
            note,
            self.evidence,
        )

    @property
    def _level(self) -> float:
        return comparison.level(self.study)

    def decide(self) -> Verdict:
        """Returns the verdict on the evidence."""
        kind, parts = CLAIMS[self.claim].kind, [e.comparison for e in self.evidence]
        if kind == 'every':
            return self._every()
        if kind == 'order':
            status, notes = judge_order(parts, self._level), self._notes()
        elif kind == 'little':
            status, notes = judge_little(parts[0], self._level), self._margin_note()
        else:
            status, notes = judge_same(parts[0], self._level), self._margin_note()
        reason = '; '.join(self._numbers(e, status) for e in self.evidence) + '.'
        return self.verdict(status, reason, notes if status == UNDECIDED else '')

    def _every(self) -> Verdict:
        beaten = total = 0
        losing: list[tuple[int, str]] = []
        for place, (guess, network) in enumerate(self.pairs):
            shared, (guessed, errors) = finished.joint([guess.values, network.values])
            won = errors < guessed
            total, beaten = total + len(shared), beaten + int(won.sum())
            title, on = network.label.split('-networks on ', 1)
            losing += [
                (
                    place,
                    f'{title} repeat {shared[i]} on {on} '
                    f'({number(errors[i])} against {number(guessed[i])})',
                )
                for i in np.flatnonzero(~won)
            ]
        reason = (
            f'In {beaten} of {total} pairs of network and test set the network has '
            'less error than the random guess of its repeat'
        )
        if losing:
            reason += f'; not so {_listed([name for _, name in losing])}'
        chosen = [self.evidence[place] for place, _ in losing] or self.evidence
        status = judge_order([e.comparison for e in self.evidence], self._level)
        reason += f'; the pair that decides: {self._numbers(_weakest(chosen), status)}.'
        diverged = [
            f'{self.study.conditions[condition].title} repeat {repeat}'
            for condition, repeat in self.study.diverged
            if condition in self.variant.conditions.values()
        ]
        if diverged:
            reason += f' Not counted, since diverged: {_listed(diverged)}.'
        if losing:  # One counterexample refutes "every".
            return self.verdict(FAILS, reason)
        note = self._notes() if status == UNDECIDED else ''
        if diverged and status in (STANDS, SAME):
            # A network that diverged beats nothing, and its error is not known.
            status, note = UNDECIDED, 'The networks that diverged have no error to compare.'
        return self.verdict(status, reason, note)

    def _numbers(self, evidence: Evidence, status: str) -> str:
        """Says a comparison in words, with the tests that its claim is judged by."""
        c, unit = evidence.comparison, UNITS[self.metric]
        text = (
            f'{evidence.first} {number(c.first_mean)}{unit} against {evidence.second} '
            f'{number(c.second_mean)}{unit}'
        )
        if not math.isfinite(c.effect):
            return text
        text += f': ratio {number(c.effect)}'
        if not math.isfinite(c.low):
            return text
        kind = CLAIMS[self.claim].kind
        margin = self.study.option('equivalence_margin', 0.1)
        within = f'within {1 - margin:g} to {1 + margin:g}'
        larger = f'larger {_both(c.p_value, c.flip_p_value)}'
        if c.reversed_p_value < c.p_value:
            holm = ' with Holm' if len(self.evidence) > 1 else ''
            larger += f', smaller{holm} {p_text(evidence.reversed_p_value)}'
        same = f'{within} {_both(c.equivalence_p_value, c.flip_equivalence_p_value)}'
        tests = {
            'little': f'below {1 + margin:g} {_both(c.below_p_value, c.flip_below_p_value)}, above '
            f'it {p_text(1 - c.below_p_value)}',
            'same': f'{same}, outside {p_text(c.outside_p_value)}',
        }.get(kind, f'{larger}, {same}' if status == SAME else larger)
        return (
            f'{text} ({100 * (1 - 2 * self._level):g} % t interval {number(c.low)} to '
            f'{number(c.high)}; {c.repeats} pairs; {tests})'
        )

    def _notes(self) -> str:
        """Says what could have been shown, of each pair whose order stays open."""
        margin = 1 + self.study.option('equivalence_margin', 0.1)
        found = []
        for e in self.evidence:
            c = e.comparison
            if c.p_value < self._level:
                continue
            pair = f'{e.first} against {e.second}: '
            if c.equivalence_p_value < self._level:
                found.append(f'{pair}the same within the margin.')
            elif not math.isfinite(c.detectable):
                found.append(pair + _no_test(c))
            else:
                found.append(
                    f'{pair}{c.repeats} repeats could have shown a ratio of '
                    f'{number(c.detectable)}; {_repeats(c.repeats_needed)} would show one of '
                    f'{margin:g} (power {statistics.POWER:g}).'
                )
        if len(found) > _MOST_NOTES:
            found[_MOST_NOTES:] = [f'{len(found) - _MOST_NOTES:,} more such notes are left out.']
        return ' '.join(found)

    def _margin_note(self) -> str:
        c = self.evidence[0].comparison
        if not math.isfinite(c.detectable):
            return _no_test(c)
        return (
            f'{c.repeats} repeats tell a ratio from the margin that is off it by a factor of '
            f'{number(c.detectable)} (power {statistics.POWER:g}).'
        )


def _both(p: float, flip_p: float) -> str:
    return f'{p_text(p)}, by sign flips {p_text(flip_p)}'


def _no_test(c: statistics.Comparison) -> str:
    if c.repeats > 1:
        return 'errors of 0, or lost, have no ratio, so no test.'
    return f'{c.repeats} repeat{"" if c.repeats == 1 else "s"}: no spread, so no test.'


def _repeats(needed: float) -> str:
    if math.isfinite(needed):
        return f'about {needed:,.0f}'
    return f'more than {statistics.MOST_REPEATS:,}'


def _weakest(evidence: Sequence[Evidence]) -> Evidence:
    """Returns the comparison that speaks least for first > second: what a conjunction hangs on."""

    def support(found: Evidence) -> tuple[float, float]:
        # With one repeat there is no test: the ratio speaks; p values may also vanish alike.
        p, effect = (found.comparison.p_value, found.comparison.effect)
        return (p if math.isfinite(p) else 1.0, -effect if math.isfinite(effect) else math.inf)

    return max(evidence, key=support)


# ------------------------------------------------------------------------------------------------
# Verdicts of a study


def _variants(study: finished.FinishedStudy) -> list[finished.Variant]:
    """Returns the groups of conditions that the paper's claims are about."""
    laws = {BALANCED, NORMAL, MISSING}
    if not laws & set(study.test_distributions):
        return []
    task = printed.settings()['task.name']
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
    found: list[Verdict | _Question] = []
    for variant in _variants(study):
        for claim in CLAIMS:
            for predictor in study.predictors:
                for metric in CLAIMS[claim].metrics:
                    question = _Question(study, variant, claim, predictor, metric)
                    lacking = question.ask()
                    if not lacking:
                        found.append(question)
                    elif not variant.name:
                        found.append(question.verdict(UNTESTED, lacking))
    asked = [entry for entry in found if isinstance(entry, _Question)]
    pairs = [pair for question in asked for pair in question.pairs]
    compared = iter(
        statistics.compare_many(
            [tuple(finished.joint([part.values for part in pair])[1]) for pair in pairs],
            margin=study.option('equivalence_margin', 0.1),
            level=comparison.level(study),
            directed=True,
            seed=study.option('seed', 0),
        )
    )
    for question in asked:
        own = [next(compared) for _ in question.pairs]
        corrected = statistics.holm([c.reversed_p_value for c in own])
        question.evidence = tuple(
            Evidence(first.label, second.label, c, float(p), f'{first.source}; {second.source}')
            for (first, second), c, p in zip(question.pairs, own, corrected, strict=True)
        )
    return [entry.decide() if isinstance(entry, _Question) else entry for entry in found]


def survival(found: Sequence[Verdict]) -> pd.DataFrame:
    """Says which conclusions survive a calibration of the networks by one factor each.

    Args:
      found: what `verdicts` returned.

    Returns:
      A row per variant, claim and metric: variant, claim, statement, metric, cnn, cnn_calibrated
      (their statuses) and survives: 'yes', 'no', 'same within the margin', 'undecided' or '' where
      there was no claim that stood or no calibrated predictor.
    """
    by_key = {(v.variant, v.claim, v.metric, v.predictor): v.status for v in found}
    answers = {STANDS: 'yes', FAILS: 'no', SAME: SAME, '': ''}
    rows = []
    for (variant, claim, metric, predictor), status in by_key.items():
        if predictor != 'cnn':
            continue
        calibrated = by_key.get((variant, claim, metric, 'cnn_calibrated'), '')
        rows.append(
            {
                'variant': variant,
                'claim': claim,
                'statement': STATEMENTS[claim],
                'metric': metric,
                'cnn': status,
                'cnn_calibrated': calibrated,
                'survives': answers.get(calibrated, UNDECIDED) if status == STANDS else '',
            }
        )
    columns = ['variant', 'claim', 'statement', 'metric', 'cnn', 'cnn_calibrated', 'survives']
    return pd.DataFrame(rows, columns=columns)
