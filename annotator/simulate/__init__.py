"""Simulated sessions on labelled data: the labels that a strategy needs, the errors it estimates.

The session, the log and `learn` are those of the screen; only the annotator is replaced.
"""
