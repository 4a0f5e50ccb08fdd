"""How the weights are made: degradations, data, loop, and a recipe for each model.

All but its options imports torch; nothing outside of ``mirnet train`` needs it.
"""
