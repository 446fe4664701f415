// SPDX-License-Identifier: GPL-2.0-or-later
/* See known_broken.h.  The table comes from matrix.yaml. */
#include <linux/glob.h>
#include <linux/kernel.h>
#include <linux/moduleparam.h>
#include <linux/utsname.h>

#include "known_broken.h"

struct known_broken {
	const char *release;	/* glob(7) patterns on uname -r and */
	const char *version;	/* uname -v: both match */
	const char *reason;
};

static const struct known_broken known_broken[] = {
#include "known_broken_table.h"
};

/* For the day on which one becomes known: no new driver is needed to stay off it. */
static char *refuse_kernel;
module_param(refuse_kernel, charp, 0444);
MODULE_PARM_DESC(refuse_kernel, "make no hot copies on kernels whose release matches this pattern, too");

/* Why this kernel must not make hot copies; NULL: it may. */
const char *hcp_known_broken(void)
{
	const struct new_utsname *name = &init_uts_ns.name;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(known_broken); i++)
		if (glob_match(known_broken[i].release, name->release) &&
		    glob_match(known_broken[i].version, name->version))
			return known_broken[i].reason;
	if (refuse_kernel && glob_match(refuse_kernel, name->release))
		return "this kernel is refused by the parameter refuse_kernel of the driver";
	return NULL;
}
