"""Durable campaigns, and the contact lists they are sent to."""
