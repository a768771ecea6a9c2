"""What people read: pages as HTML and PDF, their plots, and the mails that carry them. Pure views of data
that others have judged.
"""
