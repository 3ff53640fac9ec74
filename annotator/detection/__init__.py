"""What finds boxes: detectors, faces, object discovery; and clusters of items."""
