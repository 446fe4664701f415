// SPDX-License-Identifier: GPL-2.0-or-later
#include <linux/ftrace.h>
unsigned long hcp_probe(struct ftrace_regs *fregs);
unsigned long hcp_probe(struct ftrace_regs *fregs)
{
	ftrace_regs_set_instruction_pointer(fregs, 0UL);
	return ftrace_regs_get_argument(fregs, 0);
}
