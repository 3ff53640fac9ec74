"""What other programs write and read: one module a format."""
