"""What things cost here and now: each measures this very installation, and prints no promise."""
