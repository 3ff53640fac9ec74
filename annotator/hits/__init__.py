"""Tasks for annotators (HITs), and by-products.

By-products record the hand of an annotator on a page, beside the answers. Fields, units and
normalisation are those of the ImageNet annotation tool of Han et al., "Neglected Free Lunch:
Learning Image Classifiers Using Annotation Byproducts" (ICCV 2023), so that code for
ImageNet-AB runs on them. The recorder appends events; `traces` adds the events of a page up to the
fields.
"""
