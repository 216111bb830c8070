"""`vavasms desk`: campaigns from a browser on this machine.

Nothing here decides about a message: what a page shows and does is what the Python API and the command line
show and do. Needs the extra: `pip install "vavasms[desk]"`.
"""
