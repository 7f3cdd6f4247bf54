"""One tracker for each kind of wear; see `tracker`."""
