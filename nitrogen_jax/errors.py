"""The one exception that a user may see as a sentence instead of a traceback."""


class NitrogenError(ValueError):
    """Bad input or usage: one sentence saying what is wrong, where, and what would be right.

    The command line prints the sentence alone and exits with code 2.
    """
