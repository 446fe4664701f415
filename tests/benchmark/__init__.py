"""``make bench``: Hot Copy beside LVM, on one throttled disk of a booted guest."""
