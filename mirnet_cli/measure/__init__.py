"""How good, and how sure: metrics, and evaluation on pairs of pictures."""
