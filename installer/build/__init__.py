# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages of Hot Copy: hotcopy-install build and build-modules."""
