"""Who watches it run: metrics, health, traces for other programs, and the view in the terminal."""
