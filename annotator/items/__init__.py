"""Items, the images and boxes to label: their refs, tables of them, and safe file writing."""
