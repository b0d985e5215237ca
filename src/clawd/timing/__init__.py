"""When something is due: times, periods and cron lines as people write them, in time zones."""
