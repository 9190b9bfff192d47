"""Where the runs of a sweep are started: this machine's processes, or a cluster's queue."""
