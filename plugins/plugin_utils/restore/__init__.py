"""A restore on request (C3, C8): the request, the facts of the server and the repository, the plan, its
application on the server, and the record to sign.
"""
