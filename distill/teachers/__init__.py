"""From a batch to what a teacher says about it; each declares what it provides."""
