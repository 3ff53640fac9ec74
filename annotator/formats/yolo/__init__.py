"""YOLO folders with data.yaml, read and written."""
