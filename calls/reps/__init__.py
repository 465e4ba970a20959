"""Reps and agencies as the dashboard shows them: who they are, and how their practice goes."""
