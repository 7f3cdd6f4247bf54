"""What the gateway would have bought over telemetry that is recorded already, and what that would have cost and saved.

No connector, no session, no purchasing and no spend database can be reached from here: an import contract says so, for
indirect imports as well.
"""
