"""make demo: the real command in a booted kernel, live."""
