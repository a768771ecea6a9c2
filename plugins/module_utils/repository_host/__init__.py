"""A Linux host of the provider brought to serve its clients: users, folders, certificates, one supervised
rest-server for each client, and the rights of a bucket.
"""
