"""Recorded sound: Ogg and Opus, as the live call writes it and the work after it reads it."""
