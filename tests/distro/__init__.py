"""The distribution matrix: every row of matrix.yaml as far as it goes where this runs."""
