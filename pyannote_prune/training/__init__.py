"""Training that survives interruptions"""
