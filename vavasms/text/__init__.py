"""What a text costs as SMS, and how to make it cost less. Pure, and without dependencies in this package."""
