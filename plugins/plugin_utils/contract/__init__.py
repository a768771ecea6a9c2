"""The signed annexes: the inventory's variables of each client, read with their places, checked against the
schema and the catalogue of Annexe 1, and put together as contracts (C1, C15, C17, C21).
"""
