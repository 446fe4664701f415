# SPDX-License-Identifier: GPL-2.0-or-later
"""Which argument each call of /dev/hcp takes."""

from __future__ import annotations

import ctypes

from hotcopy import abi

# All that begin with a head (size and version of the interface); HCP_IOC_VERSION has none.
ARGUMENTS: dict[int, type[ctypes.Structure]] = {
    abi.IOC_CREATE: abi.IocCreate,
    abi.IOC_REMOVE: abi.IocRemove,
    abi.IOC_NEXT: abi.IocInfo,
    abi.IOC_STORE: abi.IocStore,
    abi.IOC_FREE: abi.IocFree,
    abi.IOC_GROW: abi.IocGrow,
    abi.IOC_END: abi.IocEnd,
    abi.IOC_WAIT: abi.IocWait,
    abi.IOC_CHANGED: abi.IocChanged,
}
