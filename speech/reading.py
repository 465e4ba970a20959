"""How written things are said: what the phonemizer reads badly, spelled out for it."""


def readable(text: str) -> str:
    return text
