"""Pictures in a terminal: its capabilities, and the bytes that it is sent. No Textual here."""
