"""Return what every handset received, in a browser: a page, its data, and what changes as it changes."""

from vavasms.sandbox.inbox.handset import Inbound, PostForm

__all__ = ["Inbound", "PostForm"]
