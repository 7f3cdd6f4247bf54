"""Modbus: polling conversations with devices, in few and large reads. Loads nothing; see `connector`."""
