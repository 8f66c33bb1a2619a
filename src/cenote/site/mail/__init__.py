"""Mail: subscriptions, digests, and an outbox from which every mail is sent."""
