"""Files that are read safely and written atomically"""
