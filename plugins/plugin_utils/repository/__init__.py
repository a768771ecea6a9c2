"""The provider's side as the controller sees it: which instance serves which client, the base of the
actions that go to a repository host, and the table of what those hosts tell.
"""
