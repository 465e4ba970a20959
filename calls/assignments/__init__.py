"""Drills that managers ask people to practise: given, followed, reminded of. docs/reps.md"""
