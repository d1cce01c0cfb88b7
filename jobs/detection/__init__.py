"""YOLOv7 detection: the graph from layer tables, its weights, and everything from pixels to scored boxes."""
