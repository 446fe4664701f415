"""Runs inside the guest (Python 3.9 and pytest 6 upwards, nothing else)."""
