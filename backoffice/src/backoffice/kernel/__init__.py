"""What every module stands on: settings, the database, events and text. Knows no module."""
