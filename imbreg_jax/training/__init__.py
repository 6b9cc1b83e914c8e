"""Training: a step, the compiled programs, a unit's engine, and what a remedy may change."""
