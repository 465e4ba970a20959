"""What may happen to a call, a token or a drill; one file per subject."""
