# SPDX-License-Identifier: GPL-2.0-or-later
"""What a machine is: every detector reads below a root directory, so that recorded systems can be looked at as well."""
