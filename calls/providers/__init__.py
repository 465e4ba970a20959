"""Engines behind the ports: one file per kind, found through `registry`."""
