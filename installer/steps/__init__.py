# SPDX-License-Identifier: GPL-2.0-or-later
"""The steps of an installation. Each can be run again after a kill at any point of it."""
