"""Time and score whole diarizations"""
