// SPDX-License-Identifier: GPL-2.0-or-later
#include <linux/ftrace.h>
struct pt_regs *hcp_probe(struct ftrace_regs *fregs);
struct pt_regs *hcp_probe(struct ftrace_regs *fregs)
{
	return FTRACE_OPS_FL_RECURSION ? ftrace_get_regs(fregs) : NULL;
}
