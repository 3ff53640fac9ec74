"""After labelling: certify a set, search it, and take a second look at doubtful labels."""
