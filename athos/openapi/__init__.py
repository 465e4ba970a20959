"""The machine-readable description of the external API: made, served, shown to people.

drf-spectacular walks the addresses; what each operation takes and answers is said by the apps, in
their `openapi.py`. Nothing is guessed from code.
"""
