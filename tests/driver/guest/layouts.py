# SPDX-License-Identifier: GPL-2.0-or-later
"""Which argument each call of /dev/hcp takes."""

from __future__ import annotations

import ctypes

from hotcopy import abi, abi_later

# All that begin with a head (size and version of the interface); HCP_IOC_VERSION has none.
ARGUMENTS: dict[int, type[ctypes.Structure]] = {
    abi.IOC_CREATE: abi.IocCreate,
    abi_later.IOC_REMOVE: abi_later.IocRemove,
    abi.IOC_NEXT: abi.IocInfo,
    abi_later.IOC_STORE: abi_later.IocStore,
    abi.IOC_FREE: abi.IocFree,
    abi_later.IOC_GROW: abi_later.IocGrow,
    abi_later.IOC_END: abi_later.IocEnd,
    abi.IOC_WAIT: abi.IocWait,
    abi_later.IOC_CHANGED: abi_later.IocChanged,
}
