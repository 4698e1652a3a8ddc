"""Executions: recorded, written down as text or tokens, read back, compared."""
