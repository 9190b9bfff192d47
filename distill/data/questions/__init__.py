"""Questions with answers and rationales, one reader a file: rows, GSM8K, CoS-E, reasoning-gym."""
