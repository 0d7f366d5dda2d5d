"""Where a vault's bytes go beyond its own disk: published, kept, checked, brought back."""
