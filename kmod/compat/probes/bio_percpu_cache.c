// SPDX-License-Identifier: GPL-2.0-or-later
#include <linux/bio.h>
void hcp_probe(struct bio *bio);
void hcp_probe(struct bio *bio) { bio_clear_flag(bio, BIO_PERCPU_CACHE); }
