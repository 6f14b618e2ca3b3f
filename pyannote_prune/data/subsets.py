"""Subsets of a protocol"""

SUBSETS = ("train", "development", "test")

# subsets that training reads
TRAINING_SUBSETS = ("train", "development")
