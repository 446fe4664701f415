"""Debian version numbers, ordered as dpkg orders them."""

from __future__ import annotations

import functools

from installer.matrix.dpkg_order import dpkg_compare

compare = dpkg_compare
sort_key = functools.cmp_to_key(compare)
