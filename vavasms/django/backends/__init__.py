"""What `send_sms` hands its messages to: the gateway, or what stands in for it."""
