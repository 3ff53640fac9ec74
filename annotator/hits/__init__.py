"""Tasks for annotators (HITs), and the by-products of their hands.

By-products are what the annotator's hand did on a page, beside the answer. Fields, units and
normalisation are those of the ImageNet annotation tool of Han et al., "Neglected Free Lunch:
Learning Image Classifiers Using Annotation Byproducts" (ICCV 2023), so that what trains on
ImageNet-AB trains on these. The recorder appends events; `traces` adds the events of a page up to
the fields.
"""
