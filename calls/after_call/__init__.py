"""From an ended call to its transcript, its recording and its score.

    parts ─stitching▶ sound ─speech▶ stretches ─hearing▶ words ┐
                        │                                      ├─lines▶ transcript ─▶ score
                        └─stereo▶ one MP3        turns ────────┘

`transcribing` and `assessment` handle the kinds of work `transcribe` and `score`; the other files
are pure but for the engines they are given.
"""
