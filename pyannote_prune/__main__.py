"""Command line: `python -m pyannote_prune`"""

from .cli import app

if __name__ == "__main__":
    app()
