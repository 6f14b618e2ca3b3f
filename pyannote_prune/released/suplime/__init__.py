"""Models of SUPlime: checkpoints, and repositories with a whole pipeline"""
