"""The energy of any command, without a sweep: it runs in the foreground, and what it took is told afterwards."""
