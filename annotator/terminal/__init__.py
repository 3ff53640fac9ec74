"""What the terminal can do, and the bytes that put a picture on it. No Textual, no screen."""
