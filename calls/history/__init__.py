"""What may be read of calls afterwards: the list, one call, its progress, its recording.

`calls/selectors.py` serves the conversation itself.
"""
