"""What mirnet promises, case by case: files, a command, and what has to be there afterwards.

A class of cases is one file here with a function ``cases()``; each case names the row of the
tables "What is promised" of docs/fidelity.md that it proves, and ``tests/cases/test_cases.py`` ties
the two.
"""
