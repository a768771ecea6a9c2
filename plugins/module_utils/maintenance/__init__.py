"""The maintenance of repositories on the provider's host: retention with its proof, checks, restore drills,
volume and gate, one client at a time (C7, C15, C19). It runs as modules of Ansible and, copied as a folder,
from a timer: so it imports the standard library and itself, and boto3 for a bucket.
"""
