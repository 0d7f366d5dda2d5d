"""What bridges to bots share: values as a state keeps them, and a bot's own database."""
