"""Numbers that describe each item: where they are kept, and how they are computed."""
