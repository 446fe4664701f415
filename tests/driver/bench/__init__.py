"""The guest bench: builds the driver against real kernels and runs tests inside booted guests."""
