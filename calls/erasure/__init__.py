"""Deleting what was said: when somebody asks for it, and when a tenant's time for it is over.

`requests` takes an erasure on, `carrying_out` does it as due work, `receipts` says what was done.
`retention` is the policy, `rounds` its due work. docs/retention.md is the table of all of it.
"""
