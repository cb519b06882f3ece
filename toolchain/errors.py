"""The one error that is shown without a traceback."""


class ToolchainError(Exception):
    """Something that a person has to put right; the message says what and how."""
