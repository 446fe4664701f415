# SPDX-License-Identifier: GPL-2.0-or-later
"""What is looked at before anything is changed. Every check says what it found, also when all is well."""
