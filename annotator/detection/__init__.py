"""Models that find boxes: detectors, faces, object discovery; and clusters of items."""
