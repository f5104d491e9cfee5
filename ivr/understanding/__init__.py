"""What the words that were heard mean: numbers, dates, times of day, yes and no, and which phrase they are.

Knows texts only: imports :mod:`ivr.hearing` and libraries, nothing else of the program.
"""
