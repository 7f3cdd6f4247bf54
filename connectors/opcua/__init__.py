"""OPC-UA: encrypted, pinned, subscription based conversations with servers. Loads nothing; see `connector`."""
