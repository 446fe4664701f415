"""Proof: programs against a model, faults, mutants, crash consistency; see docs/reliability.md."""
