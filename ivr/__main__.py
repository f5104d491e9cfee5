"""``python -m ivr`` is the command ``ivr``."""

from ivr.cli import main

if __name__ == "__main__":
    main()
