# SPDX-License-Identifier: GPL-2.0-or-later
"""Files of the project that are generated from matrix.yaml."""
