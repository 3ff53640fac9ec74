"""The widgets that put a picture on the terminal."""
