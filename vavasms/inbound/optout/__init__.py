"""The page behind the opt-out links of messages: one press stops the SMS, a second takes it back."""
