"""The labelling screen, its panels and its dialogs."""
