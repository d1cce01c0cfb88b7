"""Data sets for detection: the built-in digits and any folder in COCO format."""
