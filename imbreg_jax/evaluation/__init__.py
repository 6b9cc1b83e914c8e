"""Evaluation: metrics, the baseline, and what trained networks predict on every split."""
