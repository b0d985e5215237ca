"""Schedules: a session that wakes itself, once, every so often or by a cron line."""
