"""Models as ONNX files, for other runtimes than PyTorch"""
