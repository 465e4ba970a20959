"""Which database role may do what."""


class OwnerMigrates:
    """Tables are made by `athos_owner` only; the role that serves owns nothing."""

    def allow_migrate(self, db: str, app_label: str, **hints: object) -> bool:
        return db == "owner"
