"""What of the proof runs inside a guest."""
