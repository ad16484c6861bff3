"""Watching over jobs, workers and schedules, and telling people: rules, what they have found, and
the channels by which it is told."""
