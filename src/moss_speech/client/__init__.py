"""A client of the service's live conversations: `moss-speech talk` and `moss-speech bench`."""
