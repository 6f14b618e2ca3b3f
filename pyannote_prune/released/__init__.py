"""Segmentation models in all formats: ours, DiariZen's, and WavLM alone"""
