"""The commands, by what they do: write and check files, look, act, run. Each imports what it needs when it runs."""
