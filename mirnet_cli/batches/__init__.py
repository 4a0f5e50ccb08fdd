"""Many photos: what would be done (plan), what has been done (journal), and doing it (work, run).

The plan is data and is checked before any work. An executor turns jobs into outcomes; the one
here works in this process, others can put the same jobs on other machines.
"""
