# SPDX-License-Identifier: GPL-2.0-or-later
"""hotcopy-install: gets Hot Copy onto a system, or says why not."""
