"""A made-up paper for testing the run machinery: its trials cost nothing and do what they are told."""
