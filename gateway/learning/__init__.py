"""Learning in a running gateway: frames that are kept, kinds that are judged, models that are taught and taken back."""
