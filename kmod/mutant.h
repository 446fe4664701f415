/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef HCP_MUTANT_H
#define HCP_MUTANT_H

/*
 * Single faults, planted one at a time (make HCP_MUTANT=number) to see whether the tests
 * find them; tests/proof/mutants.py has the list.  Any other build has none: the
 * compiler leaves out what depends on a constant 0.
 */
#ifndef HCP_MUTANT
#define HCP_MUTANT	0
#endif

enum hcp_mutant {
	HCP_MUTANT_SKIP_COPY = 1,	/* of a write of less than a unit */
	HCP_MUTANT_WRITE_FIRST,		/* and read the old data meanwhile */
	HCP_MUTANT_READ_OFF_BY_ONE,	/* one sector, of what is in the store */
	HCP_MUTANT_MERGE_OFF_BY_ONE,	/* one sector, of what a hot copy is written */
	HCP_MUTANT_FORGET_CHAIN,	/* an older one does not look at the newer ones */
	HCP_MUTANT_FORGET_HEIR,		/* what is removed leaves nothing to the older one */
	HCP_MUTANT_SKIP_RECHECK,	/* of a read that a write has overtaken */
	HCP_MUTANT_SKIP_COUNT,		/* a write is let go and no reader told */
	HCP_MUTANT_DROP_FLUSH,		/* and FUA, of writes that waited */
	HCP_MUTANT_LEAK_PAGE,
	HCP_MUTANT_FREE_EARLY,		/* space of the store that is in use */
	HCP_MUTANT_FREE_TOO_MUCH,	/* a unit that was free in part */
	HCP_MUTANT_DISCARD_ALL,		/* what a hot copy needs as well */
	HCP_MUTANT_FORGET_MARK,		/* of what was written in place */
	HCP_MUTANT_NO_ORDER,		/* of overlapping writes to a hot copy */
	HCP_MUTANT_NO_HOLD,		/* of writes to a raw device at the instant */
	HCP_MUTANT_KEEP_STORE,		/* of what is removed and nobody needs */
	/* Only the checkers of a debug kernel see these. */
	HCP_MUTANT_USE_FREED,		/* a copy that has been freed is looked at */
	HCP_MUTANT_LEAK_OBJECT,		/* what was written, when a hot copy is removed */
	HCP_MUTANT_LOCK_ORDER,		/* two locks, taken either way round */
	HCP_MUTANT_SLEEP_ATOMIC,	/* the hook may sleep below RCU */
};

#define hcp_mutant(name)	(HCP_MUTANT == HCP_MUTANT_##name)

#endif
