// SPDX-License-Identifier: GPL-2.0-or-later
#include <linux/highmem.h>
void hcp_probe(struct page *page);
void hcp_probe(struct page *page) { kunmap_local(kmap_local_page(page)); }
