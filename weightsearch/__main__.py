"""Entry point of ``python -m weightsearch``."""

from weightsearch.cli import main

if __name__ == "__main__":
    main()
