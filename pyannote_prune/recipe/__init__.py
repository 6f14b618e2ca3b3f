"""The four stages of a recipe, from one file"""
