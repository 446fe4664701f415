# SPDX-License-Identifier: GPL-2.0-or-later
"""Signed repositories for apt and dnf: hotcopy-install publish."""
