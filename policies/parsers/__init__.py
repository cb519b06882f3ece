"""Parsers of the formats that the rules read: as tolerant as the daemons, with the line of every value."""
