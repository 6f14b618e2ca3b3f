"""Format of audio"""

# samples per second of all models and of all recordings that are written, in Hz
SAMPLE_RATE = 16000
