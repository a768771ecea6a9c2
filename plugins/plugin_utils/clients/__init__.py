"""The provider's clients as they come and change: a new one from answers or a filled annex, its place on a
repository host, its file; a server that is retired or renamed in it.
"""
