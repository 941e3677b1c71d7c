"""INT8 voices: which layers of which graph, calibrated on what, at what loss."""
