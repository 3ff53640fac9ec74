"""The Textual app, one folder for each screen."""
