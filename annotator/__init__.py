"""annotator: label a folder of images in the terminal, with a model that learns as you go."""

__version__ = "0.1.0"
