// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The whole driver as one compilation unit, as kernel/sched/build_utility.c does it: the
 * kernel's headers cost more than our code, and dkms compiles this on the user's server at
 * every kernel upgrade.  "make SPLIT=1" compiles each file by itself; every file must stand
 * that too.
 */
#include "main.c"
#include "control.c"
#include "create.c"
#include "freeze.c"
#include "drain.c"
#include "submitters.c"
#include "known_broken.c"
#include "hook.c"
#include "origin.c"
#include "snapshot.c"
#include "chain.c"
#include "cow.c"
#include "copy.c"
#include "writeback.c"
#include "discard.c"
#include "disk.c"
#include "request.c"
#include "read.c"
#include "write.c"
#include "map.c"
#include "free.c"
#include "changed.c"
#include "store.c"
#include "segment.c"
#include "event.c"
#include "info.c"
#include "io.c"
