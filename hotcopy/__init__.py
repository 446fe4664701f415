# SPDX-License-Identifier: GPL-2.0-or-later
"""Hot Copy: instant, writable, point-in-time copies of a live Linux block device."""

__version__ = "0.1.0"
