"""Tests of an installed guest, by pytest and testinfra over ssh: the same whatever provides the guest."""
