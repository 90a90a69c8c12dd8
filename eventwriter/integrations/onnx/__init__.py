"""ONNX: graphs of .onnx files."""
