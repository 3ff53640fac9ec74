"""What to ask next, what was learnt, and how far to trust it; no files, no screen, no clock."""
