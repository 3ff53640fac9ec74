"""Learning from labels: the model, the next items to ask, the error; no files, screen or clock."""
