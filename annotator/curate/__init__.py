"""Work after labelling: certify a set, search it, and review doubtful labels."""
