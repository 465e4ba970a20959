"""What the persona decides. Pure: no clock, no network, no database, no settings, no chance."""
