"""What a finished study says: statistics, tables, figures, verdicts and the report.

Reads only `config.json`, `results.csv`, `metrics.jsonl` and `predictions.npz` of one or several
workdirs.
"""
