"""The backup agent of one server.

What it is to be (desired), what is there (facts), what has to change (plan), how that is carried out (apply),
all of it from arguments to result (deploy); and a backup on request (backup).
"""
