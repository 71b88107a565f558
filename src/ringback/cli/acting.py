"""Who runs a command, for the audit log: the user of the machine."""

import getpass

from ringback.store.audit import Actor


def actor() -> Actor:
    """Return who it is; commands come from no address."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        # In a container there may be an id without a name.
        name = "unknown"
    return Actor(name, "command")
