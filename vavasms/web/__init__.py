"""What the pages of the sandbox and of the desk share: headers, language, templates and their look."""
