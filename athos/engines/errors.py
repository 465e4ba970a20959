"""What can go wrong before the product runs."""


class EngineError(Exception):
    """An engine, a port or a folder is not as it must be; the message says what to do."""
