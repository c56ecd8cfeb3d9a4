"""The one way out of a sandbox: a proxy process per domain that asks before each request."""
