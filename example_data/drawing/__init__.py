"""Draws trays of machined parts: height maps, lit and photographed, in numpy and Pillow."""
