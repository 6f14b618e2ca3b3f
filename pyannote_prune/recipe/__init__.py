"""Fine-tune, prune, distil and train, from one file"""
