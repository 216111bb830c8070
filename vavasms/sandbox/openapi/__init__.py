"""The sandbox as an OpenAPI 3.1 document: the gateway's calls, and the sandbox's own interface."""
