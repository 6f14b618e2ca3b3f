"""Measure accuracy and speed"""
