"""The ``skybutler`` command: every rule of the domain is in the floors below."""
