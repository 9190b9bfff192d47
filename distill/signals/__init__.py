"""What a teacher said, as types: on which support, at which temperatures, in memory or on disk."""
