"""Programs for a workstation: train, export, quantize, evaluate and time voices. Run as `python -m tools.NAME`."""
