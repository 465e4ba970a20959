"""After the call."""
