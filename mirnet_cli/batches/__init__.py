"""Many photos: what would be done (plan), what has been done (journal), and doing it (work, run).

The plan is data and is checked before any work. An executor turns jobs into outcomes: in this
process (pipeline), in several of this machine (processes), or by the workers of a cluster.
"""
