// SPDX-License-Identifier: GPL-2.0-or-later
/* Hot Copy: instant, writable, point-in-time copies of live block devices. */
#include <linux/module.h>

#include "control.h"
#include "copy.h"
#include "disk.h"
#include "event.h"
#include "hook.h"
#include "map.h"

static int __init hcp_init(void)
{
	int err;

	hcp_copy_memory_init();
	err = hcp_map_caches_init();
	if (err)
		return err;
	err = hcp_hook_init();
	if (err)
		goto no_hook;
	err = hcp_disk_init();
	if (err)
		goto no_disk;
	err = hcp_control_init();
	if (err)
		goto no_control;
	return 0;

no_control:
	hcp_disk_exit();
no_disk:
	hcp_hook_exit();
no_hook:
	hcp_map_caches_exit();
	return err;
}

/* Every hot copy holds a reference to the module, so that none is left. */
static void __exit hcp_exit(void)
{
	hcp_control_exit();
	hcp_event_exit();
	hcp_disk_exit();
	hcp_hook_exit();
	rcu_barrier();
	hcp_map_caches_exit();
}

module_init(hcp_init);
module_exit(hcp_exit);

MODULE_DESCRIPTION("Hot Copy: instant point-in-time copies of live block devices");
MODULE_AUTHOR("The Hot Copy developers");
MODULE_LICENSE("GPL");
MODULE_VERSION(HCP_VERSION);
