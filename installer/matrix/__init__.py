# SPDX-License-Identifier: GPL-2.0-or-later
"""matrix.yaml: the systems that are supported, retired and refused."""
