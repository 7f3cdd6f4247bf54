"""The page: looking at what the gateway knows, and acting as a named person through `gateway.actions`."""
