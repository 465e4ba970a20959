"""How long to wait before the next try. Pure: chance comes in as an argument."""


def retry_delay(
    attempt: int, *, chance: float, first: float = 2.0, cap: float = 300.0, spread: float = 0.2
) -> float:
    """Seconds to wait after the `attempt`th failure (1, 2, ...): doubling, capped, spread out.

    `chance` in [0, 1) moves the wait within ± `spread` of itself, so that rows that failed
    together do not come back together.
    """
    if attempt < 1:
        raise ValueError("Attempts are counted from one.")
    # Past 2**30 the cap has long decided; the bound keeps a huge count from overflowing a float.
    plain = min(cap, first * 2.0 ** min(attempt - 1, 30))
    return plain * (1 - spread + 2 * spread * chance)
