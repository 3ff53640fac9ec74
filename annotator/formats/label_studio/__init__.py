"""Label Studio JSON, read and written."""
