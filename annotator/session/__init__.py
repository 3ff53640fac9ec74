"""One annotator at work: what is asked, answered, undone and learnt, without a screen."""
