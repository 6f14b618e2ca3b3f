"""Models that others have released"""
