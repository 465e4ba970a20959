"""PostgreSQL and Valkey as plain child processes, and the supervisor of `manage.py up`."""
