"""GNOME's handbook, English to Portuguese: a translator into a smaller one, and a black box that writes targets."""
