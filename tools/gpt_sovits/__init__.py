"""GPT-SoVITS v2, v2Pro and v2ProPlus on a workstation: read checkpoints, fold constants, write ONNX graphs."""
